"""Resuming: an interrupted call's states continue in another process; what it did counts on."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from nexus_operations import AsyncClient, Client, Fixed, NetworkConnectionError
from nexus_operations.testing import EPOCH
from nexus_operations.wire import WaitState

from tests.conftest import PROJECT, SECRET
from tests.support.checks import each, ended, failed
from tests.support.children import Child
from tests.support.paths import (
    Path,
    on_every_wait,
    on_fleets,
    on_sync_fleets,
)
from tests.support.server import Server, finished, running
from tests.support.worlds import START, World, is_finished, is_refused, is_running, script

Serve = Callable[..., Server]


def state(age: float = 0.0, **more: Any) -> WaitState:
    """Return the state of a wait that began so many seconds before a world does."""
    return WaitState(**{"op_id": "op_1", "started_at": EPOCH + START - age, **more})


def again(given: WaitState) -> WaitState:
    """Return a state as another process has it."""
    return WaitState.from_json(json.loads(json.dumps(given.to_json())))


@on_every_wait
def test_a_state_stands_for_its_id(path: Path) -> None:
    for wrap in ((lambda s: [s]), (lambda s: iter([s]))):
        world = World(script(is_running, is_finished))
        results = path.run(wrap(again(state())), world.client)
        if path.method != "as_completed":
            ended(results[0], "op_1")
        assert [asked.op_id for asked in world.asked] == ["op_1", "op_1"]


@on_every_wait
def test_the_time_that_has_passed_counts(path: Path) -> None:
    world = World(is_running)
    path.run([again(state(age=70))], world.client, max_wait=100, schedule=Fixed(20))
    assert world.elapsed == pytest.approx(30, abs=0.1)


@on_every_wait
def test_a_deadline_that_has_passed_meanwhile(path: Path) -> None:
    """One last poll is made: the operation may have ended long ago."""
    for age in (100.0, 104.0, 5000.0, 1e7):
        world = World(is_finished)
        path.run([again(state(age=age))], world.client, max_wait=100)
        assert len(world.asked) == 1
        assert world.elapsed <= 5.1


@on_every_wait
def test_the_polls_that_were_made_count(path: Path) -> None:
    world = World(is_running)
    path.run([again(state(polls=7))], world.client, timeout=10, schedule=Fixed(1))
    assert len(world.asked) == 3


@on_every_wait
@pytest.mark.parametrize("polls", [10, 11, 10**6])
def test_no_polls_are_left(path: Path, polls: int) -> None:
    """At most one is made, to tell how it stands."""
    world = World(is_running)
    path.run([again(state(polls=polls))], world.client, timeout=10)
    assert len(world.asked) <= 1


@on_every_wait
def test_an_endpoint_that_was_reached_before_is_given_its_time(path: Path) -> None:
    world = World(lambda a: is_refused(a) if a.at < 600 else is_finished(a))
    path.run([again(state(reached=True))], world.client)
    assert world.elapsed >= 600


@on_every_wait
def test_one_that_was_not_is_given_a_minute(path: Path) -> None:
    world = World(is_refused)
    results = path.run([again(state(reached=False))], world.client)
    if path.method != "as_completed":
        failed(results[0], NetworkConnectionError)
    assert world.elapsed <= 75


@on_every_wait
def test_a_state_of_the_future_is_one_of_now(path: Path) -> None:
    """Two machines' clocks differ."""
    world = World(is_running)
    path.run([again(state(age=-500))], world.client, max_wait=100, schedule=Fixed(20))
    assert world.elapsed == pytest.approx(100, abs=0.1)


def interrupted(error: BaseException) -> Any:
    found = error
    while not hasattr(found, "interruption"):
        cause = found.__cause__ or found.__context__
        assert cause is not None, "nothing in the chain tells how far it came"
        found = cause
    return found.interruption


@on_fleets
def test_what_an_interrupted_call_gives(path: Path) -> None:
    """States for every id that had not ended, with what each had done."""
    if not path.awaited:
        pytest.skip("Ctrl-C: see the child process below")
    ids = [f"op_{number}" for number in range(12)]
    table = {"op_0": is_finished}
    world = World(lambda a: table.get(a.op_id, is_running)(a))

    async def use() -> BaseException:
        async with AsyncClient(SECRET, **world.client) as client:
            operations = client.get_project(PROJECT).operations
            bounds: dict[str, Any] = {"max_waiting": 4, "schedule": Fixed(5), "max_wait": None}
            call = asyncio.ensure_future(path.coroutine(operations, ids, **bounds))
            while sum(asked.op_id == "op_1" for asked in world.asked) < 3:
                await asyncio.sleep(0)
            call.cancel()
            try:
                await call
            except asyncio.CancelledError as error:
                return error
        raise AssertionError("nothing was raised")

    told = interrupted(asyncio.run(use()))
    states = {given.op_id: again(given) for given in told.states}
    assert sorted(states) == sorted(ids[1:])
    polls = {op_id: sum(a.op_id == op_id for a in world.asked) for op_id in ids}
    for op_id in ("op_1", "op_2", "op_3", "op_4"):
        assert states[op_id].polls in (polls[op_id], polls[op_id] - 1)  # one may be in flight
        assert states[op_id].reached
    assert all(states[op_id].polls == 0 for op_id in ids[5:])
    for given in states.values():
        assert given.started_at <= EPOCH + START + world.elapsed


INTERRUPTED = """
    import nexus_operations as nexus
    url, method = sys.argv[1:]
    client = nexus.Client(SECRET, endpoint=url)
    waits = client.get_project(PROJECT).operations
    ids = [f"op_{n}" for n in range(6)]
    try:
        if method == "wait_all":
            waits.wait_all(ids, max_waiting=3, schedule=nexus.Fixed(0.05))
        else:
            for _ in waits.as_completed(ids, max_waiting=3, schedule=nexus.Fixed(0.05)):
                pass
    except KeyboardInterrupt as error:
        tell(states=[state.to_json() for state in error.interruption.states])
"""

RESUMED = """
    import nexus_operations as nexus
    from nexus_operations.wire import WaitState
    url, method, states = sys.argv[1:]
    states = [WaitState.from_json(state) for state in json.loads(states)]
    waits = nexus.Client(SECRET, endpoint=url).get_project(PROJECT).operations
    if method == "wait_all":
        results = waits.wait_all(states)
    else:
        results = [outcome.result() for outcome in waits.as_completed(states)]
    tell(ended=sorted(operation.id for operation in results))
"""


@on_sync_fleets
def test_ctrl_c_then_another_process(path: Path, serve: Serve) -> None:
    server = serve(lambda r: finished(r) if r.op_id == "op_0" else running(r))
    with Child(INTERRUPTED, server.url, path.method) as child:
        server.wait_for(12, 60)
        child.interrupt()
        states = child.told()["states"]
    assert sorted(state["op_id"] for state in states) == [f"op_{n}" for n in range(1, 6)]
    assert any(state["polls"] > 1 for state in states)
    assert SECRET not in json.dumps(states)
    later = serve(finished)
    with Child(RESUMED, later.url, path.method, json.dumps(states)) as child:
        assert child.told()["ended"] == [f"op_{n}" for n in range(1, 6)]


NO_STATES: list[Any] = [
    None,
    5,
    "op_1",
    [],
    {},
    {"op_id": "op_1"},
    {"op_id": "", "started_at": 1.0},
    {"op_id": 5, "started_at": 1.0},
    {"op_id": "..", "started_at": 1.0},
    {"op_id": "op_1", "started_at": "yesterday"},
    {"op_id": "op_1", "started_at": float("nan")},
    {"op_id": "op_1", "started_at": float("inf")},
    {"op_id": "op_1", "started_at": True},
    {"op_id": "op_1", "started_at": None},
    {"op_id": "op_1", "started_at": 1.0, "polls": -1},
    {"op_id": "op_1", "started_at": 1.0, "polls": 1.5},
    {"op_id": "op_1", "started_at": 1.0, "polls": True},
    {"op_id": "op_1", "started_at": 1.0, "polls": "7"},
    {"op_id": "op_1", "started_at": 1.0, "reached": "yes"},
    {"op_id": "op_1", "started_at": 1.0, "reached": 1},
]


def test_what_is_no_state() -> None:
    def check(index: int) -> None:
        with pytest.raises((TypeError, ValueError), match="state"):
            WaitState.from_json(NO_STATES[index])

    each(range(len(NO_STATES)), check)


def test_a_state_with_more_in_it_is_read() -> None:
    """A later version may write more."""
    read = WaitState.from_json({**state(polls=3).to_json(), "later": {"a": 1}})
    assert read == state(polls=3)


@pytest.mark.parametrize(
    "wrong",
    [
        {"op_id": ""},
        {"op_id": "op_\n"},
        {"op_id": 5},
        {"started_at": float("nan")},
        {"started_at": -1.0},
        {"polls": -1},
        {"polls": True},
        {"reached": 1},
    ],
    ids=repr,
)
def test_a_state_made_by_hand_is_checked(wrong: dict[str, Any]) -> None:
    """As any argument, before a request."""
    (name,) = wrong
    with pytest.raises((TypeError, ValueError), match=rf"state\.{name}"):
        replace(state(), **wrong)


@on_fleets
def test_states_and_ids_together(path: Path) -> None:
    world = World(script(is_running, is_finished))
    given = [again(state(polls=5)), "op_2", replace(state(), op_id="op_3"), "op_1"]
    path.run(given, world.client, timeout=10)
    assert sorted({asked.op_id for asked in world.asked}) == ["op_1", "op_2", "op_3"]
    assert len(world.asked) == 6


def test_threads_share_no_state() -> None:
    world = World(is_finished)
    with Client(SECRET, **world.client) as client:
        operations = client.get_project(PROJECT).operations
        given = state(polls=2)
        threads = [
            threading.Thread(target=operations.wait_until_done, args=(given,)) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
    assert given == state(polls=2)
    assert len(world.asked) == 4
