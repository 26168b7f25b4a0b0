"""An answer belongs to its question: another operation's is never taken for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from nexus_operations import Fixed

from tests.support.checks import each, ended, failed, within
from tests.support.children import Child
from tests.support.clocks import client_of
from tests.support.paths import (
    Path,
    on_every_path,
    on_every_wait,
    on_fleets,
    row_of,
)
from tests.support.replies import good
from tests.support.server import Reaction, Request, Server, Step, Then, finished, running

Serve = Callable[..., Server]


OTHER = {
    "another operation's": "op_other",
    "in capitals": "OP_0001",
    "with a blank after it": "op_0002 ",
    "with a digit less": "op_003",
    "without its prefix": "0004",
    "a path to it": "op_0006/../op_0006",
    "its link": "projects/proj_simulated/operations/op_0007",
    "with a character that is not seen": "op_0008\u200b",
}


@on_every_path
def test_an_operation_with_another_id_is_a_broken_exchange(path: Path, serve: Serve) -> None:
    server = serve(lambda request: good(OTHER[row_of(OTHER, request.op_id)]))
    bounds = {"timeout": 1} if path.waits else {}
    results = within(lambda: path.table(OTHER, client_of(server), **bounds))

    def check(row: str) -> None:
        error = failed(results[row])
        assert error.transient
        assert error.reached

    each(OTHER, check)


@on_every_wait
def test_the_connection_is_dropped_and_the_poll_repeated(path: Path, serve: Serve) -> None:
    server = serve(lambda r: good("op_other") if r.nth == 1 else finished(r))
    ended(within(lambda: path.one("op_1", client_of(server))), "op_1")
    first, second = server.requests
    assert first.connection != second.connection


@on_fleets
def test_two_answers_that_were_swapped(path: Path, serve: Serve) -> None:
    swapped = {"op_1": "op_2", "op_2": "op_1"}

    def answer(request: Request) -> Reaction:
        return good(swapped[request.op_id]) if request.nth == 1 else finished(request)

    ids = ["op_1", "op_2"]
    results = within(lambda: path.run(ids, client_of(serve(answer))))
    for op_id, result in zip(ids, results, strict=True):
        ended(result, op_id)


STRAY = {
    "of another operation": lambda r: good("op_stranger").wire(),
    "of the same operation, another end": lambda r: good(r.op_id, "Errored").wire(),
    "of the same operation, cut": lambda r: good(r.op_id, "Errored").wire()[:60],
    "an error": lambda r: b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n",
    "a body longer than its length": lambda r: b'{"id": "op_stranger"}' * 40,
    "an empty line": lambda r: b"\r\n",
    "garbage": lambda r: b"\x00\xff" * 40,
}


@pytest.mark.parametrize("pause", [0.0, 0.01], ids=["at once", "later"])
@on_every_wait
def test_what_nobody_asked_for_on_an_idle_connection(
    path: Path, serve: Serve, pause: float
) -> None:
    def answer(request: Request) -> Reaction:
        if request.nth > 1:
            return finished(request)
        more = STRAY[row_of(STRAY, request.op_id)](request)
        return stray(good(request.op_id, "Running").wire(), more)

    def stray(expected: bytes, more: bytes) -> Iterator[Step]:
        if pause:
            yield expected
            yield pause
            yield more
        else:
            yield expected + more

    client = client_of(serve(answer))
    results = within(lambda: path.table(STRAY, client, schedule=Fixed(15)))
    each(results, lambda row: ended(results[row], f"op_{list(STRAY).index(row):04d}"))


@on_every_wait
def test_an_answer_that_comes_after_its_request_was_given_up(path: Path, serve: Serve) -> None:
    def late(request: Request) -> Iterator[Step]:
        yield 0.4
        yield good(request.op_id, "Errored").wire()

    server = serve(lambda r: late(r) if r.nth == 1 else finished(r))
    client = client_of(server, request_timeout=0.15)
    ended(within(lambda: path.one("op_1", client, raise_exception_if=None)), "op_1")


@on_every_wait
def test_a_connection_that_closed_while_idle_costs_no_wait(path: Path, serve: Serve) -> None:
    def closing(request: Request) -> Iterator[Step]:
        yield good(request.op_id, "Running").wire()
        yield Then.CLOSE

    server = serve(lambda r: closing(r) if r.nth < 4 else finished(r))
    ended(within(lambda: path.one("op_1", client_of(server), schedule=Fixed(1))), "op_1")


FORK = """
    import nexus_operations as nexus
    client = nexus.Client(SECRET, endpoint=sys.argv[1], request_timeout=10)
    waits = client.get_project(PROJECT).operations
    how = {
        "get": waits.get,
        "wait_until_done": waits.wait_until_done,
        "watch": lambda op_id: list(waits.watch(op_id))[-1],
        "wait_all": lambda op_id: waits.wait_all([op_id])[0],
        "as_completed": lambda op_id: next(waits.as_completed([op_id])).result(),
    }[sys.argv[2]]
    how("op_before")
    waits.get("op_before")
    child = os.fork()
    who = "parent" if child else "child"
    wrong = []
    for number in range(25):
        op_id = f"op_{who}_{number}"
        try:
            got = how(op_id).id
        except BaseException as error:
            got = f"{type(error).__name__}: {error}"
        if got != op_id:
            wrong.append(f"{op_id} ended in {got}")
    if not child:
        print("\\n".join(wrong[:3]), file=sys.stderr, flush=True)
        os._exit(len(wrong))
    _, status = os.waitpid(child, 0)
    tell(parent=wrong, child=os.waitstatus_to_exitcode(status))
"""


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("method", ["get", "wait_until_done", "watch", "wait_all", "as_completed"])
def test_a_client_used_before_a_fork_serves_both_processes(serve: Serve, method: str) -> None:
    def slow(request: Request) -> Iterator[Step]:
        yield 0.005
        yield finished(request).wire()

    server = serve(slow)
    with Child(FORK, server.url, method) as child:
        told: dict[str, Any] = child.told()
    assert told == {"parent": [], "child": 0}


LOCKED = """
    import signal, threading
    import nexus_operations as nexus
    client = nexus.Client(SECRET, endpoint=sys.argv[1], max_rate=100, max_concurrency=1)
    waits = client.get_project(PROJECT).operations
    waits.wait_all(["op_before"])
    shared = client._shared
    locks = {shared.limiter._lock, shared.slots._lock, shared.thread_slots._lock}
    locks.add(shared.durations.lock)
    held, forked = threading.Event(), threading.Event()

    def hold():
        for lock in locks:
            lock.acquire()
        held.set()
        forked.wait()
        for lock in locks:
            lock.release()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    child = os.fork()
    if not child:
        signal.alarm(20)
        ids = [f"op_{number}" for number in range(3)]
        got = [waits.wait_until_done("op_single"), *waits.wait_all(ids)]
        os._exit(0 if [operation.id for operation in got] == ["op_single", *ids] else 1)
    forked.set()
    thread.join()
    _, status = os.waitpid(child, 0)
    tell(child=os.waitstatus_to_exitcode(status), parent=waits.get("op_after").id)
"""


def test_a_fork_while_another_thread_holds_the_locks(serve: Serve) -> None:
    server = serve(lambda r: running(r) if r.nth == 1 else finished(r))
    with Child(LOCKED, server.url) as child:
        assert child.told() == {"child": 0, "parent": "op_after"}
