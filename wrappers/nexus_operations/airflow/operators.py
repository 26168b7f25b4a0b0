"""`NexusWaitOperator`: a task that waits for an operation, by default in a triggerer."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from airflow.sdk import BaseOperator

from nexus_operations import NexusError

from ._events import Event, Policy, conclude, ended, failed, in_seconds
from .hooks import NexusHook
from .triggers import NexusOperationTrigger

__all__ = ["NexusWaitOperator"]


class Waiting:
    """What the operator and the sensor do alike; each sets these attributes."""

    template_fields: Sequence[str] = ("op_id", "project_id", "nexus_conn_id")

    op_id: str
    project_id: str | None
    nexus_conn_id: str
    policy: Policy
    retry_failed_operation: bool
    log: Any

    def look(self) -> Event | None:
        """Return how the operation ended, or `None` for "not yet"; so is trouble that may pass."""
        arguments = {**self.policy.arguments(), "timeout": 1, "max_outage": 0}
        with NexusHook(self.nexus_conn_id).operations(self.project_id) as operations:
            try:
                operation = operations.wait_until_done(self.op_id, **arguments)
            except NexusError as error:
                if not error.transient:
                    return failed(error)
                self.log.warning("%s: %s", self.op_id, error)
                return None
        return None if operation is None else ended(operation)

    def look_and_defer(self, task: Any) -> Event:
        """Return how the operation ended if it has; else defer the task until it has.

        A first look here spares the triggerer the operations that have ended already.
        """
        started_at = time.time()
        if (event := self.look()) is not None:
            return event
        task.defer(
            trigger=NexusOperationTrigger(
                op_id=self.op_id,
                nexus_conn_id=self.nexus_conn_id,
                project_id=self.project_id,
                policy=dataclasses.asdict(self.policy),
                started_at=started_at,
                polls=1,
            ),
            method_name="execute_complete",
            timeout=task.execution_timeout,
        )
        raise AssertionError("defer() raises")

    def wait_here(self) -> Event:
        """Wait in this worker."""
        with NexusHook(self.nexus_conn_id).operations(self.project_id) as operations:
            try:
                return ended(operations.wait_until_done(self.op_id, **self.policy.arguments()))
            except NexusError as error:
                return failed(error)

    def concluded(self, event: Event) -> Event:
        """Return the operation that finished, or raise."""
        return conclude(event, self.op_id, retry_failed_operation=self.retry_failed_operation)


class NexusWaitOperator(Waiting, BaseOperator):  # type: ignore[misc]
    """Waits until an operation has finished; returns it (a dict, in the service's words) as XCom.

    An operation that errored or was cancelled fails the task with its message, without a retry.
    Trouble with the service is waited out for `max_outage`, and then fails the task with a retry,
    as does an operation that outlives the bound: the retry waits on.

    Args:
        op_id: The operation's id (templated).
        project_id: The project's id (templated); the connection's by default.
        nexus_conn_id: The connection's id (templated).
        max_wait: Seconds, or a `timedelta`, that the wait may take; `None` for no bound.
        max_polls: The most retrievals made; `None` for no bound.
        max_outage: Seconds, or a `timedelta`, without an answer that are tolerated.
        raise_exception_if: The statuses that fail the task.
        pace: Multiplies the delays between retrievals; below 1 there are more of them.
        retry_failed_operation: Whether a failed operation may be waited for again by a retry (where
            an upstream task that is cleared with it starts a new one).
        deferrable: Whether to wait in a triggerer rather than in a worker's slot.
    """

    def __init__(
        self,
        *,
        op_id: str,
        project_id: str | None = None,
        nexus_conn_id: str = NexusHook.default_conn_name,
        max_wait: float | timedelta | None = 36000.0,
        max_polls: int | None = None,
        max_outage: float | timedelta | None = 1800.0,
        raise_exception_if: Iterable[str] = ("Errored", "Cancelled"),
        pace: float = 1.0,
        retry_failed_operation: bool = False,
        deferrable: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.op_id = op_id
        self.project_id = project_id
        self.nexus_conn_id = nexus_conn_id
        self.policy = Policy(
            max_wait=in_seconds(max_wait),
            max_polls=max_polls,
            max_outage=in_seconds(max_outage),
            raise_exception_if=tuple(raise_exception_if),
            pace=pace,
        )
        self.retry_failed_operation = retry_failed_operation
        self.deferrable = deferrable

    def execute(self, context: Any) -> Event:  # noqa: ARG002
        """Wait, here or in a triggerer."""
        return self.concluded(self.look_and_defer(self) if self.deferrable else self.wait_here())

    def execute_complete(self, context: Any, event: Event) -> Event:  # noqa: ARG002
        """Go on with what the trigger tells."""
        return self.concluded(event)
