"""What a wait ended in, as an Airflow event (JSON, no secrets), and back as a result or an error.

{"operation": {…}}                          it finished
{"operation": null}                         it was still running at a bound
{"operation": {…}, "error": {"type": …}}    it failed; its message is in the operation
{"operation": null, "error": {…}}           trouble with the service, or with the settings
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowNotFoundException

from nexus_operations import NexusError, Operation, OperationFailedError, wire

Event = dict[str, Any]

SETTINGS_ERRORS = (AirflowNotFoundException, ImportError, ValueError, TypeError)
"""Errors that name something to set right: a connection, a variable, an argument."""


class NexusOperationFailed(OperationFailedError, AirflowFailException):  # type: ignore[misc]
    """The operation reached a status that fails the task; the task is not retried.

    Args:
        operation: The operation, as last retrieved, or its JSON form.
    """

    def __init__(self, operation: Operation | Mapping[str, Any]) -> None:
        if not isinstance(operation, Operation):
            operation = Operation.from_dict(dict(operation))
        super().__init__(operation)

    def serialize(self) -> tuple[str, tuple[()], dict[str, Any]]:
        """Return what Airflow rebuilds the error from: class path, `args` and `kwargs`."""
        cls = type(self)
        arguments = {"operation": self.operation.to_dict()}
        return f"{cls.__module__}.{cls.__name__}", (), arguments


class NexusOperationStillRunning(AirflowException):  # type: ignore[misc]
    """The operation outlived the bound of the wait; a retry of the task waits on."""


def success_event(operation: Operation | None) -> Event:
    """Return the event of a wait that ended without an error; `None` is still running."""
    return wire.result_to_json(operation)


def error_event(error: Exception) -> Event:
    """Return the event of a wait that ended in a `NexusError` or in one of `SETTINGS_ERRORS`."""
    if isinstance(error, OperationFailedError):  # the operation has its message
        return {**success_event(error.operation), "error": {"type": type(error).__name__}}
    if isinstance(error, NexusError):
        return wire.result_to_json(None, error)
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
    for known in SETTINGS_ERRORS:
        if (event.get("error") or {}).get("type") == known.__name__:
            raise known(event["error"]["message"])
    try:
        operation = wire.result_from_json(event)
    except OperationFailedError as error:
        if retry_failed_operation:
            raise
        raise NexusOperationFailed(error.operation) from None
    if operation is None:
        raise NexusOperationStillRunning(f"{op_id} is still running at the bound of the wait")
    finished: Event = event["operation"]
    return finished
