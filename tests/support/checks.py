"""What cases check: an end in time, whose operation it is, that no secret shows."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from nexus_operations import NexusError, Operation

from tests.conftest import SECRET

T = TypeVar("T")

PATIENCE = 15.0
"""Seconds after which a call that should have ended long ago is taken to hang: far above what any
case needs, so that a busy machine fails none."""


def within(call: Callable[[], T], seconds: float = PATIENCE) -> T:
    """Return what a call returns or raise what it raises; fail if it has not ended by then.

    The call runs in a daemon thread, which is left behind where it hangs.
    """
    values: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            values.append(call())
        except BaseException as error:  # noqa: BLE001  (it is raised below)
            errors.append(error)

    thread = threading.Thread(target=run, name="watched", daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive(), f"the call had not ended after {seconds:g} s"
    if errors:
        raise errors[0]
    return values[0]


def each(rows: Iterable[T], check: Callable[[T], object]) -> None:
    """Check every row of a table; fail with a line for each that is wrong."""
    wrong: list[str] = []
    for row in rows:
        try:
            check(row)
        except Exception as error:  # noqa: BLE001  (all that is wrong is told together)
            wrong.append(f"{row!r}: {type(error).__name__}: {' '.join(str(error).split())[:400]}")
    assert not wrong, "\n" + "\n".join(wrong)


def ended(result: object, op_id: str, overview: str = "Finished") -> Operation:
    """Check that a result is the operation asked for, and how it ended."""
    assert isinstance(result, Operation), f"{op_id} ended in {result!r}"
    assert (result.id, result.status.overview) == (op_id, overview)
    return result


def failed(result: object, *kinds: type[NexusError]) -> NexusError:
    """Check that a result is an error of the library (of a kind), and that no secret shows."""
    assert isinstance(result, kinds or NexusError), f"ended in {result!r}"
    assert isinstance(result, NexusError)
    hides_secret(result)
    return result


def hides_secret(error: BaseException, secret: str = SECRET) -> None:
    """Check that an error shows a secret nowhere: texts, attributes, its chain, frames' locals."""
    found = sorted({where for where, value in _texts(error, set()) if secret in value})
    assert not found, f"the secret is in {', '.join(found)}"


def _texts(error: BaseException | None, seen: set[int]) -> Iterator[tuple[str, str]]:
    if error is None or id(error) in seen:
        return
    seen.add(id(error))
    name = type(error).__name__
    yield f"str of {name}", str(error)
    yield f"repr of {name}", repr(error)
    yield f"args of {name}", repr(error.args)
    yield f"notes of {name}", repr(getattr(error, "__notes__", ()))
    for attribute in {*vars(error), "request", "response", "request_info", "headers", "detail"}:
        with contextlib.suppress(Exception):
            value: Any = getattr(error, attribute)
            yield f"{name}.{attribute}", repr(value)
            for part in (value, getattr(value, "request", None)):
                with contextlib.suppress(Exception):
                    yield f"headers of {name}.{attribute}", repr(list(part.headers.items()))
    frame = error.__traceback__
    while frame is not None:
        code = frame.tb_frame.f_code
        if "/tests/" not in code.co_filename and "/asyncio/" not in code.co_filename:
            for local, value in list(frame.tb_frame.f_locals.items()):
                with contextlib.suppress(Exception):
                    yield f"local {local} of {code.co_name} ({name})", repr(value)
        frame = frame.tb_next
    yield from _texts(error.__cause__, seen)
    yield from _texts(error.__context__, seen)
    for part in getattr(error, "exceptions", ()):
        yield from _texts(part, seen)
