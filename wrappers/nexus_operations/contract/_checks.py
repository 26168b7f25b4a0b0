"""The checks: what each asks of an answer. Nothing is sent here."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, cast

from ._schema import Breach, client_refuses

if TYPE_CHECKING:
    from ._exchange import Asked

OK = 200
FIRST_ERROR = 400
REFUSED = (401, 403)
NOT_FOUND = 404

TEXTS = {
    "answers": "the operation can be retrieved",
    "document": "status, content type, headers and body are as the document says",
    "client": "the generated client takes every operation",
    "identity": "the id answered is the id asked",
    "dates": "updateDate is not before createDate",
    "milliseconds": "dates are in milliseconds",
    "counts": "the counts fit the status",
    "repeat": "the operation asked again is the same, and no older",
    "unknown": "an unknown operation is answered 404",
    "no-secret": "a request without a secret is refused",
    "wrong-secret": "a wrong secret is refused",
    "errors": "errors have the documented body",
    "latency": "answers come in time",
}
"""The checks in the order of their lines."""

# 2001 and 5138 in milliseconds: seconds fall below, microseconds above.
EARLIEST, LATEST = 10**12, 10**14


def body_of(asked: Asked) -> Any:
    """Return the JSON of an answer, or `None`."""
    try:
        return json.loads(asked.response.content, parse_constant=_no_number)
    except (ValueError, RecursionError):  # malformed, no text, too deep: told by `document`
        return None


def _no_number(word: str) -> None:
    """Refuse `NaN` and infinities, which Python reads though JSON has none."""
    raise ValueError(word)


def operation_of(asked: Asked) -> dict[str, Any] | None:
    """Return the operation that was answered, if it is one."""
    body = body_of(asked) if asked.status == OK else None
    return cast("dict[str, Any]", body) if isinstance(body, dict) else None


def member(holder: Any, name: str) -> dict[str, Any]:
    """Return an object within another; empty if it is none, which `document` tells."""
    found: Any = holder.get(name)
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def number(value: Any) -> float | None:
    """Return a number of JSON, or `None`."""
    known = isinstance(value, int | float) and not isinstance(value, bool)
    return value if known else None


def dates(body: dict[str, Any]) -> Iterator[Breach]:
    """Check the order of the dates."""
    created, updated = number(body.get("createDate")), number(body.get("updateDate"))
    if created is not None and updated is not None and updated < created:
        yield Breach(f"{updated} is before createDate, {created}", "$.updateDate")


def milliseconds(body: dict[str, Any]) -> Iterator[Breach]:
    """Check the unit of the dates."""
    for key in ("createDate", "updateDate"):
        value = number(body.get(key))
        if value is not None and not EARLIEST <= value < LATEST:
            unit = "seconds" if EARLIEST / 1000 <= value < EARLIEST / 10 else "another unit"
            yield Breach(f"{value} looks like {unit}", f"$.{key}")


def counts(body: dict[str, Any]) -> Iterator[Breach]:
    """Check that the counts do not contradict the status."""
    status = member(body, "status")
    found = member(member(status, "progress"), "withStatus")
    known = {key: number(value) or 0 for key, value in found.items()}
    overview = status.get("overview")
    impossible = {
        "Queued": ("Running", "Finished"),
        "Finished": ("Queued", "Running"),
        "Cancelled": ("Running",),
        "Errored": ("Running",),
    }.get(str(overview), ())
    for key in impossible:
        if known.get(key):
            problem = f"{known[key]} units, though the operation is {overview}"
            yield Breach(problem, f"{COUNTS}.{key}")
    total = sum(known.get(key, 0) for key in ("Queued", "Running", *TERMINAL))
    if overview in {"Queued", "Finished"} and total and not known.get(str(overview)):
        yield Breach(f"none is {overview}, though the operation is", f"{COUNTS}.{overview}")


TERMINAL = ("Finished", "Cancelled", "Errored")
COUNTS = "$.status.progress.withStatus"
OF_AN_OPERATION: dict[str, Callable[[dict[str, Any]], Iterator[Breach]]] = {
    "dates": dates,
    "milliseconds": milliseconds,
    "counts": counts,
}


def identity(asked: Asked, op_id: str) -> Iterator[Breach]:
    """Check that an answer belongs to its question."""
    body = operation_of(asked)
    if body is not None and body.get("id") != op_id:
        yield Breach(f"{body.get('id')!r} is answered, {op_id!r} was asked", "$.id")


def repeat(first: Asked, second: Asked) -> Iterator[Breach]:
    """Check that an operation stays itself, and does not go back in time."""
    old, new = operation_of(first), operation_of(second)
    if old is None or new is None:
        if second.status != first.status:
            yield Breach(f"answered {first.status}, then {second.status}", "")
        return
    for key in ("id", "kind", "createDate"):
        if old.get(key) != new.get(key):
            yield Breach(f"was {old.get(key)!r}, then {new.get(key)!r}", f"$.{key}")
    was, now = number(old.get("updateDate")), number(new.get("updateDate"))
    if was is not None and now is not None and now < was:
        yield Breach(f"was {was}, then {now}", "$.updateDate")
    before, after = (member(body, "status").get("overview") for body in (old, new))
    if before in TERMINAL and after != before:
        yield Breach(f"was {before!r}, then {after!r}", "$.status.overview")


def client(asked: Asked, path: str) -> Iterator[Breach]:
    """Check that callers get the operation."""
    if asked.status == OK:
        yield from client_refuses(path, asked.response.content)


def latency(asked: Asked, most: float) -> Iterator[Breach]:
    """Check how long an answer took, body included."""
    if asked.seconds > most:
        yield Breach(f"took {asked.seconds:.2f} s, more than {most:g} s", "")


def reason(asked: Asked) -> str:
    """Return why an operation cannot be retrieved, from how the service refuses it."""
    status = asked.status
    known = {
        401: "the service does not know the secret",
        403: "the secret does not open this project",
        404: "there is no such project, or no such operation in it",
        429: "the service limits requests and does not relent",
        503: "the service is down or overloaded, and stays so",
    }
    if 300 <= status < FIRST_ERROR:
        return f"{status}: the service redirects; name the endpoint that it redirects to"
    return f"{status}: {known.get(status, 'no answer for an operation')}"
