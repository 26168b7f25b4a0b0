"""`NexusOperationSensor`: the wait with a sensor's arguments (`timeout`, `mode`, `soft_fail`)."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from airflow.sdk import BaseSensorOperator, PokeReturnValue
from airflow.sdk.exceptions import (
    AirflowRescheduleException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    TaskDeferralTimeout,
)

from nexus_operations import OperationFailedError

from ._arguments import check, operation_id, seconds
from ._events import NexusOperationStillRunning
from ._waiting import Waiting

__all__ = ["NexusOperationSensor"]

TIME_IS_UP = (AirflowSensorTimeout, AirflowTaskTimeout)

REFUSED = {
    "max_wait": "the bound of a sensor's wait is its `timeout`",
    "max_polls": "the bound of a sensor's wait is its `timeout`",
    "silent_fail": "trouble with the service is waited out for `max_outage`",
}


class NexusOperationSensor(Waiting, BaseSensorOperator):  # type: ignore[misc]
    """Waits until an operation has finished, by default in a triggerer; returns it as XCom.

    The bound of the wait is the sensor's own `timeout`. Whatever the mode, and whenever it is seen:

    - an operation that errored or was cancelled fails the task without a retry, and skips it with
      `soft_fail` or `never_fail`;
    - an operation that outlives `timeout` raises `AirflowSensorTimeout`, which is not retried
      either, and skips with `soft_fail` or `never_fail`;
    - trouble with the service (an outage longer than `max_outage`, 401, 403, 404 and the like) and
      settings that are wrong fail the task with a retry, and skip it with `never_fail` alone.

    Args:
        op_id: The operation's id or its link (templated).
        project_id: The project's id (templated); the connection's by default.
        nexus_conn_id: The connection's id (templated).
        timeout: Seconds, or a `timedelta`, that the wait may take; by default as Airflow is
            configured, 7 days.
        max_outage: Seconds, or a `timedelta`, without an answer that are tolerated; `None` for no
            bound. With `mode="reschedule"`, which remembers nothing, an outage lasts to `timeout`.
        raise_exception_if: The status, or statuses, that fail the task; `None` for none.
        pace: Multiplies the delays between polls; below 1 there are more of them.
        retry_failed_operation: Whether a failed operation may be waited for again by a retry.
        first_poll_after: Seconds from the deferral to the triggerer's first poll; see
            `NexusWaitOperator`.
        deferrable: Whether to wait in a triggerer; see `NexusWaitOperator`. Without, `mode="poke"`
            waits in the worker, and `mode="reschedule"` polls every `poke_interval` seconds.
    """

    template_fields: Sequence[str] = ("op_id", "project_id", "nexus_conn_id")

    soft_fail: bool
    never_fail: bool

    def __init__(self, *, op_id: str, **kwargs: Any) -> None:
        _refuse(kwargs)
        super().__init__(**kwargs)
        check({"op_id": op_id})
        self.op_id = op_id
        self.bounds = dataclasses.replace(self.bounds, max_wait=float(self.timeout))

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        """Map the task over what comes at run time; the other arguments are checked now."""
        _refuse(kwargs)
        return super().partial(**kwargs)

    @classmethod
    def check_mapped(cls, given: Mapping[str, Any]) -> None:
        """Check the arguments of a mapped sensor that are known when the DAG is parsed."""
        super().check_mapped(given)
        for name in ("timeout", "poke_interval"):
            if given.get(name) is not None:
                seconds(name, given[name])
        if given.get("mode", "poke") not in cls.valid_modes:
            raise ValueError(f"mode must be poke or reschedule, not {given['mode']!r}")
        if given.get("soft_fail") and given.get("never_fail"):
            raise ValueError("soft_fail and never_fail exclude each other")

    def execute(self, context: Any) -> Any:
        """Wait, here or in a triggerer."""
        self.note_start(context)
        with self._as_sensors_end():
            self.op_id = operation_id("op_id", self.op_id)
            if self.deferrable or self.mode == "poke":
                return self.wait(context)
            return self._poll_and_reschedule(context)

    def resume_execution(
        self, next_method: str, next_kwargs: dict[str, Any] | None, context: Any
    ) -> Any:
        """Go on after the deferral."""
        with self._as_sensors_end():
            return super().resume_execution(next_method, next_kwargs, context)

    def poke(self, context: Any) -> PokeReturnValue:
        """Poll once: whether the operation has finished. Trouble that may pass is "not yet"."""
        event = self.poll_once()
        if event is None:
            return PokeReturnValue(is_done=False)
        return PokeReturnValue(is_done=True, xcom_value=self.concluded(event, context))

    def _poll_and_reschedule(self, context: Any) -> Any:
        """Poll once; come back after `poke_interval` if the operation has not ended."""
        flags = self.soft_fail, self.never_fail
        # What Airflow makes of the flags here is not what it makes of them after a deferral.
        self.soft_fail = self.never_fail = False
        try:
            return BaseSensorOperator.execute(self, context)
        except AirflowSensorTimeout:
            if self.trouble is None:
                raise
            raise self.trouble from None  # the last poll failed: how the operation is, nobody knows
        finally:
            self.soft_fail, self.never_fail = flags

    @contextlib.contextmanager
    def _as_sensors_end(self) -> Iterator[None]:
        """Raise what a sensor raises, and skip where a flag says so: one rule for every mode."""
        try:
            yield
        except (AirflowRescheduleException, AirflowSkipException):
            raise
        except (Exception, AirflowTaskTimeout) as error:
            ended = _as_a_sensor_says(error)
            skips = self.never_fail or (
                self.soft_fail and isinstance(ended, (*TIME_IS_UP, OperationFailedError))
            )
            if skips:
                raise AirflowSkipException(str(ended)) from error
            if ended is error:
                raise
            raise ended from None


def _refuse(given: dict[str, Any]) -> None:
    for name, reason in REFUSED.items():
        if given.get(name) not in (None, False):
            raise TypeError(f"NexusOperationSensor takes no `{name}`: {reason}")


def _as_a_sensor_says(error: BaseException) -> BaseException:
    said: BaseException = error
    if isinstance(error, NexusOperationStillRunning):
        said = AirflowSensorTimeout(str(error))
    elif isinstance(error, TaskDeferralTimeout):  # `execution_timeout`, as in a worker
        said = AirflowTaskTimeout("the deferral has outlived the task's execution_timeout")
    return said
