"""Stopping a sync call: an event, Ctrl-C, what a callback raises, closing the client."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from nexus_operations import Client, Fixed, NexusError

from tests.conftest import PROJECT, SECRET
from tests.support.checks import within
from tests.support.children import Child
from tests.support.clocks import client_of
from tests.support.names import Names
from tests.support.paths import (
    Path,
    on_awaited_paths,
    on_every_path,
    on_fleets,
    on_sync,
    on_sync_fleets,
    on_sync_paths,
)
from tests.support.replies import trouble
from tests.support.server import Server, Then, finished, running, silence
from tests.support.worlds import World, is_finished, is_running

Serve = Callable[..., Server]

SOON = 8.0
"""Seconds within which a stop has long taken effect, on a busy machine, too."""

PHASES: dict[str, tuple[Any, dict[str, Any]]] = {
    "no answer yet": (silence, {}),
    "in the body": (
        lambda _: iter((b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", Then.HOLD)),
        {},
    ),
    "asleep": (running, {}),
    "asleep after a failure": (lambda _: trouble(503, Retry_After="300"), {}),
    "held by a 429": (lambda _: trouble(429, Retry_After="300"), {}),
    "at the bound of the rate": (running, {"max_rate": 0.01}),
}
each_phase = pytest.mark.parametrize("phase", PHASES)


def quiet(server: Server) -> None:
    """Check that requests cease; those that were on their way may still arrive."""
    for _ in range(20):
        count = len(server.requests)
        time.sleep(0.15)
        if len(server.requests) == count:
            return
    raise AssertionError("requests go on")


@each_phase
@on_sync
def test_an_event_set_meanwhile(path: Path, serve: Serve, phase: str) -> None:
    answer, options = PHASES[phase]
    server = serve(answer)
    event = threading.Event()

    def press() -> None:
        server.wait_for(1)
        time.sleep(0.03)
        event.set()

    threading.Thread(target=press, daemon=True).start()
    client = {"endpoint": server.url, **options}
    call = lambda: path.one("op_1", client, abort_event=event, schedule=Fixed(600))  # noqa: E731
    assert within(call, SOON) is None
    quiet(server)


@on_sync
def test_an_event_that_is_set_already(path: Path) -> None:
    event = threading.Event()
    event.set()
    world = World(is_finished)
    ids = [f"op_{number}" for number in range(5)]
    assert path.run(ids, world.client, abort_event=event) == [None] * 5
    assert not world.asked
    assert world.elapsed == 0


@on_sync
def test_an_event_that_is_never_set(path: Path) -> None:
    event = threading.Event()
    world = World(lambda asked: is_finished(asked) if asked.nth == 3 else is_running(asked))
    result = path.one("op_1", world.client, abort_event=event)
    assert result.status.overview == "Finished"


@on_sync
def test_an_event_set_by_a_progress_function(path: Path) -> None:
    if path.method == "watch":
        pytest.skip("watch takes no progress function")
    event = threading.Event()
    world = World(is_running)
    bounds = {"abort_event": event, "progress": lambda _: event.set()}
    assert within(lambda: path.one("op_1", world.client, **bounds), SOON) is None
    assert path.many or len(world.asked) == 1  # a fleet polls on until its caller's thread looks


@on_sync
def test_an_event_while_a_name_is_resolved(path: Path, names: Names) -> None:
    names.hang("slow.example")
    event = threading.Event()
    client = {"endpoint": "http://slow.example"}

    def press() -> None:
        while not names.asked:
            time.sleep(0.005)
        event.set()

    threading.Thread(target=press, daemon=True).start()
    assert within(lambda: path.one("op_1", client, abort_event=event), SOON) is None


@on_sync_fleets
def test_an_event_leaves_what_had_ended(path: Path, serve: Serve) -> None:
    server = serve(lambda r: finished(r) if r.op_id == "op_1" else running(r))
    event = threading.Event()
    bounds: dict[str, Any] = {"abort_event": event, "schedule": Fixed(600)}

    def press() -> None:
        server.wait_for(3)
        time.sleep(0.1)
        event.set()

    threading.Thread(target=press, daemon=True).start()
    ids = ["op_0", "op_1", "op_2"]
    results = within(lambda: path.run(ids, {"endpoint": server.url}, **bounds), SOON)
    assert results[1].id == "op_1"
    assert results[0] is results[2] is None


CALL = """
    import nexus_operations as nexus
    url, method, where, *rest = sys.argv[1:]
    client = nexus.Client(SECRET, endpoint=url)
    waits = client.get_project(PROJECT).operations
    def slow(*_):
        while True:
            time.sleep(0.05)
    def source():
        yield from ("op_0", "op_1", "op_2")
        if where == "in the source of ids":
            slow()
    def call():
        bounds = {"schedule": nexus.Fixed(600)}
        if where == "in a progress function":
            bounds["progress"] = slow
        if method == "get":
            waits.get("op_1")
        elif method == "wait_until_done":
            waits.wait_until_done("op_1", **bounds)
        elif method == "watch":
            for _ in waits.watch("op_1", schedule=nexus.Fixed(600)):
                if where == "in the body of the loop":
                    slow()
        else:
            ids = source() if where == "in the source of ids" else [f"op_{n}" for n in range(20)]
            if method == "wait_all":
                waits.wait_all(ids, max_waiting=3, **bounds)
            else:
                for _ in waits.as_completed(ids, max_waiting=3, **bounds):
                    if where == "in the body of the loop":
                        slow()
    told = {"raised": "nothing"}
    began = None
    try:
        call()
    except KeyboardInterrupt as error:
        told = {"raised": "KeyboardInterrupt"}
        if hasattr(error, "pending"):
            told["ended"] = sorted(o.op_id for o in error.ended)
            told["pending"] = sorted(error.pending)
    except BaseException as error:
        told = {"raised": type(error).__name__}
    tell(**told, threads=[t.name for t in threading.enumerate() if "nexus" in t.name and "fleet" in t.name])
"""  # noqa: E501


def interrupted(path: Path, server: Server, where: str, requests: int) -> dict[str, Any]:
    """Press Ctrl-C once so many requests have come; return what the program tells."""
    with Child(CALL, server.url, path.method, where) as child:
        server.wait_for(requests, 40)
        time.sleep(0.15)
        child.interrupt()
        return child.told(20)


@pytest.mark.parametrize("answer", [silence, running], ids=["in flight", "asleep"])
@on_sync_paths
def test_ctrl_c(path: Path, serve: Serve, answer: Any) -> None:
    if path.method == "get" and answer is running:
        answer = silence
    server = serve(lambda r: finished(r) if r.op_id == "op_0" else answer(r))
    told = interrupted(path, server, "in the call", 2 if path.many else 1)
    assert told["raised"] == "KeyboardInterrupt"
    assert not told["threads"]
    if path.many:
        assert told["ended"] == ["op_0"]
        assert told["pending"] == sorted(f"op_{number}" for number in range(1, 20))
    quiet(server)


@pytest.mark.parametrize(
    "where", ["in a progress function", "in the source of ids", "in the body of the loop"]
)
@on_sync_fleets
def test_ctrl_c_in_code_of_the_callers_own(path: Path, serve: Serve, where: str) -> None:
    if where == "in the body of the loop" and path.method == "wait_all":
        pytest.skip("no loop")
    if where == "in a progress function":
        pytest.skip("it runs in the thread that polls")
    server = serve(lambda r: finished(r) if r.op_id == "op_0" else running(r))
    told = interrupted(path, server, where, 3)
    assert told["raised"] == "KeyboardInterrupt"
    assert not told["threads"]
    quiet(server)


@on_sync
def test_ctrl_c_while_a_name_is_resolved(path: Path, serve: Serve) -> None:
    server = serve(finished)
    hang = """
    import socket
    real = socket.getaddrinfo
    def hang(host, *args, **options):
        if host in ("slow.example", b"slow.example"):
            real_get = threading.Event()
            import urllib.request
            socket.create_connection(("127.0.0.1", int(os.environ["PORT"]))).sendall(
                b"GET /x/op_asked HTTP/1.1\\r\\n\\r\\n")
            real_get.wait(60)
        return real(host, *args, **options)
    socket.getaddrinfo = hang
    """
    source = hang + CALL
    arguments = ("http://slow.example", path.method, "in the call")
    with Child(source, *arguments, PORT=str(server.port)) as child:
        server.wait_for(1, 40)
        time.sleep(0.1)
        child.interrupt()
        told = child.told(10)
    assert told["raised"] == "KeyboardInterrupt"


@on_sync
def test_what_a_progress_function_raises(path: Path) -> None:
    if path.method == "watch":
        pytest.skip("watch takes no progress function")

    class Own(BaseException):
        """No Exception."""

    errors = [
        ValueError("no"),
        Own(),
        KeyboardInterrupt(),
        SystemExit(3),
        StopIteration(),
        GeneratorExit(),
    ]
    for error in errors:
        world = World(is_running)

        def progress(_: object, error: BaseException = error) -> None:
            raise error

        def call(world: World = world, progress: Any = progress) -> BaseException | None:
            try:
                path.one("op_1", world.client, progress=progress)
            except BaseException as found:  # noqa: BLE001
                return found  # noqa: B023
            return None

        found = within(call, SOON)
        allowed: tuple[type[BaseException], ...] = (type(error),)
        if isinstance(error, StopIteration):
            allowed = (StopIteration, RuntimeError)  # Python's own rule for generators
        assert isinstance(found, allowed), repr(found)
        assert len(world.asked) == 1


CLOSED = (NexusError, ValueError)


@on_sync_paths
def test_a_client_that_was_closed(path: Path, serve: Serve) -> None:
    server = serve(finished)
    client = Client(SECRET, endpoint=server.url)
    client.close()
    client.close()
    operations = client.get_project(PROJECT).operations
    with pytest.raises(CLOSED, match="closed"):
        within(lambda: path.call(operations, ["op_1"]))
    assert not server.requests


@on_awaited_paths
def test_an_awaited_client_that_was_closed(path: Path, serve: Serve) -> None:
    import asyncio

    from nexus_operations import AsyncClient

    server = serve(finished)

    async def run() -> None:
        client = AsyncClient(SECRET, endpoint=server.url)
        await client.aclose()
        await client.aclose()
        operations = client.get_project(PROJECT).operations
        await path.coroutine(operations, ["op_1"])

    with pytest.raises(CLOSED, match="closed"):
        within(lambda: asyncio.run(run()))
    assert not server.requests


@pytest.mark.parametrize("answer", [silence, running], ids=["in flight", "asleep"])
@on_sync_paths
def test_a_client_that_is_closed_meanwhile(path: Path, serve: Serve, answer: Any) -> None:
    if path.method == "get" and answer is running:
        answer = silence
    server = serve(answer)
    client = Client(SECRET, endpoint=server.url)
    operations = client.get_project(PROJECT).operations

    def close() -> None:
        server.wait_for(1)
        time.sleep(0.05)
        client.close()

    threading.Thread(target=close, daemon=True).start()
    bounds = {"schedule": Fixed(0.3)} if path.waits else {}
    try:
        within(lambda: path.call(operations, ["op_1"], **bounds), SOON)
    except ExceptionGroup as group:
        assert all(isinstance(error, CLOSED) for error in group.exceptions)  # noqa: PT017
    except CLOSED:
        pass
    quiet(server)


@on_every_path
def test_nothing_is_left_behind(path: Path) -> None:
    before = {thread.ident for thread in threading.enumerate()}
    path.one("op_1", World(is_finished).client)
    after = [t.name for t in threading.enumerate() if t.ident not in before]
    assert not [name for name in after if name.startswith("nexus-operations-fleet")]


@on_sync_fleets
def test_leaving_the_iteration_ends_the_polls(path: Path, serve: Serve) -> None:
    if path.method != "as_completed":
        pytest.skip("no iteration")
    server = serve(lambda r: finished(r) if r.op_id == "op_1" else running(r))
    with Client(SECRET, endpoint=server.url) as client:
        operations = client.get_project(PROJECT).operations
        for outcome in operations.as_completed(["op_1", "op_2"], schedule=Fixed(0.02)):
            assert outcome.op_id == "op_1"
            break
        quiet(server)
        outcomes: Any = operations.as_completed(["op_1", "op_2"], schedule=Fixed(0.02))
        next(outcomes)
        with pytest.raises(LookupError):
            outcomes.throw(LookupError("by the caller"))
        quiet(server)


@on_fleets
def test_a_source_of_ids_that_fails(path: Path) -> None:
    closed: list[bool] = []

    def ids() -> Iterator[str]:
        try:
            yield "op_1"
            raise LookupError("no more ids")
        finally:
            closed.append(True)

    with pytest.raises(LookupError, match="no more ids"):
        within(lambda: path.run(ids(), World(is_running).client), SOON)
    assert closed == [True]


def test_the_clients_of_many_calls_end_with_one_close(serve: Serve) -> None:
    server = serve(running)
    client = Client(SECRET, **client_of(server))
    operations = client.get_project(PROJECT).operations
    ended: list[Any] = []

    def call(method: str) -> None:
        try:
            argument: Any = ["op_1"] if method in ("wait_all", "as_completed") else "op_1"
            result = getattr(operations, method)(argument, schedule=Fixed(5))
            ended.append(list(result) if method in ("watch", "as_completed") else result)
        except (NexusError, ValueError, ExceptionGroup) as error:
            ended.append(error)

    methods = ["wait_until_done", "watch", "wait_all", "as_completed"] * 2
    threads = [threading.Thread(target=call, args=(method,), daemon=True) for method in methods]
    for thread in threads:
        thread.start()
    server.wait_for(len(methods))
    client.close()
    for thread in threads:
        thread.join(SOON)
    assert len(ended) == len(methods)
    quiet(server)
