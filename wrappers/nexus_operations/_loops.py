"""The shells of the fleet: one event loop polls for all, in the caller's or in a thread.

The async calls run the loop below as a task. The sync calls run the same loop in a thread of their
own, so that it goes on while the caller is busy with an outcome, and works where the caller's
thread runs an event loop already (notebooks).
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import queue
import threading
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from ._core import checks as arguments
from ._core.updates import Listener
from ._fleet import Fleet, Outcome, Wait, WaitErrorGroup
from ._show import tracing as tracing
from ._show.progress import check_progress

if TYPE_CHECKING:
    from ._clock import Clock
    from ._core.limiter import Pacer
    from ._core.models import Operation
    from ._core.poller import Policy

logger = logging.getLogger("nexus_operations")

OnError = Literal["group", "first", "return"]
"""What an error of one wait does: all are raised together at the end, the first is raised at once,
or they are returned among the results."""

INTAKE = 256
"""Ids taken from the caller's iterable between two looks at the polls that are due."""

ABORT_CHECK = 0.02
"""Seconds between two looks at `abort_event`."""


class _Interrupted:
    """What an interrupted fleet tells: what had ended, and what had not.

    Attributes:
        ended: The outcomes so far.
        pending: The ids of the operations that were still waited for.
    """

    ended: list[Outcome]
    pending: list[str]


class FleetInterrupted(_Interrupted, KeyboardInterrupt):
    """Ctrl-C during a sync call for many operations.

    Attributes:
        ended: The outcomes so far.
        pending: The ids of the operations that were still waited for.
    """


class FleetCancelled(_Interrupted, asyncio.CancelledError):
    """Cancellation during an awaited call for many operations.

    Attributes:
        ended: The outcomes so far.
        pending: The ids of the operations that were still waited for.
    """


class Poll(Protocol):
    """Polls one operation and tells its poller; provided by `AsyncOperations`."""

    def __call__(self, wait: Wait, /) -> Awaitable[None]:
        """Make the request that is due."""
        ...


@dataclass(frozen=True)
class Job:
    """What a call for many operations asks for.

    Attributes:
        op_ids: The ids, from any iterable.
        policy: The bounds of each wait.
        max_waiting: Operations waited for at a time, at most; further ids are taken as others end.
        on_error: What an error does.
        progress: Whom to tell after each poll.
    """

    op_ids: Iterable[str] | AsyncIterable[str]
    policy: Policy
    max_waiting: int
    on_error: OnError
    progress: Listener | bool

    def __post_init__(self) -> None:
        if self.on_error not in ("group", "first", "return"):
            shown = arguments.show(self.on_error)
            raise ValueError(f"on_error must be 'group', 'first' or 'return', not {shown}")
        op_ids: object = self.op_ids
        iterable = hasattr(op_ids, "__iter__") or hasattr(op_ids, "__aiter__")
        if isinstance(op_ids, (str, bytes)) or not iterable:
            raise TypeError(f"op_ids must be an iterable of ids, not {arguments.show(op_ids)}")
        arguments.polls("max_waiting", self.max_waiting)
        check_progress(self.progress)
        if isinstance(op_ids, (list, tuple)):
            for op_id in op_ids:
                arguments.identifier("op_ids", op_id)

    @property
    def total(self) -> int | None:
        """How many distinct operations a board is to show, where that is known beforehand."""
        if self.progress is not True or not isinstance(self.op_ids, (list, tuple, set)):
            return None
        return len(set(self.op_ids))


class Runner:
    """Runs one fleet in an event loop.

    Args:
        job: What to wait for.
        poll: Polls one operation.
        clock: Where time and sleep come from.
        pacer: Grants requests.
        max_concurrency: Requests in flight, at most.
        emit: Called with each outcome as it comes.
    """

    def __init__(
        self,
        job: Job,
        poll: Poll,
        clock: Clock,
        pacer: Pacer,
        max_concurrency: int,
        emit: Callable[[Outcome], None],
    ) -> None:
        self._job = job
        self._poll = poll
        self._clock = clock
        self._pacer = pacer
        self._max_concurrency = max_concurrency
        self._emit = emit
        self._wake = asyncio.Event()
        self._in_flight: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None
        self._exhausted = False
        self.fleet = Fleet(job.policy)
        self._order: list[str] = []

    async def run(self) -> None:
        """Wait for all; whatever ends this leaves no task behind."""
        feeder = self._start_feeder()
        try:
            while True:
                self._wake.clear()
                self._start_polls()
                if self._failure is not None:
                    raise self._failure
                if self._exhausted and not self.fleet.running:
                    return
                await self._rest(feeder is None)
        finally:
            tasks = [*self._in_flight, *([feeder] if feeder else [])]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for wait in self.fleet.waiting:
                tracing.end(wait)

    def _start_feeder(self) -> asyncio.Task[None] | None:
        """Start to take ids from an async iterable; from another they are taken in turn."""
        op_ids = self._job.op_ids
        if isinstance(op_ids, AsyncIterable):
            return asyncio.ensure_future(self._feed(op_ids))
        self._ids = iter(op_ids)
        return None

    async def _feed(self, op_ids: AsyncIterable[str]) -> None:
        try:
            async for op_id in op_ids:
                self._add(op_id)
                while not self._has_room:
                    await asyncio.sleep(0.01)
                if self.fleet.running % INTAKE == 0:
                    await asyncio.sleep(0)
        except Exception as error:  # noqa: BLE001  (it is raised by run)
            self._failure = error
        self._exhausted = True
        self._wake.set()

    def _take(self) -> None:
        """Take some ids from the caller's iterable."""
        for _ in range(INTAKE):
            if not self._has_room:
                return
            try:
                op_id = next(self._ids)
            except StopIteration:
                self._exhausted = True
                return
            self._add(op_id)

    @property
    def _has_room(self) -> bool:
        return self.fleet.running < self._job.max_waiting

    def _add(self, op_id: str) -> None:
        self._order.append(str(op_id))
        self._tell(self.fleet.add(op_id, self._clock.monotonic()))
        self._wake.set()

    def _tell(self, outcome: Outcome | None) -> None:
        """Hand on an outcome, if there is one."""
        if outcome is None:
            return
        if outcome.error is not None and self._job.on_error == "first":
            self._failure = self._failure or outcome.error
        self._emit(outcome)

    def _start_polls(self) -> None:
        """Start the polls that are due, as far as the bounds allow."""
        self._pause: float | None = None
        while len(self._in_flight) < self._max_concurrency:
            now = self._clock.monotonic()
            self._pause = self.fleet.seconds_to_next(now)
            if self._pause is None or self._pause > 0:
                return
            self._pause = self._pacer.take(now)
            if self._pause > 0:
                return
            wait = self.fleet.next()
            task = asyncio.ensure_future(self._poll_once(wait))
            self._in_flight.add(task)
            task.add_done_callback(self._landed)

    async def _poll_once(self, wait: Wait) -> None:
        try:
            await self._poll(wait)
            self._tell(self.fleet.give_back(wait, self._clock.monotonic()))
        except Exception as error:  # noqa: BLE001  (a defect of ours: it is raised by run)
            self._failure = error

    def _landed(self, task: asyncio.Task[None]) -> None:
        """Make room for another request; the loop must not look before there is room."""
        self._in_flight.discard(task)
        self._wake.set()

    async def _rest(self, taking: bool) -> None:
        """Take ids, or sleep until something happens or is due."""
        if taking and not self._exhausted and self._has_room:
            self._take()
            await asyncio.sleep(0)
            return
        full = len(self._in_flight) >= self._max_concurrency
        await self._clock.async_sleep(None if full else self._pause, self._wake)

    def interrupted(self, kind: type[Any]) -> Any:
        """Return an error that tells what had ended and what had not."""
        outcomes = self.fleet.outcomes
        ended = [outcome for outcome in outcomes.values() if outcome is not None]
        pending = [op_id for op_id, outcome in outcomes.items() if outcome is None]
        error = kind(f"{len(ended)} operations had ended, {len(pending)} had not")
        error.ended, error.pending = ended, pending
        logger.info("interrupted: %s", error)
        return error

    def results(self) -> list[Operation | Exception | None]:
        """Return what each id given ended in, in their order; raise the errors as a group."""
        given = self._job.op_ids
        order = given if isinstance(given, (list, tuple)) else self._order
        outcomes = self.fleet.outcomes
        errors = [o.error for o in outcomes.values() if o is not None and o.error is not None]
        in_order = [outcomes.get(op_id) or Outcome(op_id) for op_id in order]
        if errors and self._job.on_error == "group":
            group = WaitErrorGroup(f"{len(errors)} of {len(outcomes)} operations", errors)
            group.outcomes = in_order
            raise group
        return [o.operation if o.error is None else o.error for o in in_order]


async def wait_all(runner: Runner) -> list[Operation | Exception | None]:
    """Wait for all, in the running event loop."""
    try:
        await runner.run()
    except asyncio.CancelledError:
        raise runner.interrupted(FleetCancelled) from None
    return runner.results()


async def as_completed(
    make_runner: Callable[[Callable[[Outcome], None]], Runner],
) -> AsyncGenerator[Outcome, None]:
    """Iterate over outcomes as they come, in the running event loop."""
    outcomes: asyncio.Queue[Outcome | None] = asyncio.Queue()
    runner = make_runner(outcomes.put_nowait)
    task = asyncio.ensure_future(runner.run())
    task.add_done_callback(lambda _: outcomes.put_nowait(None))
    try:
        while (outcome := await outcomes.get()) is not None:
            yield outcome
        await task
        runner.results()
    except asyncio.CancelledError:
        raise runner.interrupted(FleetCancelled) from None
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class Thread:
    """Runs a fleet in a thread of its own, for sync callers; a context manager.

    Args:
        start: Called in that thread's event loop; returns the runner, and what to do at the end.
    """

    def __init__(
        self,
        start: Callable[[Callable[[Outcome], None]], tuple[Runner, Callable[[], Awaitable[None]]]],
        abort_event: threading.Event | None,
    ) -> None:
        self._start = start
        self._abort_event = abort_event
        self._outcomes: queue.SimpleQueue[Outcome | None] = queue.SimpleQueue()
        self._failure: BaseException | None = None
        self._ready = threading.Event()
        run = contextvars.copy_context().run  # a tracer puts the waits under the caller's span
        self._thread = threading.Thread(
            target=run, args=(self._main,), name="nexus-operations-fleet", daemon=True
        )
        self.runner: Runner

    def _main(self) -> None:
        try:
            asyncio.run(self._run())
        except BaseException as error:  # noqa: BLE001  (it is raised in the caller's thread)
            self._failure = error
        finally:
            self._ready.set()
            self._outcomes.put(None)

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.ensure_future(asyncio.sleep(0))
        self.runner, close = self._start(self._outcomes.put)
        self._task = asyncio.ensure_future(self.runner.run())
        self._ready.set()
        try:
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        finally:
            await close()

    def __iter__(self) -> Iterator[Outcome]:
        """Iterate over outcomes as they come; stop when all have, or the event is set."""
        while True:
            if self._abort_event is None:
                outcome = self._outcomes.get()
            else:
                if self._abort_event.is_set():
                    return
                try:
                    outcome = self._outcomes.get(timeout=ABORT_CHECK)
                except queue.Empty:
                    continue
            if outcome is None:
                if self._failure is not None:
                    raise self._failure
                return
            yield outcome

    def __enter__(self) -> Thread:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._thread.is_alive():
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(lambda: self._task.cancel())
            self._thread.join()
        if kind is not None and issubclass(kind, KeyboardInterrupt) and hasattr(self, "runner"):
            raise self.runner.interrupted(FleetInterrupted) from None


def wait_all_in_thread(thread: Thread) -> list[Operation | Exception | None]:
    """Wait for all, in a thread."""
    with thread:
        for _ in thread:
            pass
    return thread.runner.results()


def as_completed_in_thread(thread: Thread) -> Iterator[Outcome]:
    """Iterate over outcomes as they come, in a thread."""
    with thread:
        yield from thread
    thread.runner.results()
