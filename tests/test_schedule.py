"""The adaptive schedule: what it gains from progress, and what false progress can cost."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nexus_operations import Adaptive, Fixed, History, Schedule
from nexus_operations._core.poller import JITTER, Poll, Poller
from nexus_operations._core.schedule import DELAY_AT_END, Change, predict_end
from nexus_operations.simulator import Life

from benchmarks.schedule import snapshot, unbounded, wait_as_we_do, workload
from tests.test_polling import RUNNING, operation

Progress = Callable[[float], tuple[int, int]]
"""What a poll finds at a share of the run: units done, and the total."""


def steady() -> float:
    """Leave delays as they are."""
    return 0.5


def wait(
    duration: float, progress: Progress, schedule: Schedule | None = None
) -> tuple[int, float]:
    """Wait for an operation whose progress is any function of time; return polls and lag."""
    poller, age = Poller(unbounded(schedule or Adaptive()), 0.0, random=steady), 0.0
    while isinstance(poller.step, Poll):
        age += poller.step.delay
        done, total = progress(age / duration)
        if age >= duration:
            poller.received(operation("Finished", Finished=max(total, 1)), age, age)
        else:
            poller.received(operation("Running", Finished=done, Running=total - done), age, age)
    return poller.polls, age - duration


def no_progress(_: float) -> tuple[int, int]:
    return 0, 100


FALSE_PROGRESS: dict[str, Progress] = {
    "backwards": lambda x: (int(100 * (0.9 - 0.8 * min(x, 1))), 100),
    "up and down": lambda x: (int(x * 1000) % 90, 100),
    "frozen at 99%": lambda x: (min(int(x * 400), 99), 100),
    "frozen from the first poll": lambda _: (99, 100),
    "all at the end": lambda _: (0, 100),
    "one, then all at the end": lambda x: (1 if x > 0.01 else 0, 100),
    "total growing": lambda x: (int(100 * x), 101 + int(500 * x)),
    "total changing": lambda x: (int(50 * x), 60 + int(x * 7919) % 40),
    "creeping to the end": lambda x: (int(10_000 * (1 - 0.5 ** (20 * x))), 10_000),
}


@pytest.mark.parametrize("progress", FALSE_PROGRESS.values(), ids=FALSE_PROGRESS)
def test_false_progress_costs_little(progress: Progress) -> None:
    durations = [2.0 * 1.06**n for n in range(150)]  # 2 s to 3.3 hours
    fooled = [wait(duration, progress) for duration in durations]
    plain = [wait(duration, no_progress) for duration in durations]
    assert statistics.fmean(p for p, _ in fooled) <= 1.3 * statistics.fmean(p for p, _ in plain)
    assert statistics.fmean(g for _, g in fooled) <= 1.3 * statistics.fmean(g for _, g in plain)


@given(
    st.floats(1, 36000),
    st.lists(st.tuples(st.integers(0, 100), st.integers(1, 100)), min_size=1, max_size=30),
)
def test_no_progress_at_all_costs_more_polls_than_the_budget(
    duration: float, found: list[tuple[int, int]]
) -> None:
    def progress(x: float) -> tuple[int, int]:
        done, total = found[min(int(x * len(found)), len(found) - 1)]
        return min(done, total), total

    polls, _ = wait(duration, progress)
    assert polls <= 1.3 * wait(duration, no_progress)[0] + 1


@pytest.mark.parametrize("shape", ["linear", "front", "back", "stall", "burst"])
def test_many_items_need_few_polls(shape: Any) -> None:
    works = [w for w in workload(1500, 5, 120.0, 1.8, [shape]) if w.life.items >= 100]
    results = [wait_as_we_do(work, Adaptive(), steady) for work in works]
    assert statistics.median(polls for polls, _ in results) <= 25
    assert statistics.fmean(lag for _, lag in results) < 4


def test_fewer_requests_and_less_lag_than_the_vendor() -> None:
    works = workload(2000, 99, 120.0, 1.8, ("linear", "front", "back", "stall", "burst"))
    ours = [wait_as_we_do(work, Adaptive(), steady) for work in works]
    vendor = [wait_as_we_do(work, Fixed(8), steady) for work in works]
    assert sum(p for p, _ in ours) <= 0.6 * sum(p for p, _ in vendor)
    assert sum(lag for _, lag in ours) <= 0.8 * sum(lag for _, lag in vendor)


@given(
    st.builds(
        Life,
        duration=st.floats(0, 36000),
        queued=st.floats(0, 3600),
        items=st.integers(1, 10**6),
        shape=st.sampled_from(["linear", "front", "back", "stall", "burst"]),
    ),
    st.floats(0.01, 10),
    st.floats(0.1, 1000),
    st.floats(0, 1),
)
def test_delays_are_within_bounds(life: Life, pace: float, maximum: float, luck: float) -> None:
    bounds = unbounded(Adaptive(pace, maximum))
    poller, age = Poller(bounds, 0.0, random=lambda: luck), 0.0
    for _ in range(60):
        poller.received(snapshot(life, age), age, age)
        if not isinstance(poller.step, Poll):
            return
        shortest = min(DELAY_AT_END * pace, maximum) * (1 - JITTER) - 1e-9
        assert max(shortest, 0.05) <= poller.step.delay <= maximum * (1 + JITTER) + 1e-9
        age += poller.step.delay


def test_the_jitter_is_small_and_keeps_a_fleet_out_of_step() -> None:
    delays: list[float] = []
    for luck in (0.0, 0.5, 1.0):
        poller = Poller(unbounded(Fixed(10)), 0.0, random=lambda luck=luck: luck)  # type: ignore[misc]
        poller.received(operation("Running"), 0.0, 0.0)
        assert isinstance(poller.step, Poll)
        delays.append(poller.step.delay)
    assert delays == [pytest.approx(9.5), 10, pytest.approx(10.5)]


def test_pace_scales_the_delays() -> None:
    history = History(0.0)
    history.add(100.0, 0, 1, queued=False)
    delay = Adaptive().next_delay(history)
    assert Adaptive(pace=0.5).next_delay(history) == pytest.approx(delay / 2)
    assert Adaptive(maximum=2.0).next_delay(history) == 2.0


def test_a_queued_operation_is_polled_less() -> None:
    queued, running = History(0.0), History(0.0)
    queued.add(100.0, 0, 1, queued=True)
    running.add(100.0, 0, 1, queued=False)
    assert Adaptive().next_delay(queued) > Adaptive().next_delay(running)


def test_an_old_operation_is_polled_by_its_age() -> None:
    young, old = (Poller(unbounded(Adaptive()), 0.0, random=steady) for _ in range(2))
    young.received(RUNNING, 0.0, 0.0)
    old.received(RUNNING, 0.0, 3600.0)
    assert isinstance(young.step, Poll)
    assert isinstance(old.step, Poll)
    assert old.step.delay > 20 * young.step.delay


class TestHistory:
    def test_what_it_keeps(self) -> None:
        history = History(5.0)
        history.add(5.0, 0, 10, queued=True)
        history.add(15.0, 2, 10, queued=False)
        history.add(25.0, 2, 10, queued=False)
        history.add(35.0, 6, 10, queued=False)
        assert history.started_age == 10.0
        assert history.previous == Change(5.0, 15.0, 2)
        assert history.last == Change(25.0, 35.0, 6)
        assert history.consistent
        assert (history.polls, history.done, history.total) == (4, 6, 10)

    @pytest.mark.parametrize(("done", "total"), [(1, 10), (3, 11), (3, 9)])
    def test_progress_that_lies(self, done: int, total: int) -> None:
        history = History(0.0)
        history.add(1.0, 2, 10, queued=False)
        history.add(2.0, done, total, queued=False)
        history.add(3.0, 5, 10, queued=False)
        assert not history.consistent

    def test_a_linear_run_is_predicted(self) -> None:
        history = History(0.0)
        for age in (10.0, 20.0, 40.0):
            history.add(age, int(age), 100, queued=False)
            assert history.last is not None
        assert predict_end(history, history.last) == (pytest.approx(100), pytest.approx(1))

    def test_two_estimates_that_disagree(self) -> None:
        history = History(0.0)
        history.add(10.0, 5, 100, queued=False)
        history.add(20.0, 45, 100, queued=False)
        assert history.last is not None
        end, agreement = predict_end(history, history.last)
        assert end == pytest.approx(20 + 55 / 4)
        assert 0 < agreement < 1


@pytest.mark.parametrize("value", [0, -1, float("nan"), "fast", True])
def test_bad_settings(value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="pace"):
        Adaptive(pace=value)
    with pytest.raises((TypeError, ValueError), match="maximum"):
        Adaptive(maximum=value)
