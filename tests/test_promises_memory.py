"""Nothing keeps more than it needs: consumed outcomes, bodies of errors, endless answers."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import pickle
import threading
import time
import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from nexus_operations import AsyncClient, Client, Fixed, InvalidResponseError

from tests.conftest import PROJECT, SECRET
from tests.support.checks import each, ended, failed, within
from tests.support.clocks import client_of
from tests.support.paths import (
    Path,
    on_every_path,
    on_every_wait,
)
from tests.support.replies import JSON, Reply
from tests.support.server import Request, Server, Step
from tests.support.worlds import World, is_finished, is_running, script

Serve = Callable[..., Server]


def held(samples: int = 1) -> float:
    """Return the kilobytes that are traced; of several samples what other threads leave."""
    sizes: list[int] = []
    for number in range(samples):
        time.sleep(0.01 if number else 0)
        gc.collect()
        sizes.append(tracemalloc.get_traced_memory()[0])
    return min(sizes) / 1000


@pytest.fixture
def traced() -> Iterator[None]:
    """Trace memory."""
    tracemalloc.start()
    yield
    tracemalloc.stop()


FIRST, LAST = 200, 700
GROWTH = 100.0
"""Kilobytes that 500 consumed outcomes may leave: 200 bytes each."""


class Few(World):
    """A world that remembers no requests."""

    def handle_request(self, request: Any) -> Any:
        """Answer as scripted."""
        response = super().handle_request(request)
        self.asked.clear()
        self._nth.clear()
        self.clock.slept.clear()
        return response


def endless(read: list[str] | None = None) -> Iterator[str]:
    """Iterate over ids without end; note those that were read."""
    for number in itertools.count():
        if read is not None:
            read.append(f"op_{number:08d}")
        yield f"op_{number:08d}"


@pytest.mark.parametrize("reads", ["in a thread", "in the caller's thread", "in the caller's loop"])
def test_a_slow_consumer_slows_the_reading_down(reads: str) -> None:
    """At most `max_waiting` operations are waited for or wait for their consumer."""
    world, read = World(is_finished), list[str]()

    def bound_to_the_thread() -> Iterator[str]:
        yield from (op_id for op_id in endless(read) if local is not None)

    local = threading.local()
    source = bound_to_the_thread() if reads == "in the caller's thread" else endless(read)
    options: Any = {"max_waiting": 10, "max_wait": None}

    async def consume() -> None:
        async with AsyncClient(SECRET, **world.client) as client:
            iterator: Any = client.get_project(PROJECT).operations.as_completed(source, **options)
            async with contextlib.aclosing(iterator) as outcomes:
                for number in range(1, 31):
                    await anext(outcomes)
                    for _ in range(100):
                        await asyncio.sleep(0)
                    assert len(read) <= number + 10

    if reads == "in the caller's loop":
        asyncio.run(consume())
        return
    with Client(SECRET, **world.client) as client:
        outcomes = client.get_project(PROJECT).operations.as_completed(source, **options)
        for number in range(1, 31):
            next(outcomes)
            time.sleep(0.005)  # what could run ahead is given the time
            assert len(read) <= number + 10
        outcomes.close()  # type: ignore[attr-defined]


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("awaited", [False, True])
def test_outcomes_that_were_consumed(awaited: bool) -> None:
    world = Few(is_finished)
    marks: dict[int, float] = {}

    def note(number: int) -> bool:
        if number in (FIRST, LAST):
            marks[number] = held(1 if awaited else 10)
        return number == LAST

    async def consume() -> None:
        async with AsyncClient(SECRET, **world.client) as client:
            outcomes: Any = client.get_project(PROJECT).operations.as_completed(
                endless(), max_waiting=10, max_wait=None
            )
            number = 0
            async for _ in outcomes:
                number += 1
                if note(number):
                    break
            await outcomes.aclose()

    if awaited:
        asyncio.run(consume())
    else:
        with Client(SECRET, **world.client) as client:
            operations = client.get_project(PROJECT).operations
            outcomes = operations.as_completed(endless(), max_waiting=10, max_wait=None)
            for number, _ in enumerate(outcomes, 1):
                if note(number):
                    break
            outcomes.close()  # type: ignore[attr-defined]
    assert marks[LAST] - marks[FIRST] < GROWTH


@pytest.mark.usefixtures("traced")
@on_every_wait
def test_a_wait_of_many_polls(path: Path) -> None:
    marks: dict[int, float] = {}

    class Polls(Few):
        polls = 0

        def handle_request(self, request: Any) -> Any:
            self.polls += 1
            if self.polls in (60, 210):
                marks[self.polls] = held()
            return super().handle_request(request)

    world = Polls(is_running)
    path.one("op_1", world.client, timeout=220, schedule=Fixed(1), max_wait=None)
    assert marks[210] - marks[60] < 40


SIZE = 200_000
LARGE: dict[str, bytes] = {
    "text": b"x" * SIZE,
    "a list": b"[" + b"[]," * (SIZE // 3) + b"[]]",
    "an object of many keys": b"{%s}" % b",".join(b'"k%d":1' % n for n in range(SIZE // 8)),
    "a long message": b'{"message": "%s"}' % (b"m" * SIZE),
    "a long code": b'{"message": "no", "code": "%s"}' % (b"c" * SIZE),
    "nested": b'{"message": "no", "detail": {"a": [%s1]}}' % (b'"xyz",' * (SIZE // 6)),
}


@on_every_path
def test_large_bodies(path: Path) -> None:
    """An error keeps an excerpt, whatever the body holds."""
    bounds = {"timeout": 1} if path.waits else {}

    def check(row: tuple[str, int]) -> None:
        world = World(lambda _: Reply(row[1], LARGE[row[0]], JSON))
        error = failed(path.one("op_1", world.client, **bounds))
        assert len(str(error)) < 3000
        assert len(repr(error)) < 20_000
        assert len(pickle.dumps(error)) < 30_000

    each([(name, status) for name in LARGE for status in (200, 404, 503)], check)


@pytest.mark.usefixtures("traced")
@on_every_path
def test_large_bodies_are_not_held_by_an_error(path: Path) -> None:
    """Neither by its traceback's frames."""
    bounds = {"timeout": 1} if path.waits else {}
    world = World(lambda _: Reply(404, LARGE["text"], JSON))
    path.one("op_1", world.client, **bounds)  # what is loaded late is loaded now
    before = held()
    errors = [failed(path.one("op_1", world.client, **bounds)) for _ in range(3)]
    assert held() - before < SIZE / 1000
    assert len(errors) == 3


ENDLESS: dict[str, bytes] = {
    "a body": b"HTTP/1.1 200 OK\r\nContent-Length: 900000000000\r\n\r\n",
    "a body without a length": b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    "the body of an error": b"HTTP/1.1 404 Not Found\r\nContent-Length: 900000000000\r\n\r\n",
    "a header": b"HTTP/1.1 200 OK\r\nX: ",
    "headers": b"HTTP/1.1 200 OK\r\n",
    "a reason phrase": b"HTTP/1.1 200 ",
}
PIECES = {
    "chunks": b"10000\r\n" + b" " * 65_536 + b"\r\n",
    "headers": b"X-Header: 1\r\n" * 5000,
}


@pytest.mark.parametrize("what", ENDLESS)
@on_every_path
def test_an_answer_without_end_is_given_up_early(path: Path, serve: Serve, what: str) -> None:
    """Long before the request's time is up: what is read is bounded."""
    sent = 0

    def answer(_: Request) -> Iterator[Step]:
        nonlocal sent
        yield ENDLESS[what]
        while sent < 64 << 20:
            piece = PIECES.get(what, b"x" * 65_536)
            sent += len(piece)
            yield piece

    bounds = {"timeout": 1} if path.waits else {}
    client = client_of(serve(answer), request_timeout=60)
    result = failed(within(lambda: path.one("op_1", client, **bounds)))
    assert sent < 40 << 20  # what the kernel buffers is sent, too
    if what in ("a body", "chunks", "a body without a length"):
        assert isinstance(result, InvalidResponseError)


@on_every_path
def test_a_client_that_was_dropped_is_gone(path: Path) -> None:
    world = World(is_finished)
    made: list[Any] = []

    class Kept(Client):
        """Remembers its instances weakly."""

    client = Kept(SECRET, **world.client)
    made.append(weakref.ref(client))
    if not path.awaited:
        path.on(client.get_project(PROJECT).operations, ["op_1"])
    del client
    gc.collect()
    assert made[0]() is None


@on_every_wait
def test_threads_are_not_gathered(path: Path) -> None:
    world = World(script(is_running, is_finished))
    path.one("op_1", world.client)
    before = threading.active_count()
    for number in range(20):
        ended(path.one(f"op_{number + 2}", world.client), f"op_{number + 2}")
    assert threading.active_count() <= before + 1
