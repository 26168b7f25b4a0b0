"""Ids from iterables that block, belong to a thread, fail, or never end."""

from __future__ import annotations

import itertools
import queue
import sqlite3
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from nexus_operations import Client, Update
from nexus_operations._intake import reads_in_this_thread_only
from nexus_operations.simulator import Life
from nexus_operations.testing import VirtualClock, VirtualTransport

from tests.conftest import PROJECT, SECRET


class World:
    """Operations of a sync client in virtual time, each of which ends after a second."""

    def __init__(self) -> None:
        clock = VirtualClock()
        self.service = clock.service()
        transport = VirtualTransport(self.service, clock)
        client = Client(SECRET, transport=transport, clock=clock)
        self.operations = client.get_project(PROJECT).operations

    def start(self, count: int) -> list[str]:
        return [self.service.start(Life(duration=1)) for _ in range(count)]


@pytest.fixture
def world() -> World:
    return World()


def statuses(results: list[Any]) -> set[str]:
    return {result.status.overview for result in results}


class TestAQueue:
    def test_is_fed_by_the_outcomes(self, world: World) -> None:
        ids = world.start(5)
        source: queue.Queue[str | None] = queue.Queue()
        source.put(ids[0])
        seen = []
        for number, outcome in enumerate(world.operations.as_completed(iter(source.get, None)), 1):
            seen.append(outcome.op_id)
            source.put(ids[number] if number < len(ids) else None)
        assert seen == ids

    def test_that_stays_empty_does_not_hold_up_a_stop(self, world: World) -> None:
        source: queue.Queue[str] = queue.Queue()
        stop = threading.Event()
        (op_id,) = world.start(1)

        def ids() -> Iterator[str]:
            yield op_id
            stop.set()
            yield source.get()

        assert len(world.operations.wait_all(ids(), abort_event=stop)) <= 1
        source.put("op_unused")  # lets the thread that reads end


def database(ids: list[str]) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.execute("create table operations (id text)")
    connection.executemany("insert into operations values (?)", [(op_id,) for op_id in ids])
    return connection


class TestADatabase:
    """SQLite's objects refuse to be used in another thread than their own."""

    @pytest.mark.parametrize("shape", ["expression", "map", "function", "chain", "object"])
    def test_is_read_in_its_own_thread(self, world: World, shape: str) -> None:
        ids = world.start(40)
        rows = database(ids).execute("select id from operations")

        def function() -> Iterator[str]:
            for row in rows:
                yield row[0]

        class Reader:
            def __init__(self) -> None:
                self.rows = rows

            def __iter__(self) -> Reader:
                return self

            def __next__(self) -> str:
                return str(next(self.rows)[0])

        shapes: dict[str, Any] = {
            "expression": lambda: (row[0] for row in rows),
            "map": lambda: map(lambda row: row[0], rows),  # noqa: C417
            "function": function,
            "chain": lambda: itertools.chain(row[0] for row in rows),
            "object": Reader,
        }
        results = world.operations.wait_all(shapes[shape](), max_waiting=7)
        assert [result.id for result in results if result] == ids
        assert statuses(results) == {"Finished"}

    def test_so_is_what_each_thread_has_for_itself(self, world: World) -> None:
        mine = threading.local()
        mine.ids = world.start(3)
        results = world.operations.wait_all(op_id for op_id in [mine] for op_id in op_id.ids)
        assert [result.id for result in results if result] == mine.ids

    def test_outcomes_come_while_it_is_read(self, world: World) -> None:
        ids = world.start(10)
        rows = (row[0] for row in database(ids).execute("select id from operations"))
        found = [outcome.op_id for outcome in world.operations.as_completed(rows, max_waiting=2)]
        assert sorted(found) == sorted(ids)

    def test_other_iterables_are_read_apart(self) -> None:
        assert not reads_in_this_thread_only(iter(["op_1"]))
        assert not reads_in_this_thread_only(op_id for op_id in ["op_1"])
        assert not reads_in_this_thread_only(iter(queue.Queue().get, None))


def test_what_a_source_raises_ends_the_call(world: World) -> None:
    def ids() -> Iterator[str]:
        yield from world.start(2)
        raise LookupError("the list is gone")

    with pytest.raises(LookupError, match="the list is gone"):
        world.operations.wait_all(ids())


def test_a_source_is_read_no_further_than_there_is_room(world: World) -> None:
    ids = world.start(60)
    taken, ended, ahead = 0, 0, []

    def source() -> Iterator[str]:
        nonlocal taken
        for op_id in ids:
            taken += 1
            ahead.append(taken - ended)
            yield op_id

    def count(update: Update) -> None:
        nonlocal ended
        ended += update.next_poll is None

    results = world.operations.wait_all(source(), max_waiting=5, progress=count)
    assert len(results) == 60
    assert max(ahead) <= 5
