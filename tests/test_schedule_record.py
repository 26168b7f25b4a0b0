"""The adaptive schedule's numbers, on record: a change of the schedule is a change of these.

Each case is what polls found, as (age, units done, units in all, queued), and the delay that
follows, in seconds, as docs/schedule.md derives it.
"""

from __future__ import annotations

import math

import pytest
from nexus_operations import Adaptive, Change, Expectation, Fixed, History
from nexus_operations._core.hazard import Mode, log_age
from nexus_operations._core.schedule import predict_end

Found = tuple[float, int, int, bool]
Case = tuple[float, list[Found], Adaptive, float]


def history_of(age_at_start: float, polls: list[Found]) -> History:
    """Return the history of a wait that began at an age and found this."""
    history = History(age_at_start)
    for found in polls:
        history.add(*found)
    return history


def running(*found: tuple[float, int], total: int = 100) -> list[Found]:
    return [(age, done, total, False) for age, done in found]


ONE = Adaptive()
HALF = Adaptive(pace=0.5)
CASES: dict[str, Case] = {
    # 0.85 (age + 0.5)^0.4
    "the first poll": (0.0, running((0, 0)), ONE, 0.85 * 0.5**0.4),
    "nothing known but the age": (0.0, running((0, 0), (99.5, 0)), ONE, 0.85 * 100**0.4),
    "half the pace": (0.0, running((0, 0), (99.5, 0)), HALF, 0.425 * 100**0.4),
    "queued": (0.0, [(0, 0, 100, True), (31.5, 0, 100, True)], ONE, 1.7 * 32**0.4),
    "the longest delay": (0.0, running((1e9, 0)), ONE, 300.0),
    "the longest delay, queued": (0.0, [(1e9, 0, 9, True)], Adaptive(maximum=60), 60.0),
    # One sign of progress: 10 of 100 by 100 s, so the end is at 1000 s; a third of the rest would
    # be too much trust in one sign: 1.25 times the plain delay.
    "one sign of progress": (
        0.0,
        running((0, 0), (100, 10)),
        ONE,
        1.25 * 0.85 * 100.5**0.4,
    ),
    # Two signs that agree: the end is at 200 s; 0.45 of the rest, plus 0.6.
    "two estimates that agree": (
        0.0,
        running((0, 0), (100, 50), (120, 60)),
        ONE,
        0.45 * 80 + 0.6,
    ),
    "close to the predicted end": (
        0.0,
        running((0, 0), (160, 80), (190, 95)),
        ONE,
        0.45 * 10 + 0.6,
    ),
    "close to it at half the pace": (
        0.0,
        running((0, 0), (160, 80), (190, 95)),
        HALF,
        0.45 * 10 + 0.3,
    ),
    "at the predicted end": (
        0.0,
        running((0, 0), (100, 50), (190, 95), (200, 95)),
        ONE,
        7.083773665,
    ),
    "past the predicted end": (
        0.0,
        running((0, 0), (100, 50), (190, 95), (230, 95)),
        ONE,
        7.490094509,
    ),
    "far past the predicted end": (
        0.0,
        running((0, 0), (100, 50), (190, 95), (290, 95)),
        ONE,
        8.216320664,
    ),
    "estimates that disagree, faster at last": (
        0.0,
        running((0, 0), (200, 20), (220, 60)),
        ONE,
        7.440909091,
    ),
    "estimates that disagree, slower at last": (
        0.0,
        running((0, 0), (20, 40), (120, 60)),
        ONE,
        42.0816,
    ),
    "a recent estimate that has passed": (
        0.0,
        running((0, 0), (400, 20), (401, 99), (410, 99)),
        ONE,
        9.435049659,
    ),
    "one unit more is no second estimate": (
        0.0,
        running((0, 0), (100, 50), (102, 51)),
        ONE,
        33.92,
    ),
    "two units more are": (0.0, running((0, 0), (100, 50), (104, 52)), ONE, 43.667208408),
    "progress seen a while ago": (
        0.0,
        running((0, 0), (50, 25), (60, 30), (65, 30)),
        ONE,
        36.224752984,
    ),
    "stalled": (0.0, running((0, 0), (50, 25), (60, 30), (80.5, 30)), ONE, 4.929614215),
    "not yet stalled": (0.0, running((0, 0), (50, 25), (60, 30), (80, 30)), ONE, 39.339357701),
    "backwards": (0.0, running((0, 0), (50, 25), (60, 24)), ONE, 0.85 * 60.5**0.4),
    "a total that changes": (
        0.0,
        [(0, 0, 100, False), (50, 25, 100, False), (60, 30, 101, False)],
        ONE,
        0.85 * 60.5**0.4,
    ),
    "attached late": (500.0, running((500, 50), (520, 52)), ONE, 82.999830648),
    "attached late, once": (500.0, running((500, 50)), ONE, 12.767050359),
    "begun after a queue": (
        0.0,
        [(0, 0, 100, True), (40, 0, 100, True), (60, 0, 100, False), (100, 50, 100, False)],
        ONE,
        6.71730957,
    ),
    "the budget is spent": (
        0.0,
        running(*((n * 0.01, n) for n in range(90))),
        ONE,
        0.969671979,
    ),
    "slow at double pace": (
        0.0,
        running((0, 0), (160, 80), (190, 95)),
        Adaptive(pace=2),
        5.7,
    ),
    # 8 times the plain delay, less of it at half the pace (by its root), never less than 1.25.
    "far from the end": (
        0.0,
        running((0, 0), (1000, 1), (1200, 3), total=1000),
        ONE,
        8 * 0.85 * 1200.5**0.4,
    ),
    "far from it at double pace": (
        0.0,
        running((0, 0), (1000, 1), (1200, 3), total=1000),
        Adaptive(pace=2),
        16 * 0.85 * 1200.5**0.4,
    ),
    "far from it at half the pace": (
        0.0,
        running((0, 0), (1000, 1), (1200, 3), total=1000),
        HALF,
        8 * 0.5**0.5 * 0.425 * 1200.5**0.4,
    ),
    "far from it at a hundredth of the pace": (
        0.0,
        running((0, 0), (1000, 1), (1200, 3), total=1000),
        Adaptive(pace=0.01),
        1.25 * 0.0085 * 1200.5**0.4,
    ),
    "hardly begun after a long queue": (
        0.0,
        [(118, 0, 100, True), (119, 0, 100, False), (119.5, 1, 100, False), (120, 3, 100, False)],
        ONE,
        0.85 * 120.5**0.4,
    ),
    "a short run earns little trust": (
        0.0,
        running((0, 0), (1.0, 10), (2.0, 11), (2.1, 13)),
        ONE,
        1.245685086,
    ),
}


@pytest.mark.parametrize(("age_at_start", "polls", "schedule", "delay"), CASES.values(), ids=CASES)
def test_the_delay_after_what_polls_found(
    age_at_start: float, polls: list[Found], schedule: Adaptive, delay: float
) -> None:
    assert schedule.next_delay(history_of(age_at_start, polls)) == pytest.approx(delay, rel=1e-8)


@pytest.mark.parametrize(
    ("polls", "end", "agreement"),
    [
        # Seen as it happened: 50 of 100 at 100 s.
        ([(0, 0), (100, 50)], 200.0, 0.0),
        # Seen somewhere between two polls, the last of which found no more: at 75 s.
        ([(0, 0), (50, 0), (100, 50), (110, 50)], 150.0, 0.0),
        # Both estimates say 200 s.
        ([(0, 0), (100, 50), (120, 60)], 200.0, 1.0),
        # The run says 220 * 100/60, its latest part 220 + 40 * 20/40: the sooner is believed.
        ([(0, 0), (200, 20), (220, 60)], 240.0, (20 / (220 / 0.6 - 220)) ** 2),
        # The run says 200 s, its latest part 320 s: 0.3 of the way to the later.
        ([(0, 0), (20, 40), (120, 60)], 236.0, (80 / 200) ** 2),
        # The sooner estimate has passed: they do not agree at all.
        ([(0, 0), (20, 40), (50, 50), (60, 90), (67, 90)], 0.7 * 55 / 0.9 + 0.3 * 62.5, 0.0),
    ],
)
def test_the_predicted_end(polls: list[tuple[float, int]], end: float, agreement: float) -> None:
    history = history_of(0.0, running(*polls))
    assert history.last is not None
    assert predict_end(history, history.last) == pytest.approx((end, agreement), rel=1e-9)


def test_estimates_agree_by_their_ratio_even_just_before_the_end() -> None:
    # At 99.5 s, 199 of 200: the run says 0.5 s more, its latest part 49.75 / 99 s.
    history = history_of(0.0, running((0, 0), (49.75, 100), (99.5, 199), total=200))
    assert history.last is not None
    _, agreement = predict_end(history, history.last)
    assert agreement == pytest.approx(((99.5 / 199) / (49.75 / 99)) ** 2)


def test_what_a_history_keeps() -> None:
    history = history_of(
        5.0,
        [
            (5, 0, 10, True),
            (7, 0, 10, True),
            (9, 0, 10, False),
            (20, 3, 10, False),
            (22, 3, 10, False),
        ],
    )
    assert history.age_at_start == 5.0
    assert history.started_age == 8.0
    assert history.last == Change(before=9, seen=20, done=3)
    assert history.previous is None
    assert (history.age, history.done, history.total, history.polls) == (22, 3, 10, 5)
    assert not history.queued
    assert history.consistent
    assert not history.stalled


def test_one_unit_found_by_the_first_poll_is_progress() -> None:
    assert history_of(500.0, running((500, 1))).last == Change(before=0.0, seen=500, done=1)


def test_progress_found_by_the_first_poll_counts_from_the_beginning() -> None:
    history = history_of(500.0, running((500, 50)))
    assert history.last == Change(before=0.0, seen=500, done=50)
    assert history.remaining == 500.0


def test_what_plain_delays_would_have_made() -> None:
    # The integral of 1 / (0.85 (age + 0.5)^0.4) from 99.5 s to 399.5 s, and the first poll.
    history = history_of(99.5, running((99.5, 0), (399.5, 0)))
    polls = 1 + (400**0.6 - 100**0.6) / (0.6 * 0.85)
    assert ONE._base_polls(history) == pytest.approx(polls)
    assert HALF._base_polls(history) == pytest.approx(1 + 2 * (polls - 1))


@pytest.mark.parametrize("argument", ["pace", "maximum"])
@pytest.mark.parametrize("value", [0, -1, math.inf, math.nan])
def test_a_bad_argument_is_named(argument: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"^{argument} must be more than 0 seconds"):
        Adaptive(**{argument: value})


def test_a_fixed_delay() -> None:
    assert Fixed(8).next_delay(history_of(0.0, [])) == 8
    with pytest.raises(
        ValueError, match=r"^seconds must be more than 0 seconds and finite, not 0$"
    ):
        Fixed(0)


class TestWithAMemory:
    """The delay where earlier operations of the kind took about 1000 s."""

    @staticmethod
    def delay(polls: list[Found], weight: float = 0.98, deviation: float = 0.1) -> float:
        history = history_of(0.0, polls)
        history.expected = Expectation([Mode(weight, log_age(1000.0), deviation)])
        return ONE.next_delay(history)

    def test_replaces_the_delay_by_age(self) -> None:
        base = 0.85 * 300.5**0.4
        assert self.delay(running((0, 0), (300, 0))) == pytest.approx(base / 0.02**0.5, rel=0.15)
        assert self.delay(running((0, 0), (1000, 0))) < 0.5 * base

    def test_is_believed_rather_than_a_first_sign_of_progress(self) -> None:
        polls = running((0, 0), (300, 10))
        assert self.delay(polls) == self.delay(running((0, 0), (300, 0)))
        assert self.delay(polls, weight=0.85) == pytest.approx(1.25 * 0.85 * 300.5**0.4)

    def test_gives_way_to_two_signs_of_it(self) -> None:
        polls = running((0, 0), (100, 50), (120, 60))
        assert self.delay(polls) == pytest.approx(0.45 * 80 + 0.6)

    def test_does_not_make_polls_of_a_queue_dense(self) -> None:
        queued: list[Found] = [(0, 0, 1, True), (1000, 0, 1, True)]
        assert self.delay(queued) == pytest.approx(2 * 0.85 * 1000.5**0.4)
        rare: list[Found] = [(0, 0, 1, True), (300, 0, 1, True)]
        assert self.delay(rare) == self.delay(running((0, 0), (300, 0)))

    def test_is_nothing_to_go_by_once_outlived(self) -> None:
        base = 0.85 * 9000.5**0.4
        assert self.delay(running((0, 0), (9000, 0))) == pytest.approx(base, rel=0.01)
