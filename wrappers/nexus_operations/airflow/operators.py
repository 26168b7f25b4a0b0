"""Operators that wait for an operation: for one that is named, or for one that they start."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nexus_operations import NotFoundError, OperationFailedError

from ._arguments import check, operation_id
from ._events import Event, NexusOperationStillRunning
from ._kept import KeptId
from ._waiting import Waiting

__all__ = ["NexusOperationOperator", "NexusWaitOperator"]


class NexusWaitOperator(Waiting):
    """Waits until an operation has finished; returns it (a dict, in the service's words) as XCom.

    An operation that errored or was cancelled fails the task with its message, without a retry.
    Trouble with the service is waited out for `max_outage`, and then fails the task with a retry,
    as does an operation that outlives the bound: the retry waits on.

    Args:
        op_id: The operation's id or its link (templated).
        project_id: The project's id (templated); the connection's by default.
        nexus_conn_id: The connection's id (templated).
        max_wait: Seconds, or a `timedelta`, that the wait may take; 10 hours by default, `None` for
            no bound.
        max_polls: The most polls made; by default, and for `None`, there is no bound.
        max_outage: Seconds, or a `timedelta`, without an answer that are tolerated; half an hour by
            default, `None` for no bound.
        raise_exception_if: The status, or statuses, that fail the task, by default `Errored` and
            `Cancelled`; `None` for none.
        pace: Multiplies the delays between polls; below 1 there are more of them.
        retry_failed_operation: Whether a failed operation may be waited for again by a retry (where
            an upstream task that is cleared with it starts a new one).
        first_poll_after: Seconds, or a `timedelta`, from the deferral to the triggerer's first
            poll. The scheduler needs some to settle a deferral, and fails the task if its event
            comes before. By default 8, and up to 40 where the worker was slow to get to its task; a
            wait that is over sooner stays in the worker.
        deferrable: Whether to wait in a triggerer rather than in a worker's slot; by default as
            Airflow is configured (`AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE`), else yes.
    """

    template_fields: Sequence[str] = ("op_id", "project_id", "nexus_conn_id")

    def __init__(self, *, op_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check({"op_id": op_id})
        self.op_id = op_id

    def execute(self, context: Any) -> Any:
        """Wait, here or in a triggerer."""
        self.note_start(context)
        self.op_id = operation_id("op_id", self.op_id)
        return self.wait(context)


class NexusOperationOperator(Waiting):
    """Starts an operation and waits until it has finished, in one task; a base class.

    A subclass says in `start` how the operation is started; `@task.nexus` makes one of a function.
    Because start and wait are one task, a retry after the operation failed starts a new one. Until
    then the task holds on to the one it started: the id is kept with the task (in Airflow 3.2 in a
    Variable) as soon as `start` returns it, and a run that was cut short, by a worker that died for
    example, waits for that operation rather than start a second. The same goes for a retry after an
    outage, and after the bound of the wait: the operation may still be running.

    Takes the arguments of `NexusWaitOperator` but `op_id`, and `retry_failed_operation` is true:
    retries that Airflow grants (`retries`) are used.
    """

    template_fields: Sequence[str] = ("project_id", "nexus_conn_id")

    def __init__(self, *, retry_failed_operation: bool = True, **kwargs: Any) -> None:
        super().__init__(retry_failed_operation=retry_failed_operation, **kwargs)
        self.op_id = ""

    def start(self, context: Any) -> Any:
        """Start the operation; return its id, its link or the operation.

        An operation of the vendor's package, or its JSON form, will do.
        """
        raise NotImplementedError(f"{type(self).__name__} has to say how to start an operation")

    def execute(self, context: Any) -> Any:
        """Start the operation unless an earlier run of the task did, and wait for it."""
        self.note_start(context)
        kept = KeptId(context)
        op_id = kept.get()
        if op_id is None:
            op_id = operation_id("what start() returned", self.start(context))
            self.log.info("%s: started", op_id)
            try:
                kept.set(op_id)
            except Exception as error:  # noqa: BLE001  (the operation runs: wait for it all the same)
                self.log.warning("%s: its id could not be kept: %s", op_id, error)
        else:
            self.log.info("%s: started by an earlier run of this task, waiting for it", op_id)
        self.op_id = op_id
        return self.wait(context)

    def deferred_kwargs(self) -> dict[str, Any]:
        """Return what `execute_complete` gets beside the event."""
        return {"op_id": self.op_id}

    def execute_complete(self, context: Any, event: Event, op_id: str = "") -> Any:
        """Go on with what the trigger tells."""
        self.op_id = op_id
        return self.concluded(event, context)

    def outlived(self, context: Any) -> Any:
        """Return what a wait ended in that reached its bound without a triggerer."""
        self.op_id = KeptId(context).get() or ""
        if not self.op_id:
            raise NexusOperationStillRunning("the operation is still running at the bound")
        return super().outlived(context)

    def concluded(self, event: Event, context: Any) -> Event:
        """Return the operation that finished, or raise; let go of an operation that has ended."""
        try:
            finished = super().concluded(event, context)
        except (OperationFailedError, NotFoundError):
            KeptId(context).forget()
            raise
        KeptId(context).forget()
        return finished
