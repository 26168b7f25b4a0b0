"""Waits that learn: what a client's later waits make of its earlier ones, in virtual time."""

from __future__ import annotations

import asyncio
import math
import statistics
from typing import Any

import msgspec
import pytest
from nexus_operations import (
    Adaptive,
    AsyncClient,
    Client,
    Durations,
    Fixed,
    History,
    OperationFailedError,
    Update,
)
from nexus_operations._core.memory import Memory
from nexus_operations._core.poller import Bounds, Poller
from nexus_operations.simulator import Life

from tests.conftest import PROJECT, SECRET, Driver
from tests.test_polling import FINISHED, RUNNING

NIGHTLY = Life(duration=400.0)


def learnt(nexus: Driver, **options: Any) -> list[int]:
    """Wait for alike operations in sequence, with one client; return the requests of each."""
    nexus.options.update(options)
    requests: list[int] = []

    def count() -> None:
        requests.append(nexus.service.request_count - sum(requests))

    if nexus.kind == "sync":
        with Client(SECRET, **nexus.options) as client:
            operations = client.get_project(PROJECT).operations
            for _ in range(12):
                operations.wait_until_done(nexus.service.start(NIGHTLY))
                count()
        return requests

    async def run() -> None:
        async with AsyncClient(SECRET, **nexus.options) as client:
            operations = client.get_project(PROJECT).operations
            for _ in range(12):
                await operations.wait_until_done(nexus.service.start(NIGHTLY))
                count()

    asyncio.run(run())
    return requests


def test_later_waits_profit(nexus: Driver) -> None:
    requests = learnt(nexus)
    assert statistics.fmean(requests[4:]) < 0.6 * requests[0]


def test_none_turns_it_off(nexus: Driver) -> None:
    requests = learnt(nexus, durations=None)
    assert statistics.fmean(requests[4:]) > 0.9 * requests[0]


def test_clients_may_share_one(nexus: Driver) -> None:
    durations = Durations()
    learnt(nexus, durations=durations)
    assert len(durations) == 1
    nexus.options["durations"] = durations
    before = nexus.service.request_count
    nexus.wait(nexus.service.start(NIGHTLY))
    first = learnt(Driver(nexus.kind))[0]
    assert nexus.service.request_count - before < 0.6 * first


def test_projects_and_endpoints_are_apart(nexus: Driver) -> None:
    durations = Durations()
    op_id = nexus.service.start(NIGHTLY)
    kind = nexus.get(op_id).kind
    nexus.options["durations"] = durations
    nexus.wait(op_id)
    assert durations.expect(("https://api.datature.io", PROJECT, kind)) is not None
    assert durations.expect(("https://api.datature.io", "proj_other", kind)) is None
    assert durations.expect(("https://elsewhere.test", PROJECT, kind)) is None


@pytest.mark.parametrize("outcome", ["Finished", "Errored", "Cancelled"])
def test_every_end_is_remembered_as_the_service_dates_it(nexus: Driver, outcome: Any) -> None:
    durations = Durations()
    nexus.options["durations"] = durations
    op_id = nexus.service.start(Life(duration=400.0, outcome=outcome))
    if outcome == "Errored":
        with pytest.raises(OperationFailedError):
            nexus.wait(op_id)
    else:
        nexus.wait(op_id)
    operation = nexus.get(op_id)
    expectation = durations.expect(("https://api.datature.io", PROJECT, operation.kind))
    assert expectation is not None
    # Seen up to some 10 s late, remembered to the second.
    assert expectation.modes[0].mean == pytest.approx(math.log(400.5), abs=0.005)


def test_what_had_ended_before_the_wait_is_not_counted_again(nexus: Driver) -> None:
    durations = Durations()
    nexus.options["durations"] = durations
    op_id = nexus.service.start(Life(duration=10.0, age=100.0))
    nexus.wait(op_id)
    nexus.get(op_id)
    assert len(durations) == 0


def test_a_wait_that_is_given_up_teaches_nothing(nexus: Driver) -> None:
    durations = Durations()
    nexus.options["durations"] = durations
    assert nexus.wait(nexus.service.start(NIGHTLY), max_wait=100) is None
    assert len(durations) == 0


def test_dates_that_cannot_be_are_bounded_by_what_was_seen() -> None:
    durations = Durations()
    poller = Poller(Bounds(schedule=Fixed(8)), 0.0, memory=Memory(durations, "place"))
    for now in (0.0, 8.0):
        poller.received(RUNNING, now, now)
    strange = msgspec.structs.replace(FINISHED, update_date=FINISHED.create_date + 10**9)
    poller.received(strange, 16.0, 16.0)
    expectation = durations.expect(("place", RUNNING.kind))
    assert expectation is not None
    assert expectation.modes[0].mean == pytest.approx(math.log(16.5), abs=1e-4)


class TestFleet:
    def test_siblings_learn_of_each_other(self, nexus: Driver) -> None:
        ids = [nexus.service.start(NIGHTLY) for _ in range(25)]
        nexus.call("wait_all", ids, raise_exception_if=None)
        learning = nexus.service.request_count
        plain = Driver(nexus.kind)
        plain.options["durations"] = None
        ids = [plain.service.start(NIGHTLY) for _ in range(25)]
        plain.call("wait_all", ids, raise_exception_if=None)
        assert learning < 0.85 * plain.service.request_count

    def test_it_leaves_what_it_learnt(self, nexus: Driver) -> None:
        durations = Durations()
        nexus.options["durations"] = durations
        ids = [nexus.service.start(NIGHTLY) for _ in range(20)]
        kind = nexus.get(ids[0]).kind
        nexus.call("wait_all", ids, raise_exception_if=None)
        expectation = durations.expect(("https://api.datature.io", PROJECT, kind))
        assert expectation is not None
        assert expectation.modes[0].weight > 0.9

    def test_single_waits_side_by_side_are_siblings(self) -> None:
        nexus, durations = Driver("async"), Durations()
        lives = [Life(duration=400.0 * math.exp(0.3 * (n - 10) / 10)) for n in range(21)]
        ids = [nexus.service.start(life) for life in lives]

        async def run() -> None:
            async with AsyncClient(SECRET, durations=durations, **nexus.options) as client:
                wait = client.get_project(PROJECT).operations.wait_until_done
                await asyncio.gather(*map(wait, ids))

        kind = nexus.get(ids[0]).kind
        asyncio.run(run())
        expectation = durations.expect(("https://api.datature.io", PROJECT, kind))
        assert expectation is not None
        # The longest end last; they do not count more for that.
        assert expectation.modes[0].mean == pytest.approx(math.log(400.5), abs=0.02)

    def test_one_that_is_given_up_does_not_hold_back_the_others(self, nexus: Driver) -> None:
        durations = Durations()
        nexus.options["durations"] = durations
        ids = [nexus.service.start(life) for life in (NIGHTLY, Life(outcome="Running"))]
        nexus.call("wait_all", ids, raise_exception_if=None, max_wait=1000)
        assert len(durations) == 1


class TestEstimates:
    def test_a_remembered_kind_is_predicted(self, nexus: Driver) -> None:
        nexus.options["durations"] = Durations()
        for _ in range(10):
            nexus.wait(nexus.service.start(NIGHTLY))
        updates: list[Update] = []
        nexus.wait(nexus.service.start(NIGHTLY), progress=updates.append)
        assert updates[0].remaining == pytest.approx(400, rel=0.1)
        assert updates[0].remaining_range is not None
        low, high = updates[0].remaining_range
        assert 300 < low < 400 < high < 520
        assert updates[-1].remaining is None
        assert updates[-1].remaining_range is None

    def test_few_counts_predict_a_wide_range(self) -> None:
        history = History(0.0)
        history.add(0.0, 0, 10_000, queued=False)
        history.add(8.0, 10, 10_000, queued=False)
        assert history.estimate is not None
        assert history.estimate.high > 20 * history.estimate.low

    def test_the_surer_of_counts_and_memory_is_believed(self) -> None:
        durations = Durations()
        for _ in range(20):
            durations.record(("kind",), 500.0, 0.0)
        history = History(0.0)
        history.expected = durations.expect(("kind",))
        history.add(0.0, 0, 100, queued=False)
        history.add(50.0, 1, 100, queued=False)
        assert history.remaining == pytest.approx(450, rel=0.05)
        history.expected = None
        assert history.remaining == pytest.approx(4950)

    def test_a_schedule_of_ones_own_sees_it(self, nexus: Driver) -> None:
        seen: list[float | None] = []

        class Own:
            def next_delay(self, history: History) -> float:
                known = history.expected
                seen.append(None if known is None else known.remaining(history.age).median)
                return Adaptive().next_delay(history)

        nexus.options["durations"] = Durations()
        for _ in range(3):
            nexus.wait(nexus.service.start(NIGHTLY), schedule=Own())
        assert seen[0] is None
        assert seen[-1] is not None


@pytest.mark.parametrize("value", [True, "memory", 5, {}])
def test_a_bad_memory_is_named(value: Any) -> None:
    with pytest.raises(TypeError, match="durations must be Durations or None"):
        Client(SECRET, durations=value)
