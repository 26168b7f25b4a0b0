"""The polling core's answers, one by one, without jitter: what follows what, to the second."""

from __future__ import annotations

import math

import pytest
from nexus_operations import (
    Fixed,
    InternalServerError,
    InvalidResponseError,
    NetworkConnectionError,
    NexusError,
    NotFoundError,
    OperationFailedError,
)
from nexus_operations._core.poller import Bounds, Done, Fail, GiveUp, Poll, Poller

from tests.test_polling import FINISHED, RUNNING, operation


def begin(now: float = 100.0, *, luck: float = 0.5, polls: int = 0, **options: object) -> Poller:
    bounds = Bounds(**{"schedule": Fixed(8), **options})  # type: ignore[arg-type]
    return Poller(bounds, now, polls=polls, random=lambda: luck)


def trouble(**options: object) -> InternalServerError:
    return InternalServerError("down", **options)  # type: ignore[arg-type]


def unreached() -> NetworkConnectionError:
    return NetworkConnectionError("nobody there", reached=False)


def failures(poller: Poller, count: int, error: NexusError) -> list[float]:
    """Fail as often as said, each time when the poll was due; return the delays that follow."""
    now, delays = poller.started, []
    for _ in range(count):
        poller.failed(error, now)
        if not isinstance(poller.step, Poll):
            break
        delays.append(poller.step.delay)
        now += poller.step.delay
    return delays


class TestTheFirstStep:
    def test_is_a_poll_at_once(self) -> None:
        poller = begin()
        assert poller.step == Poll(delay=0.0)
        assert poller.pending
        assert (poller.polls, poller.failures, poller.unknown_status) == (0, 0, None)
        assert poller.started == 100.0
        assert poller.estimate is None

    def test_has_the_deadline(self) -> None:
        assert begin(max_wait=50).deadline == 150.0
        assert begin(max_wait=None).deadline == math.inf

    def test_gets_less_time_where_there_is_less(self) -> None:
        assert begin(max_wait=20).timeout(30.0, 100.0) == 20.0
        assert begin(max_wait=2).timeout(30.0, 100.0) == 5.0
        assert begin(max_wait=2).timeout(3.0, 100.0) == 3.0

    def test_counts_on_where_an_earlier_process_stopped(self) -> None:
        poller = begin(polls=4, max_polls=5)
        poller.received(RUNNING, 100.0, 0.0)
        assert poller.step == GiveUp("still running after 5 polls")


class TestTheTimeOfARequest:
    def test_leaves_room_for_the_last_poll(self) -> None:
        assert begin(max_wait=20).timeout(30.0, 110.0) == 10.0

    def test_never_passes_the_end_of_the_wait(self) -> None:
        poller = begin(max_wait=20)
        assert poller.end == 125.0
        assert poller.timeout(30.0, 118.0) == 5.0
        assert poller.timeout(30.0, 123.0) == 2.0
        assert poller.timeout(30.0, 126.0) == 0.0

    def test_is_the_clients_without_a_deadline(self) -> None:
        assert begin(max_wait=None).timeout(30.0, 1e9) == 30.0


class TestASnapshot:
    def test_is_followed_by_the_schedules_delay(self) -> None:
        poller = begin()
        poller.received(RUNNING, 100.0, 0.0)
        assert poller.step == Poll(8.0)
        assert poller.polls == 1

    @pytest.mark.parametrize(("luck", "delay"), [(0.0, 7.6), (0.25, 7.8), (1.0, 8.4)])
    def test_spreads_the_delay_by_five_percent(self, luck: float, delay: float) -> None:
        poller = begin(luck=luck)
        poller.received(RUNNING, 100.0, 0.0)
        assert isinstance(poller.step, Poll)
        assert poller.step.delay == pytest.approx(delay)

    def test_near_the_deadline_is_followed_by_a_poll_at_it(self) -> None:
        poller = begin(max_wait=10)
        poller.received(RUNNING, 107.0, 0.0)
        assert poller.step == Poll(3.0)

    def test_some_way_before_it_leaves_the_poll_what_remains(self) -> None:
        poller = begin(max_wait=25)
        poller.received(RUNNING, 107.0, 0.0)
        assert poller.step == Poll(8.0)

    def test_at_the_deadline_is_the_last(self) -> None:
        poller = begin(max_wait=10)
        poller.received(RUNNING, 110.0 - 1e-7, 0.0)
        assert poller.step == GiveUp("still running after 10 s")
        assert not poller.pending
        assert poller.result() is None

    def test_just_before_it_is_not(self) -> None:
        poller = begin(max_wait=10)
        poller.received(RUNNING, 110.0 - 1e-3, 0.0)
        assert poller.pending

    def test_as_many_as_allowed_end_the_wait(self) -> None:
        poller = begin(max_polls=2)
        poller.received(RUNNING, 100.0, 0.0)
        assert poller.pending
        poller.received(RUNNING, 108.0, 0.0)
        assert poller.step == GiveUp("still running after 2 polls")

    def test_of_an_end_is_the_result_even_at_a_bound(self) -> None:
        poller = begin(max_polls=1, max_wait=0)
        poller.received(FINISHED, 100.0, 0.0)
        assert poller.step == Done(FINISHED)
        assert poller.result() is FINISHED

    def test_of_a_named_status_is_an_error(self) -> None:
        poller = begin(raise_if=frozenset({"Finished"}))
        poller.received(FINISHED, 100.0, 0.0)
        assert isinstance(poller.step, Fail)
        with pytest.raises(OperationFailedError) as caught:
            poller.result()
        assert caught.value.operation is FINISHED

    def test_of_an_unknown_status_is_noticed_once(self) -> None:
        poller = begin()
        noticed: list[str | None] = []
        for status in ("Running", "Paused", "Paused", "Resting", "Running"):
            poller.received(operation(status, Running=1, Finished=0), 100.0, 0.0)
            noticed.append(poller.unknown_status)
        assert noticed == [None, "Paused", None, None, None]
        assert poller.pending

    @pytest.mark.parametrize("delay", [0.0, 0.001, 0.05])
    def test_no_sleep_is_shorter_than_a_twentieth(self, delay: float) -> None:
        poller = begin(schedule=Every(delay))
        poller.received(RUNNING, 100.0, 0.0)
        assert poller.step == Poll(0.05)

    @pytest.mark.parametrize(
        ("delay", "kind"),
        [
            (-1.0, ValueError),
            (math.nan, ValueError),
            (math.inf, ValueError),
            (1e30, ValueError),
            (10**400, ValueError),
            (None, TypeError),
            ("8", TypeError),
            (True, TypeError),
        ],
    )
    def test_a_delay_that_is_none_is_the_schedules_error(
        self, delay: object, kind: type[Exception]
    ) -> None:
        poller = begin(schedule=Every(delay))
        with pytest.raises(kind, match=r"schedule\.next_delay"):
            poller.received(RUNNING, 100.0, 0.0)


class Every:
    """A schedule that always returns the same."""

    def __init__(self, delay: object) -> None:
        self.delay = delay

    def next_delay(self, history: object) -> object:
        return self.delay


class TestTheAge:
    def ages(self, age: float) -> list[float]:
        """Return the age at the start, then the ages that a schedule is told."""
        told: list[float] = []
        starts: set[float] = set()

        class Listening:
            def next_delay(self, history: object) -> float:
                told.append(history.age)  # type: ignore[attr-defined]
                starts.add(history.age_at_start)  # type: ignore[attr-defined]
                return 8.0

        poller = begin(schedule=Listening())
        poller.received(RUNNING, 102.0, age)
        poller.received(RUNNING, 110.0, age + 9000)
        return [starts.pop(), *told]

    def test_counts_from_the_creation(self) -> None:
        assert self.ages(60.0) == pytest.approx([58.0, 60.0, 68.0])

    def test_is_none_of_an_operation_that_was_just_created(self) -> None:
        assert self.ages(0.0) == [0.0, 0.0, 8.0]

    def test_units_are_counted(self) -> None:
        poller = begin()
        for now, done in ((100.0, 0), (150.0, 25), (200.0, 50)):
            found = operation("Running", Finished=done, Running=100 - done)
            poller.received(found, now, now - 100)
        assert poller.estimate is not None
        assert poller.estimate.median == pytest.approx(100.0)

    def test_all_ways_to_end_are_progress(self) -> None:
        poller = begin()
        for now, done in ((100.0, 0), (150.0, 10), (200.0, 20)):
            counts = {"Finished": done, "Cancelled": done, "Errored": done}
            found = operation("Running", Running=90 - 3 * done, Queued=10, **counts)
            poller.received(found, now, now - 100)
        assert poller.estimate is not None
        assert poller.estimate.median == pytest.approx(200 / 3, rel=1e-6)


class TestAFailure:
    def test_delays_double_up_to_a_minute(self) -> None:
        expected = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
        assert failures(begin(), 8, trouble()) == expected

    def test_delays_are_spread(self) -> None:
        assert failures(begin(luck=1.0), 2, trouble()) == pytest.approx([1.05, 2.1])

    def test_very_many_do_not_overflow(self) -> None:
        poller = begin(max_outage=None, max_wait=None)
        assert failures(poller, 2000, trouble())[-1] == 60.0
        assert poller.failures == poller.polls == 2000

    def test_a_success_starts_the_count_again(self) -> None:
        poller = begin()
        failures(poller, 3, trouble())
        poller.received(RUNNING, 107.0, 0.0)
        assert poller.failures == 0
        poller.failed(trouble(), 115.0)
        assert poller.step == Poll(1.0)

    @pytest.mark.parametrize(("luck", "delay"), [(0.0, 7.5), (0.5, 7.875), (1.0, 8.25)])
    def test_retry_after_is_honoured_and_spread_upwards(self, luck: float, delay: float) -> None:
        assert failures(begin(luck=luck), 1, trouble(retry_after=7.5)) == pytest.approx([delay])

    def test_retry_after_never_takes_the_backoff_away(self) -> None:
        for asked in (0.0, 0.5, None):
            assert failures(begin(), 4, trouble(retry_after=asked)) == [1.0, 2.0, 4.0, 8.0]
        assert failures(begin(luck=0.0), 4, trouble(retry_after=3.0)) == [3.0, 3.0, 3.8, 7.6]

    def test_retry_after_is_bounded_by_an_hour(self) -> None:
        poller = begin(luck=0.0, max_outage=None)
        assert failures(poller, 1, trouble(retry_after=1e9)) == [3600.0]

    def test_retry_after_does_not_pass_the_tolerated_outage(self) -> None:
        poller = begin(max_outage=60)
        assert failures(poller, 9, trouble(retry_after=3600.0)) == [60.0]
        assert isinstance(poller.step, Fail)

    def test_retry_after_does_not_pass_the_deadline(self) -> None:
        assert failures(begin(max_wait=40), 1, trouble(retry_after=3600.0)) == [40.0]

    def test_the_last_retry_comes_at_the_end_of_the_tolerated_outage(self) -> None:
        poller = begin(max_outage=10)
        error = trouble()
        assert failures(poller, 9, error) == [1.0, 2.0, 4.0, 3.0]
        assert poller.step == Fail(error)
        with pytest.raises(InternalServerError):
            poller.result()

    def test_no_outage_at_all_is_tolerated(self) -> None:
        assert failures(begin(max_outage=0), 2, trouble()) == []

    def test_an_endpoint_never_reached_is_given_a_minute(self) -> None:
        for bound in (1800.0, None, 60.0):
            assert sum(failures(begin(max_outage=bound), 99, unreached())) == 60.0

    def test_or_less_where_less_is_tolerated(self) -> None:
        assert sum(failures(begin(max_outage=5), 99, unreached())) == 5.0

    def test_an_endpoint_reached_before_is_given_the_whole_outage(self) -> None:
        for reach in ("answer", "error"):
            poller = begin()
            if reach == "answer":
                poller.received(RUNNING, 100.0, 0.0)
            else:
                poller.failed(trouble(), 100.0)
                poller.received(RUNNING, 100.0, 0.0)
            assert sum(failures(poller, 99, unreached())) == 1800.0

    def test_an_endpoint_reached_by_a_failure_counts_as_reached(self) -> None:
        poller = begin(max_outage=100)
        poller.failed(trouble(), 100.0)
        assert sum(failures(poller, 99, unreached())) == 100.0

    def test_an_endpoint_that_the_client_reached_is_given_the_whole_outage(self) -> None:
        poller, now = begin(max_outage=100), 100.0
        while isinstance(poller.step, Poll):
            now += poller.step.delay
            poller.failed(unreached(), now, reached=True)
        assert now == 200.0

    def test_permanent_trouble_ends_the_wait(self) -> None:
        poller, error = begin(), NotFoundError("no")
        poller.failed(error, 100.0)
        assert poller.step == Fail(error)
        assert (poller.polls, poller.failures) == (1, 1)

    def test_at_a_bound_it_is_what_the_wait_ends_in(self) -> None:
        for bound in ({"max_polls": 1}, {"max_wait": 0}):
            poller, error = begin(**bound), trouble()
            poller.failed(error, 100.0)
            assert poller.step == Fail(error)


class TestAnOddAnswer:
    """Trouble that would be final, after good answers."""

    GONE = NotFoundError("no", status_code=404)
    ODD = InvalidResponseError("no JSON", status_code=200)

    def after_a_good_answer(self) -> Poller:
        poller = begin()
        poller.received(RUNNING, 100.0, 0.0)
        return poller

    def test_is_looked_at_again(self) -> None:
        poller = self.after_a_good_answer()
        poller.failed(self.GONE, 108.0)
        assert poller.step == Poll(20.0)
        poller.received(RUNNING, 128.0, 28.0)
        assert poller.step == Poll(8.0)

    def test_is_final_when_the_same_comes_again(self) -> None:
        poller = self.after_a_good_answer()
        assert failures(poller, 5, self.GONE) == [20.0]
        assert poller.step == Fail(self.GONE)

    def test_is_looked_at_twice_when_it_differs(self) -> None:
        poller = self.after_a_good_answer()
        poller.failed(self.GONE, 108.0)
        poller.failed(self.ODD, 128.0)
        assert poller.step == Poll(40.0)
        poller.failed(self.GONE, 168.0)
        assert poller.step == Fail(self.GONE)

    def test_stays_the_same_through_an_outage(self) -> None:
        poller = self.after_a_good_answer()
        poller.failed(self.GONE, 108.0)
        poller.failed(trouble(), 128.0)
        assert poller.pending
        poller.failed(self.GONE, 130.0)
        assert poller.step == Fail(self.GONE)

    def test_is_forgotten_after_a_good_answer(self) -> None:
        poller, now = self.after_a_good_answer(), 108.0
        for _ in range(5):
            poller.failed(self.GONE, now)
            assert poller.step == Poll(20.0)
            poller.received(RUNNING, now + 20.0, now - 80.0)
            now += 28.0

    def test_is_final_at_the_deadline(self) -> None:
        poller = begin(max_wait=20)
        poller.received(RUNNING, 100.0, 0.0)
        poller.failed(self.GONE, 108.0)
        assert poller.step == Poll(12.0)
        poller.failed(self.ODD, 120.0)
        assert poller.step == Fail(self.ODD)


def test_a_stop_ends_the_wait_without_a_result() -> None:
    poller = begin()
    poller.stop()
    assert poller.step == GiveUp("stopped by the caller")
    assert not poller.pending
    assert poller.result() is None


def test_the_default_bounds() -> None:
    bounds = Bounds()
    assert (bounds.max_polls, bounds.max_wait, bounds.max_outage) == (36000, 36000.0, 1800.0)
    assert bounds.raise_if == {"Errored"}
