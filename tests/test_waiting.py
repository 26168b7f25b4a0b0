"""What a wait does, in virtual time, row by row of the contract; sync and async alike."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from nexus_operations import (
    BadRequestError,
    Fixed,
    ForbiddenError,
    InvalidResponseError,
    NetworkConnectionError,
    NexusError,
    NotFoundError,
    OperationFailedError,
    RequestTimeoutError,
    ServiceUnavailableError,
    TooManyRequestsError,
    UnauthorizedError,
)
from nexus_operations.simulator import Life, Trouble
from nexus_operations.testing import EPOCH

from tests.conftest import Driver

STUCK = Life(outcome="Running")
HOUR = 3600.0


def polls(nexus: Driver) -> list[float]:
    """Return when each retrieval was made, in seconds since the start."""
    return [request.at - 1000.0 for request in nexus.service.requests]


class TestOutcomes:
    def test_a_finished_operation_is_returned(self, nexus: Driver) -> None:
        operation = nexus.wait(nexus.service.start(Life(duration=120)))
        assert operation is not None
        assert operation.status.overview == "Finished"
        assert nexus.elapsed >= 120

    def test_the_first_poll_is_at_once(self, nexus: Driver) -> None:
        nexus.wait(nexus.service.start(Life(duration=0)))
        assert polls(nexus) == [0.0]
        assert nexus.clock.slept == []

    @pytest.mark.parametrize("status", ["Errored", "Cancelled"])
    def test_the_named_status_raises(self, nexus: Driver, status: Any) -> None:
        op_id = nexus.service.start(Life(duration=9, outcome=status, message="Out of disk"))
        with pytest.raises(BadRequestError, match="Out of disk") as caught:
            nexus.wait(op_id, raise_exception_if=status)
        assert isinstance(caught.value, OperationFailedError)
        assert caught.value.operation.id == op_id
        assert caught.value.operation.status.overview == status

    def test_errored_is_named_by_default(self, nexus: Driver) -> None:
        with pytest.raises(OperationFailedError):
            nexus.wait(nexus.service.start(Life(outcome="Errored")))

    @pytest.mark.parametrize(
        ("named", "status"),
        [("Errored", "Cancelled"), ("Cancelled", "Errored"), (None, "Errored"), ([], "Cancelled")],
    )
    def test_another_terminal_status_is_returned_at_once(
        self, nexus: Driver, named: Any, status: Any
    ) -> None:
        op_id = nexus.service.start(Life(duration=0, outcome=status))
        operation = nexus.wait(op_id, raise_exception_if=named)
        assert operation is not None
        assert operation.status.overview == status
        assert len(polls(nexus)) == 1

    @pytest.mark.parametrize("status", ["Errored", "Cancelled"])
    def test_several_statuses_can_be_named(self, nexus: Driver, status: Any) -> None:
        op_id = nexus.service.start(Life(outcome=status))
        with pytest.raises(OperationFailedError):
            nexus.wait(op_id, raise_exception_if=("Errored", "Cancelled"))

    def test_a_named_status_need_not_be_terminal(self, nexus: Driver) -> None:
        with pytest.raises(OperationFailedError, match="is Running"):
            nexus.wait(nexus.service.start(STUCK), raise_exception_if="Running")

    def test_an_unknown_status_is_polled_on_and_warned_of_once(
        self, nexus: Driver, caplog: pytest.LogCaptureFixture
    ) -> None:
        op_id = nexus.service.start(Life(duration=60))
        nexus.service.trouble(Trouble(kind="overview", overview="Paused", times=5), op_id=op_id)
        operation = nexus.wait(op_id)
        assert operation is not None
        assert operation.status.overview == "Finished"
        warnings = [r for r in caplog.records if r.levelno == logging.WARNING]
        assert len(warnings) == 1
        assert "'Paused'" in warnings[0].getMessage()


class TestBounds:
    def test_timeout_is_a_number_of_retrievals(self, nexus: Driver) -> None:
        assert nexus.wait(nexus.service.start(STUCK), timeout=7) is None
        assert len(polls(nexus)) == 7

    def test_a_single_retrieval_sleeps_not_at_all(self, nexus: Driver) -> None:
        assert nexus.wait(nexus.service.start(STUCK), timeout=1) is None
        assert nexus.elapsed == 0

    def test_the_bound_of_retrievals_can_be_lifted(self, nexus: Driver) -> None:
        op_id = nexus.service.start(Life(duration=500))
        operation = nexus.wait(op_id, timeout=None, max_wait=None, schedule=Fixed(1))
        assert operation is not None
        assert nexus.service.request_count > 450  # test_polling has the same past the default

    @pytest.mark.parametrize("bound", [100, 100.0, timedelta(seconds=100)])
    def test_the_last_poll_is_at_the_deadline(self, nexus: Driver, bound: Any) -> None:
        assert nexus.wait(nexus.service.start(STUCK), max_wait=bound, schedule=Fixed(30)) is None
        assert polls(nexus)[-1] == pytest.approx(100)
        assert nexus.elapsed == pytest.approx(100)

    def test_an_end_at_the_deadline_is_not_missed(self, nexus: Driver) -> None:
        op_id = nexus.service.start(Life(duration=99.9))
        operation = nexus.wait(op_id, max_wait=100, schedule=Fixed(60))
        assert operation is not None
        assert operation.status.overview == "Finished"

    def test_no_time_at_all_is_one_poll(self, nexus: Driver) -> None:
        assert nexus.wait(nexus.service.start(STUCK), max_wait=0) is None
        assert len(polls(nexus)) == 1

    def test_ten_hours_are_the_default(self, nexus: Driver) -> None:
        assert nexus.wait(nexus.service.start(STUCK)) is None
        assert nexus.elapsed == pytest.approx(36000)

    def test_a_request_near_the_deadline_gets_less_time(self, nexus: Driver) -> None:
        op_id = nexus.service.start(STUCK)
        nexus.service.trouble(Trouble(kind="stall", seconds=1e9, times=100), op_id=op_id)
        with pytest.raises(RequestTimeoutError):
            nexus.wait(op_id, max_wait=10)
        assert nexus.elapsed <= 15.1

    def test_the_wall_clock_does_not_matter(self, nexus: Driver) -> None:
        op_id = nexus.service.start(Life(duration=500))
        nexus.clock.wall_offset = -1e9
        operation = nexus.wait(op_id, max_wait=600)
        assert operation is not None
        assert nexus.elapsed < 600


class TestTransientTrouble:
    @pytest.mark.parametrize(
        "trouble",
        [
            Trouble(kind="status", status=429),
            Trouble(kind="status", status=500),
            Trouble(kind="status", status=502, content_type="text/html"),
            Trouble(kind="status", status=503),
            Trouble(kind="status", status=504, body=""),
            Trouble(kind="status", status=520, content_type="text/html"),
            Trouble(kind="status", status=524, content_type="text/html"),
            Trouble(kind="status", status=599),
            Trouble(kind="status", status=408),
            Trouble(kind="reset"),
            Trouble(kind="refuse"),
            Trouble(kind="cut"),
            Trouble(kind="stall"),
        ],
        ids=lambda trouble: f"{trouble.kind}-{trouble.status}",
    )
    def test_the_wait_goes_on(self, nexus: Driver, trouble: Trouble) -> None:
        op_id = nexus.service.start(Life(duration=100))
        nexus.service.trouble(*[trouble] * 4, op_id=op_id)
        operation = nexus.wait(op_id)
        assert operation is not None
        assert operation.status.overview == "Finished"

    def test_retries_back_off(self, nexus: Driver) -> None:
        op_id = nexus.service.start(STUCK)
        nexus.service.trouble(Trouble(kind="status", times=10), op_id=op_id)
        nexus.wait(op_id, timeout=11)
        expected = [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]
        assert nexus.clock.slept == pytest.approx(expected, rel=0.051)

    def test_retry_after_in_seconds_is_honoured(self, nexus: Driver) -> None:
        op_id = nexus.service.start(STUCK)
        nexus.service.trouble(Trouble(kind="status", status=429, retry_after="77"), op_id=op_id)
        nexus.wait(op_id, timeout=2)
        assert polls(nexus) == [0.0, pytest.approx(77 * 1.05, rel=0.051)]

    def test_retry_after_as_a_date_is_honoured(self, nexus: Driver) -> None:
        at = datetime.fromtimestamp(EPOCH + 2000, UTC)
        op_id = nexus.service.start(STUCK)
        date = format_datetime(at, usegmt=True)
        sent = format_datetime(at - timedelta(seconds=90), usegmt=True)
        trouble = Trouble(kind="status", status=503, retry_after=date, date=sent)
        nexus.service.trouble(trouble, op_id=op_id)
        nexus.wait(op_id, timeout=2)
        assert polls(nexus) == [0.0, pytest.approx(90 * 1.05, rel=0.051)]

    @pytest.mark.parametrize(
        ("value", "delay"),
        [
            ("-5", 1.0),
            ("soon", 1.0),
            ("", 1.0),
            ("1.5", 1.0),
            ("31536000", 3600.0 * 1.05),
            ("9" * 400, 3600.0 * 1.05),
            ("Wed, 21 Oct 1915 07:28:00 GMT", 1.0),
            ("Wed, 99 Oct 2015 07:28:00 GMT", 1.0),
        ],
    )
    def test_an_absurd_retry_after_does_no_harm(
        self, nexus: Driver, value: str, delay: float
    ) -> None:
        op_id = nexus.service.start(STUCK)
        nexus.service.trouble(Trouble(kind="status", status=429, retry_after=value), op_id=op_id)
        nexus.wait(op_id, timeout=2, max_outage=None)
        assert polls(nexus)[1] == pytest.approx(delay, rel=0.051)

    def test_retry_after_does_not_pass_the_deadline(self, nexus: Driver) -> None:
        op_id = nexus.service.start(STUCK)
        nexus.service.trouble(Trouble(kind="status", status=429, retry_after="900"), op_id=op_id)
        assert nexus.wait(op_id, max_wait=60) is None
        assert polls(nexus) == [0.0, pytest.approx(60)]

    def test_a_lasting_outage_raises_its_last_error(self, nexus: Driver) -> None:
        op_id = nexus.service.start(STUCK)
        nexus.service.trouble(Trouble(kind="status", status=500, times=5), op_id=op_id)
        nexus.service.trouble(Trouble(kind="status", status=503, times=1000), op_id=op_id)
        with pytest.raises(ServiceUnavailableError):
            nexus.wait(op_id)
        assert nexus.elapsed == pytest.approx(1800)

    @pytest.mark.parametrize("bound", [300, timedelta(minutes=5)])
    def test_how_long_an_outage_may_last_can_be_set(self, nexus: Driver, bound: Any) -> None:
        op_id = nexus.service.start(STUCK)
        nexus.service.trouble(Trouble(kind="status", times=1000), op_id=op_id)
        with pytest.raises(ServiceUnavailableError):
            nexus.wait(op_id, max_outage=bound)
        assert nexus.elapsed == pytest.approx(300)

    def test_an_outage_may_last_for_ever(self, nexus: Driver) -> None:
        op_id = nexus.service.start(Life(duration=10))
        nexus.service.trouble(Trouble(kind="status", times=5000), op_id=op_id)
        operation = nexus.wait(op_id, max_outage=None, max_wait=None)
        assert operation is not None
        assert nexus.elapsed > 4900 * 57

    def test_no_outage_tolerated_raises_the_first_failure(self, nexus: Driver) -> None:
        op_id = nexus.service.start(STUCK)
        nexus.service.trouble(Trouble(kind="status"), op_id=op_id)
        with pytest.raises(ServiceUnavailableError):
            nexus.wait(op_id, max_outage=0)
        assert len(polls(nexus)) == 1

    def test_a_service_never_reached_is_given_a_minute(self, nexus: Driver) -> None:
        op_id = nexus.service.start(STUCK)
        nexus.service.trouble(Trouble(kind="refuse", times=1000), op_id=op_id)
        with pytest.raises(NetworkConnectionError, match="could not be reached"):
            nexus.wait(op_id)
        assert nexus.elapsed == pytest.approx(60)

    def test_a_service_reached_before_is_given_the_whole_outage(self, nexus: Driver) -> None:
        op_id = nexus.service.start(STUCK)
        nexus.service.trouble(Trouble(kind="reset"), op_id=op_id)
        nexus.service.trouble(Trouble(kind="refuse", times=1000), op_id=op_id)
        with pytest.raises(NetworkConnectionError):
            nexus.wait(op_id)
        assert nexus.elapsed == pytest.approx(1800)

    def test_a_success_ends_an_outage(self, nexus: Driver) -> None:
        op_id = nexus.service.start(STUCK)
        ok = Trouble(kind="overview", overview="Running")
        bad = Trouble(kind="status", status=502)
        nexus.service.trouble(*([bad] * 30 + [ok]) * 4, op_id=op_id)
        assert nexus.wait(op_id, timeout=140) is None

    def test_a_bound_reached_in_an_outage_raises_the_failure(self, nexus: Driver) -> None:
        op_id = nexus.service.start(STUCK)
        nexus.service.trouble(Trouble(kind="status", times=1000), op_id=op_id)
        with pytest.raises(ServiceUnavailableError):
            nexus.wait(op_id, max_wait=60)
        with pytest.raises(ServiceUnavailableError):
            nexus.wait(op_id, timeout=3)

    def test_nine_hours_with_failing_polls_and_two_outages(self, nexus: Driver) -> None:
        op_id = nexus.service.start(Life(duration=9 * HOUR, items=1000))
        outages = [(2 * HOUR, 2 * HOUR + 600), (6 * HOUR, 6 * HOUR + 600)]
        answer = nexus.service.answer

        def failing(*args: Any) -> Any:
            reply = answer(*args)
            down = any(start <= nexus.elapsed < end for start, end in outages)
            if down or nexus.service.request_count % 20 == 0:
                return type(reply)(502, b"<html>Bad gateway</html>", {"Content-Type": "text/html"})
            return reply

        nexus.service.answer = failing  # type: ignore[method-assign]
        operation = nexus.wait(op_id)
        assert operation is not None
        assert operation.status.overview == "Finished"
        assert 9 * HOUR <= nexus.elapsed <= 9 * HOUR + 120


class TestPermanentTrouble:
    @pytest.mark.parametrize(
        ("status", "error"),
        [
            (400, BadRequestError),
            (401, UnauthorizedError),
            (403, ForbiddenError),
            (404, NotFoundError),
            (302, NexusError),
            (410, NexusError),
            (299, NexusError),
        ],
    )
    def test_it_raises_at_once(self, nexus: Driver, status: int, error: type[NexusError]) -> None:
        op_id = nexus.service.start(STUCK)
        nexus.service.trouble(Trouble(kind="status", status=status), op_id=op_id)
        with pytest.raises(error) as caught:
            nexus.wait(op_id)
        assert caught.value.status_code == status
        assert len(polls(nexus)) == 1

    def test_a_body_that_breaks_the_contract_raises_at_once(self, nexus: Driver) -> None:
        op_id = nexus.service.start(STUCK)
        nexus.service.trouble(Trouble(kind="body", body='{"id": "op_1"}'), op_id=op_id)
        with pytest.raises(InvalidResponseError):
            nexus.wait(op_id)
        assert len(polls(nexus)) == 1

    def test_get_raises_transient_trouble_too(self, nexus: Driver) -> None:
        op_id = nexus.service.start(STUCK)
        nexus.service.trouble(Trouble(kind="status", status=429, retry_after="5"), op_id=op_id)
        with pytest.raises(TooManyRequestsError) as caught:
            nexus.get(op_id)
        assert caught.value.retry_after == 5
        assert caught.value.transient


class TestWatch:
    def test_snapshots_come_as_they_change(self, nexus: Driver) -> None:
        op_id = nexus.service.start(Life(duration=300, queued=30, items=10))
        snapshots = nexus.watch(op_id)
        finished = [s.status.progress.with_status.Finished for s in snapshots]
        assert snapshots[0].status.overview == "Queued"
        assert snapshots[-1].status.overview == "Finished"
        assert finished == sorted(finished)
        assert len(snapshots) == len(set(snapshots)) < len(polls(nexus))

    def test_a_failed_operation_is_the_last_snapshot(self, nexus: Driver) -> None:
        snapshots = nexus.watch(nexus.service.start(Life(outcome="Errored")))
        assert snapshots[-1].status.overview == "Errored"

    def test_it_raises_for_a_named_status(self, nexus: Driver) -> None:
        op_id = nexus.service.start(Life(outcome="Errored"))
        with pytest.raises(OperationFailedError):
            nexus.watch(op_id, raise_exception_if="Errored")

    def test_it_ends_at_a_bound(self, nexus: Driver) -> None:
        snapshots = nexus.watch(nexus.service.start(STUCK), max_wait=100)
        assert [s.status.overview for s in snapshots] == ["Running"]

    def test_trouble_is_overcome(self, nexus: Driver) -> None:
        op_id = nexus.service.start(Life(duration=30))
        nexus.service.trouble(Trouble(kind="status", times=3), op_id=op_id)
        assert nexus.watch(op_id)[-1].status.overview == "Finished"


class TestLogging:
    def test_polls_at_debug_and_retries_at_info(
        self, nexus: Driver, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG, logger="nexus_operations")
        op_id = nexus.service.start(Life(duration=1))
        nexus.service.trouble(Trouble(kind="status"), op_id=op_id)
        nexus.wait(op_id)
        records = [r for r in caplog.records if r.name == "nexus_operations"]
        assert [r.levelname for r in records][:2] == ["INFO", "DEBUG"]
        assert all(op_id in r.getMessage() for r in records)
