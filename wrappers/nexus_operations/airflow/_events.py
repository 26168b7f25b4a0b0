"""What a wait tells its task (JSON, without secrets), and what the task makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec
from airflow.sdk.exceptions import AirflowException, AirflowFailException

import nexus_operations
from nexus_operations import Adaptive, NexusError, Operation, OperationFailedError

Event = dict[str, Any]

ATTRIBUTES = ("message", "status_code", "retry_after", "transient", "reached", "path")
"""What is kept of an error; `detail` is not, for a body can be large."""


class NexusOperationFailed(OperationFailedError, AirflowFailException):  # type: ignore[misc]
    """The operation errored or was cancelled: the task fails, and is not retried."""


class NexusOperationStillRunning(AirflowException):  # type: ignore[misc]
    """The operation outlived the bound of the wait; a retry of the task waits on."""


@dataclass(frozen=True)
class Policy:
    """The bounds of a wait, as they are serialised: all numbers are seconds or counts.

    Attributes:
        max_wait: Seconds that the wait may take, from when the task began it; `None` for no bound.
        max_polls: The most retrievals made; `None` for no bound.
        max_outage: Seconds without an answer that are tolerated; `None` for no bound.
        raise_exception_if: The statuses that fail the task.
        pace: Multiplies the delays between retrievals.
    """

    max_wait: float | None = 36000.0
    max_polls: int | None = None
    max_outage: float | None = 1800.0
    raise_exception_if: Sequence[str] = ("Errored", "Cancelled")
    pace: float = 1.0

    def arguments(self, elapsed: float = 0.0, polls: int = 0) -> dict[str, Any]:
        """Return the arguments of `wait_until_done` for what is left of the wait."""
        return {
            "timeout": None if self.max_polls is None else max(self.max_polls - polls, 1),
            "max_wait": None if self.max_wait is None else max(self.max_wait - elapsed, 0.0),
            "max_outage": self.max_outage,
            "raise_exception_if": tuple(self.raise_exception_if),
            "schedule": Adaptive(pace=self.pace),
        }


def in_seconds(duration: float | timedelta | None) -> float | None:
    """Return a duration in seconds."""
    return duration.total_seconds() if isinstance(duration, timedelta) else duration


def ended(operation: Operation | None) -> Event:
    """Return the event of a wait that ended without an error; `None` is still running."""
    return {"operation": None if operation is None else msgspec.to_builtins(operation)}


def failed(error: NexusError) -> Event:
    """Return the event of a wait that ended in an error."""
    kept = {name: getattr(error, name, None) for name in ATTRIBUTES}
    operation = error.operation if isinstance(error, OperationFailedError) else None
    return {**ended(operation), "error": {"type": type(error).__name__, **kept}}


def conclude(event: Event, op_id: str, *, retry_failed_operation: bool) -> Event:
    """Return the operation that finished, as the service sent it, or raise what the wait ended in.

    Raises:
        NexusOperationFailed: The operation reached a status that fails the task; not retried,
            unless `retry_failed_operation` says so: then `OperationFailedError`.
        NexusOperationStillRunning: The operation outlived the bound.
        NexusError: There was trouble with the service; the library's own class. It is retried.
    """
    body, error = event.get("operation"), event.get("error")
    if error is None:
        if body is None:
            raise NexusOperationStillRunning(f"{op_id} is still running at the bound of the wait")
        finished: Event = body
        return finished
    if body is not None:
        kind = OperationFailedError if retry_failed_operation else NexusOperationFailed
        raise kind(Operation.from_json(msgspec.json.encode(body)))
    raise _rebuilt(error)


def _rebuilt(told: dict[str, Any]) -> NexusError:
    """Return the library's error that was told of."""
    kind = getattr(nexus_operations, str(told["type"]), NexusError)
    if not (isinstance(kind, type) and issubclass(kind, NexusError)):
        kind = NexusError
    error = kind.__new__(kind)
    options = {name: told[name] for name in ("status_code", "retry_after", "transient", "reached")}
    NexusError.__init__(error, told["message"], **options)
    if told.get("path") is not None:
        vars(error)["path"] = told["path"]
    return error
