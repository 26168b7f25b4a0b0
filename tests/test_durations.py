"""The memory of durations: what it learns, what it costs, and what a wrong one can cost."""

from __future__ import annotations

import math
import random
import statistics
import time
import tracemalloc
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nexus_operations import Adaptive, Durations, Expectation, History
from nexus_operations._core.hazard import (
    AGE_OFFSET,
    BASE_HAZARD,
    Mode,
    base_polls,
    log_age,
)
from nexus_operations._core.kinds import Kind
from nexus_operations._core.memory import Memory

from benchmarks.kinds import DAY, Cost, Distribution, fleet, kinds_of, limit, sequence, wait

KEY = ("https://api.example.test", "proj_a", "nexus.annotations.export")
TODAY = DAY / 86400


def remembering(durations: Sequence[float]) -> Durations:
    """Return a memory of one kind."""
    memory = Durations()
    for seconds in durations:
        memory.record(KEY, seconds, DAY)
    return memory


def log_normal(count: int, median: float, sigma: float, seed: int = 1) -> list[float]:
    luck = random.Random(seed)
    return [median * math.exp(sigma * luck.gauss(0, 1)) for _ in range(count)]


def expected(memory: Durations) -> Expectation:
    expectation = memory.expect(KEY)
    assert expectation is not None
    return expectation


class TestWhatItLearns:
    def test_nothing_is_known_at_first(self) -> None:
        assert Durations().expect(KEY) is None

    @pytest.mark.parametrize("sigma", [0.1, 0.3, 0.8])
    def test_median_and_spread(self, sigma: float) -> None:
        memory = remembering(log_normal(2000, 300.0, sigma))
        mode = max(expected(memory).modes)
        assert math.exp(mode.mean) == pytest.approx(300, rel=3.5 * sigma / math.sqrt(40))
        assert mode.deviation == pytest.approx(sigma, rel=0.35)
        assert mode.weight > 0.9

    def test_the_first_duration_says_something_already(self) -> None:
        once, often = remembering([100.0]), remembering([100.0] * 20)
        assert max(expected(once).modes).weight < 0.8 < max(expected(often).modes).weight
        assert max(expected(once).modes).deviation > max(expected(often).modes).deviation

    def test_two_sorts_are_told_apart(self) -> None:
        short, long = log_normal(30, 60.0, 0.2), log_normal(30, 1800.0, 0.2, seed=2)
        memory = remembering([x for pair in zip(short, long, strict=True) for x in pair])
        medians = sorted(math.exp(mode.mean) for mode in expected(memory).modes)
        assert medians == [pytest.approx(60, rel=0.15), pytest.approx(1800, rel=0.15)]
        assert all(mode.weight > 0.3 for mode in expected(memory).modes)

    def test_a_kind_that_changes_is_known_anew_within_ten(self) -> None:
        memory = remembering(log_normal(40, 60.0, 0.2) + log_normal(10, 600.0, 0.2))
        mode = max(expected(memory).modes)
        assert math.exp(mode.mean) == pytest.approx(600, rel=0.25)
        assert mode.weight > 0.85

    def test_a_wide_curve_says_little(self) -> None:
        assert max(expected(remembering(log_normal(60, 100.0, 0.3))).modes).weight > 0.95
        wide = expected(remembering(log_normal(60, 100.0, 1.8)))
        assert wide.weight < 0.5

    def test_one_outlier_changes_little(self) -> None:
        memory = remembering([*log_normal(30, 60.0, 0.2), 6000.0])
        mode = max(expected(memory).modes)
        assert math.exp(mode.mean) == pytest.approx(60, rel=0.15)
        assert 0.5 < mode.weight < 0.8

    def test_kinds_projects_and_endpoints_are_apart(self) -> None:
        memory = remembering([100.0])
        for place in range(3):
            other = list(KEY)
            other[place] += "x"
            assert memory.expect(tuple(other)) is None
        assert memory.expect(("".join(KEY[:2]), KEY[2])) is None

    def test_what_was_seen_fades(self) -> None:
        kind = Kind()
        for _ in range(20):
            kind.add(100.0, TODAY)
        before = kind.modes()[0].weight
        kind.age_to(TODAY + 30)
        assert kind.first.seen == pytest.approx(10)
        kind.age_to(TODAY + 300)
        assert kind.modes()[0].weight < 0.1 < before
        kind.age_to(TODAY)
        assert kind.day == TODAY + 300

    def test_a_faded_kind_is_relearnt(self) -> None:
        kind = Kind()
        for _ in range(20):
            kind.add(100.0, TODAY)
        for _ in range(5):
            kind.add(110.0, TODAY + 3000)
        assert math.exp(kind.modes()[0].mean) - AGE_OFFSET == pytest.approx(110, rel=0.02)

    @pytest.mark.parametrize("seconds", [-1.0, math.nan, math.inf, 1e12])
    def test_what_is_no_duration_is_not_taken(self, seconds: float) -> None:
        memory = Durations()
        memory.record(KEY, seconds, DAY)
        assert len(memory) == 0

    @pytest.mark.parametrize("at", [1.75e12, 1.75e15, 1.75e18, 1e300, math.inf])
    def test_a_day_that_cannot_be_true_is_not_taken(self, at: float) -> None:
        memory = remembering([100.0] * 9)
        before = memory.to_dict()
        memory.record(KEY, 10.0, at)
        assert memory.to_dict() == before

    @pytest.mark.parametrize("most", [0, -1, 2.5, True, None])
    def test_a_bad_bound_is_named(self, most: Any) -> None:
        with pytest.raises((TypeError, ValueError), match="most_kinds"):
            Durations(most)


class TestMerging:
    def test_two_halves_make_a_whole(self) -> None:
        durations = log_normal(20, 100.0, 0.3)
        whole, half = remembering(durations), remembering(durations[:10])
        half.merge(remembering(durations[10:]))
        a, b = expected(whole).modes[0], expected(half).modes[0]
        assert b.mean == pytest.approx(a.mean, abs=1e-5)
        assert b.deviation == pytest.approx(a.deviation, rel=1e-4)
        assert b.weight == pytest.approx(a.weight, rel=0.02)

    def test_a_new_kind_is_taken_over(self) -> None:
        memory = Durations()
        memory.merge(remembering([10.0]))
        assert expected(memory).modes == expected(remembering([10.0])).modes

    def test_other_durations_are_another_sort(self) -> None:
        memory = remembering([10.0] * 20)
        memory.merge(remembering([1000.0] * 2))
        medians = sorted(math.exp(mode.mean) for mode in expected(memory).modes)
        assert medians == [pytest.approx(10.5), pytest.approx(1000.5)]

    def test_both_sorts_of_another_are_kept(self) -> None:
        memory = remembering([20.0] * 9)
        memory.merge(remembering([100.0, 1000.0] * 20))
        modes = expected(memory).modes
        assert sorted(math.exp(mode.mean) for mode in modes) == [
            pytest.approx(100.5),
            pytest.approx(1000.5),
        ]
        assert min(mode.weight for mode in modes) > 0.3

    def test_the_later_is_adopted(self) -> None:
        old, new = Durations(), Durations()
        old.record(KEY, 10.0, DAY)
        new.record(KEY, 99.0, DAY + 86400)
        old.adopt(new)
        assert expected(old).modes == expected(new).modes
        late = remembering([])
        late.record(KEY, 5.0, DAY + 9 * 86400)
        before = expected(late).modes
        late.adopt(new)
        assert expected(late).modes == before


class TestPlainValues:
    def test_come_back(self) -> None:
        memory = remembering(log_normal(30, 60.0, 0.2) + log_normal(30, 900.0, 0.1))
        back = Durations.from_dict(memory.to_dict())
        ages = [0.0, 30.0, 60.0, 300.0, 900.0, 5000.0]
        delays = [expected(memory).delay(age) for age in ages]
        assert [expected(back).delay(age) for age in ages] == pytest.approx(delays, rel=0.02)

    def test_tell_no_names(self) -> None:
        assert "proj_a" not in str(remembering([1.0]).to_dict())

    @pytest.mark.parametrize(
        "kinds",
        [
            {"x": [0.0] * 9},
            {"1f": [0.0] * 8},
            {"1f": 5},
            {"1f": [0.0] * 8 + [math.nan]},
            {"1f": [2.0] + [0.0] * 8},
            {"1f": [1.0, 1.0, 1.0, 1.0, 1e8, 0.0, 0.0, 0.0, 0.0]},
            {"1f": [1.0, 1.0, 1.0, -1.0, 1.0, 0.0, 0.0, 0.0, 0.0]},
            {"1f": ["a"] * 9},
            {"1f": ["1"] * 9},
            {"1f": [10**400] + [0.0] * 8},
            {"1f": [1.0, 1.0, 1e6] + [0.0] * 6},
        ],
    )
    def test_wrong_ones_are_refused(self, kinds: Any) -> None:
        with pytest.raises((TypeError, ValueError)):
            Durations.from_dict(kinds)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(), st.floats())))
def test_what_was_recorded_can_be_read_again(records: list[tuple[str, float, float]]) -> None:
    memory = Durations()
    for name, seconds, at in records:
        memory.record((name,), seconds, at)
    plain = memory.to_dict()
    assert Durations.from_dict(plain).to_dict() == plain


class TestSize:
    def test_ten_thousand_kinds_of_less_than_200_bytes(self) -> None:
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            memory = Durations()
            for n in range(25_000):
                memory.record(("https://api.example.test", "proj_a", f"kind {n}"), 9.0 + n, DAY)
            held = tracemalloc.get_traced_memory()[0] - before
        finally:
            tracemalloc.stop()
        assert len(memory) == 10_000
        assert held / len(memory) < 200

    def test_the_least_recent_kind_goes(self) -> None:
        memory = Durations(most_kinds=2)
        for name in ("a", "b", "a", "c"):
            memory.record((name,), 10.0, DAY)
        assert memory.expect(("b",)) is None
        assert memory.expect(("a",)) is not None
        assert memory.expect(("c",)) is not None

    def test_a_decision_takes_less_than_8_microseconds(self) -> None:
        memory = remembering(log_normal(40, 60.0, 0.2) + log_normal(10, 900.0, 0.2))
        histories = []
        for age in range(0, 2000, 10):
            history = History(0.0)
            history.add(float(age), 0, 1, queued=False)
            history.expected = expected(memory)
            histories.append(history)
        schedule = Adaptive()
        took: list[float] = []
        for _ in range(9):
            begun = time.perf_counter()
            for history in histories:
                schedule.next_delay(history)
            took.append((time.perf_counter() - begun) / len(histories))
        assert min(took) < 8e-6


class TestTheRule:
    def test_without_modes_it_is_the_base_rule(self) -> None:
        for age in (0.0, 1.0, 100.0, 9000.0):
            then = age + Expectation([]).delay(age)
            assert base_polls(then) - base_polls(age) == pytest.approx(1)

    def test_polls_are_summed_up_to_one(self) -> None:
        expectation = Expectation([Mode(0.9, log_age(100), 0.3), Mode(0.08, log_age(900), 0.3)])
        for age in (0.0, 20.0, 80.0, 110.0, 300.0, 850.0, 1500.0):
            then = age + expectation.delay(age)
            ages = [age + (then - age) * n / 4000 for n in range(4001)]
            base = [base_polls(x) for x in ages]
            roots = [
                math.sqrt(expectation.hazard(x) * (x + AGE_OFFSET) / BASE_HAZARD) for x in ages
            ]
            polls = sum(
                (roots[n] + roots[n + 1]) / 2 * (base[n + 1] - base[n]) for n in range(4000)
            )
            assert polls == pytest.approx(1, rel=0.08)

    def test_polls_are_dense_around_the_end(self) -> None:
        expectation = Expectation([Mode(0.99, log_age(1000), 0.1)])
        early, due, late = (expectation.delay(age) for age in (300.0, 1000.0, 9000.0))
        assert early > 8 * Expectation([]).delay(300.0)
        assert due < 6
        assert late == pytest.approx(Expectation([]).delay(9000.0), rel=0.01)

    def test_the_pace_scales_it(self) -> None:
        expectation = Expectation([Mode(0.98, log_age(1000), 0.3)])
        assert expectation.delay(900.0, 0.5) == pytest.approx(
            expectation.delay(900.0) / 2, rel=0.15
        )

    def test_the_hazard_is_the_share_that_ends(self) -> None:
        expectation = Expectation([Mode(0.999, log_age(100), 0.2)])
        age, running = 0.0, 1.0
        while age < 100:
            running *= 1 - expectation.hazard(age) * 0.01
            age += 0.01
        assert running == pytest.approx(0.5, abs=0.01)

    def test_the_estimate_of_an_end(self) -> None:
        expectation = expected(remembering(log_normal(200, 600.0, 0.2)))
        low, median, high = expectation.remaining(0.0)
        assert low < median < high
        assert median == pytest.approx(600, rel=0.15)
        assert high / low == pytest.approx(math.exp(2 * 1.28 * 0.2), rel=0.35)
        assert expectation.remaining(500.0).median < median - 350
        assert expectation.remaining(5000.0).width > 5


def costs(
    before: Sequence[float], after: Sequence[float], luck: random.Random
) -> tuple[list[Cost], list[Cost]]:
    """Return what waits cost with a memory of what came before, and without one."""
    memory = Durations()
    for seconds in before:
        memory.record(("kind",), seconds, DAY)
    with_memory = [wait(x, Adaptive(), luck, Memory(memory), "kind") for x in after]
    return with_memory, [wait(x, Adaptive(), luck) for x in after]


Change = Callable[[random.Random], tuple[float, float]]
"""What the durations before and after are multiplied by."""

WRONG: dict[str, Change] = {
    "ten times longer": lambda _: (1.0, 10.0),
    "ten times shorter": lambda _: (1.0, 0.1),
    "three times longer": lambda _: (1.0, 3.0),
    "a third": lambda _: (1.0, 1 / 3),
    "two modes": lambda luck: (luck.choice((1.0, 10.0)), luck.choice((1.0, 10.0))),
    "poisoned": lambda luck: (luck.choice((10.0, 0.1)) if luck.random() < 0.1 else 1.0, 1.0),
    "a tenth outliers": lambda luck: (
        luck.choice((10.0, 0.1)) if luck.random() < 0.1 else 1.0,
        luck.choice((10.0, 0.1)) if luck.random() < 0.1 else 1.0,
    ),
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
@given(st.floats(10, 600), st.floats(0.05, 0.8), st.integers(0, 10**6))
@settings(max_examples=3, deadline=None)
def test_a_wrong_memory_costs_little_and_recovers(
    change: Change, median: float, sigma: float, seed: int
) -> None:
    luck = random.Random(seed)
    ours, plain = [], []
    for _ in range(16):
        factors = [change(luck) for _ in range(30)]
        before = [median * f * math.exp(sigma * luck.gauss(0, 1)) for f, _ in factors]
        after = [max(median * f * math.exp(sigma * luck.gauss(0, 1)), 1.0) for _, f in factors]
        with_memory, without = costs(before, after, luck)
        ours.append(with_memory)
        plain.append(without)

    def cost(of: list[list[Cost]], since: int = 0) -> Cost:
        return sum((cost for costs in of for cost in costs[since:]), Cost())

    requests, lag, _ = cost(ours).over(cost(plain))
    assert requests <= 1.3
    assert lag <= 1.3
    assert cost(ours, since=10).over(cost(plain, since=10))[2] <= 1.0


@given(
    st.lists(st.floats(0, 1e6), max_size=30),
    st.floats(0, 1e7),
    st.floats(0.01, 10),
    st.floats(0.1, 1000),
)
def test_delays_are_within_bounds(
    durations: list[float], age: float, pace: float, maximum: float
) -> None:
    history = History(0.0)
    history.add(age, 0, 1, queued=False)
    history.expected = remembering(durations).expect(KEY)
    delay = Adaptive(pace, maximum).next_delay(history)
    assert 0.05 <= delay <= max(maximum, 0.05)


@given(st.lists(st.tuples(st.floats(0, 1e5), st.floats(0, 1e5)), min_size=1, max_size=20))
def test_siblings_never_lead_astray(lives: list[tuple[float, float]]) -> None:
    memory = Memory(Durations())
    for _ in lives:
        memory.running("kind", None, 0.0)
    for before, more in lives:
        expectation = memory.running("kind", before, before + more)
        if expectation is not None:
            assert expectation.delay(before + more) > 0
            low, median, high = expectation.remaining(before + more)
            assert 0 <= low <= median <= high


class TestGains:
    @pytest.mark.parametrize(
        ("within", "by_limit", "by_no_memory"), [(0.1, 1.5, 0.3), (0.3, 1.3, 0.5), (0.8, 1.3, 0.9)]
    )
    def test_in_sequence(self, within: float, by_limit: float, by_no_memory: float) -> None:
        near, gained = [], []
        for seed in (501, 502):
            kinds = kinds_of(12, within, 1.7, 120.0, seed)
            whole, known = sequence(kinds, 50, seed)
            near.append(known["memory"].over(known["vendor"])[2] / limit(kinds))
            gained.append(whole["memory"].over(whole["no memory"])[2])
        assert statistics.fmean(near) <= by_limit
        assert statistics.fmean(gained) <= by_no_memory

    @pytest.mark.parametrize(("staggered", "bound"), [(120.0, 0.6), (0.0, 0.85)])
    def test_in_a_fleet(self, staggered: float, bound: float) -> None:
        kind = Distribution("kind", 120.0, 0.3)
        plain = fleet(kind, 1000, staggered, 7, None)
        durations = Durations()
        assert fleet(kind, 1000, staggered, 7, durations).over(plain)[2] <= bound
        known = durations.kind(("kind",))
        assert known is not None
        # Those that end first are the short ones: they must not be remembered as if all were.
        assert math.exp(max(known.modes()).mean) == pytest.approx(120, rel=0.05)


class TestMemory:
    def test_ends_wait_for_siblings_that_run(self) -> None:
        durations = Durations()
        memory = Memory(durations, "place")
        for _ in range(2):
            memory.running("kind", None, 0.0)
        memory.ended("kind", 5.0, 10.0, DAY)
        assert durations.expect(("place", "kind")) is None
        memory.left("kind")
        assert durations.expect(("place", "kind")) is not None

    def test_siblings_that_have_not_ended_make_polls_rare(self) -> None:
        alone = Memory(Durations())
        assert alone.running("kind", None, 0.0) is None
        assert alone.running("kind", 0.0, 90.0) is None
        memory = Memory(Durations())
        for _ in range(50):
            memory.running("kind", None, 0.0)
        for _ in range(49):
            memory.running("kind", 0.0, 90.0)
        expectation = memory.running("kind", 0.0, 90.0)
        assert expectation is not None
        assert expectation.hazard(80.0) < Expectation([]).hazard(80.0) / 4

    def test_ends_of_siblings_say_when(self) -> None:
        memory = Memory(Durations())
        for _ in range(40):
            memory.running("kind", None, 0.0)
        for n in range(30):
            memory.ended("kind", 50.0, 60.0 + n / 10, DAY)
        expectation = memory.running("kind", 0.0, 1.0)
        assert expectation is not None
        assert expectation.hazard(61.0) > 5 * Expectation([]).hazard(61.0)
