"""`project.operations`: retrieve, wait and watch, one or many, sync and awaited.

Signatures and their meaning; the waiting is in `_loops`.
"""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Generator,
    Iterable,
    Iterator,
)
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, cast, overload

from . import _loops
from ._core import checks
from ._core.memory import Memory
from ._core.schedule import Schedule
from ._core.updates import Listener
from ._fleet import Fleet, Outcome
from ._show.progress import listening
from ._wait import Call, Shared, Stop, Wait
from .wire import WaitState

if TYPE_CHECKING:
    from ._core.models import Operation
    from ._http.transports import AsyncTransport, Transport

OnError = Literal["group", "first", "return"]
"""What an error of one wait does: all are raised together at the end, the first is raised at once,
or they are returned among the results."""


class _Waits:
    """What the sync and the awaited operations share.

    Args:
        project_id: The id of the project.
        shared: What the client's waits share.
    """

    def __init__(self, project_id: str, shared: Shared) -> None:
        self._project_id = project_id
        self._shared = shared

    def __repr__(self) -> str:
        return f"{type(self).__name__}(project_id={self._project_id!r})"

    def _begin(self, op_id: object, call: Call, listener: Listener | None = None) -> Wait:
        """Check the id and begin a wait."""
        if not isinstance(op_id, WaitState):
            op_id = checks.operation_identifier("op_id", op_id)
        memory = self._memory()
        return Wait(self._shared, self._project_id, op_id, call.bounds, listener, memory=memory)

    def _memory(self) -> Memory | None:
        """Return what the waits of one call know of durations."""
        durations, endpoint = self._shared.durations, self._shared.endpoint
        return None if durations is None else Memory(durations, endpoint, self._project_id)

    def _retrieval(self, op_id: object) -> Wait:
        """Check the id and return a wait for one poll."""
        checked = checks.operation_identifier("op_id", op_id)
        return Wait(self._shared, self._project_id, checked, _loops.ONCE, None, heeds_pause=False)

    def _gather(self, op_ids: Any, call: Call, *, keep: bool) -> tuple[Fleet, float]:
        """Check the ids; return the fleet, and the instant after which it takes no further id."""
        started = self._shared.clock.monotonic()
        memory = self._memory()

        def begin(op_id: str | WaitState, listener: Listener | None) -> Wait:
            shared, project_id, bounds = self._shared, self._project_id, call.bounds
            return Wait(shared, project_id, op_id, bounds, listener, started, memory=memory)

        max_wait = call.bounds.max_wait
        deadline = math.inf if max_wait is None else started + max_wait
        return Fleet(op_ids, call, begin, keep=keep), deadline


class Operations(_Waits):
    """The operations of one project."""

    def __init__(
        self,
        project_id: str,
        shared: Shared,
        transport: Transport,
        connect: Callable[[], AsyncTransport],
    ) -> None:
        super().__init__(project_id, shared)
        self._transport = transport
        self._connect = connect

    def get(self, op_id: str) -> Operation:
        """Retrieve an operation as it is now, with one request.

        Args:
            op_id: The id of the operation.

        Returns:
            The operation, a `msgspec.Struct`.

        Raises:
            ValueError, TypeError: If `op_id` cannot be an id; no request is made.
            NexusError: If the service did not return it; see the subclasses.
        """
        stop = Stop(self._shared.closing)
        with contextlib.closing(self._retrieval(op_id)) as wait:
            operation = _loops.poll(wait, self._shared, self._transport, stop)
            return cast("Operation", wait.poller.result() if operation is None else operation)

    def wait_until_done(
        self,
        op_id: str | WaitState,
        timeout: int | None = 36000,
        raise_exception_if: str | Iterable[str] | None = "Errored",
        abort_event: threading.Event | None = None,
        *,
        max_wait: float | timedelta | None = 36000.0,
        max_outage: float | timedelta | None = 1800.0,
        schedule: Schedule | None = None,
        progress: Listener | bool = False,
    ) -> Operation | None:
        """Poll an operation until it has ended.

        The first poll is made at once. Connection trouble, timeouts, 429 and 5xx do not end the
        wait until they have lasted for `max_outage`; a `Retry-After` is honoured. After a good
        answer, trouble that would be final (401, 403, 404, a response that breaks the contract) is
        looked at again, up to two more times over a minute; the same again is final.

        Args:
            op_id: The id of the operation, or the operation link; or the state of a wait to resume,
                whose polls and start count on.
            timeout: The most polls made (a number, not a time), failed ones included; `None` for no
                such bound.
            raise_exception_if: The status, or statuses, to raise `OperationFailedError` for: words
                or enum members; `None` for never. Any status may be named, but a misspelling of
                Queued, Running, Finished, Cancelled or Errored is an error.
            abort_event: Ends the wait within 0.2 s of being set, with the result `None`.
            max_wait: Seconds (or a `timedelta`) from the start of the call to the deadline. The
                last poll is made at the deadline and may take 5 s. `None` for no such bound.
            max_outage: Seconds (or a `timedelta`) without a good answer that are tolerated; `None`
                for no bound. An endpoint that the client never reached is given 60 s.
            schedule: When to poll; `Adaptive()` by default.
            progress: `True` shows a live bar in a terminal (on standard error) and in a notebook,
                and nothing elsewhere; it needs the extra `progress`. Or a function, called with an
                `Update` after each poll; what it raises ends the wait.

        Returns:
            The operation once its status is terminal (Finished, Cancelled or Errored) and not named
            by `raise_exception_if`; `None` if it was still running when a bound was reached or the
            event was set.

        Raises:
            OperationFailedError: (a `BadRequestError`) Once the status is one named.
            ValueError, TypeError: For a bad argument; no request is made. `ValueError`, too, once
                the client is closed.
            NexusError: For a lasting outage, and for trouble that is final.
            KeyboardInterrupt: On Ctrl-C, with the wait's state: see `Interruption.from_error`.
        """
        call = Call.from_arguments(locals())
        wait = self._begin(op_id, call)
        with listening(call.progress, 1) as wait.listener:
            for _ in self._snapshots(wait, call):
                pass
        return wait.poller.result()

    def watch(
        self,
        op_id: str | WaitState,
        timeout: int | None = 36000,
        raise_exception_if: str | Iterable[str] | None = None,
        abort_event: threading.Event | None = None,
        *,
        max_wait: float | timedelta | None = 36000.0,
        max_outage: float | timedelta | None = 1800.0,
        schedule: Schedule | None = None,
    ) -> Iterator[Operation]:
        """Iterate over an operation's snapshots as they change, until it has ended.

        Takes the arguments of `wait_until_done`, but names no status to raise for by default: the
        last snapshot tells how the operation ended. An iteration that ends with a snapshot whose
        status is not terminal has reached a bound.

        Raises:
            As `wait_until_done`; bad arguments raise when `watch` is called.
        """
        call = Call.from_arguments(locals())
        return self._changes(self._begin(op_id, call), call)

    def _snapshots(self, wait: Wait, call: Call) -> Generator[Operation]:
        stop = Stop(self._shared.closing, call.abort_event)
        return _loops.snapshots(wait, self._shared, self._transport, stop)

    def _changes(self, wait: Wait, call: Call) -> Iterator[Operation]:
        last: Operation | None = None
        with contextlib.closing(self._snapshots(wait, call)) as snapshots:
            for snapshot in snapshots:
                if snapshot != last:
                    last = snapshot
                    yield snapshot
        wait.poller.result()

    @overload
    def wait_all(
        self,
        op_ids: Iterable[str | WaitState],
        timeout: int | None = 36000,
        raise_exception_if: str | Iterable[str] | None = "Errored",
        abort_event: threading.Event | None = None,
        *,
        on_error: Literal["group", "first"] = "group",
        max_wait: float | timedelta | None = 36000.0,
        max_outage: float | timedelta | None = 1800.0,
        schedule: Schedule | None = None,
        max_waiting: int = 100_000,
        progress: Listener | bool = False,
    ) -> list[Operation | None]: ...

    @overload
    def wait_all(
        self,
        op_ids: Iterable[str | WaitState],
        timeout: int | None = 36000,
        raise_exception_if: str | Iterable[str] | None = "Errored",
        abort_event: threading.Event | None = None,
        *,
        on_error: OnError,
        max_wait: float | timedelta | None = 36000.0,
        max_outage: float | timedelta | None = 1800.0,
        schedule: Schedule | None = None,
        max_waiting: int = 100_000,
        progress: Listener | bool = False,
    ) -> list[Operation | Exception | None]: ...

    def wait_all(
        self,
        op_ids: Iterable[str | WaitState],
        timeout: int | None = 36000,
        raise_exception_if: str | Iterable[str] | None = "Errored",
        abort_event: threading.Event | None = None,
        *,
        on_error: OnError = "group",
        max_wait: float | timedelta | None = 36000.0,
        max_outage: float | timedelta | None = 1800.0,
        schedule: Schedule | None = None,
        max_waiting: int = 100_000,
        progress: Listener | bool = False,
    ) -> list[Any]:
        """Wait for many operations at once; return what each ended in, in the order given.

        One scheduler polls for all, within the client's `max_concurrency` and `max_rate`. The
        bounds are those of `wait_until_done`; `max_wait` counts from the start of the call for all
        of them. An id given twice is polled once.

        Args:
            op_ids: The ids, links or states, from any iterable. A collection is checked before the
                first request. Another iterable is read as operations end, in a thread of its own,
                so that it may block; one that works in the caller's thread alone (SQLite's cursors)
                is read there.
            timeout, raise_exception_if, max_wait, max_outage, schedule: As in `wait_until_done`.
            abort_event: Ends the call within 0.2 s of being set; what had not ended is `None`.
            on_error: What an error of one wait does: `"group"` raises all errors together as a
                `WaitErrorGroup` once every wait has ended, with every outcome in it; `"first"`
                raises the first at once and ends the others' waits; `"return"` puts errors into
                the list.
            max_waiting: Operations waited for at a time; further ids are taken as others end.
            progress: As in `wait_until_done`; a function is called in the thread that polls.

        Returns:
            For each id the operation, `None` if it was still running at a bound, or the error.

        Raises:
            WaitErrorGroup: With `on_error="group"`, if any wait ended in an error.
            KeyboardInterrupt: On Ctrl-C; `Interruption.from_error` tells what had ended and what
                had not, ids not yet taken included.
            ValueError, TypeError: For a bad argument, an id in a collection included; no request is
                made.
        """
        call = Call.from_arguments(locals())
        fleet, deadline = self._gather(op_ids, call, keep=True)
        for _ in self._outcomes(fleet, deadline, call):
            pass
        return cast("list[Any]", fleet.results())

    def as_completed(
        self,
        op_ids: Iterable[str | WaitState],
        timeout: int | None = 36000,
        raise_exception_if: str | Iterable[str] | None = "Errored",
        abort_event: threading.Event | None = None,
        *,
        on_error: OnError = "return",
        max_wait: float | timedelta | None = 36000.0,
        max_outage: float | timedelta | None = 1800.0,
        schedule: Schedule | None = None,
        max_waiting: int = 100_000,
        progress: Listener | bool = False,
    ) -> Iterator[Outcome]:
        """Wait for many operations at once; iterate over their outcomes as they end.

        Takes the arguments of `wait_all`. Polling goes on while the caller is busy with an outcome;
        leaving the iteration ends it.

        Yields:
            An `Outcome` for each distinct id: its `result()` returns the operation or `None`, or
            raises. With `on_error="first"` the first error is raised instead, with `"group"` all
            are raised together after the last outcome.
        """
        call = Call.from_arguments(locals())
        return self._completed(*self._gather(op_ids, call, keep=False), call)

    def _completed(self, fleet: Fleet, deadline: float, call: Call) -> Iterator[Outcome]:
        with contextlib.closing(self._outcomes(fleet, deadline, call)) as outcomes:
            yield from outcomes
        fleet.results()

    def _outcomes(self, fleet: Fleet, deadline: float, call: Call) -> Generator[Outcome]:
        stop = Stop(self._shared.closing, call.abort_event)
        with listening(call.progress, fleet.total) as fleet.listener:
            yield from _loops.outcomes_in_thread(fleet, self._shared, self._connect, deadline, stop)
        if stop.is_set():
            fleet.abandon()


class AsyncOperations(_Waits):
    """The operations of one project, awaited."""

    def __init__(self, project_id: str, shared: Shared, transport: AsyncTransport) -> None:
        super().__init__(project_id, shared)
        self._transport = transport

    async def get(self, op_id: str) -> Operation:
        """Retrieve an operation as it is now; see `Operations.get`."""
        with contextlib.closing(self._retrieval(op_id)) as wait:
            operation = await _loops.poll_awaited(wait, self._shared, self._transport)
            return cast("Operation", wait.poller.result() if operation is None else operation)

    async def wait_until_done(
        self,
        op_id: str | WaitState,
        timeout: int | None = 36000,
        raise_exception_if: str | Iterable[str] | None = "Errored",
        *,
        max_wait: float | timedelta | None = 36000.0,
        max_outage: float | timedelta | None = 1800.0,
        schedule: Schedule | None = None,
        progress: Listener | bool = False,
    ) -> Operation | None:
        """Retrieve an operation again and again until it has ended.

        See `Operations.wait_until_done`; cancel the task to stop the wait.
        """
        call = Call.from_arguments(locals())
        wait = self._begin(op_id, call)
        with listening(call.progress, 1) as wait.listener:
            async for _ in self._snapshots(wait):
                pass
        return wait.poller.result()

    def watch(
        self,
        op_id: str | WaitState,
        timeout: int | None = 36000,
        raise_exception_if: str | Iterable[str] | None = None,
        *,
        max_wait: float | timedelta | None = 36000.0,
        max_outage: float | timedelta | None = 1800.0,
        schedule: Schedule | None = None,
    ) -> AsyncIterator[Operation]:
        """Iterate over an operation's snapshots as they change; see `Operations.watch`."""
        call = Call.from_arguments(locals())
        return self._changes(self._begin(op_id, call))

    def _snapshots(self, wait: Wait) -> AsyncGenerator[Operation]:
        return _loops.snapshots_awaited(wait, self._shared, self._transport)

    async def _changes(self, wait: Wait) -> AsyncIterator[Operation]:
        last: Operation | None = None
        async with contextlib.aclosing(self._snapshots(wait)) as snapshots:
            async for snapshot in snapshots:
                if snapshot != last:
                    last = snapshot
                    yield snapshot
        wait.poller.result()

    @overload
    async def wait_all(
        self,
        op_ids: Iterable[str | WaitState] | AsyncIterable[str | WaitState],
        timeout: int | None = 36000,
        raise_exception_if: str | Iterable[str] | None = "Errored",
        *,
        on_error: Literal["group", "first"] = "group",
        max_wait: float | timedelta | None = 36000.0,
        max_outage: float | timedelta | None = 1800.0,
        schedule: Schedule | None = None,
        max_waiting: int = 100_000,
        progress: Listener | bool = False,
    ) -> list[Operation | None]: ...

    @overload
    async def wait_all(
        self,
        op_ids: Iterable[str | WaitState] | AsyncIterable[str | WaitState],
        timeout: int | None = 36000,
        raise_exception_if: str | Iterable[str] | None = "Errored",
        *,
        on_error: OnError,
        max_wait: float | timedelta | None = 36000.0,
        max_outage: float | timedelta | None = 1800.0,
        schedule: Schedule | None = None,
        max_waiting: int = 100_000,
        progress: Listener | bool = False,
    ) -> list[Operation | Exception | None]: ...

    async def wait_all(
        self,
        op_ids: Iterable[str | WaitState] | AsyncIterable[str | WaitState],
        timeout: int | None = 36000,
        raise_exception_if: str | Iterable[str] | None = "Errored",
        *,
        on_error: OnError = "group",
        max_wait: float | timedelta | None = 36000.0,
        max_outage: float | timedelta | None = 1800.0,
        schedule: Schedule | None = None,
        max_waiting: int = 100_000,
        progress: Listener | bool = False,
    ) -> list[Any]:
        """Wait for many operations at once; return what each ended in, in the order given.

        See `Operations.wait_all`. `op_ids` may be an async iterable, too; another iterable that is
        no collection is read in the event loop and should not block. `Interruption.from_error`
        tells of a cancellation's error what had ended and what had not.
        """
        call = Call.from_arguments(locals())
        fleet, deadline = self._gather(op_ids, call, keep=True)
        with listening(call.progress, fleet.total) as fleet.listener:
            await _loops.run_fleet_awaited(fleet, self._shared, self._transport, deadline)
        return cast("list[Any]", fleet.results())

    def as_completed(
        self,
        op_ids: Iterable[str | WaitState] | AsyncIterable[str | WaitState],
        timeout: int | None = 36000,
        raise_exception_if: str | Iterable[str] | None = "Errored",
        *,
        on_error: OnError = "return",
        max_wait: float | timedelta | None = 36000.0,
        max_outage: float | timedelta | None = 1800.0,
        schedule: Schedule | None = None,
        max_waiting: int = 100_000,
        progress: Listener | bool = False,
    ) -> AsyncIterator[Outcome]:
        """Wait for many operations at once; iterate over their outcomes as they end.

        See `Operations.as_completed`. `op_ids` may be an async iterable, too.
        """
        call = Call.from_arguments(locals())
        return self._completed(*self._gather(op_ids, call, keep=False), call)

    async def _completed(self, fleet: Fleet, deadline: float, call: Call) -> AsyncIterator[Outcome]:
        with listening(call.progress, fleet.total) as fleet.listener:
            outcomes = _loops.outcomes_awaited(fleet, self._shared, self._transport, deadline)
            async with contextlib.aclosing(outcomes):
                async for outcome in outcomes:
                    yield outcome
        fleet.results()
