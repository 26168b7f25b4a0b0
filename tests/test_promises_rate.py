"""The rate is never exceeded over any second of a client, deadlines included."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

from nexus_operations import AsyncClient, Client, Fixed, NexusError

from tests.conftest import PROJECT, SECRET
from tests.support.checks import each, within
from tests.support.paths import (
    Path,
    on_every_path,
    on_every_wait,
    on_fleets,
)
from tests.support.server import Server, finished, running
from tests.support.worlds import World, answers, is_finished, is_refused, is_running, script

Serve = Callable[..., Server]

RATES = [20, 3, 1, 0.5, 1 / 7]


def kept(world: World, rate: float) -> None:
    """Check that no second (or no second's share, below one a second) holds too many requests."""
    if rate >= 1:
        assert world.most_within(1.0) <= rate
    gaps = [after - before for before, after in pairwise(world.times)]
    assert all(gap >= 1 / rate - 1e-6 for gap in gaps) if rate < 1 else True


@on_fleets
def test_a_burst_of_first_polls(path: Path) -> None:
    def check(rate: float) -> None:
        world = World(is_finished, max_rate=rate)
        path.run([f"op_{n}" for n in range(40)], world.client)
        assert len(world.asked) == 40
        kept(world, rate)

    each(RATES, check)


@on_fleets
def test_a_common_deadline(path: Path) -> None:
    """Polls at the deadline are paced, too: what gets no slot by then ends without one."""

    def check(rate: float) -> None:
        world = World(is_running, max_rate=rate)
        results = path.run([f"op_{n}" for n in range(40)], world.client, max_wait=15)
        assert results == [None] * 40
        assert world.elapsed <= 20
        kept(world, rate)

    each(RATES, check)


@on_fleets
def test_failures_that_come_back_together(path: Path) -> None:
    steps = [answers(503), is_refused, answers(429, Retry_After="3")]
    for rate in (5, 0.5):
        world = World(script(*steps, is_finished), max_rate=rate)
        path.run([f"op_{n}" for n in range(20)], world.client)
        kept(world, rate)


@on_fleets
def test_the_end_of_an_outage(path: Path) -> None:
    world = World(lambda a: is_refused(a) if 5 < a.at < 60 else is_running(a), max_rate=8)
    path.run([f"op_{n}" for n in range(25)], world.client, max_wait=90)
    kept(world, 8)


@on_fleets
def test_a_hold_that_ends(path: Path) -> None:
    answer = lambda a: answers(429, Retry_After="30")(a) if a.number == 5 else is_running(a)  # noqa: E731
    world = World(answer, max_rate=4)
    path.run([f"op_{n}" for n in range(30)], world.client, max_wait=60)
    kept(world, 4)


@on_fleets
def test_an_idle_client_saves_nothing_up(path: Path) -> None:
    world = World(is_finished, max_rate=5)

    def sync() -> None:
        with Client(SECRET, **world.client) as client:
            operations = client.get_project(PROJECT).operations
            for _ in range(3):
                path.on(operations, [f"op_{n}" for n in range(12)])
                world.clock.now += 100

    async def awaited() -> None:
        async with AsyncClient(SECRET, **world.client) as client:
            operations = client.get_project(PROJECT).operations
            for _ in range(3):
                await path.aon(operations, [f"op_{n}" for n in range(12)])
                world.clock.now += 100

    asyncio.run(awaited()) if path.awaited else sync()
    kept(world, 5)


@on_every_path
def test_calls_without_any_time(path: Path) -> None:
    """`max_wait=0` has its poll when the rate grants it, or ends without; `get` waits its turn."""
    world = World(is_running, max_rate=4)
    bounds = {"max_wait": 0} if path.waits else {}

    def sync() -> None:
        with Client(SECRET, **world.client) as client:
            operations = client.get_project(PROJECT).operations
            for number in range(15):
                path.on(operations, [f"op_{number}"], **bounds)

    async def awaited() -> None:
        async with AsyncClient(SECRET, **world.client) as client:
            operations = client.get_project(PROJECT).operations
            for number in range(15):
                await path.aon(operations, [f"op_{number}"], **bounds)

    asyncio.run(awaited()) if path.awaited else sync()
    kept(world, 4)
    assert world.asked


@on_every_wait
def test_a_schedule_that_is_in_a_hurry(path: Path) -> None:
    world = World(is_running, max_rate=3)
    path.one("op_1", world.client, schedule=Fixed(0.001), max_wait=30)
    kept(world, 3)
    assert len(world.asked) >= 60


def test_all_kinds_of_calls_share_one_rate() -> None:
    world = World(is_finished, max_rate=2)
    with Client(SECRET, **world.client) as client:
        operations = client.get_project(PROJECT).operations
        for number in range(6):
            operations.get("op_1")
            operations.wait_until_done("op_1")
            list(operations.watch("op_1"))
            operations.wait_all([f"op_{n}" for n in range(number)])
            list(operations.as_completed(["op_1", "op_2"]))
    kept(world, 2)


def test_all_kinds_of_awaited_calls_share_one_rate() -> None:
    world = World(is_finished, max_rate=2)

    async def run() -> None:
        async with AsyncClient(SECRET, **world.client) as client:
            operations = client.get_project(PROJECT).operations

            async def iterate(iterator: Any) -> None:
                async for _ in iterator:
                    pass

            await asyncio.gather(
                operations.get("op_1"),
                operations.wait_until_done("op_2"),
                operations.wait_until_done("op_3", max_wait=2),
                iterate(operations.watch("op_4")),
                operations.wait_all([f"op_{n}" for n in range(8)]),
                iterate(operations.as_completed(["op_5", "op_6"])),
                return_exceptions=False,
            )

    asyncio.run(run())
    kept(world, 2)


def test_clients_do_not_share_a_rate() -> None:
    world = World(is_finished, max_rate=0.01)
    for _ in range(5):
        with Client(SECRET, **world.client) as client:
            client.get_project(PROJECT).operations.get("op_1")
    assert world.elapsed == 0


PACE = 40.0
"""Requests a second, in real time: what is checked is how long many of them take at least."""


def took_its_time(server: Server, rate: float) -> None:
    times = sorted(request.at for request in server.requests)
    assert times[-1] - times[0] >= (len(times) - 2) / rate - 0.1


def test_many_threads_over_one_client(serve: Serve) -> None:
    server = serve(finished)
    with Client(SECRET, endpoint=server.url, max_rate=PACE) as client:
        operations = client.get_project(PROJECT).operations
        calls: list[Callable[[int], Any]] = [
            lambda n: operations.get(f"op_{n}"),
            lambda n: operations.wait_until_done(f"op_{n}"),
            lambda n: list(operations.watch(f"op_{n}")),
            lambda n: operations.wait_all([f"op_{n}"]),
        ]
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda n: calls[n % 4](n), range(40)))
    assert len(server.requests) == 40
    took_its_time(server, PACE)


def test_many_threads_at_their_deadline(serve: Serve) -> None:
    server = serve(running)
    with Client(SECRET, endpoint=server.url, max_rate=PACE) as client:
        operations = client.get_project(PROJECT).operations

        def wait(number: int) -> None:
            operations.wait_until_done(f"op_{number}", max_wait=0.4)

        began = time.monotonic()
        with ThreadPoolExecutor(30) as pool:
            list(pool.map(wait, range(30)))
        assert time.monotonic() - began < 15
    took_its_time(server, PACE)


@on_fleets
def test_two_fleets_of_one_client(path: Path, serve: Serve) -> None:
    server = serve(finished)
    ids = [f"op_{n}" for n in range(15)]

    def sync() -> None:
        with Client(SECRET, endpoint=server.url, max_rate=PACE) as client:
            operations = client.get_project(PROJECT).operations
            threads = [threading.Thread(target=path.on, args=(operations, ids)) for _ in range(2)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    async def awaited() -> None:
        async with AsyncClient(SECRET, endpoint=server.url, max_rate=PACE) as client:
            operations = client.get_project(PROJECT).operations
            await asyncio.gather(path.aon(operations, ids), path.aon(operations, ids))

    within(lambda: asyncio.run(awaited()) if path.awaited else sync())
    assert len(server.requests) == 30
    took_its_time(server, PACE)


@on_fleets
def test_nobody_starves(path: Path) -> None:
    """Under a bound on requests all are polled alike."""
    world = World(is_running, max_rate=10)
    path.run([f"op_{n}" for n in range(50)], world.client, max_wait=30, schedule=Fixed(1))
    polls: dict[str, int] = {}
    for asked in world.asked:
        polls[asked.op_id] = polls.get(asked.op_id, 0) + 1
    assert len(polls) == 50
    assert max(polls.values()) - min(polls.values()) <= 2


@on_every_wait
def test_an_error_is_not_hidden_by_the_rate(path: Path) -> None:
    world = World(answers(404), max_rate=0.5)
    assert isinstance(path.one("op_1", world.client), NexusError)
