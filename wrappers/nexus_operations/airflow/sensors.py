"""`NexusOperationSensor`: the wait with a sensor's arguments (`timeout`, `mode`, `soft_fail`)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from airflow.sdk import BaseSensorOperator
from airflow.sdk.exceptions import AirflowSensorTimeout

from ._events import Event, NexusOperationStillRunning, Policy, in_seconds
from .hooks import NexusHook
from .operators import Waiting

__all__ = ["NexusOperationSensor"]


class NexusOperationSensor(Waiting, BaseSensorOperator):  # type: ignore[misc]
    """Waits until an operation has finished, by default in a triggerer.

    The bound of the wait is the sensor's own `timeout`, in seconds: an operation that outlives it
    raises `AirflowSensorTimeout`, or skips with `soft_fail`. The rest is as in `NexusWaitOperator`.

    Args:
        op_id: The operation's id (templated).
        project_id: The project's id (templated); the connection's by default.
        nexus_conn_id: The connection's id (templated).
        max_outage: Seconds, or a `timedelta`, without an answer that are tolerated.
        raise_exception_if: The statuses that fail the task.
        pace: Multiplies the delays between retrievals; below 1 there are more of them.
        retry_failed_operation: Whether a failed operation may be waited for again by a retry.
        deferrable: Whether to wait in a triggerer. Without, `mode="poke"` waits in the worker, and
            `mode="reschedule"` looks every `poke_interval` seconds.
    """

    def __init__(
        self,
        *,
        op_id: str,
        project_id: str | None = None,
        nexus_conn_id: str = NexusHook.default_conn_name,
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
            max_wait=float(self.timeout),
            max_outage=in_seconds(max_outage),
            raise_exception_if=tuple(raise_exception_if),
            pace=pace,
        )
        self.retry_failed_operation = retry_failed_operation
        self.deferrable = deferrable

    def execute(self, context: Any) -> Any:
        """Wait, here or in a triggerer."""
        if self.deferrable:
            return self._sensed(self.look_and_defer(self))
        if self.mode == "poke":
            return self._sensed(self.wait_here())
        return super().execute(context)

    def poke(self, context: Any) -> bool:  # noqa: ARG002
        """Look once: whether the operation has finished. Trouble that may pass is "not yet"."""
        if (event := self.look()) is None:
            return False
        self.concluded(event)
        return True

    def execute_complete(self, context: Any, event: Event) -> Any:  # noqa: ARG002
        """Go on with what the trigger tells."""
        return self._sensed(event)

    def _sensed(self, event: Event) -> Event:
        """Return the operation that finished, or raise as sensors do."""
        try:
            return self.concluded(event)
        except NexusOperationStillRunning as error:
            raise AirflowSensorTimeout(str(error)) from None
