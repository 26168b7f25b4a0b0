"""Races and odd uses: calls within calls, second stops, loops in succession, iterations not begun."""  # noqa: E501

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from nexus_operations import AsyncClient, AsyncOperations, Client, Fixed, NexusError

from tests.conftest import PROJECT, SECRET
from tests.support.checks import ended, failed, within
from tests.support.children import Child
from tests.support.clocks import client_of
from tests.support.paths import (
    Path,
    on_awaited,
    on_awaited_fleets,
    on_awaited_paths,
    on_every_path,
    on_sync,
    on_sync_fleets,
)
from tests.support.server import Server, Then, finished, running, silence, trickle
from tests.support.worlds import World, is_finished, is_running, script

Serve = Callable[..., Server]


@pytest.mark.parametrize("limits", [{}, {"max_concurrency": 1}, {"max_rate": 500}], ids=str)
@on_sync
def test_a_progress_function_that_uses_the_client(
    path: Path, serve: Serve, limits: dict[str, Any]
) -> None:
    """A call within a call does not wait for itself."""
    if path.method == "watch":
        pytest.skip("watch takes no progress function")
    server = serve(lambda r: finished(r) if r.nth > 2 else running(r))
    seen: list[str] = []

    def use() -> list[Any]:
        with Client(SECRET, endpoint=server.url, **limits) as client:
            operations = client.get_project(PROJECT).operations

            def progress(_: object) -> None:
                seen.append(operations.get("op_other").id)

            return path.on(operations, ["op_1"], progress=progress, schedule=Fixed(0.01))

    ended(within(use)[0], "op_1")
    assert seen == ["op_other"] * 3


@on_sync_fleets
@pytest.mark.parametrize("limits", [{}, {"max_concurrency": 1}], ids=str)
def test_a_source_of_ids_that_uses_the_client(
    path: Path, serve: Serve, limits: dict[str, Any]
) -> None:
    server = serve(finished)

    def use() -> list[Any]:
        with Client(SECRET, endpoint=server.url, **limits) as client:
            operations = client.get_project(PROJECT).operations

            def ids() -> Iterator[str]:
                for number in range(3):
                    operations.get(f"op_first_{number}")
                    operations.wait_all([f"op_second_{number}"])
                    yield f"op_{number}"

            return path.on(operations, ids())

    assert len(within(use)) == 3


@on_awaited_paths
def test_one_client_in_two_loops_in_succession(path: Path, serve: Serve) -> None:
    server = serve(finished)
    client = AsyncClient(SECRET, endpoint=server.url, max_concurrency=2, max_rate=1000)
    operations = client.get_project(PROJECT).operations
    for number in range(3):
        result = within(lambda number=number: asyncio.run(path.aon(operations, [f"op_{number}"])))  # type: ignore[misc]
        ended(result[0], f"op_{number}")
    asyncio.run(client.aclose())


@on_awaited_paths
def test_with_the_debugging_of_asyncio(path: Path, serve: Serve) -> None:
    server = serve(finished)

    async def use() -> Any:
        async with AsyncClient(SECRET, endpoint=server.url) as client:
            return await path.aon(client.get_project(PROJECT).operations, ["op_1"])

    ended(within(lambda: asyncio.run(use(), debug=True))[0], "op_1")


@on_awaited
def test_cancelled_twice(path: Path, serve: Serve) -> None:
    server = serve(silence)

    async def use() -> None:
        async with AsyncClient(SECRET, endpoint=server.url) as client:
            operations = client.get_project(PROJECT).operations
            call = asyncio.ensure_future(path.coroutine(operations, ["op_1", "op_2"]))
            while not server.requests:
                await asyncio.sleep(0.002)
            for _ in range(5):
                call.cancel()
                await asyncio.sleep(0)
            await asyncio.wait([call], timeout=5)
            assert call.cancelled()
            assert len(asyncio.all_tasks()) == 1

    within(lambda: asyncio.run(use()))


@on_awaited_paths
def test_no_time_at_all_from_asyncio(path: Path, serve: Serve) -> None:
    server = serve(silence)

    async def use() -> None:
        async with AsyncClient(SECRET, endpoint=server.url) as client:
            operations = client.get_project(PROJECT).operations
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(path.coroutine(operations, ["op_1"]), 0)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0):
                    await path.coroutine(operations, ["op_1"])
            assert len(asyncio.all_tasks()) == 1

    within(lambda: asyncio.run(use()))


@on_awaited_fleets
def test_cancelled_in_the_body_of_the_loop(path: Path, serve: Serve) -> None:
    if path.method != "as_completed":
        pytest.skip("no loop")
    world = World(lambda asked: is_finished(asked) if asked.op_id == "op_1" else is_running(asked))

    async def use() -> None:
        async with AsyncClient(SECRET, **world.client) as client:
            operations = client.get_project(PROJECT).operations
            inside = asyncio.Event()

            async def consume() -> None:
                outcomes: Any = operations.as_completed(["op_1", "op_2"], schedule=Fixed(0.01))
                try:
                    async for _ in outcomes:
                        inside.set()
                        await asyncio.sleep(3600)
                finally:
                    await outcomes.aclose()

            call = asyncio.ensure_future(consume())
            await inside.wait()
            call.cancel()
            await asyncio.wait([call], timeout=5)
            assert call.cancelled()
            assert len(asyncio.all_tasks()) == 1
            count = len(world.asked)
            for _ in range(1_000):
                await asyncio.sleep(0)
            assert len(world.asked) == count

    within(lambda: asyncio.run(use()))


@on_sync_fleets
def test_an_iteration_that_is_never_begun(path: Path, serve: Serve) -> None:
    """Costs no thread, no request and no warning."""
    if path.method != "as_completed":
        pytest.skip("no iteration")
    server = serve(finished)
    before = threading.active_count()
    with Client(SECRET, endpoint=server.url) as client:
        outcomes: Any = client.get_project(PROJECT).operations.as_completed(["op_1"])
        del outcomes
        gc.collect()
    assert not server.requests
    assert threading.active_count() <= before


@on_awaited
def test_an_awaited_iteration_that_is_never_begun(path: Path, serve: Serve) -> None:
    if path.method not in ("watch", "as_completed"):
        pytest.skip("no iteration")
    server = serve(finished)

    async def use() -> None:
        async with AsyncClient(SECRET, endpoint=server.url) as client:
            operations = client.get_project(PROJECT).operations
            iterator = getattr(operations, path.method)(["op_1"] if path.many else "op_1")
            del iterator
            gc.collect()
            await asyncio.sleep(0)
            assert len(asyncio.all_tasks()) == 1

    asyncio.run(use())
    assert not server.requests


TWICE = """
    import nexus_operations as nexus
    url, method = sys.argv[1:]
    waits = nexus.Client(SECRET, endpoint=url).get_project(PROJECT).operations
    ids = [f"op_{n}" for n in range(50)]
    try:
        if method == "wait_all":
            waits.wait_all(ids)
        elif method == "as_completed":
            list(waits.as_completed(ids))
        else:
            getattr(waits, method)("op_1") if method == "wait_until_done" else list(waits.watch("op_1"))
    except KeyboardInterrupt:
        tell(raised=True)
"""  # noqa: E501


@on_sync
def test_ctrl_c_again_and_again(path: Path, serve: Serve) -> None:
    """However often it is pressed, the program ends."""
    server = serve(silence)
    with Child(TWICE, server.url, path.method) as child:
        server.wait_for(1, 60)
        for _ in range(3):
            child.interrupt()
            time.sleep(0.01)
        child.process.communicate(timeout=20)


@on_sync
def test_an_event_of_multiprocessing(path: Path, serve: Serve) -> None:
    server = serve(running)
    event: Any = multiprocessing.get_context("spawn").Event()

    def press() -> None:
        server.wait_for(1)
        event.set()

    threading.Thread(target=press, daemon=True).start()
    client = {"endpoint": server.url}
    bounds = {"abort_event": event, "schedule": Fixed(600)}
    assert within(lambda: path.one("op_1", client, **bounds), 8) is None


@on_sync
def test_a_sync_call_where_a_loop_is_running(path: Path, serve: Serve) -> None:
    """As in a notebook."""
    server = serve(finished)

    async def notebook() -> Any:
        return path.one("op_1", {"endpoint": server.url})

    ended(within(lambda: asyncio.run(notebook())), "op_1")


@on_every_path
def test_ipv6(path: Path, serve: Serve) -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 here")
    server = serve(finished)
    relay = _Relay(server.port)
    with relay:
        client = client_of(f"http://[::1]:{relay.port}")
        ended(within(lambda: path.one("op_1", client)), "op_1")
    assert server.requests[0].header("Host") == f"[::1]:{relay.port}"


class _Relay:
    """Passes one connection on from the IPv6 loopback; a context manager."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
        self.port: int = self._listener.getsockname()[1]

    def _run(self) -> None:
        try:
            near, _ = self._listener.accept()
        except OSError:
            return
        far = socket.create_connection(("127.0.0.1", self._target))
        with near, far:
            threading.Thread(target=self._pump, args=(far, near), daemon=True).start()
            self._pump(near, far)

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def __enter__(self) -> _Relay:
        threading.Thread(target=self._run, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()


@on_every_path
def test_a_proxy_whose_answer_does_not_come_to_an_end(
    path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    bounds = {"timeout": 1} if path.waits else {}
    for answer in (
        trickle(b"HTTP/1.1 200 Connection established\r\nX: ", b"a"),
        trickle(b"", b"HTTP/1.1 102 Processing\r\n\r\n"),
        trickle(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 90000\r\n\r\n", b"x"),
        lambda _: iter((b"HTTP/1.1 200 OK\r\n\r\n", Then.HOLD)),  # then no handshake
    ):
        monkeypatch.setenv("HTTPS_PROXY", serve(answer).url)
        client = client_of("https://nexus.example", request_timeout=0.25)
        assert failed(within(lambda client=client: path.one("op_1", client, **bounds))).transient  # type: ignore[misc]


def test_many_threads_share_few_slots(serve: Serve) -> None:
    """They wait for each other, and none times out for it."""
    server = serve(lambda r: iter((0.01, b"".join([finished(r).wire()]))))
    with Client(SECRET, endpoint=server.url, max_concurrency=3, request_timeout=15) as client:
        operations = client.get_project(PROJECT).operations
        with ThreadPoolExecutor(40) as pool:
            results = list(pool.map(lambda n: operations.wait_until_done(f"op_{n}"), range(80)))
    assert [r.id for r in results if r is not None] == [f"op_{n}" for n in range(80)]
    assert server.most_in_flight <= 3


@on_awaited_fleets
def test_slots_are_given_back_by_what_was_cancelled(path: Path, serve: Serve) -> None:
    server = serve(lambda r: Then.HOLD if r.op_id.startswith("op_held") else finished(r))

    async def use() -> Any:
        async with AsyncClient(SECRET, endpoint=server.url, max_concurrency=2) as client:
            operations: AsyncOperations = client.get_project(PROJECT).operations
            for _ in range(3):
                held = [f"op_held_{n}" for n in range(6)]
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(path.coroutine(operations, held), 0.1)
            return await path.aon(operations, ["op_1", "op_2", "op_3"])

    results = within(lambda: asyncio.run(use()))
    assert [result.id for result in results] == ["op_1", "op_2", "op_3"]


@on_awaited_paths
def test_turns_are_given_back_by_what_was_cancelled(path: Path) -> None:
    """A call that is cancelled while it waits for its turn does not use it up for ever."""
    world = World(is_finished, max_rate=1)

    async def use() -> Any:
        async with AsyncClient(SECRET, **world.client) as client:
            operations = client.get_project(PROJECT).operations
            await operations.get("op_first")
            for _ in range(20):
                call = asyncio.ensure_future(path.coroutine(operations, ["op_held"]))
                await asyncio.sleep(0)
                call.cancel()
                await asyncio.wait([call])
            return await path.aon(operations, ["op_1"])

    ended(within(lambda: asyncio.run(use()))[0], "op_1")
    assert world.elapsed <= 40


def test_a_wait_in_each_of_many_loops(serve: Serve) -> None:
    """Threads with a loop and a client of their own."""
    server = serve(lambda r: finished(r) if r.nth > 2 else running(r))
    errors: list[BaseException] = []

    def use(number: int) -> None:
        async def wait() -> None:
            async with AsyncClient(SECRET, **client_of(server)) as client:
                operations = client.get_project(PROJECT).operations
                results = await operations.wait_all([f"op_{number}_{n}" for n in range(5)])
                assert len(results) == 5

        try:
            asyncio.run(wait())
        except (NexusError, AssertionError) as error:
            errors.append(error)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(use, range(8)))
    assert not errors


@on_sync_fleets
def test_outcomes_come_while_the_caller_is_busy(path: Path) -> None:
    """Polling goes on: what ends meanwhile is there at once."""
    if path.method != "as_completed":
        pytest.skip("no iteration")
    world = World(script(is_running, is_finished))
    with Client(SECRET, **world.client) as client:
        outcomes = client.get_project(PROJECT).operations.as_completed(
            [f"op_{n}" for n in range(30)], schedule=Fixed(1)
        )
        first = next(outcomes)
        end = time.monotonic() + 15
        while len(world.asked) < 60 and time.monotonic() < end:
            time.sleep(0.01)
        assert len(world.asked) == 60
        assert len({first.op_id, *(outcome.op_id for outcome in outcomes)}) == 30
