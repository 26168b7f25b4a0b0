"""What the operators and the sensor do alike: poll once, defer, wait in the worker, conclude."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, ClassVar

from airflow.sdk import BaseOperator
from airflow.sdk.definitions.mappedoperator import OperatorPartial
from airflow.sdk.exceptions import TaskDeferralTimeout

from nexus_operations import NexusError, Operation, WaitState

from . import _arguments
from ._arguments import Bounds
from ._events import Event, error_event, raise_or_return, success_event
from ._progress import ProgressLog, until
from .hooks import NexusHook
from .triggers import NexusOperationTrigger

DEFERRAL_MARGIN = 60.0
"""Seconds past its bound at which a deferred task is ended by the scheduler. A triggerer ends it
within 5 s of the bound and needs some to tell so; this is for a deployment where none runs."""


class _CheckedPartial(OperatorPartial):  # type: ignore[misc]
    """A mapped task whose arguments are checked as far as they are written down in the DAG."""

    def _expand(self, expand_input: Any, *, strict: bool) -> Any:
        value = expand_input.value
        if isinstance(value, Mapping):  # a list for each argument
            tasks: list[Mapping[str, Any]] = [
                {name: item} for name in value for item in _listed(value[name])
            ]
        else:  # arguments for each task
            tasks = [item for item in _listed(value) if isinstance(item, Mapping)]
        for given in tasks:
            self.operator_class.check_mapped(given)
        return super()._expand(expand_input, strict=strict)


def _listed(value: Any) -> Iterable[Any]:
    """Return the items of a list; nothing is known of another task's result."""
    return value if isinstance(value, (list, tuple)) else ()


class Waiting(BaseOperator):  # type: ignore[misc]
    """Waits for the operation that `op_id` names; the base of the operators and the sensor."""

    hook_class: ClassVar[type[NexusHook]] = NexusHook
    """What looks the connection up, in the worker and in the triggerer."""

    op_id: str

    state: WaitState | None = None
    """The wait's state, once it has begun."""

    starting: float = 0.0
    """Seconds that the worker took to get to this task."""

    trouble: NexusError | None = None
    """Why the last single poll failed, if it did."""

    def __init__(
        self,
        *,
        max_wait: float | timedelta | None = 36000.0,
        max_polls: int | None = None,
        project_id: str | None = None,
        nexus_conn_id: str = NexusHook.default_conn_name,
        max_outage: float | timedelta | None = 1800.0,
        raise_exception_if: str | Iterable[str] | None = ("Errored", "Cancelled"),
        pace: float = 1.0,
        retry_failed_operation: bool = False,
        first_poll_after: float | timedelta | None = None,
        deferrable: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        given = {
            "max_wait": max_wait,
            "max_polls": max_polls,
            "project_id": project_id,
            "nexus_conn_id": nexus_conn_id,
            "max_outage": max_outage,
            "raise_exception_if": raise_exception_if,
            "pace": pace,
            "retry_failed_operation": retry_failed_operation,
            "first_poll_after": first_poll_after,
            "deferrable": deferrable,
        }
        _arguments.check(given)
        self.project_id = project_id
        self.nexus_conn_id = nexus_conn_id
        self.bounds = Bounds.checked(given)
        self.retry_failed_operation = retry_failed_operation
        self.first_poll_after = first_poll_after
        self.deferrable = _arguments.default_deferrable() if deferrable is None else deferrable

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        """Map the task over what comes at run time; what is known now is checked now."""
        partial = super().partial(**kwargs)
        partial._expand_called = True  # noqa: SLF001  (another takes its place)
        given = dict(kwargs.get("default_args") or {})
        for outer in (partial.kwargs.get("task_group"), partial.kwargs.get("dag")):
            given = {**(getattr(outer, "default_args", None) or {}), **given}
        cls.check_mapped({**given, **partial.kwargs})
        return _CheckedPartial(operator_class=cls, kwargs=partial.kwargs, params=partial.params)

    @classmethod
    def check_mapped(cls, given: Mapping[str, Any]) -> None:
        """Check the arguments of a mapped task that are known when the DAG is parsed."""
        _arguments.check(given)

    def resume_execution(
        self, next_method: str, next_kwargs: dict[str, Any] | None, context: Any
    ) -> Any:
        """Go on after the deferral; one that no triggerer ended is ended here, at its bound."""
        try:
            return BaseOperator.resume_execution(self, next_method, next_kwargs, context)
        except TaskDeferralTimeout:
            if not self._outlived_bound():
                raise
            self.log.warning("No triggerer ended the wait by its bound; looking once more")
            return self.outlived(context)

    def outlived(self, context: Any) -> Any:
        """Return what a wait ended in that reached its bound without a triggerer."""
        event = self.poll_once()
        if event is None:
            event = success_event(None) if self.trouble is None else error_event(self.trouble)
        return self.concluded(event, context)

    def execute_complete(self, context: Any, event: Event) -> Any:
        """Go on with what the trigger tells."""
        return self.concluded(event, context)

    def concluded(self, event: Event, context: Any) -> Event:  # noqa: ARG002
        """Return the operation that finished, or raise."""
        return raise_or_return(
            event, self.op_id, retry_failed_operation=self.retry_failed_operation
        )

    def note_start(self, context: Any) -> None:
        """Note how long the worker took to get here."""
        start_date = getattr(context.get("ti"), "start_date", None)
        if start_date is not None:
            self.starting = max(time.time() - start_date.timestamp(), 0.0)

    def wait(self, context: Any) -> Any:
        """Return what the wait ended in, or defer the task until it has ended.

        One poll in the worker spares the triggerer the operations that have ended already.
        """
        self.state = WaitState(self.op_id, time.time())
        if not self.deferrable:
            return self.concluded(self.wait_here(), context)
        if (event := self.poll_once()) is not None:
            return self.concluded(event, context)
        now = time.time()
        bounds = self.bounds
        if bounds.max_polls == 1:
            return self.concluded(success_event(None), context)
        left = math.inf if bounds.max_wait is None else bounds.max_wait
        left -= now - self.state.started_at
        pause = _arguments.first_poll_after(self.first_poll_after, self.starting)
        if left <= pause:
            # The triggerer could not poll in time: what is left is not worth a deferral.
            return self.concluded(self.wait_here(), context)
        self.defer(
            trigger=NexusOperationTrigger(
                self.state.to_json(),
                nexus_conn_id=self.nexus_conn_id,
                project_id=self.project_id,
                bounds=dataclasses.asdict(bounds),
                first_poll_at=now + pause,
                hook=self._hook_path(),
            ),
            method_name="execute_complete",
            kwargs=self.deferred_kwargs(),
            timeout=self._deferral_timeout(),
        )
        raise AssertionError("defer() raises")

    def deferred_kwargs(self) -> dict[str, Any] | None:
        """Return what `execute_complete` gets beside the event."""
        return None

    def poll_once(self) -> Event | None:
        """Return how the operation ended, or `None` for "not yet"; so is trouble that may pass."""
        self.trouble = None
        try:
            polls = 0 if self.state is None else self.state.polls
            operation = self._polled(timeout=polls + 1, max_outage=0)
        except NexusError as error:
            if not error.transient:
                return error_event(error)
            self.log.warning("%s: the poll failed: %s", self.op_id, error)
            self.trouble = error
            return None
        return None if operation is None else success_event(operation)

    def wait_here(self) -> Event:
        """Wait in this worker."""
        assert self.state is not None
        bound = until(self.state, self.bounds.max_wait)
        self.log.info("%s: waiting in the worker %s", self.op_id, bound)
        try:
            return success_event(self._polled())
        except NexusError as error:
            return error_event(error)

    def _polled(self, **bounds: Any) -> Operation | None:
        """Return what `wait_until_done` does, from the state of the wait on."""
        if self.state is None:
            self.state = WaitState(self.op_id, time.time())
        state = self.bounds.resumed(self.state)
        log = ProgressLog(self.log, state, self._keep)
        with self.hook_class(self.nexus_conn_id).operations(self.project_id) as operations:
            return operations.wait_until_done(
                state, progress=log, **{**self.bounds.arguments(), **bounds}
            )

    def _keep(self, state: WaitState) -> None:
        self.state = state

    def _hook_path(self) -> str | None:
        hook = self.hook_class
        return None if hook is NexusHook else f"{hook.__module__}.{hook.__qualname__}"

    def _bound(self) -> timedelta | None:
        """Return after how long a deferral has outlived the wait's bound for sure."""
        max_wait = self.bounds.max_wait
        return None if max_wait is None else timedelta(seconds=max_wait + DEFERRAL_MARGIN)

    def _deferral_timeout(self) -> timedelta | None:
        bounds = (self.execution_timeout, self._bound())
        return min((bound for bound in bounds if bound is not None), default=None)

    def _outlived_bound(self) -> bool:
        """Return whether it was the wait's bound that ended the deferral."""
        bound = self._bound()
        return bound is not None and bound == self._deferral_timeout()
