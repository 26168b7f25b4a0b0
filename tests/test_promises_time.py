"""Bounds are total: `request_timeout` for all of a request, `max_wait` for all of a call."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from nexus_operations import (
    Fixed,
    NetworkConnectionError,
    NexusError,
    Operation,
    RequestTimeoutError,
)
from nexus_operations.testing import VirtualClock

from tests.support.checks import each, ended, failed, within
from tests.support.clocks import client_of
from tests.support.names import BlackHole, Names
from tests.support.paths import (
    WAITS,
    Path,
    on_every_path,
    on_every_wait,
    on_fleets,
    row_of,
)
from tests.support.replies import good
from tests.support.server import (
    Request,
    Server,
    Step,
    Then,
    finished,
    free_port,
    silence,
    trickle,
)
from tests.support.worlds import Asked, ManyAtOnce, World, is_finished, is_running, script

Serve = Callable[..., Server]
Dig = Callable[..., BlackHole]

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
BODY = good("op_1").body

SLOW: dict[str, Callable[[Request], Any]] = {
    "nothing": silence,
    "the status line": trickle(b"HTTP/1.1 200 O", b"K"),
    "a header's name": trickle(OK + b"X-", b"a"),
    "a header's value": trickle(OK + b"X: ", b"a"),
    "headers without end": trickle(OK, b"X: 1\r\n", 0.1),
    "informational answers": trickle(b"", b"HTTP/1.1 102 Processing\r\n\r\n"),
    "early hints": trickle(b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"),
    "100 Continue": trickle(b"HTTP/1.1 100 Continue\r\n\r\n", b""),
    "the body": trickle(OK + b"Content-Length: 900000\r\n\r\n{", b" "),
    "a body without a length": trickle(OK + b"Connection: close\r\n\r\n{", b" "),
    "chunks": trickle(CHUNKED, b"1\r\n \r\n"),
    "a chunk's size": trickle(CHUNKED, b"0"),
    "a chunk's extension": trickle(CHUNKED + b"1;a=", b"a"),
    "trailers": trickle(CHUNKED + b"%x\r\n" % len(BODY) + BODY + b"\r\n0\r\n", b"X: 1\r\n"),
    "the body of an error": trickle(b"HTTP/1.1 503 Busy\r\nContent-Length: 900000\r\n\r\n{", b" "),
}


@on_every_path
def test_an_answer_that_does_not_come_to_an_end(path: Path, serve: Serve) -> None:
    """All of them would last for ever; a request ends by its own time, however much arrives."""
    server = serve(lambda request: SLOW[row_of(SLOW, request.op_id)](request))
    bounds = {"timeout": 1} if path.waits else {}
    seconds = 1.0 if path.many else 0.25  # many begin at once, which takes its time
    client = client_of(server, request_timeout=seconds)
    results = within(lambda: path.table(SLOW, client, **bounds))
    asked = {row_of(SLOW, request.op_id) for request in server.requests}

    def check(row: str) -> None:
        result = results[row]
        if isinstance(result, Operation):
            assert row == "trailers"  # the operation was there, whole
            return
        error = failed(result)
        assert error.transient
        if row != "the body of an error" and row in asked:  # a busy machine may not have sent it
            assert isinstance(error, RequestTimeoutError)
            assert error.reached

    each(SLOW, check)
    assert asked


@pytest.mark.parametrize("path", [WAITS[0], WAITS[-2]], ids=str)
def test_a_slow_answer_does_not_hold_max_wait(path: Path, serve: Serve) -> None:
    """The last poll is given 5 s at most, in real time; on all paths: in virtual time below."""
    server = serve(silence)
    client = {"endpoint": server.url, "request_timeout": 3600}
    bounds = {"max_wait": 0, "schedule": Fixed(1)}
    failed(within(lambda: path.one("op_1", client, **bounds)), RequestTimeoutError)


@on_every_path
def test_a_handshake_that_does_not_come_to_an_end(path: Path, serve: Serve) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        bounds = {"timeout": 1} if path.waits else {}
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        client = client_of(url, request_timeout=0.25)
        error = failed(within(lambda: path.one("op_1", client, **bounds)))
        assert error.transient


@on_every_path
def test_a_proxy_that_says_nothing(
    path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", serve(silence).url)
    bounds = {"timeout": 1} if path.waits else {}
    client = client_of("https://nexus.example", request_timeout=0.25)
    error = failed(within(lambda: path.one("op_1", client, **bounds)))
    assert error.transient


@on_every_path
def test_many_addresses_that_swallow_connections(path: Path, names: Names, black_hole: Dig) -> None:
    """The time is for all addresses together."""
    hole = black_hole()
    names.add("many.example", *["127.0.0.1"] * 40)
    bounds = {"timeout": 1} if path.waits else {}
    client = client_of(f"http://many.example:{hole.port}", request_timeout=0.5)
    error = failed(within(lambda: path.one("op_1", client, **bounds)), NetworkConnectionError)
    assert not error.reached
    assert error.transient


@on_every_path
def test_an_address_that_swallows_connections_before_one_that_answers(
    path: Path, serve: Serve, names: Names, black_hole: Dig
) -> None:
    server = serve(finished)
    black_hole("127.0.0.3", server.port)
    names.add("two.example", "127.0.0.3", "127.0.0.1")
    bounds = {"timeout": 1} if path.waits else {}
    client = client_of(f"http://two.example:{server.port}", request_timeout=6)
    ended(within(lambda: path.one("op_1", client, **bounds)), "op_1")


@on_every_path
def test_an_address_that_refuses_before_one_that_answers(
    path: Path, serve: Serve, names: Names
) -> None:
    server = serve(finished)
    names.add("two.example", "127.0.0.4", "127.0.0.1")
    bounds = {"timeout": 1} if path.waits else {}
    client = client_of(f"http://two.example:{server.port}", request_timeout=6)
    ended(within(lambda: path.one("op_1", client, **bounds)), "op_1")


@on_every_path
def test_a_name_that_hangs(path: Path, names: Names) -> None:
    names.hang("slow.example")
    bounds = {"timeout": 1} if path.waits else {}
    client = client_of("http://slow.example", request_timeout=0.3)
    error = failed(within(lambda: path.one("op_1", client, **bounds), 8))
    assert error.transient
    assert not error.reached


@on_every_wait
def test_a_name_that_hangs_once(path: Path, serve: Serve, names: Names) -> None:
    """The resolution that was left behind disturbs no later poll."""
    server = serve(finished)
    names.hang("slow.example")
    client = client_of(f"http://slow.example:{server.port}", request_timeout=0.3)
    timer = threading.Timer(0.45, names.add, ("slow.example", "127.0.0.1"))
    timer.start()
    ended(within(lambda: path.one("op_1", client), 8), "op_1")


@on_every_wait
def test_more_names_that_hang_than_threads(path: Path, names: Names) -> None:
    names.hang("slow.example")
    client = client_of("http://slow.example", request_timeout=0.1, max_concurrency=8)
    ids = [f"op_{number}" for number in range(40 if path.many else 5)]
    for result in within(lambda: path.run(ids, client, timeout=1), 10):
        assert isinstance(result, NexusError)


BOUNDS: dict[str, Any] = {
    "100": 100,
    "100.0": 100.0,
    "a timedelta": timedelta(seconds=100),
}


@on_every_wait
def test_the_last_poll_is_at_the_deadline(path: Path) -> None:
    def check(row: str) -> None:
        world = World(is_running)
        assert path.one("op_1", world.client, max_wait=BOUNDS[row], schedule=Fixed(30)) is None
        assert world.times[-1] == pytest.approx(100, abs=0.01)
        assert world.elapsed == pytest.approx(100, abs=0.01)

    each(BOUNDS, check)


@on_every_wait
def test_an_end_at_the_deadline_is_not_missed(path: Path) -> None:
    world = World(lambda a: is_finished(a) if a.at >= 99 else is_running(a))
    ended(path.one("op_1", world.client, max_wait=100, schedule=Fixed(60)), "op_1")


@on_every_wait
def test_no_time_at_all_is_one_poll(path: Path) -> None:
    for bound in (0, 0.0, 1e-12, timedelta(0), timedelta(microseconds=1)):
        world = World(is_running)
        assert path.one("op_1", world.client, max_wait=bound) is None
        assert 1 <= len(world.asked) <= 2
        assert world.elapsed <= 0.01


@on_every_wait
def test_no_time_is_enough_for_what_has_ended(path: Path) -> None:
    ended(path.one("op_1", World(is_finished).client, max_wait=0), "op_1")


@on_fleets
def test_no_time_and_more_operations_than_requests_in_flight(path: Path) -> None:
    """Each may be polled once or end unpolled, and none takes time."""
    world = World(is_finished, max_concurrency=3)
    results = path.run([f"op_{n}" for n in range(50)], world.client, max_wait=0)
    assert len(results) == 50
    assert all(result is None or isinstance(result, Operation) for result in results)
    assert world.elapsed <= 5
    assert any(results)


def stalls(asked: Asked) -> BaseException:
    return httpx.ReadTimeout("stalled")


@on_every_wait
def test_a_stalled_request_ends_five_seconds_after_the_deadline(path: Path) -> None:
    world = ManyAtOnce(stalls, request_timeout=60)
    result = path.one("op_1", world.client, max_wait=2)
    failed(result, RequestTimeoutError)
    assert world.elapsed <= 7.1
    assert all(asked.budget <= 7.01 for asked in world.asked)


@on_fleets
@pytest.mark.parametrize("timeout", [0.7, 3.0, 30.0])
def test_more_stalled_operations_than_requests_in_flight(path: Path, timeout: float) -> None:
    """The call ends in time, and what got no slot has ended in nothing."""
    world = ManyAtOnce(stalls, request_timeout=timeout, max_concurrency=4)
    ids = [f"op_{number}" for number in range(40)]
    results = path.run(ids, world.client, max_wait=10)
    assert len(results) == 40
    assert world.elapsed <= 15.1
    polled = {asked.op_id for asked in world.asked}
    for op_id, result in zip(ids, results, strict=True):
        if op_id not in polled:
            assert result is None
        else:
            assert result is None or isinstance(result, RequestTimeoutError)


@on_fleets
def test_one_slow_operation_holds_no_other(path: Path) -> None:
    world = ManyAtOnce(
        lambda a: stalls(a) if a.op_id == "op_0" else is_finished(a),
        request_timeout=30,
        max_concurrency=4,
    )
    results = path.run([f"op_{n}" for n in range(20)], world.client, max_wait=100)
    for number, result in enumerate(results[1:], 1):
        ended(result, f"op_{number}")
    assert max(asked.at for asked in world.asked if asked.op_id != "op_0") < 1


@on_fleets
def test_ids_that_wait_for_room_have_the_same_deadline(path: Path) -> None:
    """`max_wait` is the call's: what is taken late has less time, what comes too late has none."""
    world = World(is_running)
    ids = [f"op_{number}" for number in range(500)]
    results = path.run(ids, world.client, max_wait=10, max_waiting=5, schedule=Fixed(4))
    assert results == [None] * 500
    assert world.elapsed <= 15


@on_fleets
def test_endless_ids_end_at_the_deadline(path: Path) -> None:
    world = World(is_running)
    over = threading.Event()

    def ids() -> Iterator[str]:
        number = 0
        while not over.is_set():
            number += 1
            yield f"op_{number}"

    try:
        within(lambda: path.run(ids(), world.client, max_wait=30, max_waiting=5))
    finally:
        over.set()
    assert world.elapsed <= 35


@on_fleets
def test_ids_that_come_late_have_what_is_left(path: Path) -> None:
    world = World(is_running)

    def ids() -> Iterator[str]:
        yield "op_1"
        world.clock.now += 50
        yield "op_2"

    path.run(ids(), world.client, max_wait=60, schedule=Fixed(25))
    assert world.elapsed <= 65


@on_every_wait
@pytest.mark.parametrize("outage", [None, 3600])
def test_an_outage_does_not_pass_the_deadline(path: Path, outage: float | None) -> None:
    world = World(script(is_running, lambda _: httpx.ReadError("broken")))
    failed(path.one("op_1", world.client, max_wait=500, max_outage=outage), NetworkConnectionError)
    assert world.elapsed == pytest.approx(500, abs=0.1)


@on_every_wait
def test_a_clock_that_leaps_past_the_deadline(path: Path) -> None:
    """As where a machine was suspended: the wait makes its last poll and ends."""

    def answer(asked: Asked) -> Any:
        if asked.nth == 2:
            world.clock.now += 1e6
        return is_running(asked)

    world = World(answer)
    assert path.one("op_1", world.client, max_wait=100, schedule=Fixed(5)) is None
    assert len(world.asked) <= 3


class Suspended(VirtualClock):
    """A clock whose first sleep takes a million seconds more."""

    leap = 1e6

    def _leap(self) -> None:
        self.now += self.leap
        self.leap = 0.0

    def sleep(self, seconds: float, abort_event: threading.Event | None = None) -> bool:
        """Sleep, and more."""
        going_on = super().sleep(seconds, abort_event)
        if seconds:
            self._leap()
        return going_on

    async def async_sleep(self, seconds: float | None, wake: asyncio.Event | None = None) -> None:
        """Sleep, and more."""
        before = self.now
        await super().async_sleep(seconds, wake)
        if self.now > before:
            self._leap()


@on_every_wait
def test_a_machine_that_was_suspended_while_the_call_slept(path: Path) -> None:
    """The deadline is long past; the last poll is made all the same."""
    world = World(lambda asked: is_running(asked) if asked.nth == 1 else is_finished(asked))
    world.client["clock"] = world.clock = Suspended()
    ended(path.one("op_1", world.client, max_wait=100, schedule=Fixed(5)), "op_1")


@on_every_path
def test_a_request_is_told_its_time(path: Path) -> None:
    world = World(is_finished, request_timeout=12)
    ended(path.one("op_1", world.client), "op_1")
    assert 11 < world.asked[0].budget <= 12


def test_a_listener_that_is_gone_is_not_taken_for_slow(plain_environment: None) -> None:
    """The helpers above are sound: a free port refuses."""
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", free_port()), timeout=5)


@on_every_path
def test_an_answer_in_many_pieces_within_its_time(path: Path, serve: Serve) -> None:
    def pieces(request: Request) -> Iterator[Step]:
        whole = good(request.op_id).wire()
        for start in range(0, len(whole), 40):
            yield whole[start : start + 40]
            yield 0.001
        yield Then.CLOSE

    bounds = {"timeout": 1} if path.waits else {}
    client = client_of(serve(pieces), request_timeout=20)
    ended(within(lambda: path.one("op_1", client, **bounds)), "op_1")
