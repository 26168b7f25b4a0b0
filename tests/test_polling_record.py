"""The polling core's answers, one by one, without jitter: what follows what, to the second."""

from __future__ import annotations

import pytest
from nexus_operations import (
    Fixed,
    InternalServerError,
    NetworkConnectionError,
    NexusError,
    NotFoundError,
    OperationFailedError,
)
from nexus_operations._core.poller import Done, Fail, GiveUp, Policy, Poll, Poller

from tests.test_polling import FINISHED, RUNNING, operation

CREATED = RUNNING.create_date / 1000


def begin(now: float = 100.0, **options: object) -> Poller:
    return Poller(Policy(**{"random": lambda: 0.5, "schedule": Fixed(8), **options}), now)  # type: ignore[arg-type]


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
        assert poller.step == Poll(delay=0.0, timeout=30.0)
        assert poller.pending
        assert (poller.polls, poller.failures, poller.unknown_status) == (0, 0, None)
        assert poller.started == 100.0
        assert poller.remaining is None

    def test_has_the_deadline(self) -> None:
        assert begin(max_wait=50).deadline == 150.0
        assert begin(max_wait=None).deadline is None

    def test_gets_less_time_where_there_is_less(self) -> None:
        assert begin(max_wait=20).step == Poll(0.0, 20.0)
        assert begin(max_wait=2).step == Poll(0.0, 5.0)


class TestASnapshot:
    def test_is_followed_by_the_schedules_delay(self) -> None:
        poller = begin()
        poller.received(RUNNING, 100.0, CREATED)
        assert poller.step == Poll(8.0, 30.0)
        assert poller.polls == 1

    @pytest.mark.parametrize(("luck", "delay"), [(0.0, 7.6), (0.25, 7.8), (1.0, 8.4)])
    def test_spreads_the_delay_by_five_percent(self, luck: float, delay: float) -> None:
        poller = begin(random=lambda: luck)
        poller.received(RUNNING, 100.0, CREATED)
        assert isinstance(poller.step, Poll)
        assert poller.step.delay == pytest.approx(delay)

    def test_near_the_deadline_is_followed_by_a_poll_at_it(self) -> None:
        poller = begin(max_wait=10)
        poller.received(RUNNING, 107.0, CREATED)
        assert poller.step == Poll(3.0, 5.0)

    def test_some_way_before_it_leaves_the_poll_what_remains(self) -> None:
        poller = begin(max_wait=25)
        poller.received(RUNNING, 107.0, CREATED)
        assert poller.step == Poll(8.0, 10.0)

    def test_at_the_deadline_is_the_last(self) -> None:
        poller = begin(max_wait=10)
        poller.received(RUNNING, 110.0 - 1e-7, CREATED)
        assert poller.step == GiveUp("still running after 10 s")
        assert not poller.pending
        assert poller.result() is None

    def test_just_before_it_is_not(self) -> None:
        poller = begin(max_wait=10)
        poller.received(RUNNING, 110.0 - 1e-3, CREATED)
        assert poller.pending

    def test_as_many_as_allowed_end_the_wait(self) -> None:
        poller = begin(max_polls=2)
        poller.received(RUNNING, 100.0, CREATED)
        assert poller.pending
        poller.received(RUNNING, 108.0, CREATED)
        assert poller.step == GiveUp("still running after 2 retrievals")

    def test_of_an_end_is_the_result_even_at_a_bound(self) -> None:
        poller = begin(max_polls=1, max_wait=0)
        poller.received(FINISHED, 100.0, CREATED)
        assert poller.step == Done(FINISHED)
        assert poller.result() is FINISHED

    def test_of_a_named_status_is_an_error(self) -> None:
        poller = begin(raise_if=frozenset({"Finished"}))
        poller.received(FINISHED, 100.0, CREATED)
        assert isinstance(poller.step, Fail)
        with pytest.raises(OperationFailedError) as caught:
            poller.result()
        assert caught.value.operation is FINISHED

    def test_of_an_unknown_status_is_noticed_once(self) -> None:
        poller = begin()
        noticed: list[str | None] = []
        for status in ("Running", "Paused", "Paused", "Resting", "Running"):
            poller.received(operation(status, Running=1, Finished=0), 100.0, CREATED)
            noticed.append(poller.unknown_status)
        assert noticed == [None, "Paused", None, None, None]
        assert poller.pending

    def test_no_sleep_is_negative(self) -> None:
        class Hasty:
            def next_delay(self, history: object) -> float:
                return -5.0

        poller = begin(schedule=Hasty())
        poller.received(RUNNING, 100.0, CREATED)
        assert poller.step == Poll(0.0, 30.0)


class TestTheAge:
    def ages(self, wall: float) -> list[float]:
        """Return the age at the start, then the ages that a schedule is told."""
        told: list[float] = []
        starts: set[float] = set()

        class Listening:
            def next_delay(self, history: object) -> float:
                told.append(history.age)  # type: ignore[attr-defined]
                starts.add(history.age_at_start)  # type: ignore[attr-defined]
                return 8.0

        poller = begin(schedule=Listening())
        poller.received(RUNNING, 102.0, wall)
        poller.received(RUNNING, 110.0, wall + 9000)
        return [starts.pop(), *told]

    def test_counts_from_the_creation(self) -> None:
        assert self.ages(CREATED + 60) == pytest.approx([58.0, 60.0, 68.0])

    def test_is_none_where_the_wall_clock_is_behind(self) -> None:
        assert self.ages(CREATED - 500) == [0.0, 0.0, 8.0]

    def test_units_are_counted(self) -> None:
        poller = begin()
        for now, done in ((100.0, 0), (150.0, 25), (200.0, 50)):
            found = operation("Running", Finished=done, Running=100 - done)
            poller.received(found, now, CREATED + now - 100)
        assert poller.remaining == pytest.approx(100.0)

    def test_all_ways_to_end_are_progress(self) -> None:
        poller = begin()
        for now, done in ((100.0, 0), (150.0, 10), (200.0, 20)):
            counts = {"Finished": done, "Cancelled": done, "Errored": done}
            found = operation("Running", Running=90 - 3 * done, Queued=10, **counts)
            poller.received(found, now, CREATED + now - 100)
        assert poller.remaining == pytest.approx(200 / 3, rel=1e-6)


class TestAFailure:
    def test_delays_double_up_to_a_minute(self) -> None:
        expected = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
        assert failures(begin(), 8, trouble()) == expected

    def test_delays_are_spread(self) -> None:
        assert failures(begin(random=lambda: 1.0), 2, trouble()) == pytest.approx([1.05, 2.1])

    def test_very_many_do_not_overflow(self) -> None:
        poller = begin(max_outage=None, max_wait=None)
        assert failures(poller, 2000, trouble())[-1] == 60.0
        assert poller.failures == poller.polls == 2000

    def test_a_success_starts_the_count_again(self) -> None:
        poller = begin()
        failures(poller, 3, trouble())
        poller.received(RUNNING, 107.0, CREATED)
        assert poller.failures == 0
        poller.failed(trouble(), 115.0)
        assert poller.step == Poll(1.0, 30.0)

    def test_retry_after_is_honoured_to_the_second(self) -> None:
        assert failures(begin(), 1, trouble(retry_after=7.5)) == [7.5]
        assert failures(begin(), 1, trouble(retry_after=0.0)) == [0.0]

    def test_retry_after_is_bounded_by_an_hour(self) -> None:
        assert failures(begin(), 1, trouble(retry_after=1e9)) == [3600.0]

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
                poller.received(RUNNING, 100.0, CREATED)
            else:
                poller.failed(trouble(), 100.0)
                poller.received(RUNNING, 100.0, CREATED)
            assert sum(failures(poller, 99, unreached())) == 1800.0

    def test_an_endpoint_reached_by_a_failure_counts_as_reached(self) -> None:
        poller = begin(max_outage=100)
        poller.failed(trouble(), 100.0)
        assert sum(failures(poller, 99, unreached())) == 100.0

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


def test_a_stop_ends_the_wait_without_a_result() -> None:
    poller = begin()
    poller.stop()
    assert poller.step == GiveUp("stopped by the caller")
    assert not poller.pending
    assert poller.result() is None


def test_the_defaults_of_a_policy() -> None:
    policy = Policy()
    assert (policy.max_polls, policy.max_wait, policy.max_outage) == (36000, 36000.0, 1800.0)
    assert policy.raise_if == {"Errored"}
    assert policy.request_timeout == 30.0
