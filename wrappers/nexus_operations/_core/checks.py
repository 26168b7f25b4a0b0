"""Checks of what callers pass, before any request: each error names the argument and the value."""

from __future__ import annotations

import enum
import inspect
import math
import os
import re
from collections.abc import Collection, Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from reprlib import Repr
from typing import Any, cast
from urllib.parse import urlsplit

from .models import KNOWN_STATUSES

DEFAULT_ENDPOINT = "https://api.datature.io"
ENDPOINT_VARIABLE = "DATATURE_API_BASE_URL"
SECRET_VARIABLE = "NEXUS_SECRET"  # noqa: S105  (the name of the variable)
PROJECT_VARIABLE = "NEXUS_PROJECT"
MAX_ID_LENGTH = 512

LONGEST = 100 * 365.25 * 86400.0
"""Seconds that a duration may have: a century. Beyond it clocks overflow."""

OPERATION_LINK = re.compile(r"(?:[^?#\s]*/)?operations/(?:[^/?#\s]+/|(?=op_))([^/?#\s]+)/?")

OTHER_KINDS = {
    "annotsess_": ("an annotation import session", "the vendor's SDK waits for it"),
    "model_": ("a model export", "the vendor's SDK waits for it"),
    "run_": ("a training run", "the vendor's SDK or the Nexus page follows it"),
    "proj_": ("a project", "it goes to get_project()"),
}
"""Ids that are no operation's, by prefix: what they are, and where to wait for them (read in the
vendor's SDK 1.12.2). Asked for as operations they are a 404."""

Seconds = float | int | timedelta
"""A duration: a number of seconds, or a `timedelta`."""

_shortened = Repr()
_shortened.maxstring = _shortened.maxother = 80


def show(value: object) -> str:
    """Return a short `repr` for an error message."""
    try:
        return _shortened.repr(value)
    except ValueError:  # Python writes no int of more than 4,300 digits
        return f"a huge {type(value).__name__}"


def identifier(name: str, value: object) -> str:
    """Return `value` as a plain str if it can be one segment of the request's path."""
    if isinstance(value, enum.Enum):
        value = value.value
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, not {show(value)}")
    value = str.__str__(value)
    if not value or value.isspace():
        raise ValueError(f"{name} must not be empty, not {show(value)}")
    if value in (".", ".."):
        raise ValueError(f"{name} must not be a relative path segment, not {show(value)}")
    if len(value) > MAX_ID_LENGTH:
        raise ValueError(f"{name} must have at most {MAX_ID_LENGTH} characters, not {show(value)}")
    if not value.isprintable():
        raise ValueError(f"{name} must have no control characters, not {show(value)}")
    return value


def operation_identifier(name: str, value: object) -> str:
    """Return the operation id that is given as such, or by the operation link.

    The link is that of the vendor's older SDKs, `…/operations/<kind>/<uuid>`: the id is `op_` and
    its last segment.
    """
    if isinstance(value, str) and (link := OPERATION_LINK.fullmatch(value)):
        value = f"op_{link[1].removeprefix('op_')}"
    op_id = identifier(name, value)
    for prefix, (thing, where) in OTHER_KINDS.items():
        if op_id.startswith(prefix):
            raise ValueError(
                f"{name} must be the id of an operation (op_…), not {show(op_id)}, which is"
                f" {thing}: {where}"
            )
    return op_id


def operation_identifiers(name: str, value: object) -> tuple[Iterable[Any], bool]:
    """Return an iterable of ids, and whether it is a collection, whose ids are then checked."""
    shown = show(value)
    iterable = hasattr(value, "__iter__") or hasattr(value, "__aiter__")
    if isinstance(value, (str, bytes, bytearray, Mapping, type)) or not iterable:
        raise TypeError(f"{name} must be an iterable of ids, not {shown}")
    return cast("Iterable[Any]", value), isinstance(value, Collection)


def project_identifier(value: object) -> str:
    """Return the project id with its prefix; `None` is the environment's."""
    name = "project_id"
    if value is None:
        name = f"project_id (from {PROJECT_VARIABLE})"
        value = os.environ.get(PROJECT_VARIABLE)
        if not value:
            raise ValueError(f"project_id must be given where {PROJECT_VARIABLE} is not set")
    project_id = identifier(name, value)
    return project_id if project_id.startswith("proj_") else f"proj_{project_id}"


def mapping(name: str, value: object) -> dict[str, Any]:
    """Return an object of a JSON document."""
    if not isinstance(value, dict):
        raise TypeError(f"{name} must be an object, not {show(value)}")
    return cast("dict[str, Any]", value)


def boolean(name: str, value: object) -> bool:
    """Return True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be a bool, not {show(value)}")
    return value


def count(name: str, value: object) -> int:
    """Return a count of 0 or more."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int of 0 or more, not {show(value)}")
    if value < 0:
        raise ValueError(f"{name} must be an int of 0 or more, not {show(value)}")
    return int(value)


def positive_int(name: str, value: object) -> int:
    """Return a count of 1 or more."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int of 1 or more, not {show(value)}")
    if value < 1:
        raise ValueError(f"{name} must be an int of 1 or more, not {show(value)}")
    return int(value)


def optional_positive_int(name: str, value: object) -> int | None:
    """Return a count of 1 or more; `None` is no bound."""
    return None if value is None else positive_int(name, value)


def max_polls(name: str, value: object) -> int | None:
    """Return the page's `timeout`, a number of polls; `None` is no bound."""
    if isinstance(value, int) and not isinstance(value, bool) and value == 0:
        raise ValueError(
            f"{name} must be an int of 1 or more, not 0: it counts polls;"
            f" for one look write {name}=1 or get(), for a time in seconds max_wait="
        )
    if isinstance(value, (float, timedelta)):
        raise TypeError(
            f"{name} must be an int of 1 or more, not {show(value)}: it counts polls;"
            " for a time in seconds write max_wait="
        )
    return optional_positive_int(name, value)


def seconds(name: str, value: object, *, positive: bool = False) -> float:
    """Return a duration in seconds: finite, not negative, and more than 0 if `positive`."""
    if isinstance(value, timedelta):
        number = value.total_seconds()
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        number = _as_float(value)
    else:
        raise TypeError(f"{name} must be seconds or a timedelta, not {show(value)}")
    if not math.isfinite(number) or number < 0 or (positive and number == 0):
        bound = "more than 0" if positive else "0 or more"
        raise ValueError(f"{name} must be {bound} seconds and finite, not {show(value)}")
    if number > LONGEST:
        raise ValueError(f"{name} must be at most {LONGEST:g} seconds, not {show(value)}")
    return number


def optional_seconds(name: str, value: object) -> float | None:
    """Return a duration in seconds; `None` is no bound."""
    if value is None:
        return None
    try:
        return seconds(name, value)
    except TypeError:
        raise TypeError(f"{name} must be seconds, a timedelta or None, not {show(value)}") from None


def delay(value: object) -> float:
    """Return what a schedule returned, if it is a delay in seconds."""
    try:
        return seconds("the delay that schedule.next_delay returns", value)
    except TypeError:
        raise TypeError(
            f"schedule.next_delay must return seconds as a number, not {show(value)}"
        ) from None


def schedule(name: str, value: object) -> Any:
    """Return a schedule."""
    if isinstance(value, type) or not callable(getattr(value, "next_delay", None)):
        raise TypeError(f"{name} must have a method next_delay(history), not {show(value)}")
    return value


def abort_event(name: str, value: object) -> Any:
    """Return an event, or `None`."""
    is_set, wait = getattr(value, "is_set", None), getattr(value, "wait", None)
    blocks = callable(is_set) and callable(wait) and not inspect.iscoroutinefunction(wait)
    if value is not None and (isinstance(value, type) or not blocks):
        raise TypeError(f"{name} must be a threading.Event or None, not {show(value)}")
    return value


def choice(name: str, value: object, choices: Collection[str]) -> Any:
    """Return one of several words."""
    if not isinstance(value, str) or value not in choices:
        words = " or ".join(map(repr, choices))
        kind = ValueError if isinstance(value, str) else TypeError
        raise kind(f"{name} must be {words}, not {show(value)}")
    return value


def rate(name: str, value: object) -> float | None:
    """Return a bound on requests per second; `None` is no bound."""
    if value is None:
        return None
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(f"{name} must be requests per second, or None, not {show(value)}")
    number = _as_float(value)
    if not math.isfinite(number) or number < 1 / LONGEST:
        raise ValueError(f"{name} must be more than 0 requests per second, not {show(value)}")
    return number


def _as_float(number: float) -> float:
    """Return a number as a float, infinity for an int beyond its range."""
    try:
        return float(number)
    except OverflowError:
        return math.inf


def status_names(name: str, value: object) -> frozenset[str]:
    """Return the statuses named by one name, several, or `None`.

    Any name is taken, since the service may add statuses, but one that is nearly a known one.
    """
    if value is None:
        return frozenset()
    shown = show(value)
    if isinstance(value, (str, enum.Enum)):
        names: list[object] = [value]
    elif isinstance(value, Iterable) and not isinstance(value, (bytes, bytearray, Mapping)):
        names = list(cast("Iterable[object]", value))
    else:
        raise TypeError(f"{name} must be a status name, several, or None, not {shown}")
    return frozenset(_status_name(name, item) for item in names)


def _status_name(name: str, value: object) -> str:
    if isinstance(value, enum.Enum):
        value = value.value
    if not isinstance(value, str):
        raise TypeError(f"{name} must hold status names, not {show(value)}")
    value = str.__str__(value)
    if value in KNOWN_STATUSES:
        return value
    if not value.strip():
        raise ValueError(f"{name} must hold status names, not {show(value)}")
    for known in KNOWN_STATUSES:
        if _is_near(value.strip().lower(), known.lower()):
            raise ValueError(f"{name} must be a status: {show(value)} looks like {known!r}")
    return value


def _is_near(word: str, known: str) -> bool:
    """Whether a word is a misspelling of a known one: its beginning, or two edits away."""
    if known.startswith(word):
        return len(word) >= 3
    if word.endswith(known):  # a word of its own, as "requeued"
        return word == known
    return _edits(word[: len(known) + 3], known) <= 2


def _edits(a: str, b: str) -> int:
    """Return the number of letters to insert, delete, replace or swap between two words."""
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, letter in enumerate(a, 1):
        two_before, before, row = before, row, [i]
        for j, other in enumerate(b, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == b[j - 2] and a[i - 2] == other:
                cost = min(cost, two_before[j - 2] + 1)
            row.append(cost)
    return row[-1]


def secret(value: object) -> str | None:
    """Return the secret key, by default the environment's; no error or its frame shows it."""
    name = "secret_key"
    if value is None:
        value = os.environ.get(SECRET_VARIABLE) or None
        name = f"secret_key (from {SECRET_VARIABLE})"
        if value is None:
            return None
    trouble: Exception | None = None
    if not isinstance(value, str):
        trouble = TypeError(f"{name} must be a str, not {type(value).__name__}")
    elif not value.strip():
        trouble = ValueError(f"{name} must not be empty")
    elif not value.isascii() or not value.isprintable() or value != value.strip():
        trouble = ValueError(
            f"{name} must be printable ASCII without line breaks or surrounding blanks"
            " (its value is not shown)"
        )
    else:
        return value
    del value
    raise trouble


def certificate(certificate_path: object, key_path: object) -> tuple[str, str] | None:
    """Return the two files of a client certificate: both, or neither."""
    if certificate_path is None and key_path is None:
        return None
    checked: list[str] = []
    names = ("mtls_certificate_file_path", "mtls_private_key_file_path")
    for name, path in zip(names, (certificate_path, key_path), strict=True):
        if path is None:
            raise ValueError(f"{name} must be given together with the other mtls file, not None")
        if not isinstance(path, (str, Path)):
            raise TypeError(f"{name} must be a path, not {show(path)}")
        if not os.path.isfile(path):
            raise ValueError(f"{name} must be a file, not {show(str(path))}")
        checked.append(str(path))
    return checked[0], checked[1]


def endpoint(value: object) -> str:
    """Return the base URL without a trailing slash; `None` is the environment's or the default."""
    name = "endpoint"
    if value is None:
        value = os.environ.get(ENDPOINT_VARIABLE) or DEFAULT_ENDPOINT
        name = f"endpoint (from {ENDPOINT_VARIABLE})" if value != DEFAULT_ENDPOINT else name
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a URL, not {show(value)}")
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
        usable = usable and value.isprintable() and " " not in value and parts.port != 0
    except ValueError:
        usable = False
        parts = None
    if parts is not None and "@" in parts.netloc:
        raise ValueError(f"{name} must not carry a user name or password (its value is not shown)")
    if not usable or parts is None:
        shown = "***" if "@" in value else show(value)  # it may hold a password
        raise ValueError(f"{name} must be an http or https URL, not {shown}")
    if parts.query or parts.fragment or "?" in value or "#" in value:
        raise ValueError(f"{name} must have no query and no fragment, not {show(value)}")
    return value.rstrip("/")
