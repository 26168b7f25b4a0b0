"""Time is the service's: an operation's age is its dates against the response's own `Date`."""

from __future__ import annotations

import random
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import pytest
from nexus_operations import Fixed
from nexus_operations.testing import EPOCH

from tests.support.checks import each, ended
from tests.support.paths import Path, on_every_wait
from tests.support.replies import Reply, good
from tests.support.worlds import START, Asked, World

LATE = 6.0
"""Seconds after the end of a job of a minute by which it is noticed."""


def job(
    duration: float,
    *,
    age: float = 0.0,
    created: Callable[[float], Any] = lambda created: created,
    date: Callable[[float], str | None] = lambda now: formatdate(now, usegmt=True),
    skew: float = 0.0,
    wrong: float = 0.0,
) -> World:
    """Return a world with one job.

    Args:
        duration: Seconds from the start of the world to the job's end.
        age: Seconds that it is old by then.
        created: What its date becomes, in milliseconds.
        date: The `Date` of a response, from the service's own time.
        skew: Seconds by which the service's own clock is ahead of true time.
        wrong: Seconds by which the machine's clock is.
    """

    def answer(asked: Asked) -> Reply:
        begun = EPOCH + START + skew
        overview = "Finished" if asked.at >= duration else "Running"
        sent = date(begun + asked.at)
        headers = {} if sent is None else {"Date": sent}
        return good(asked.op_id, overview, headers, created=created(int((begun - age) * 1000)))

    world = World(answer)
    world.clock.wall_offset = wrong
    return world


def noticed(path: Path, world: World, duration: float, late: float = LATE) -> None:
    """Check that the job's end is noticed soon, and without a storm of polls."""
    ended(path.one("op_1", world.client), "op_1")
    assert duration <= world.elapsed <= duration + late
    assert len(world.asked) <= duration + 5


WRONG = [0.0, 30.0, -30.0, 3600.0, -3600.0, 86_400.0, -86_400.0, 4e8, -4e8]


@on_every_wait
def test_a_machine_whose_clock_is_wrong(path: Path) -> None:
    each(WRONG, lambda wrong: noticed(path, job(60, wrong=wrong), 60))


@on_every_wait
def test_a_service_whose_clock_is_wrong(path: Path) -> None:
    """Its dates and its `Date` are wrong alike."""
    each(WRONG, lambda skew: noticed(path, job(60, skew=skew), 60))


@on_every_wait
def test_both_wrong(path: Path) -> None:
    world = job(60, skew=9e6, wrong=-9e6)
    noticed(path, world, 60)


NO_DATES: dict[str, Callable[[float], str | None]] = {
    "none": lambda now: None,
    "empty": lambda now: "",
    "words": lambda now: "yesterday",
    "a number": lambda now: str(int(now)),
    "a date that is none": lambda now: "Mon, 99 Foo 2023 25:61:61 GMT",
    "the year nothing": lambda now: "Mon, 01 Jan 0000 00:00:00 GMT",
    "very long": lambda now: "9" * 5000,
    "ISO": lambda now: "2023-11-14T22:30:00Z",
}


@on_every_wait
def test_responses_without_a_date(path: Path) -> None:
    """The machine's clock stands in."""
    each(NO_DATES, lambda row: noticed(path, job(60, date=NO_DATES[row]), 60))


NO_CREATION: dict[str, Callable[[float], Any]] = {
    "0": lambda created: 0,
    "1": lambda created: 1,
    "in seconds": lambda created: created // 1000,
    "in microseconds": lambda created: created * 1000,
    "an hour ahead": lambda created: created + 3_600_000,
    "a year ahead": lambda created: created + 31_536_000_000,
    "in the year 9999": lambda created: 253_402_300_799_000,
    "beyond all years": lambda created: 10**18,
}


@on_every_wait
def test_a_creation_that_is_no_time(path: Path) -> None:
    each(NO_CREATION, lambda row: noticed(path, job(60, created=NO_CREATION[row]), 60))


@on_every_wait
def test_an_operation_that_is_old(path: Path) -> None:
    """What has run for hours is polled seldom, by the service's clock, though ours is wrong."""

    def check(wrong: float) -> None:
        world = job(1800, age=6 * 3600, wrong=wrong)
        ended(path.one("op_1", world.client), "op_1")
        assert len(world.asked) < 120

    each([0.0, 86_400.0, -86_400.0], check)


@on_every_wait
def test_a_date_that_stands_still(path: Path) -> None:
    """As where a cache in front answers with an old `Date`."""
    still = formatdate(EPOCH + START, usegmt=True)
    noticed(path, job(60, date=lambda now: still), 60)


@on_every_wait
def test_a_date_that_leaps(path: Path) -> None:
    leaps = iter(range(10_000))
    world = job(60, date=lambda now: formatdate(now + (next(leaps) % 3 - 1) * 86_400, usegmt=True))
    noticed(path, world, 60)


@on_every_wait
def test_a_wall_clock_that_is_set_meanwhile(path: Path) -> None:
    """Bounds and delays are on the monotonic clock."""

    def check(leap: float) -> None:
        world = job(300, date=lambda now: None)
        answer = world._answer

        def leaping(asked: Asked) -> Any:
            world.clock.wall_offset += leap
            return answer(asked)

        world._answer = leaping
        random.seed(1)  # the jitter of five delays of 80 s is as large as the bound
        noticed(path, world, 300, 30)

    each([86_400.0, -86_400.0, 0.5, -1e9], check)


@on_every_wait
def test_a_wall_clock_that_is_set_does_not_move_the_deadline(path: Path) -> None:
    for leap in (1e6, -1e6):
        world = job(1e9)
        answer = world._answer

        def leaping(asked: Asked, leap: float = leap, answer: Any = answer) -> Any:
            world.clock.wall_offset += leap  # noqa: B023
            return answer(asked)

        world._answer = leaping
        assert path.one("op_1", world.client, max_wait=100, schedule=Fixed(10)) is None
        assert world.elapsed == pytest.approx(100, abs=0.1)


@on_every_wait
def test_an_update_before_the_creation(path: Path) -> None:
    def answer(asked: Asked) -> Reply:
        overview = "Finished" if asked.at >= 60 else "Running"
        created = int((EPOCH + START) * 1000)
        return good(asked.op_id, overview, created=created, updated=created - 10**9)

    noticed(path, World(answer), 60)
