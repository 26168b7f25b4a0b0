"""What a wait ended in, as an Airflow event (JSON, no secrets), and back as a result or an error.

{"operation": {…}}                          it finished
{"operation": null}                         it was still running at a bound
{"operation": {…}, "error": {"type": …}}    it failed; its message is in the operation
{"operation": null, "error": {…}}           trouble with the service, or with the settings
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowNotFoundException

import nexus_operations
from nexus_operations import NexusError, Operation, OperationFailedError

Event = dict[str, Any]

ATTRIBUTES = ("message", "status_code", "retry_after", "transient", "reached", "path")
"""What is kept of a `NexusError`; `detail` is not, for a body can be large."""

SETTINGS_ERRORS = (AirflowNotFoundException, ImportError, ValueError, TypeError)
"""Errors that name something to set right: a connection, a variable, an argument."""


class NexusOperationFailed(OperationFailedError, AirflowFailException):  # type: ignore[misc]
    """The operation reached a status that fails the task; the task is not retried.

    Args:
        operation: The operation, as last retrieved, or its JSON form.
    """

    def __init__(self, operation: Operation | Mapping[str, Any]) -> None:
        super().__init__(operation if isinstance(operation, Operation) else decoded(operation))

    def serialize(self) -> tuple[str, tuple[()], dict[str, Any]]:
        """Return what Airflow rebuilds the error from: class path, `args` and `kwargs`."""
        cls = type(self)
        arguments = {"operation": msgspec.to_builtins(self.operation)}
        return f"{cls.__module__}.{cls.__name__}", (), arguments


class NexusOperationStillRunning(AirflowException):  # type: ignore[misc]
    """The operation outlived the bound of the wait; a retry of the task waits on."""


def decoded(body: Mapping[str, Any]) -> Operation:
    """Return an operation from its JSON form."""
    return Operation.from_json(msgspec.json.encode(dict(body)))


def success_event(operation: Operation | None) -> Event:
    """Return the event of a wait that ended without an error; `None` is still running."""
    return {"operation": None if operation is None else msgspec.to_builtins(operation)}


def error_event(error: Exception) -> Event:
    """Return the event of a wait that ended in a `NexusError` or in one of `SETTINGS_ERRORS`."""
    kind = type(error).__name__
    if isinstance(error, OperationFailedError):
        return {**success_event(error.operation), "error": {"type": kind}}
    if isinstance(error, NexusError):
        kept = {name: getattr(error, name, None) for name in ATTRIBUTES}
        return {"operation": None, "error": {"type": kind, **kept}}
    kind = next(known.__name__ for known in SETTINGS_ERRORS if isinstance(error, known))
    return {"operation": None, "error": {"type": kind, "message": str(error)}}


def raise_or_return(event: Event, op_id: str, *, retry_failed_operation: bool) -> Event:
    """Return the operation that finished, as the service sent it, or raise what the wait ended in.

    Raises:
        NexusOperationFailed: The operation reached a status that fails the task; not retried,
            unless `retry_failed_operation` says so: then `OperationFailedError`.
        NexusOperationStillRunning: The operation outlived the bound.
        NexusError: There was trouble with the service; the library's own class. It is retried.
        ValueError, TypeError, ImportError, AirflowNotFoundException: Something has to be set right.
    """
    body, error = event.get("operation"), event.get("error")
    if error is None:
        if body is None:
            raise NexusOperationStillRunning(f"{op_id} is still running at the bound of the wait")
        finished: Event = body
        return finished
    if body is not None:
        kind = OperationFailedError if retry_failed_operation else NexusOperationFailed
        raise kind(decoded(body))
    raise _rebuilt(error)


def _rebuilt(told: Mapping[str, Any]) -> Exception:
    """Return the error that an event tells of."""
    name, message = str(told["type"]), str(told["message"])
    for settings_error in SETTINGS_ERRORS:
        if settings_error.__name__ == name:
            error: Exception = settings_error(message)
            return error
    kind = getattr(nexus_operations, name, NexusError)
    if not (isinstance(kind, type) and issubclass(kind, NexusError)):
        kind = NexusError
    rebuilt = kind.__new__(kind)
    options = {key: told.get(key) for key in ("status_code", "retry_after", "transient")}
    NexusError.__init__(rebuilt, message, reached=told.get("reached", True), **options)
    if told.get("path") is not None:
        vars(rebuilt)["path"] = told["path"]
    return rebuilt
