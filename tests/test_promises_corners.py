"""Corners of the promises that two of them share, or that a busy program alone gets into."""

from __future__ import annotations

import asyncio
import errno
import logging
import threading
import time
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from nexus_operations import (
    AsyncClient,
    Client,
    Fixed,
    Interruption,
    NetworkConnectionError,
    NotFoundError,
    Operation,
    OperationFailedError,
    Outcome,
    ServiceUnavailableError,
    SystemClock,
    Update,
)
from nexus_operations._http.engine import Pool
from nexus_operations._http.transports import Secret, Settings, Transport
from nexus_operations._wait import Closing, Stop

from tests.conftest import PROJECT, SECRET
from tests.support.checks import ended, failed, hides_secret, within
from tests.support.paths import (
    Path,
    on_every_path,
    on_every_wait,
    on_fleets,
)
from tests.support.replies import Reply, good
from tests.support.server import Server, finished
from tests.support.worlds import (
    CREATED,
    Asked,
    World,
    answers,
    is_finished,
    is_running,
    script,
)

Serve = Callable[..., Server]


def test_a_source_that_blocks_delays_no_poll(serve: Serve) -> None:
    """The sleep to the next poll is not longer for the look at the source before it."""
    late: list[float] = []
    polled_at = [0.0]
    blocked = threading.Event()

    class Watched(SystemClock):
        async def async_sleep(
            self, seconds: float | None, wake: asyncio.Event | None = None
        ) -> None:
            if seconds is not None and polled_at[0]:
                late.append(self.monotonic() + seconds - polled_at[0] - 0.5)
            await super().async_sleep(seconds, wake)

    def ids() -> Iterator[str]:
        yield "op_1"
        blocked.wait(30)

    def note(_: Update) -> None:
        polled_at[0] = time.monotonic()

    server = serve(lambda r: good(r.op_id, "Running") if r.nth < 4 else finished(r))
    with Client(SECRET, endpoint=server.url, clock=Watched()) as client:
        operations = client.get_project(PROJECT).operations
        outcomes = operations.as_completed(ids(), schedule=Fixed(0.5), progress=note)
        ended(next(outcomes).operation, "op_1")
        blocked.set()
    assert late
    assert max(late) < 0.25  # it was half a second


@on_every_wait
def test_a_pause_ends_with_the_outage_that_is_tolerated(path: Path) -> None:
    world = World(answers(429, Retry_After="3600"))
    failed(path.one("op_1", world.client, max_outage=60))
    assert world.elapsed == pytest.approx(60, abs=1)


@on_every_wait
def test_a_bound_that_the_rate_keeps_a_poll_from_hides_no_failure(path: Path) -> None:
    world = World(answers(503), max_rate=0.1)
    failed(path.one("op_1", world.client, max_wait=4), ServiceUnavailableError)
    assert len(world.asked) == 1


@pytest.mark.parametrize("awaited", [False, True])
def test_turns_of_waits_that_were_stopped_are_given_back(awaited: bool) -> None:
    world = World(is_finished, max_rate=1)
    stop = threading.Event()

    def stopping(update: Update) -> None:
        stop.set()

    async def use() -> Any:
        async with AsyncClient(SECRET, **world.client) as client:
            operations = client.get_project(PROJECT).operations
            calls = [operations.wait_until_done(f"op_{n}") for n in range(60)]
            tasks = [asyncio.ensure_future(call) for call in calls]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            return await operations.wait_until_done("op_after", max_wait=2)

    if awaited:
        result = asyncio.run(use())
    else:
        with Client(SECRET, **world.client) as client:
            operations = client.get_project(PROJECT).operations
            ids = [f"op_{n}" for n in range(60)]
            operations.wait_all(ids, abort_event=stop, progress=stopping)
            result = operations.wait_until_done("op_after", max_wait=2)
    ended(result, "op_after")


def test_a_turn_that_passed_while_connecting_is_taken_anew(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nexus_operations._http.engine.TURN_LASTS", -1.0)
    server = serve(finished)
    asked: list[int] = []
    turns = iter([0.05, 0.02, 0.0])

    def pace() -> float:
        asked.append(len(server.requests))
        return next(turns)

    settings = Settings(server.url, Secret(SECRET))
    settings.pace = pace
    transport = Transport(settings)
    began = time.monotonic()
    ended(transport.retrieve(PROJECT, "op_1", 10).value, "op_1")
    assert asked == [0, 0, 0]
    assert time.monotonic() - began >= 0.07
    transport.close()
    assert Pool(settings.route)._pace() == 0.0


@on_fleets
def test_the_first_error_is_raised_instead_of_its_outcome(path: Path) -> None:
    if path.method != "as_completed":
        pytest.skip("no outcomes")
    world = World(answers(404))
    seen: list[Outcome] = []

    async def use() -> None:
        async with AsyncClient(SECRET, **world.client) as client:
            operations = client.get_project(PROJECT).operations
            outcomes = operations.as_completed(["op_1"], on_error="first")
            seen.extend([outcome async for outcome in outcomes])

    def use_sync() -> None:
        with Client(SECRET, **world.client) as client:
            operations = client.get_project(PROJECT).operations
            seen.extend(operations.as_completed(["op_1"], on_error="first"))

    with pytest.raises(NotFoundError):
        asyncio.run(use()) if path.awaited else use_sync()
    assert seen == []


@on_every_wait
def test_a_record_is_a_line_and_shows_no_secret(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The service may say the secret in an operation, too."""

    def tells(status: str) -> Callable[[Asked], Reply]:
        return lambda a: good(a.op_id, status, message=f"key\n{SECRET}", created=CREATED)

    caplog.set_level(logging.DEBUG)
    world = World(script(tells("Running"), tells(f"New\n{SECRET}"), tells("Errored")))
    error = failed(path.one("op_1", world.client, raise_exception_if="Errored"))
    assert isinstance(error, OperationFailedError)
    hides_secret(error)
    records = [record.getMessage() for record in caplog.records]
    assert len(records) >= 3
    for record in records:
        assert "\n" not in record
        assert SECRET not in record


@on_fleets
def test_a_source_that_holds_what_is_gone(path: Path) -> None:
    """The search for what works in one thread alone asks no object for its class."""

    class Gone:
        pass

    kept = Gone()
    gone = weakref.proxy(kept)
    del kept

    def ids(log: dict[str, Any]) -> Iterator[str]:
        yield "op_1"

    (result,) = path.run(ids({"cache": [gone]}), World(is_finished).client)
    ended(result, "op_1")


def test_a_sleep_with_an_event_counts_time_not_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("nexus_operations._wait.time.monotonic", lambda: now[0])

    class Suspended(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            now[0] += 20  # the process was stopped meanwhile
            return False

    assert not Stop(Closing(), Suspended()).wait(8)
    assert now[0] == 20


@pytest.mark.parametrize("offset", [-1.7e9 - 5000, 5e9])
@on_every_wait
def test_a_jump_of_the_clock_replaces_no_interruption(path: Path, offset: float) -> None:
    if path.method == "watch":
        pytest.skip("watch takes no progress function")
    world = World(is_running)

    def jump(_: Update) -> None:
        world.clock.wall_offset = offset
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        path.one("op_1", world.client, progress=jump)


@pytest.mark.parametrize("end", ["cancelled", "at the deadline"])
def test_the_task_that_reads_has_ended_when_the_call_has(end: str) -> None:
    world = World(is_running)
    closed: list[str] = []

    async def ids() -> AsyncIterator[str]:
        try:
            yield "op_1"
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.05)
            closed.append("closed")
            raise RuntimeError("of the source's own")

    async def use() -> None:
        async with AsyncClient(SECRET, **world.client) as client:
            operations = client.get_project(PROJECT).operations
            call = asyncio.ensure_future(operations.wait_all(ids(), max_wait=100))
            if end == "cancelled":
                while not world.asked:
                    await asyncio.sleep(0)
                call.cancel()
            await asyncio.wait([call])
            assert call.cancelled() is (end == "cancelled")
            assert len(asyncio.all_tasks()) == 1
            assert closed == ["closed"]

    within(lambda: asyncio.run(use()))


@pytest.mark.parametrize("collection", [True, False])
@on_fleets
def test_an_outcome_that_was_not_handed_out_has_ended(path: Path, collection: bool) -> None:
    if path.method != "as_completed":
        pytest.skip("no outcomes")
    world = World(is_finished)
    source: Any = ["op_1"] if collection else iter(["op_1"])

    async def use() -> BaseException | None:
        async with AsyncClient(SECRET, **world.client) as client:
            operations = client.get_project(PROJECT).operations

            async def consume() -> None:
                async for _ in operations.as_completed(source, progress=lambda _: task.cancel()):
                    pass

            task = asyncio.ensure_future(consume())
            try:
                await task
            except asyncio.CancelledError as error:
                return error
        return None

    def use_sync() -> BaseException | None:
        def interrupt(_: Update) -> None:
            raise KeyboardInterrupt

        with Client(SECRET, **world.client) as client:
            operations = client.get_project(PROJECT).operations
            try:
                for _ in operations.as_completed(source, progress=interrupt):
                    pass
            except KeyboardInterrupt as error:
                return error
        return None

    interruption = Interruption.from_error(asyncio.run(use()) if path.awaited else use_sync())
    assert interruption is not None
    found = [outcome.op_id for outcome in interruption.ended] + interruption.pending
    assert found == ["op_1"]


@pytest.mark.parametrize("method", ["wait_all", "as_completed"])
def test_no_descriptor_for_an_event_loop(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> asyncio.AbstractEventLoop:
        raise OSError(errno.EMFILE, "Too many open files")

    with Client(SECRET, **World(is_finished).client) as client:
        operations = client.get_project(PROJECT).operations
        monkeypatch.setattr(asyncio, "new_event_loop", none)
        with pytest.raises(NetworkConnectionError, match="Too many open files"):
            list(getattr(operations, method)(["op_1"]))


@on_every_wait
def test_the_last_look_of_a_program_that_was_busy(path: Path) -> None:
    """A listener, or the body of the loop, that takes longer than the wait may."""
    world = World(lambda a: is_finished(a) if a.at > 5 else is_running(a))

    def busy(_: object = None) -> None:
        world.clock.now += 20

    def use_watch() -> Any:
        seen: list[Operation] = []
        with Client(SECRET, **world.client) as client:
            for operation in client.get_project(PROJECT).operations.watch("op_1", max_wait=10):
                seen.append(operation)
                busy()
        return seen[-1]

    async def use_watch_awaited() -> Any:
        seen: list[Operation] = []
        async with AsyncClient(SECRET, **world.client) as client:
            operations = client.get_project(PROJECT).operations
            async for operation in operations.watch("op_1", max_wait=10):
                seen.append(operation)
                busy()
        return seen[-1]

    if path.method == "watch":
        result = asyncio.run(use_watch_awaited()) if path.awaited else use_watch()
    else:
        result = path.one("op_1", world.client, max_wait=10, progress=busy)
    ended(result, "op_1")


ENDPOINTS = [
    "https://user:hunter2@h",
    "https://user:hunter2@h:99999",
    "user:hunter2@h",
    "https:/user:hunter2@h",
]


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_an_endpoint_with_a_password_is_not_shown(
    endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match="endpoint") as given:
        Client(SECRET, endpoint=endpoint)
    monkeypatch.setenv("DATATURE_API_BASE_URL", endpoint)
    with pytest.raises(ValueError, match="DATATURE_API_BASE_URL") as found:
        Client(SECRET)
    assert "hunter2" not in f"{given.value} {found.value}"


@pytest.mark.parametrize("endpoint", ["http://h/?", "http://h/#", "http://h?a", "http://h#a"])
def test_an_endpoint_has_no_query(endpoint: str) -> None:
    with pytest.raises(ValueError, match="no query and no fragment"):
        Client(SECRET, endpoint=endpoint)


@on_every_path
def test_a_number_that_python_does_not_write(path: Path) -> None:
    with pytest.raises(TypeError, match=r"op_id.* a huge int"):
        path.run([10**5000], World(is_finished).client)


def test_closing_ends_a_wait_that_stands_in_line_for_the_rate() -> None:
    world = World(is_running)

    async def use() -> None:
        client = AsyncClient(SECRET, transport=world, max_rate=0.001)
        operations = client.get_project(PROJECT).operations
        await operations.get("op_0")
        call = asyncio.ensure_future(operations.wait_until_done("op_1"))
        await asyncio.sleep(0.01)
        await client.aclose()
        with pytest.raises(ValueError, match="closed"):
            await call

    within(lambda: asyncio.run(use()))
