"""The polling core by itself: properties that hold for every life and every trouble."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import nexus_operations
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nexus_operations import (
    Adaptive,
    Fixed,
    NexusError,
    Operation,
    Schedule,
    ServiceUnavailableError,
)
from nexus_operations._core.poller import (
    LAST_POLL_TIMEOUT,
    RETRY_AFTER_MAX,
    RETRY_AFTER_SPREAD,
    Bounds,
    Done,
    Fail,
    GiveUp,
    Poll,
    Poller,
)
from nexus_operations.simulator import Life

from tests.test_reference_page import BODY

FINISHED = Operation.from_json(BODY.encode())


def operation(overview: str = "Running", **counts: int) -> Operation:
    """Return an operation with a status and counts."""
    import msgspec

    body = msgspec.json.decode(BODY)
    body["status"]["overview"] = overview
    body["status"]["progress"]["withStatus"].update(counts)
    return Operation.from_json(msgspec.json.encode(body))


RUNNING = operation(Finished=0, Running=1)


def drive(poller: Poller, answers: Any, now: float = 0.0) -> list[float]:
    """Feed answers (operations or errors) to a poller; return when each poll was made."""
    times: list[float] = []
    for answer in answers:
        if not isinstance(poller.step, Poll):
            break
        now += poller.step.delay
        times.append(now)
        if isinstance(answer, NexusError):
            poller.failed(answer, now)
        else:
            poller.received(answer, now, now)
    return times


def test_it_begins_with_a_poll_at_once() -> None:
    assert Poller(Bounds(), 5.0).step == Poll(0.0)


def test_what_it_ends_in() -> None:
    poller = Poller(Bounds(), 0.0)
    poller.received(FINISHED, 0.0, 0.0)
    assert poller.step == Done(FINISHED)
    assert poller.result() is FINISHED
    assert not poller.pending

    poller = Poller(Bounds(), 0.0)
    error = NexusError("no")
    poller.failed(error, 0.0)
    assert poller.step == Fail(error)
    with pytest.raises(NexusError, match="no"):
        poller.result()

    poller = Poller(Bounds(max_polls=1), 0.0)
    poller.received(RUNNING, 0.0, 0.0)
    assert poller.step == GiveUp("still running after 1 polls")
    assert poller.result() is None

    poller = Poller(Bounds(), 0.0)
    poller.stop()
    assert poller.result() is None


def test_more_polls_than_the_default_bound() -> None:
    poller = Poller(Bounds(max_polls=None, max_wait=None, schedule=Fixed(1)), 0.0)
    assert len(drive(poller, [RUNNING] * 40_000)) == 40_000
    assert poller.pending


def test_the_backoff_does_not_overflow() -> None:
    poller = Poller(Bounds(max_polls=None, max_wait=None, max_outage=None), 0.0)
    drive(poller, [ServiceUnavailableError("down")] * 3000)
    assert poller.failures == 3000
    assert poller.pending


answers = st.lists(
    st.one_of(
        st.just(RUNNING),
        st.builds(lambda n: operation(Finished=n, Running=100 - n), st.integers(0, 99)),
        st.builds(
            lambda after: ServiceUnavailableError("down", retry_after=after),
            st.one_of(st.none(), st.floats(0, 1e9)),
        ),
    ),
    max_size=60,
)
schedules: st.SearchStrategy[Schedule] = st.one_of(
    st.just(Adaptive()), st.builds(Fixed, st.floats(0.01, 1e5))
)


@given(answers, schedules, st.floats(0, 1e5), st.floats(0, 1))
def test_the_deadline_is_never_passed(
    given_answers: Any, schedule: Schedule, max_wait: float, luck: float
) -> None:
    bounds = Bounds(max_wait=max_wait, max_outage=None, schedule=schedule)
    poller = Poller(bounds, 0.0, random=lambda: luck)
    for now in drive(poller, given_answers):
        assert now <= max_wait + 1e-6


@given(answers, st.floats(0, 1e5), st.floats(0, 1))
def test_delays_and_timeouts_are_within_bounds(
    given_answers: Any, max_wait: float, luck: float
) -> None:
    bounds = Bounds(max_wait=max_wait, max_outage=None)
    poller, now = Poller(bounds, 0.0, random=lambda: luck), 0.0
    for answer in given_answers:
        if not isinstance(poller.step, Poll):
            break
        assert 0 <= poller.step.delay <= RETRY_AFTER_MAX * (1 + RETRY_AFTER_SPREAD)
        now += poller.step.delay
        assert 0 < poller.timeout(30.0, now) <= 30
        assert now + poller.timeout(30.0, now) <= max_wait + LAST_POLL_TIMEOUT + 1e-6
        if isinstance(answer, NexusError):
            poller.failed(answer, now)
        else:
            poller.received(answer, now, now)


@given(answers, st.integers(1, 50))
def test_no_more_polls_than_allowed(given_answers: Any, bound: int) -> None:
    poller = Poller(Bounds(max_polls=bound, max_wait=None, max_outage=None), 0.0)
    assert len(drive(poller, given_answers)) <= bound


@given(answers)
def test_never_done_unless_the_service_said_so(given_answers: Any) -> None:
    poller = Poller(Bounds(max_outage=None), 0.0)
    drive(poller, given_answers)
    assert not isinstance(poller.step, Done)


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.sampled_from(["linear", "stall", "burst"]))
def test_lives_keep_their_counts(duration: float, age: float, shape: Any) -> None:
    life = Life(duration=duration, queued=duration / 4, items=100, shape=shape)
    assert sum(life.counts(age).values()) == 100


def test_the_core_knows_no_io() -> None:
    package = Path(nexus_operations.__file__).parent
    for name in ("_core/poller.py", "_core/schedule.py"):
        imported: set[str] = set()
        for node in ast.walk(ast.parse((package / name).read_text())):
            if isinstance(node, ast.Import):
                imported.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module or "")
        assert not imported & {"httpx", "asyncio", "threading", "time", "socket", "logging"}
