"""The bounds on requests: turns a second, and slots at a time."""

from __future__ import annotations

import math
import threading
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nexus_operations._core.limiter import MARGIN, RateLimiter, Slots


def sent(limiter: RateLimiter, now: float, latest: float = math.inf) -> float | None:
    """Return when a request that is asked for at `now` is sent by the limiter's leave."""
    turn = limiter.reserve(now, latest)
    if turn is None:
        return None
    while seconds := limiter.try_acquire(turn):
        turn += seconds
    return turn


class TestRateLimiter:
    def test_no_bound_lets_everything_through(self) -> None:
        limiter = RateLimiter(None)
        assert [sent(limiter, 5.0) for _ in range(100)] == [5.0] * 100

    def test_turns_are_spaced_by_the_rate(self) -> None:
        limiter = RateLimiter(10)
        times = [sent(limiter, 5.0) for _ in range(4)]
        step = MARGIN / 10
        assert times == pytest.approx([5.0, 5.0 + step, 5.0 + 2 * step, 5.0 + 3 * step])

    def test_a_turn_after_the_latest_is_refused_and_costs_nobody_a_turn(self) -> None:
        limiter = RateLimiter(1)
        assert sent(limiter, 0.0) == 0.0
        assert limiter.reserve(0.0, latest=1.0) is None
        assert limiter.reserve(0.0, latest=MARGIN) == pytest.approx(MARGIN)

    def test_turns_catch_up_after_a_late_one_as_far_as_the_second_allows(self) -> None:
        limiter = RateLimiter(20)
        for _ in range(100):
            limiter.reserve(0.0, math.inf)
        step, now = MARGIN / 20, 0.0
        times: list[float] = []
        for number in range(100):
            busy_until = 40 * step + 0.4 if number >= 40 else 0.0
            now = max(now, number * step, busy_until)
            while seconds := limiter.try_acquire(now):
                now += seconds
            times.append(now)
        assert times[-1] == pytest.approx(99 * step)
        assert max(sum(t <= u < t + 1 for u in times) for t in times) <= 20
        gaps = [after - before for before, after in pairwise(times)]
        assert min(gaps) == pytest.approx(step / 2)

    def test_idle_time_is_not_saved_up(self) -> None:
        limiter = RateLimiter(10)
        assert [sent(limiter, 0.0), sent(limiter, 100.0)] == [0.0, 100.0]
        assert sent(limiter, 100.0) == pytest.approx(100.0 + MARGIN / 10)

    def test_a_turn_taken_late_puts_the_next_off_at_one_a_second(self) -> None:
        limiter = RateLimiter(1)
        first, second = limiter.reserve(0.0, math.inf), limiter.reserve(0.0, math.inf)
        assert (first, second) == (0.0, pytest.approx(MARGIN))
        assert limiter.try_acquire(1.0) == 0.0
        assert limiter.try_acquire(1.02) == pytest.approx(1.0)
        assert limiter.try_acquire(1.0 + MARGIN) == 0.0

    def test_a_turn_that_is_early_by_rounding_is_granted(self) -> None:
        limiter = RateLimiter(1)
        assert limiter.try_acquire(0.0) == 0.0
        assert limiter.try_acquire(MARGIN - 1e-12) == 0.0

    @given(
        st.floats(0.1, 100),
        st.lists(st.floats(0, 5), min_size=1, max_size=60),
        st.lists(st.floats(0, 1), min_size=60, max_size=60),
    )
    def test_no_second_has_more_than_the_rate(
        self, rate: float, arrivals: list[float], lateness: list[float]
    ) -> None:
        limiter, now, times = RateLimiter(rate), 0.0, []
        for arrival, late in zip(sorted(arrivals), lateness, strict=False):
            now = max(now, arrival)
            turn = limiter.reserve(now, math.inf)
            assert turn is not None
            now = max(now, turn) + late
            while seconds := limiter.try_acquire(now):
                now += seconds
            times.append(now)
        for start in times:
            assert sum(start <= time < start + 1 for time in times) <= max(math.ceil(rate), 1)


class TestPauses:
    def test_there_is_none_at_first(self) -> None:
        assert RateLimiter(None).pause_left(0.0, 1.0) == 0.0

    def test_ends_at_its_instant_spread_by_luck(self) -> None:
        limiter = RateLimiter(None)
        limiter.pause_until(30.0, 10.0)
        assert limiter.pause_left(10.0, 0.0) == 20.0
        assert limiter.pause_left(10.0, 1.0) == pytest.approx(22.0)
        assert limiter.pause_left(25.0, 0.5) == pytest.approx(6.0)
        assert limiter.pause_left(30.0, 1.0) == 0.0

    def test_is_never_shortened(self) -> None:
        limiter = RateLimiter(None)
        limiter.pause_until(30.0, 0.0)
        limiter.pause_until(20.0, 0.0)
        assert limiter.pause_left(0.0, 0.0) == 30.0


class TestSlots:
    def test_are_as_many_as_the_limit(self) -> None:
        slots = Slots(2)
        assert [slots.enter() for _ in range(3)] == [True, True, False]
        slots.leave()
        assert slots.enter()

    def test_go_to_the_first_in_line(self) -> None:
        slots, granted = Slots(1), []
        assert slots.enter()
        slots.line_up(lambda: granted.append("first"))
        slots.line_up(lambda: granted.append("second"))
        slots.leave()
        assert granted == ["first"]
        assert not slots.enter()
        slots.leave()
        assert granted == ["first", "second"]
        slots.leave()
        assert slots.enter()

    def test_are_granted_at_once_where_one_is_free(self) -> None:
        slots, granted = Slots(1), []
        slots.line_up(lambda: granted.append(1))
        assert granted == [1]
        assert not slots.enter()

    def test_who_withdraws_from_the_line_is_not_granted_one(self) -> None:
        slots, granted = Slots(1), []
        slots.enter()
        mine = lambda: granted.append("mine")  # noqa: E731
        slots.line_up(mine)
        slots.line_up(lambda: granted.append("next"))
        slots.withdraw(mine)
        slots.leave()
        assert granted == ["next"]

    def test_a_slot_granted_before_the_withdrawal_goes_to_the_next(self) -> None:
        slots, granted = Slots(1), []
        mine = lambda: granted.append("mine")  # noqa: E731
        slots.line_up(mine)
        slots.line_up(lambda: granted.append("next"))
        slots.withdraw(mine)
        assert granted == ["mine", "next"]
        slots.leave()
        assert slots.enter()

    def test_many_threads_never_hold_more_than_the_limit(self) -> None:
        slots, lock, held, most = Slots(3), threading.Lock(), 0, 0

        def work() -> None:
            nonlocal held, most
            for _ in range(50):
                if not slots.enter():
                    granted = threading.Event()
                    slots.line_up(granted.set)
                    assert granted.wait(30)
                with lock:
                    held += 1
                    most = max(most, held)
                with lock:
                    held -= 1
                slots.leave()

        threads = [threading.Thread(target=work) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert most <= 3
        assert [slots.enter() for _ in range(4)] == [True, True, True, False]
