"""Ids and their sources: links, kinds of str, duplicates, generators that block or are bound."""

from __future__ import annotations

import asyncio
import enum
import queue
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import numpy as np
import pytest
from nexus_operations import AsyncClient, Client, Fixed, NotFoundError

from tests.conftest import PROJECT, SECRET
from tests.support.checks import each, ended, failed, within
from tests.support.paths import (
    Path,
    on_awaited_fleets,
    on_every_path,
    on_every_wait,
    on_fleets,
    on_sync_fleets,
)
from tests.support.server import Server, finished, running
from tests.support.worlds import World, answers, is_finished, is_running, script

Serve = Callable[..., Server]

UUID = "508fc5d1-e908-486d-9e7b-1dca99b80024"
LINKS = [
    f"users/api|{UUID}/projects/5aa41e8b/operations/nexus.annotations.export/{UUID}",
    f"/users/api|{UUID}/projects/5aa41e8b/operations/nexus.assets.upload/{UUID}",
    f"projects/proj_5aa41e8b/operations/annotations/{UUID}",
    f"operations/annotations/{UUID}",
]


@on_every_path
def test_the_operation_link(path: Path) -> None:
    def check(link: str) -> None:
        world = World(is_finished)
        result = path.run([link], world.client)[0]
        if path.method == "as_completed":  # outcomes go by the id, not by what was given
            result = path.run([f"op_{UUID}"], world.client)[0]
        ended(result, f"op_{UUID}")
        assert {asked.op_id for asked in world.asked} == {f"op_{UUID}"}

    each(LINKS, check)


@on_fleets
def test_a_link_and_its_id_are_one_operation(path: Path) -> None:
    world = World(is_finished)
    path.run([LINKS[0], f"op_{UUID}", LINKS[1]], world.client)
    assert len(world.asked) == 1


OTHERS = {
    "annotsess_5aa41e8b": "annotation",
    "model_5aa41e8b": "model",
    "run_5aa41e8b": "training",
}


@on_every_path
def test_ids_of_other_things(path: Path) -> None:
    """They are refused in words that name the thing, or asked for and not found."""

    def check(op_id: str) -> None:
        world = World(answers(404))
        try:
            result = path.one(op_id, world.client)
        except ValueError as error:
            assert op_id in str(error)  # noqa: PT017
            assert OTHERS[op_id] in str(error).lower()  # noqa: PT017
            assert not world.asked
        else:
            failed(result, NotFoundError)

    each(OTHERS, check)


class Member(str, enum.Enum):  # noqa: UP042
    """Ids as a program may have them."""

    FIRST = "op_first"


class Strict(enum.StrEnum):
    """Ids of the standard library's kind."""

    FIRST = "op_first"


class Shouting(str):
    """A kind of str that shows itself otherwise."""

    __slots__ = ()

    def __str__(self) -> str:
        return super().__str__().upper()

    def __repr__(self) -> str:
        return "loud"

    def __format__(self, spec: str) -> str:
        return "LOUD"


class Unequal(str):
    """A kind of str that equals nothing."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        return False


KINDS: dict[str, Any] = {
    "a member": Member.FIRST,
    "a member of a StrEnum": Strict.FIRST,
    "one that shows itself otherwise": Shouting("op_first"),
    "an array's": np.str_("op_first"),
    "one that equals nothing": Unequal("op_first"),
}


@on_every_path
def test_kinds_of_str(path: Path) -> None:
    def check(row: str) -> None:
        for wrap in (lambda op_id: [op_id], lambda op_id: iter([op_id])):
            world = World(is_finished)
            (result,) = path.run(wrap(KINDS[row]), world.client)
            if result is not None:
                ended(result, "op_first")
            assert [asked.op_id for asked in world.asked] == ["op_first"]

    each(KINDS, check)


@on_fleets
def test_the_ids_of_outcomes_are_plain(path: Path) -> None:
    if path.method != "as_completed":
        pytest.skip("no outcomes")
    world = World(is_finished)
    with Client(SECRET, **world.client) as client:
        operations = client.get_project(PROJECT).operations
        for op_id in KINDS.values():
            (outcome,) = operations.as_completed([op_id])
            assert type(outcome.op_id) is str
            assert outcome.op_id == "op_first"


@on_fleets
def test_duplicates(path: Path) -> None:
    world = World(is_finished)
    ids = ["op_1", "op_2", "op_1", "op_1", "op_2"]
    results = path.run(ids, world.client)
    assert [result.id for result in results] == ids
    assert len(world.asked) == 2


@on_fleets
def test_an_id_that_comes_again_after_it_has_ended(path: Path) -> None:
    world = World(is_finished)

    def ids() -> Iterator[str]:
        for _ in range(3):
            yield from ("op_1", "op_2")

    path.run(ids(), world.client, max_waiting=1)
    assert len(world.asked) <= 6
    assert {asked.op_id for asked in world.asked} == {"op_1", "op_2"}


@on_fleets
def test_a_bad_id_of_a_generator_costs_no_other(path: Path) -> None:
    """It is an outcome of its own, and not that of an id which reads the same."""
    bad: list[Any] = [7, "", None, b"8", "..", "op_\n"]

    def ids() -> Iterator[Any]:
        yield "7"
        yield from bad
        yield "b'8'"
        yield "None"

    world = World(script(is_running, is_finished))
    if path.method == "wait_all":
        results = path.run(ids(), world.client)
        assert len(results) == 9
        for result, op_id in ((results[0], "7"), (results[7], "b'8'"), (results[8], "None")):
            ended(result, op_id)
        assert all(isinstance(result, (TypeError, ValueError)) for result in results[1:7])
    else:
        good = [result for result in path.run(ids(), world.client) if hasattr(result, "id")]
        assert sorted(result.id for result in good) == ["7", "None", "b'8'"]
    assert {asked.op_id for asked in world.asked} == {"7", "b'8'", "None"}


@on_fleets
def test_order_is_that_of_the_ids(path: Path) -> None:
    """Whatever ends first."""
    ends = {f"op_{number}": 60 - 3 * number for number in range(20)}
    world = World(
        lambda asked: is_finished(asked) if asked.at >= ends[asked.op_id] else is_running(asked)
    )
    results = path.run(list(ends), world.client)
    assert [result.id for result in results] == list(ends)


@on_fleets
def test_a_source_is_not_read_further_than_it_must(path: Path) -> None:
    taken = 0
    open_now: list[int] = []

    def ids() -> Iterator[str]:
        nonlocal taken
        for number in range(300):
            done = sum(asked.nth == 2 for asked in world.asked)
            open_now.append(taken - done)
            taken += 1
            yield f"op_{number}"

    world = World(script(is_running, is_finished))
    path.run(ids(), world.client, max_waiting=10, schedule=Fixed(5))
    assert taken == 300
    assert max(open_now) <= 10 + 20


@on_sync_fleets
def test_a_queue_that_is_fed_meanwhile(path: Path, serve: Serve) -> None:
    """`get` blocks; polls go on, and what ended is handed on, while it does."""
    server = serve(lambda r: finished(r) if r.nth > 3 else running(r))
    ids: queue.Queue[str | None] = queue.Queue()
    ids.put("op_1")

    def feed() -> None:
        while sum(r.op_id == "op_1" for r in server.requests) < 4:
            threading.Event().wait(0.01)
        ids.put("op_2")
        ids.put(None)

    threading.Thread(target=feed, daemon=True).start()
    client = {"endpoint": server.url}
    bounds: dict[str, Any] = {"schedule": Fixed(0.05)}
    results = within(lambda: path.run(iter(ids.get, None), client, **bounds))
    assert sorted(result.id for result in results) == ["op_1", "op_2"]


@on_sync_fleets
def test_a_source_that_waits_for_an_outcome(path: Path, serve: Serve) -> None:
    """Each id depends on the end of the one before."""
    if path.method != "as_completed":
        pytest.skip("wait_all hands on no outcome before the end")
    server = serve(finished)
    ids: queue.Queue[str | None] = queue.Queue()
    ids.put("op_0")

    def use() -> list[str]:
        seen: list[str] = []
        with Client(SECRET, endpoint=server.url) as client:
            operations = client.get_project(PROJECT).operations
            for outcome in operations.as_completed(iter(ids.get, None)):
                seen.append(outcome.op_id)
                ids.put(f"op_{len(seen)}" if len(seen) < 5 else None)
        return seen

    assert within(use) == [f"op_{number}" for number in range(5)]


@on_fleets
def test_a_source_that_blocks_when_all_have_ended(path: Path) -> None:
    """Nothing is left to poll: the deadline ends the call all the same."""
    world = World(is_finished)
    blocked = threading.Event()

    def ids() -> Iterator[str]:
        yield "op_1"
        blocked.wait(60)

    async def awaited_ids() -> AsyncIterator[str]:
        yield "op_1"
        await asyncio.Event().wait()

    source = awaited_ids() if path.awaited else ids()
    try:
        results = within(lambda: path.run(source, world.client, max_wait=100))
    finally:
        blocked.set()
    assert [result.id for result in results] == ["op_1"]
    assert world.elapsed == pytest.approx(100)


@on_sync_fleets
@pytest.mark.parametrize("stop", ["event", "deadline", "close"])
def test_a_source_that_blocks_for_ever_holds_up_no_stop(
    path: Path, serve: Serve, stop: str
) -> None:
    server = serve(running)
    ids: queue.Queue[str] = queue.Queue()
    ids.put("op_1")
    event = threading.Event()
    bounds: dict[str, Any] = {"schedule": Fixed(0.05)}
    if stop == "event":
        bounds["abort_event"] = event
    if stop == "deadline":
        bounds["max_wait"] = 0.3

    def use() -> None:
        with Client(SECRET, endpoint=server.url) as client:

            def press() -> None:
                server.wait_for(3)
                if stop == "event":
                    event.set()
                if stop == "close":
                    client.close()

            threading.Thread(target=press, daemon=True).start()
            operations = client.get_project(PROJECT).operations
            try:
                path.on(operations, iter(ids.get, None), **bounds)
            except ValueError as error:
                assert stop == "close", error  # noqa: PT017

    within(use, 9)
    ids.put("op_last")


def cursor_of(path: Any) -> sqlite3.Cursor:
    connection = sqlite3.connect(path)
    connection.execute("create table if not exists jobs (id text)")
    connection.executemany("insert into jobs values (?)", [("op_1",), ("op_2",), ("op_3",)])
    return connection.execute("select distinct id from jobs order by id")


class Rows:
    """What hides a cursor, as libraries above a database do."""

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self._cursor = cursor

    def __iter__(self) -> Iterator[str]:
        for (op_id,) in self._cursor:
            yield op_id


CURSORS: dict[str, Callable[[sqlite3.Cursor], Any]] = {
    "a generator": lambda cursor: (op_id for (op_id,) in cursor),
    "map": lambda cursor: map(lambda row: row[0], cursor),  # noqa: C417
    "an object that hides it": Rows,
    "a generator over one that hides it": lambda cursor: (op_id for op_id in Rows(cursor)),
    "a closure": lambda cursor: iter(lambda: (cursor.fetchone() or [None])[0], None),
    "layers of iterators": lambda cursor: filter(None, map(str, map(lambda r: r[0], iter(cursor)))),  # noqa: C417
}


@on_fleets
def test_a_cursor_of_a_database(path: Path) -> None:
    """SQLite's work in the thread alone that made them."""

    def check(row: str) -> None:
        def use() -> list[Any]:
            cursor = cursor_of(":memory:")
            try:
                return path.run(CURSORS[row](cursor), World(is_finished).client)
            finally:
                cursor.connection.close()

        results = within(use)
        assert sorted(result.id for result in results) == ["op_1", "op_2", "op_3"]

    each(CURSORS, check)


BOUND = threading.local()


@on_fleets
def test_a_source_bound_to_the_callers_thread(path: Path) -> None:
    """As a session or a connection that is kept for each thread."""

    def ids() -> Iterator[str]:
        yield from BOUND.ids

    def use() -> list[Any]:
        BOUND.ids = ["op_1", "op_2"]
        return path.run(ids(), World(is_finished).client)

    assert sorted(result.id for result in within(use)) == ["op_1", "op_2"]


@on_fleets
def test_a_source_that_makes_its_connection_itself(path: Path) -> None:
    """Made and used in one thread, whichever that is."""

    def ids() -> Iterator[str]:
        cursor = cursor_of(":memory:")
        try:
            for (op_id,) in cursor:
                yield op_id
        finally:
            cursor.close()
            cursor.connection.close()

    results = within(lambda: path.run(ids(), World(is_finished).client))
    assert sorted(result.id for result in results) == ["op_1", "op_2", "op_3"]


@on_awaited_fleets
def test_a_source_of_ids_uses_the_client_itself(path: Path, serve: Serve) -> None:
    """An awaited source may ask the same client."""
    import asyncio

    server = serve(finished)

    async def use() -> list[Any]:
        async with AsyncClient(SECRET, endpoint=server.url, max_concurrency=1) as client:
            operations = client.get_project(PROJECT).operations

            async def ids() -> Any:
                for number in range(3):
                    await operations.get(f"op_first_{number}")
                    yield f"op_{number}"

            return await path.aon(operations, ids())

    results = within(lambda: asyncio.run(use()))
    assert sorted(result.id for result in results) == ["op_0", "op_1", "op_2"]


@on_every_wait
def test_the_same_call_twice(path: Path) -> None:
    """Nothing of a call is kept for the next."""
    world = World(script(is_running, is_finished))
    for _ in range(2):
        ended(path.one("op_1", world.client), "op_1")
    assert len(world.asked) == 3
