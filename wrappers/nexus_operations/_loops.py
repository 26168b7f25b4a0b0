"""The loops: one wait and many, sync and awaited. They sleep, fetch and feed, and decide nothing.

`poll` and `poll_awaited` are the only two places where a request of a wait is made; every other
function here calls one of them. Many waits run in one event loop: the caller's, or for sync calls
one in a thread of its own, so that polling goes on while the caller is busy with an outcome, and
works where the caller's thread runs an event loop already (notebooks).
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import math
import queue
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from typing import TYPE_CHECKING, Any

from ._core.errors import NetworkConnectionError, NexusError
from ._core.poller import LAST_POLL_TIMEOUT, Bounds
from ._fleet import Fleet, Interruption, Outcome
from ._http.exchange import Aborted
from ._intake import CHUNK, IdReader, reads_in_this_thread_only
from ._show import tracing
from ._wait import Closing, Shared, Stop, Wait

if TYPE_CHECKING:
    from ._core.models import Operation
    from ._core.updates import Update
    from ._http.transports import AsyncTransport, Transport

ONCE = Bounds(max_polls=1, raise_if=frozenset(), max_wait=None, max_outage=None)
"""The bounds of a single retrieval."""

INTAKE = 256
"""Ids taken between two looks at the polls that are due."""

JOIN = 5.0
"""Seconds that a stop waits for the thread of a fleet, whose requests it has cancelled."""


# One wait ---------------------------------------------------------------------------------------


def poll(wait: Wait, shared: Shared, transport: Transport, stop: Stop) -> Operation | None:
    """Poll once, when it is the wait's turn, and feed the result.

    Returns:
        The operation; `None` if the request failed, the poll was put off or the wait is over.
    """
    clock, slots = shared.clock, shared.thread_slots
    if slots is not None and not slots.enter() and not _line_up(wait, shared, stop):
        return None
    with contextlib.ExitStack() as slot:
        if slots is not None:
            slot.callback(slots.leave)
        while seconds := wait.seconds_to_start(clock.monotonic()):
            if not clock.sleep(seconds, stop):
                _stopped(wait, stop)
                return None
        if seconds is None:
            return None
        with tracing.polling(wait, wait.project_id):
            result: Any
            try:
                event = stop if transport.interruptible else stop.abort_event
                result = transport.retrieve(wait.project_id, wait.op_id, wait.timeout(), event)
            except Aborted:
                _stopped(wait, stop)
                return None
            except NexusError as error:
                result = error
            slot.close()  # a listener may make requests of its own
            return wait.feed(result)


def _line_up(wait: Wait, shared: Shared, stop: Stop) -> bool:
    """Stand in line for a slot; return whether there was one before the wait had to end."""
    slots = shared.thread_slots
    assert slots is not None
    granted = threading.Event()
    slots.line_up(granted.set)
    try:
        while not granted.wait(0.05):
            if stop.is_set() or shared.clock.monotonic() >= wait.poller.end:
                break
        else:
            return True
    except BaseException:
        slots.withdraw(granted.set)
        raise
    slots.withdraw(granted.set)
    if stop.is_set():
        _stopped(wait, stop)
    else:
        wait.poller.expire("no request could be made by the deadline")
    return False


def _stopped(wait: Wait, stop: Stop) -> None:
    stop.closing.check()
    wait.poller.stop()


def snapshots(wait: Wait, shared: Shared, transport: Transport, stop: Stop) -> Generator[Operation]:
    """Iterate over what the polls of one wait retrieve, until it is over."""
    try:
        while wait.pending:
            left = wait.due - shared.clock.monotonic()
            if stop.is_set() or (left > 0 and not shared.clock.sleep(left, stop)):
                _stopped(wait, stop)
                continue
            wait.woke(shared.clock.monotonic())
            if (operation := poll(wait, shared, transport, stop)) is not None:
                yield operation
    except KeyboardInterrupt as error:
        interrupt(wait, error)
        raise
    finally:
        wait.close()


async def poll_awaited(wait: Wait, shared: Shared, transport: AsyncTransport) -> Operation | None:
    """Poll once, when it is the wait's turn, and feed the result; see `poll`."""
    clock, slots = shared.clock, shared.slots
    _running_loop()
    if not slots.enter() and not await _line_up_awaited(wait, shared):
        return None
    with contextlib.ExitStack() as slot:
        slot.callback(slots.leave)
        while seconds := wait.seconds_to_start(clock.monotonic()):
            with _waking(shared.closing) as wake:
                await clock.async_sleep(seconds, wake)
        if seconds is None:
            return None
        with tracing.polling(wait, wait.project_id):
            result: Any
            try:
                result = await transport.retrieve(wait.project_id, wait.op_id, wait.timeout())
            except NexusError as error:
                result = error
            slot.close()  # a listener may make requests of its own
            return wait.feed(result)


async def _line_up_awaited(wait: Wait, shared: Shared) -> bool:
    """Stand in line for a slot; return whether there was one before the wait had to end."""
    loop, wake, holds = _running_loop(), asyncio.Event(), False

    def granted() -> None:
        nonlocal holds
        holds = True
        loop.call_soon_threadsafe(wake.set)

    shared.slots.line_up(granted)
    try:
        while not holds and (left := wait.poller.end - shared.clock.monotonic()) > 0:
            await shared.clock.async_sleep(None if left == math.inf else left, wake)
            shared.closing.check()
    except BaseException:
        shared.slots.withdraw(granted)
        raise
    if not holds:
        shared.slots.withdraw(granted)
        wait.poller.expire("no request could be made by the deadline")
    return holds


async def snapshots_awaited(
    wait: Wait, shared: Shared, transport: AsyncTransport
) -> AsyncGenerator[Operation]:
    """Iterate over what the polls of one wait retrieve, until it is over; see `snapshots`."""
    with _waking(shared.closing) as wake:
        try:
            while wait.pending:
                wake.clear()
                shared.closing.check()
                left = wait.due - shared.clock.monotonic()
                if left > 0:
                    await shared.clock.async_sleep(left, wake)
                    continue
                wait.woke(shared.clock.monotonic())
                if (operation := await poll_awaited(wait, shared, transport)) is not None:
                    yield operation
        except asyncio.CancelledError as error:
            interrupt(wait, error)
            raise
        finally:
            wait.close()


def _running_loop() -> asyncio.AbstractEventLoop:
    """Return asyncio's running event loop.

    Raises:
        RuntimeError: Where another library's loop runs, or none.
    """
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError(
            "AsyncClient works in asyncio's event loop, and none is running here: call it from a"
            " coroutine of asyncio, or use Client in a thread (from trio, too)"
        ) from None


def interrupt(wait: Wait, error: BaseException) -> None:
    """Let an error carry the state of the wait that it interrupted."""
    Interruption([], [wait.op_id], [wait.state]).attach(error)


@contextlib.contextmanager
def _waking(closing: Closing) -> Generator[asyncio.Event]:
    """Yield an event of the running loop that the client's closing sets."""
    wake, loop = asyncio.Event(), _running_loop()

    def set_it() -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(wake.set)

    unsubscribe = closing.subscribe(set_it)
    try:
        yield wake
    finally:
        unsubscribe()


# Many waits -------------------------------------------------------------------------------------


async def run_fleet(
    fleet: Fleet,
    reader: IdReader,
    shared: Shared,
    transport: AsyncTransport,
    deadline: float,
    emit: Callable[[Outcome], object],
) -> None:
    """Wait for all operations of a fleet; whatever ends this leaves no task behind.

    Args:
        fleet: The waits.
        reader: Where further ids come from.
        shared: What the client's waits share.
        transport: Sends the requests.
        deadline: The instant after which no further id is read.
        emit: Called with each outcome as it comes.
    """
    clock = shared.clock
    in_flight: set[asyncio.Task[None]] = set()
    listener = fleet.listener

    def listen(update: Update) -> None:
        assert listener is not None
        began = clock.monotonic()
        listener(update)
        if clock.monotonic() > began + LAST_POLL_TIMEOUT:  # nothing else went on meanwhile
            wake_all()

    def wake_all() -> None:
        for wait in fleet.running:
            wait.woke(clock.monotonic())

    async def poll_one(wait: Wait) -> None:
        task = asyncio.current_task()
        try:
            await poll_awaited(wait, shared, transport)
            outcome = fleet.give_back(wait)
            if outcome is not None and fleet.failure is None:
                emit(outcome)
                reader.ask()
        except BaseException as error:
            if task is not None and task.cancelling():
                raise
            fleet.failure = fleet.failure or error

    def landed(task: asyncio.Task[None]) -> None:
        in_flight.discard(task)
        wake.set()

    fleet.listener = None if listener is None else listen
    with _waking(shared.closing) as wake:
        reader.start(wake)
        try:
            while True:
                wake.clear()
                shared.closing.check()
                exhausted = reader.exhausted  # before what it read last is taken
                for outcome in fleet.take(INTAKE):
                    if fleet.failure is None:
                        emit(outcome)
                reader.ask()
                now = clock.monotonic()
                due = fleet.next_due()
                while due is not None and due <= now and len(in_flight) < shared.slots.limit:
                    task = asyncio.ensure_future(poll_one(fleet.pop()))
                    in_flight.add(task)
                    task.add_done_callback(landed)
                    due = fleet.next_due()
                if fleet.failure is not None:
                    raise fleet.failure
                if now >= deadline and not reader.exhausted:
                    reader.stop()
                    continue
                if exhausted and not fleet.running and not fleet.untaken:
                    return
                if fleet.untaken and fleet.has_room:
                    await asyncio.sleep(0)
                    continue
                # With all slots taken, the next thing to happen is that a request ends.
                full = len(in_flight) >= shared.slots.limit
                next_look = math.inf if due is None or full else due
                if not reader.exhausted and not fleet.waits_for_its_consumer:
                    next_look = min(next_look, deadline)
                left = None if next_look == math.inf else max(next_look - now, 0.0)
                if left != 0.0 and await reader.comes_within(left):
                    continue
                if left is not None:
                    left = max(next_look - clock.monotonic(), 0.0)
                await clock.async_sleep(left, wake)
                if clock.monotonic() > next_look + LAST_POLL_TIMEOUT:  # it was suspended
                    wake_all()
        finally:
            for task in in_flight:
                task.cancel()
            await asyncio.gather(*in_flight, return_exceptions=True)
            await reader.ended()
            for wait in fleet.running:
                wait.close()


async def run_fleet_awaited(
    fleet: Fleet, shared: Shared, transport: AsyncTransport, deadline: float
) -> None:
    """Wait for all in the running event loop."""
    reader = IdReader(fleet)

    def consume(_: Outcome) -> None:
        fleet.consumed += 1

    try:
        await run_fleet(fleet, reader, shared, transport, deadline, consume)
    except BaseException as error:  # cancellation, or a failure of the caller's own
        fleet.interruption().attach(error)
        raise


async def outcomes_awaited(
    fleet: Fleet, shared: Shared, transport: AsyncTransport, deadline: float
) -> AsyncGenerator[Outcome]:
    """Iterate over outcomes as they come, in the running event loop."""
    outcomes: asyncio.Queue[Outcome | None] = asyncio.Queue()
    reader, put = IdReader(fleet), outcomes.put_nowait
    task = asyncio.ensure_future(run_fleet(fleet, reader, shared, transport, deadline, put))
    task.add_done_callback(lambda _: put(None))
    try:
        while (outcome := await outcomes.get()) is not None:
            fleet.consumed += 1
            reader.ask()
            yield outcome
        await task
    except GeneratorExit:
        raise
    except BaseException as error:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        _interrupt_fleet(fleet, outcomes, error)
        raise
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _interrupt_fleet(
    fleet: Fleet,
    outcomes: asyncio.Queue[Outcome | None] | queue.SimpleQueue[Outcome | None],
    error: BaseException,
) -> None:
    """Let an error carry how far a fleet has come, with the outcomes that were not handed out."""
    left = (outcomes.get_nowait() for _ in range(outcomes.qsize()))
    fleet.interruption(filter(None, left)).attach(error)


def outcomes_in_thread(
    fleet: Fleet,
    shared: Shared,
    connect: Callable[[], AsyncTransport],
    deadline: float,
    stop: Stop,
) -> Generator[Outcome]:
    """Iterate over outcomes as they come, while an event loop in a thread of its own polls."""
    if stop.is_set():
        stop.closing.check()
        return
    here = fleet.source is not None and reads_in_this_thread_only(fleet.source)
    reader = IdReader(fleet, apart=True, here=here)
    outcomes: queue.SimpleQueue[Outcome | None] = queue.SimpleQueue()
    try:
        loop = asyncio.new_event_loop()
    except OSError as error:  # no descriptor is left
        raise NetworkConnectionError(f"No event loop can be made: {error.strerror}") from None

    async def main() -> None:
        transport = connect()
        try:
            await run_fleet(fleet, reader, shared, transport, deadline, outcomes.put)
        finally:
            await transport.aclose()

    def run() -> None:
        try:
            with contextlib.suppress(asyncio.CancelledError):
                loop.run_until_complete(task)
            loop.run_until_complete(loop.shutdown_asyncgens())
        except BaseException as error:  # noqa: BLE001  (it is raised in the caller's thread)
            fleet.failure = fleet.failure or error
            if task.done() and not task.cancelled():
                task.exception()  # it is known
        finally:
            loop.close()
            outcomes.put(None)

    # A tracer puts the waits under the caller's span.
    context = contextvars.copy_context()
    task = context.run(loop.create_task, main())
    thread = threading.Thread(target=context.run, args=(run,), name="nexus-operations", daemon=True)
    try:
        thread.start()
        while (outcome := _next_outcome(outcomes, reader if here else None, stop)) is not None:
            fleet.consumed += 1
            reader.ask()
            yield outcome
        stop.closing.check()
        if fleet.failure is not None and not stop.is_set():
            raise fleet.failure
    except GeneratorExit:
        raise
    except BaseException as error:
        _end(loop, task, thread)
        _interrupt_fleet(fleet, outcomes, error)
        raise
    finally:
        _end(loop, task, thread)


def _next_outcome(
    outcomes: queue.SimpleQueue[Outcome | None], reader: IdReader | None, stop: Stop
) -> Outcome | None:
    """Return the next outcome, or `None` at the end; read ids meanwhile if a reader is given."""
    while not stop.is_set():
        pause = None if stop.abort_event is None else 0.02
        if reader is not None and not reader.exhausted:
            pause = 0.0 if reader.read_some(CHUNK) else 0.02
        try:
            return outcomes.get(timeout=pause) if pause != 0.0 else outcomes.get_nowait()
        except queue.Empty:
            continue
    return None


def _end(
    loop: asyncio.AbstractEventLoop, task: asyncio.Task[None], thread: threading.Thread
) -> None:
    """Cancel what a fleet's thread does, and wait for its end."""
    if thread.ident is None:  # it never ran
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            loop.run_until_complete(task)
        loop.close()
    elif thread.is_alive():
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(task.cancel)
        thread.join(JOIN)
