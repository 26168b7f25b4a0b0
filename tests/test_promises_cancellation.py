"""Cancellation of awaited calls is Python's own, in every phase, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from nexus_operations import AsyncClient, AsyncOperations, Fixed

from tests.conftest import PROJECT, SECRET
from tests.support.checks import within
from tests.support.names import Names
from tests.support.paths import (
    Path,
    on_awaited,
    on_awaited_fleets,
    on_awaited_paths,
)
from tests.support.replies import trouble
from tests.support.server import Reaction, Request, Server, Then, finished, running, silence
from tests.support.worlds import World, is_running

Serve = Callable[..., Server]


class Phase:
    """Where in a call the cancellation comes.

    Attributes:
        answer: What the server answers.
        requests: How many requests have come by then.
        client: Arguments of the client.
    """

    def __init__(self, answer: Callable[[Request], Reaction], requests: int, **client: Any) -> None:
        self.answer, self.requests, self.client = answer, requests, client

    async def reached(self, server: Server) -> None:
        """Wait until the call is in this phase."""
        while len(server.requests) < self.requests:
            await asyncio.sleep(0.002)
        await asyncio.sleep(0.02)  # an answer is on its way, then the call sleeps


def late(request: Request) -> Reaction:
    return iter((b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n{", Then.HOLD))


PHASES = {
    "no answer yet": Phase(silence, 1),
    "in the body of an answer": Phase(late, 1),
    "asleep between two polls": Phase(running, 1),
    "asleep after a failure": Phase(lambda _: trouble(503), 1),
    "held by a 429": Phase(lambda _: trouble(429, Retry_After="90"), 1),
    "at the bound of the rate": Phase(running, 1, max_rate=0.01),
}
each_phase = pytest.mark.parametrize("phase", PHASES.values(), ids=PHASES.keys())


async def stand_in(client: dict[str, Any], use: Callable[[AsyncOperations], Any]) -> Any:
    """Call with the operations of a client; check that nothing is left behind."""
    async with AsyncClient(SECRET, **client) as made:
        result = await use(made.get_project(PROJECT).operations)
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        assert not left, f"tasks are left: {left}"
    return result


def run(path: Path, client: dict[str, Any], use: Callable[[AsyncOperations], Any]) -> Any:
    return within(lambda: asyncio.run(stand_in(client, use)))


@each_phase
@on_awaited
def test_a_task_that_is_cancelled(path: Path, serve: Serve, phase: Phase) -> None:
    server = serve(phase.answer)

    async def use(operations: AsyncOperations) -> None:
        call = asyncio.ensure_future(
            path.coroutine(operations, ["op_1"], schedule=Fixed(60), max_outage=None)
        )
        await phase.reached(server)
        call.cancel("by the test")
        done, _ = await asyncio.wait([call], timeout=5)
        assert done, "the call had not ended after 5 s"
        assert call.cancelled()

    run(path, {"endpoint": server.url, **phase.client}, use)


@on_awaited_paths
def test_a_timeout_of_asyncio(path: Path, serve: Serve) -> None:
    server = serve(silence)

    async def use(operations: AsyncOperations) -> None:
        task = asyncio.current_task()
        assert task is not None
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await path.coroutine(operations, ["op_1"])
        assert task.cancelling() == 0
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(path.coroutine(operations, ["op_1"]), 0.05)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(10), asyncio.timeout(0.05):
                await path.coroutine(operations, ["op_1"])
        assert task.cancelling() == 0

    run(path, {"endpoint": server.url}, use)


@on_awaited_paths
def test_a_timeout_while_the_call_sleeps(path: Path, serve: Serve) -> None:
    server = serve(running if path.waits else silence)

    async def use(operations: AsyncOperations) -> None:
        bounds = {"schedule": Fixed(60)} if path.waits else {}
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await path.coroutine(operations, ["op_1"], **bounds)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(path.coroutine(operations, ["op_1"], **bounds), 0.2)

    run(path, {"endpoint": server.url}, use)


@on_awaited_paths
def test_a_task_group_whose_other_task_fails(path: Path, serve: Serve) -> None:
    server = serve(silence)

    async def use(operations: AsyncOperations) -> None:
        async def fail() -> None:
            await asyncio.sleep(0.05)
            raise ValueError("the other failed")

        with pytest.raises(ExceptionGroup) as caught:  # noqa: PT012
            async with asyncio.TaskGroup() as group:
                group.create_task(fail())
                group.create_task(path.coroutine(operations, ["op_1"]))
                await path.coroutine(operations, ["op_2"])
        assert [type(error) for error in caught.value.exceptions] == [ValueError]

    run(path, {"endpoint": server.url}, use)


@on_awaited_paths
def test_cancelled_before_it_began(path: Path, serve: Serve) -> None:
    server = serve(finished)

    async def use(operations: AsyncOperations) -> None:
        call = asyncio.ensure_future(path.coroutine(operations, ["op_1"]))
        call.cancel()
        await asyncio.wait([call], timeout=5)
        assert call.cancelled()

    run(path, {"endpoint": server.url}, use)
    assert not server.requests


@on_awaited_paths
def test_the_client_is_usable_afterwards(path: Path, serve: Serve) -> None:
    server = serve(lambda request: Then.HOLD if request.nth == 1 else finished(request))

    async def use(operations: AsyncOperations) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(path.coroutine(operations, ["op_1"]), 0.1)
        assert (await operations.get("op_1")).id == "op_1"
        result = await path.coroutine(operations, ["op_1"])
        assert result

    run(path, {"endpoint": server.url}, use)


@on_awaited
def test_many_calls_beside_each_other_end_each_by_itself(path: Path, serve: Serve) -> None:
    server = serve(lambda r: finished(r) if r.op_id == "op_good" else Then.HOLD)

    async def use(operations: AsyncOperations) -> None:
        good = asyncio.ensure_future(path.coroutine(operations, ["op_good"]))
        calls = [asyncio.ensure_future(path.coroutine(operations, [f"op_{n}"])) for n in range(5)]
        await good
        while len(server.requests) < 6:
            await asyncio.sleep(0.002)
        for call in calls:
            call.cancel()
        await asyncio.wait(calls, timeout=5)
        assert all(call.cancelled() for call in calls)

    run(path, {"endpoint": server.url}, use)


@on_awaited
def test_while_a_name_is_resolved(path: Path, names: Names) -> None:
    names.hang("slow.example")

    async def use(operations: AsyncOperations) -> None:
        call = asyncio.ensure_future(path.coroutine(operations, ["op_1"]))
        while not names.asked:
            await asyncio.sleep(0.002)
        call.cancel()
        await asyncio.wait([call], timeout=5)
        assert call.cancelled()

    run(path, {"endpoint": "http://slow.example"}, use)


def told_by(error: BaseException | None) -> Any:
    """Return the error in a chain that tells what had ended."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if hasattr(error, "pending"):
            return error
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    raise AssertionError("nothing in the chain tells what had ended")


WAYS = ["cancel", "timeout", "wait_for"]


@pytest.mark.parametrize("way", WAYS)
@on_awaited_fleets
def test_what_had_ended_and_what_had_not_can_be_read(path: Path, serve: Serve, way: str) -> None:
    """Ids that were not yet taken from the list are among those that had not ended."""
    server = serve(lambda r: finished(r) if r.op_id in ("op_0", "op_2") else running(r))
    ids = [f"op_{number}" for number in range(40)]

    async def use(operations: AsyncOperations) -> BaseException:
        bounds: dict[str, Any] = {"max_waiting": 5, "schedule": Fixed(60)}

        async def interrupt() -> None:
            while len(server.requests) < 7:  # two end, two more are taken
                await asyncio.sleep(0.002)
            await asyncio.sleep(0.05)

        call = asyncio.ensure_future(path.coroutine(operations, ids, **bounds))
        try:
            if way == "cancel":
                await interrupt()
                call.cancel()
                await call
            elif way == "wait_for":
                await asyncio.wait_for(call, 0.6)
            else:
                async with asyncio.timeout(0.6):
                    await call
        except (asyncio.CancelledError, TimeoutError) as error:
            return error
        raise AssertionError("nothing was raised")

    error = run(path, {"endpoint": server.url}, use)
    assert isinstance(error, asyncio.CancelledError if way == "cancel" else TimeoutError)
    told = told_by(error)
    assert sorted(outcome.op_id for outcome in told.ended) == ["op_0", "op_2"]
    assert all(outcome.operation is not None for outcome in told.ended)
    assert list(told.pending) == [op_id for op_id in ids if op_id not in ("op_0", "op_2")]


@on_awaited
def test_what_a_progress_function_raises(path: Path) -> None:
    if path.method == "watch":
        pytest.skip("watch takes no progress function")

    class Own(BaseException):
        """No Exception."""

    for error in (
        ValueError("no"),
        Own(),
        asyncio.CancelledError(),
        KeyError("x"),
        StopIteration(),
    ):

        def progress(_: object, error: BaseException = error) -> None:
            raise error

        async def call() -> Any:
            async with AsyncClient(SECRET, **World(is_running).client) as client:
                operations = client.get_project(PROJECT).operations
                return await path.coroutine(operations, ["op_1"], progress=progress)

        async def caught() -> BaseException | None:
            try:
                await call()
            except BaseException as found:  # noqa: BLE001
                return found  # noqa: B023
            return None

        found = within(lambda: asyncio.run(caught()))
        allowed: tuple[type[BaseException], ...] = (type(error),)
        if isinstance(error, StopIteration):
            allowed = (StopIteration, RuntimeError)  # Python's own rule for coroutines
        assert isinstance(found, allowed), repr(found)


@on_awaited_fleets
def test_a_source_of_ids_that_is_cancelled(path: Path, serve: Serve) -> None:
    server = serve(running)

    async def ids() -> AsyncIterator[str]:
        yield "op_1"
        other = asyncio.ensure_future(asyncio.sleep(60))
        await asyncio.sleep(0)
        other.cancel()
        await other

    async def use(operations: AsyncOperations) -> None:
        call = asyncio.ensure_future(path.coroutine(operations, ids()))
        done, _ = await asyncio.wait([call], timeout=5)
        assert done, "the call had not ended after 5 s"
        assert call.cancelled() or isinstance(call.exception(), Exception)

    run(path, {"endpoint": server.url}, use)


@pytest.mark.parametrize("stop", ["cancel", "fail"])
@on_awaited_fleets
def test_a_source_of_ids_is_closed(path: Path, serve: Serve, stop: str) -> None:
    server = serve(running)
    closed: list[bool] = []

    async def ids() -> AsyncIterator[str]:
        try:
            yield "op_1"
            if stop == "fail":
                raise RuntimeError("no more ids")
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0)
            closed.append(True)

    async def use(operations: AsyncOperations) -> None:
        call = asyncio.ensure_future(path.coroutine(operations, ids()))
        if stop == "cancel":
            while not server.requests:
                await asyncio.sleep(0.002)
            call.cancel()
        await asyncio.wait([call], timeout=5)
        assert call.cancelled() if stop == "cancel" else isinstance(call.exception(), RuntimeError)
        assert closed == [True]

    run(path, {"endpoint": server.url}, use)


@on_awaited_fleets
def test_endless_duplicates_leave_the_loop_free(path: Path, serve: Serve) -> None:
    server = serve(running)
    over = threading.Event()

    async def same() -> AsyncIterator[str]:
        while not over.is_set():
            yield "op_1"

    def same_sync() -> Iterator[str]:
        while not over.is_set():
            yield "op_1"

    async def use(operations: AsyncOperations) -> None:
        for ids in (same(), same_sync()):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(path.coroutine(operations, ids, max_waiting=5), 0.2)

    try:
        run(path, {"endpoint": server.url}, use)
    finally:
        over.set()


@pytest.mark.parametrize("how", ["break", "aclose", "forgotten"])
@on_awaited
def test_leaving_an_iteration(path: Path, serve: Serve, how: str) -> None:
    if path.method not in ("watch", "as_completed"):
        pytest.skip("no iteration")
    server = serve(lambda r: finished(r) if r.op_id == "op_1" and path.many else running(r))
    argument: Any = ["op_1", "op_2"] if path.many else "op_1"

    async def use(operations: AsyncOperations) -> None:
        iterator: Any = getattr(operations, path.method)(argument, schedule=Fixed(0.01))
        async for _ in iterator:
            break
        if how == "aclose":
            await iterator.aclose()
        del iterator
        for _ in range(20):
            await asyncio.sleep(0.01)
        count = len(server.requests)
        await asyncio.sleep(0.1)
        assert len(server.requests) == count

    run(path, {"endpoint": server.url}, use)
