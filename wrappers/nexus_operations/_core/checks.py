"""Checks of what callers pass, before any request: each error names the argument and the value."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from reprlib import Repr
from typing import cast
from urllib.parse import urlsplit

from .models import KNOWN_STATUSES

DEFAULT_ENDPOINT = "https://api.datature.io"
ENDPOINT_VARIABLE = "DATATURE_API_BASE_URL"
MAX_ID_LENGTH = 512

Seconds = float | int | timedelta
"""A duration: a number of seconds, or a `timedelta`."""

_shortened = Repr()
_shortened.maxstring = _shortened.maxother = 80


def show(value: object) -> str:
    """Return a short `repr` for an error message."""
    return _shortened.repr(value)


def identifier(name: str, value: object) -> str:
    """Return `value` if it can be one segment of the request's path."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, not {show(value)}")
    if not value or value.isspace():
        raise ValueError(f"{name} must not be empty, not {show(value)}")
    if value in (".", ".."):
        raise ValueError(f"{name} must not be a relative path segment, not {show(value)}")
    if len(value) > MAX_ID_LENGTH:
        raise ValueError(f"{name} must have at most {MAX_ID_LENGTH} characters, not {show(value)}")
    if not value.isprintable():
        raise ValueError(f"{name} must have no control characters, not {show(value)}")
    return value


def project_identifier(value: object) -> str:
    """Return the project id with its prefix."""
    project_id = identifier("project_id", value)
    return project_id if project_id.startswith("proj_") else f"proj_{project_id}"


def polls(name: str, value: object) -> int | None:
    """Return a bound on retrievals; `None` is no bound."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int of 1 or more, or None, not {show(value)}")
    if value < 1:
        raise ValueError(f"{name} must be an int of 1 or more, or None, not {value}")
    return value


def seconds(name: str, value: object, *, positive: bool = False) -> float:
    """Return a duration in seconds: finite, not negative, and more than 0 if `positive`."""
    if isinstance(value, timedelta):
        number = value.total_seconds()
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        number = float(value)
    else:
        raise TypeError(f"{name} must be seconds or a timedelta, not {show(value)}")
    if not math.isfinite(number) or number < 0 or (positive and number == 0):
        bound = "more than 0" if positive else "0 or more"
        raise ValueError(f"{name} must be {bound} seconds and finite, not {show(value)}")
    return number


def optional_seconds(name: str, value: object) -> float | None:
    """Return a duration in seconds; `None` is no bound."""
    if value is None:
        return None
    try:
        return seconds(name, value)
    except TypeError:
        raise TypeError(f"{name} must be seconds, a timedelta or None, not {show(value)}") from None


def rate(name: str, value: object) -> float | None:
    """Return a bound on requests per second; `None` is no bound."""
    if value is None:
        return None
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(f"{name} must be requests per second, or None, not {show(value)}")
    if not math.isfinite(value) or value <= 0:
        raise ValueError(f"{name} must be more than 0 requests per second, not {show(value)}")
    return float(value)


def status_names(name: str, value: object) -> frozenset[str]:
    """Return the statuses named by one name, several, or `None`."""
    if value is None:
        return frozenset()
    if isinstance(value, str):
        names: list[object] = [value]
    elif isinstance(value, Iterable):
        names = list(cast("Iterable[object]", value))
    else:
        raise TypeError(f"{name} must be a status name, several, or None, not {show(value)}")
    checked: set[str] = set()
    for item in names:
        if not isinstance(item, str):
            raise TypeError(f"{name} must hold status names, not {show(item)}")
        if item not in KNOWN_STATUSES:
            raise ValueError(f"{name} must be of {', '.join(KNOWN_STATUSES)}, not {show(item)}")
        checked.add(item)
    return frozenset(checked)


def secret(value: object) -> str | None:
    """Return the secret key; an error never shows it."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError(f"secret_key must be a str, not {type(value).__name__}")
    if not value.strip():
        raise ValueError("secret_key must not be empty")
    if not value.isascii() or not value.isprintable() or value != value.strip():
        raise ValueError(
            "secret_key must be printable ASCII without line breaks or surrounding blanks"
            " (its value is not shown)"
        )
    return value


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
        raise ValueError(f"{name} must be an http or https URL, not {show(value)}")
    if parts.query or parts.fragment:
        raise ValueError(f"{name} must have no query and no fragment, not {show(value)}")
    return value.rstrip("/")
