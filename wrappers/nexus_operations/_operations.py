"""`project.operations`: retrieve, wait and watch, one or many, sync and async.

All of it is shells around `_polling.Poller`: they sleep and fetch as it says, and decide nothing.
"""

from __future__ import annotations

import contextlib
import contextvars
import logging
import threading
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from ._clock import Clock
from ._core import checks as arguments
from ._core.errors import NexusError, TooManyRequestsError
from ._core.limiter import Pacer
from ._core.poller import LONGEST_RETRY_AFTER, Policy, Poll, Poller
from ._core.schedule import Adaptive, Schedule
from ._core.updates import Listener
from ._fleet import Outcome, Wait
from ._http.transports import AsyncTransport, Transport
from ._loops import (
    Job,
    OnError,
    Runner,
    Thread,
    as_completed,
    as_completed_in_thread,
    wait_all,
    wait_all_in_thread,
)
from ._show import tracing as tracing
from ._show.progress import check_progress, told, update_of

if TYPE_CHECKING:
    from ._core.models import Operation

logger = logging.getLogger("nexus_operations")

IN_FLIGHT_CHECK = 0.02
"""Seconds between two looks at `abort_event` while a request is under way."""


class _Stopped(Exception):
    """The caller's event was set while a request was under way."""


@dataclass(frozen=True)
class Context:
    """What a client's projects share.

    Attributes:
        clock: Where time and sleep come from.
        pacer: Grants requests.
        request_timeout: Seconds that one request may take.
        max_concurrency: Requests of one fleet in flight; `None`: what the transport is good at.
        connect: Makes an async transport for a fleet that runs in a thread.
    """

    clock: Clock
    pacer: Pacer
    request_timeout: float
    max_concurrency: int | None
    connect: Callable[[], AsyncTransport]


class _Waits:
    """What the sync and the async operations share: arguments, clock, pacing and logging."""

    def __init__(self, project_id: str, context: Context) -> None:
        self._project_id = project_id
        self._context = context
        self._clock = context.clock

    def __repr__(self) -> str:
        return f"{type(self).__name__}(project_id={self._project_id!r})"

    def _policy(
        self,
        timeout: int | None,
        raise_exception_if: str | Iterable[str] | None,
        max_wait: float | timedelta | None,
        max_outage: float | timedelta | None,
        schedule: Schedule | None,
    ) -> Policy:
        """Check the bounds of a wait."""
        return Policy(
            max_polls=arguments.polls("timeout", timeout),
            raise_if=arguments.status_names("raise_exception_if", raise_exception_if),
            max_wait=arguments.optional_seconds("max_wait", max_wait),
            max_outage=arguments.optional_seconds("max_outage", max_outage),
            schedule=Adaptive() if schedule is None else schedule,
            request_timeout=self._context.request_timeout,
        )

    def _begin(self, op_id: str, policy: Policy) -> Wait:
        """Check the id and begin a wait."""
        arguments.identifier("op_id", op_id)
        now = self._clock.monotonic()
        return Wait(op_id, Poller(policy, now), now)

    def _turn(self, poller: Poller) -> float:
        """Return 0 if the request may be made, else the seconds after which to ask again."""
        now = self._clock.monotonic()
        pause = self._context.pacer.take(now)
        return pause if poller.deadline is None else max(min(pause, poller.deadline - now), 0.0)

    def _received(self, wait: Wait, operation: Operation, notify: Listener | None) -> None:
        poller, now = wait.poller, self._clock.monotonic()
        poller.received(operation, now, self._clock.time())
        if poller.unknown_status is not None:
            logger.warning("%s: unknown status %r, polling on", operation.id, poller.unknown_status)
        if logger.isEnabledFor(logging.DEBUG):
            status = operation.status.overview
            logger.debug("%s: poll %d: %s; %s", operation.id, poller.polls, status, poller.step)
        if notify is not None:
            notify(update_of(wait, now, operation=operation))

    def _failed(self, wait: Wait, error: NexusError, notify: Listener | None) -> None:
        poller, now = wait.poller, self._clock.monotonic()
        poller.failed(error, now)
        if isinstance(error, TooManyRequestsError) and error.retry_after is not None:
            self._context.pacer.hold(min(error.retry_after, LONGEST_RETRY_AFTER), now)
        if isinstance(poller.step, Poll):
            delay = poller.step.delay
            polls, op_id = poller.polls, wait.op_id
            logger.info("%s: poll %d failed, next in %.1f s: %s", op_id, polls, delay, error)
        if notify is not None:
            notify(update_of(wait, now, error=error))

    async def _poll_over(
        self, transport: AsyncTransport, wait: Wait, notify: Listener | None
    ) -> Operation | None:
        """Make the request that is due and tell the poller; return the snapshot if there is one."""
        step = wait.poller.step
        assert isinstance(step, Poll)
        with tracing.polling(wait, self._project_id):
            try:
                operation = await transport.fetch(self._project_id, wait.op_id, step.timeout)
            except NexusError as error:
                self._failed(wait, error, notify)
                return None
            self._received(wait, operation, notify)
        return operation

    def _runner(
        self,
        job: Job,
        transport: AsyncTransport,
        notify: Listener | None,
        emit: Callable[[Outcome], None],
    ) -> Runner:
        """Return what runs a fleet over a transport."""

        async def poll(wait: Wait) -> None:
            await self._poll_over(transport, wait, notify)

        concurrency = self._context.max_concurrency or transport.concurrency
        return Runner(job, poll, self._clock, self._context.pacer, concurrency, emit)


class Operations(_Waits):
    """The operations of one project."""

    def __init__(self, transport: Transport, project_id: str, context: Context) -> None:
        super().__init__(project_id, context)
        self._transport = transport

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
        arguments.identifier("op_id", op_id)
        while (pause := self._context.pacer.take(self._clock.monotonic(), held=False)) > 0:
            self._clock.sleep(pause)
        return self._transport.fetch(self._project_id, op_id, self._context.request_timeout)

    def wait_until_done(
        self,
        op_id: str,
        timeout: int | None = 36000,
        raise_exception_if: str | Iterable[str] | None = "Errored",
        abort_event: threading.Event | None = None,
        *,
        max_wait: float | timedelta | None = 36000.0,
        max_outage: float | timedelta | None = 1800.0,
        schedule: Schedule | None = None,
        progress: Listener | bool = False,
    ) -> Operation | None:
        """Retrieve an operation again and again until it has ended.

        The first retrieval is made at once. Connection trouble, timeouts, 429 and 5xx do not end
        the wait until they have lasted for `max_outage`; a `Retry-After` is honoured.

        Args:
            op_id: The id of the operation.
            timeout: The most retrievals made (a number, not a time), failed ones included;
                `None` for no such bound.
            raise_exception_if: The status, or statuses, to raise `OperationFailedError` for;
                `None` for never. Of Queued, Running, Finished, Cancelled, Errored.
            abort_event: Ends the wait within 50 ms of being set, with the result `None`.
            max_wait: Seconds (or a `timedelta`) that the wait may take. The last retrieval is made
                at that instant and may take 5 s. `None` for no such bound.
            max_outage: Seconds (or a `timedelta`) without a successful retrieval that are
                tolerated; `None` for no bound. An endpoint never connected to is given 60 s.
            schedule: When to poll; `Adaptive()` by default.
            progress: `True` shows a live bar in a terminal (on standard error) and in a notebook,
                and nothing elsewhere; it needs the extra `progress`. Or a function, called with an
                `Update` after each poll; what it raises ends the wait.

        Returns:
            The operation once its status is terminal (Finished, Cancelled or Errored) and not named
            by `raise_exception_if`; `None` where it was still running when a bound was reached or
            the event was set.

        Raises:
            OperationFailedError: (a `BadRequestError`) Once the status is one named.
            ValueError, TypeError: For a bad argument; no request is made.
            NexusError: For a lasting outage, and for trouble that would not pass (401, 403, 404, a
                response that breaks the contract).
        """
        policy = self._policy(timeout, raise_exception_if, max_wait, max_outage, schedule)
        wait = self._begin(op_id, policy)
        with told(check_progress(progress), 1) as notify, tracing.ending(wait):
            while wait.poller.pending:
                self._poll(wait, abort_event, notify)
        return wait.poller.result()

    def watch(
        self,
        op_id: str,
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
        policy = self._policy(timeout, raise_exception_if, max_wait, max_outage, schedule)
        wait = self._begin(op_id, policy)
        return self._snapshots(wait, abort_event)

    def _snapshots(self, wait: Wait, abort_event: threading.Event | None) -> Iterator[Operation]:
        last: Operation | None = None
        with tracing.ending(wait):
            while wait.poller.pending:
                snapshot = self._poll(wait, abort_event, None)
                if snapshot is not None and snapshot != last:
                    last = snapshot
                    yield snapshot
        wait.poller.result()

    def _poll(
        self, wait: Wait, abort_event: threading.Event | None, notify: Listener | None
    ) -> Operation | None:
        """Carry out the poller's step; return the snapshot if there is one."""
        step = wait.poller.step
        assert isinstance(step, Poll)
        pause = step.delay
        while True:
            if not self._clock.sleep(pause, abort_event):
                wait.poller.stop()
                return None
            pause = self._turn(wait.poller)
            if pause <= 0:
                break
        with tracing.polling(wait, self._project_id):
            try:
                operation = self._fetch(wait.op_id, step.timeout, abort_event)
            except _Stopped:
                wait.poller.stop()
                return None
            except NexusError as error:
                self._failed(wait, error, notify)
                return None
            self._received(wait, operation, notify)
        return operation

    def _fetch(self, op_id: str, timeout: float, abort_event: threading.Event | None) -> Operation:
        """Retrieve once; with an event, in a thread, so that it can end a request under way."""

        def fetch() -> Operation:
            return self._transport.fetch(self._project_id, op_id, timeout)

        return fetch() if abort_event is None else _run_until(abort_event, fetch)

    def wait_all(
        self,
        op_ids: Iterable[str],
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
    ) -> list[Operation | Exception | None]:
        """Wait for many operations at once; return what each ended in, in the order given.

        One scheduler polls for all, within the client's `max_concurrency` and `max_rate`; each
        operation has the bounds of `wait_until_done` for itself, counted from when its id was
        taken. An id given twice is polled once.

        Args:
            op_ids: The ids, from any iterable; a generator is read as operations end, and should
                not block: polls wait meanwhile.
            timeout, raise_exception_if, max_wait, max_outage, schedule: As in `wait_until_done`.
            abort_event: Ends the call within 50 ms of being set; what had not ended is `None`.
            on_error: What an error of one wait does: `"group"` raises all errors together as a
                `WaitErrorGroup` once every wait has ended, with every outcome in it; `"first"`
                raises the first at once and ends the others' waits; `"return"` puts errors into
                the list.
            max_waiting: Operations waited for at a time; further ids are taken as others end.
            progress: As in `wait_until_done`; a function is called in the thread that polls.

        Returns:
            For each id the operation, `None` where it was still running at a bound, or the error.

        Raises:
            WaitErrorGroup: With `on_error="group"`, if any wait ended in an error.
            FleetInterrupted: (a `KeyboardInterrupt`) On Ctrl-C; tells what had ended and what not.
            ValueError, TypeError: For a bad argument, an id in a list included; no request is made.
        """
        policy = self._policy(timeout, raise_exception_if, max_wait, max_outage, schedule)
        job = Job(op_ids, policy, max_waiting, on_error, progress)
        with told(progress, job.total) as notify:
            return wait_all_in_thread(self._thread(job, notify, abort_event))

    def as_completed(
        self,
        op_ids: Iterable[str],
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
        policy = self._policy(timeout, raise_exception_if, max_wait, max_outage, schedule)
        job = Job(op_ids, policy, max_waiting, on_error, progress)
        return self._completed(job, abort_event)

    def _completed(self, job: Job, abort_event: threading.Event | None) -> Iterator[Outcome]:
        with told(job.progress, job.total) as notify:
            yield from as_completed_in_thread(self._thread(job, notify, abort_event))

    def _thread(
        self, job: Job, notify: Listener | None, abort_event: threading.Event | None
    ) -> Thread:
        """Return the thread that runs a fleet over an async transport of its own."""

        def start(
            emit: Callable[[Outcome], None],
        ) -> tuple[Runner, Callable[[], Awaitable[None]]]:
            transport = self._context.connect()
            return self._runner(job, transport, notify, emit), transport.aclose

        return Thread(start, abort_event)


def _run_until(abort_event: threading.Event, call: Callable[[], Operation]) -> Operation:
    """Return `call()`, or raise `_Stopped` as soon as the event is set.

    A request that is left behind ends by its own timeout, in a daemon thread.
    """
    ended = threading.Event()
    results: list[Operation] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(call())
        except BaseException as error:  # noqa: BLE001  (it is raised in the caller's thread)
            errors.append(error)
        finally:
            ended.set()

    # The thread sees the caller's context: a tracer puts the request under the wait.
    context = contextvars.copy_context()
    threading.Thread(
        target=context.run, args=(run,), name="nexus-operations-request", daemon=True
    ).start()
    while not ended.wait(IN_FLIGHT_CHECK):
        if abort_event.is_set():
            raise _Stopped
    if errors:
        raise errors[0]
    return results[0]


class AsyncOperations(_Waits):
    """The operations of one project, awaited."""

    def __init__(self, transport: AsyncTransport, project_id: str, context: Context) -> None:
        super().__init__(project_id, context)
        self._transport = transport

    async def get(self, op_id: str) -> Operation:
        """Retrieve an operation as it is now; see `Operations.get`."""
        arguments.identifier("op_id", op_id)
        while (pause := self._context.pacer.take(self._clock.monotonic(), held=False)) > 0:
            await self._clock.async_sleep(pause)
        return await self._transport.fetch(self._project_id, op_id, self._context.request_timeout)

    async def wait_until_done(
        self,
        op_id: str,
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
        policy = self._policy(timeout, raise_exception_if, max_wait, max_outage, schedule)
        wait = self._begin(op_id, policy)
        with told(check_progress(progress), 1) as notify, tracing.ending(wait):
            while wait.poller.pending:
                await self._poll(wait, notify)
        return wait.poller.result()

    def watch(
        self,
        op_id: str,
        timeout: int | None = 36000,
        raise_exception_if: str | Iterable[str] | None = None,
        *,
        max_wait: float | timedelta | None = 36000.0,
        max_outage: float | timedelta | None = 1800.0,
        schedule: Schedule | None = None,
    ) -> AsyncIterator[Operation]:
        """Iterate over an operation's snapshots as they change; see `Operations.watch`."""
        policy = self._policy(timeout, raise_exception_if, max_wait, max_outage, schedule)
        return self._snapshots(self._begin(op_id, policy))

    async def _snapshots(self, wait: Wait) -> AsyncIterator[Operation]:
        last: Operation | None = None
        with tracing.ending(wait):
            while wait.poller.pending:
                snapshot = await self._poll(wait, None)
                if snapshot is not None and snapshot != last:
                    last = snapshot
                    yield snapshot
        wait.poller.result()

    async def _poll(self, wait: Wait, notify: Listener | None) -> Operation | None:
        """Carry out the poller's step; return the snapshot if there is one."""
        step = wait.poller.step
        assert isinstance(step, Poll)
        await self._clock.async_sleep(step.delay)
        while (pause := self._turn(wait.poller)) > 0:
            await self._clock.async_sleep(pause)
        return await self._poll_over(self._transport, wait, notify)

    async def wait_all(
        self,
        op_ids: Iterable[str] | AsyncIterable[str],
        timeout: int | None = 36000,
        raise_exception_if: str | Iterable[str] | None = "Errored",
        *,
        on_error: OnError = "group",
        max_wait: float | timedelta | None = 36000.0,
        max_outage: float | timedelta | None = 1800.0,
        schedule: Schedule | None = None,
        max_waiting: int = 100_000,
        progress: Listener | bool = False,
    ) -> list[Operation | Exception | None]:
        """Wait for many operations at once; return what each ended in, in the order given.

        See `Operations.wait_all`. `op_ids` may be an async iterable, too. Cancellation raises
        `FleetCancelled`, which tells what had ended and what had not.
        """
        policy = self._policy(timeout, raise_exception_if, max_wait, max_outage, schedule)
        job = Job(op_ids, policy, max_waiting, on_error, progress)
        with told(progress, job.total) as notify:
            return await wait_all(self._runner(job, self._transport, notify, lambda _: None))

    def as_completed(
        self,
        op_ids: Iterable[str] | AsyncIterable[str],
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
        policy = self._policy(timeout, raise_exception_if, max_wait, max_outage, schedule)
        job = Job(op_ids, policy, max_waiting, on_error, progress)
        return self._completed(job)

    async def _completed(self, job: Job) -> AsyncIterator[Outcome]:
        with told(job.progress, job.total) as notify:
            outcomes = as_completed(lambda emit: self._runner(job, self._transport, notify, emit))
            async with contextlib.aclosing(outcomes):
                async for outcome in outcomes:
                    yield outcome
