"""Back-off is a floor: `Retry-After` lengthens a delay within the bounds, and never shortens it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from email.utils import formatdate
from itertools import pairwise

import pytest
from nexus_operations import (
    AsyncClient,
    Client,
    Fixed,
    InternalServerError,
    ServiceUnavailableError,
    TooManyRequestsError,
)
from nexus_operations.testing import EPOCH

from tests.conftest import PROJECT, SECRET
from tests.support.checks import each, ended, failed
from tests.support.paths import (
    Path,
    on_every_path,
    on_every_wait,
    on_fleets,
)
from tests.support.worlds import (
    START,
    World,
    answers,
    is_finished,
    is_refused,
    is_running,
    script,
)

BACK_OFF = (1, 2, 4, 8, 16, 32, 60, 60)
JITTER = 0.06
SPREAD = 1.35
"""How far above `Retry-After` a delay may be spread, at most."""


@pytest.fixture
def new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put the machine five hours behind GMT."""
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


NONE_OF_IT = [
    "0",
    "00",
    "-1",
    "-0",
    "",
    " ",
    "soon",
    "5, 10",
    "0x10",
    "1e3",
    "٣",
    "nan",
    "Infinity",
    "-Infinity",
    "+",
    "1.2.3",
    "Wed, 21 Oct 1998 07:28:00 GMT",
    "Thu, 01 Jan 1970 00:00:00 GMT",
    "Wed, 99 Oct 2015 07:28:00 GMT",
    "Wed, 21 Oct 0000 07:28:00 GMT",
    "2015-10-21",
    "0" * 500,
]


@on_every_wait
@pytest.mark.parametrize("status", [429, 503])
def test_what_asks_for_no_delay_leaves_the_back_off(path: Path, status: int) -> None:
    def check(value: str) -> None:
        world = World(answers(status, Retry_After=value))
        failed(path.one("op_1", world.client, timeout=8))
        delays = [after - before for before, after in pairwise(world.times)]
        assert len(delays) == 7
        for delay, expected in zip(delays, BACK_OFF, strict=False):
            assert delay >= expected * (1 - JITTER)
            assert delay <= expected * SPREAD

    each([value for value in NONE_OF_IT if value.isascii()], check)


SECONDS = {
    "30": "30",
    "blanks round it": "  30  ",
    "leading zeros": "030",
    "IMF-fixdate": "Sun, 06 Nov 1994 08:50:07 GMT",
    "RFC 850": "Sunday, 06-Nov-94 08:50:07 GMT",
    "asctime, which names no zone": "Sun Nov  6 08:50:07 1994",
    "no zone at all": "Sun, 06 Nov 1994 08:50:07",
    "another zone": "Sun, 06 Nov 1994 10:50:07 +0200",
    "UTC by another name": "Sun, 06 Nov 1994 08:50:07 UT",
    "a wrong day of the week": "Mon, 06 Nov 1994 08:50:07 GMT",
    "-0000 for a zone": "Sun, 06 Nov 1994 08:50:07 -0000",
}


@on_every_wait
@pytest.mark.usefixtures("new_york")
def test_half_a_minute_in_every_spelling(path: Path) -> None:
    def check(row: str) -> None:
        date = "Sun, 06 Nov 1994 08:49:37 GMT"
        failing = answers(503, Retry_After=SECONDS[row], Date=date)
        world = World(script(failing, is_finished))
        ended(path.one("op_1", world.client), "op_1")
        assert 30 <= world.times[1] <= 30 * SPREAD

    each(SECONDS, check)


@on_every_wait
@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 520])
def test_it_counts_with_every_transient_status(path: Path, status: int) -> None:
    world = World(script(answers(status, Retry_After="45"), is_finished))
    ended(path.one("op_1", world.client), "op_1")
    assert 45 <= world.times[1] <= 45 * SPREAD


@on_every_wait
@pytest.mark.parametrize("date", [None, "", "yesterday", "Sun, 99 Nov 1994 08:49:37 GMT"])
def test_a_date_where_the_response_has_none_of_its_own(path: Path, date: str | None) -> None:
    """The clock of the wait stands in for the response's `Date`."""
    at = formatdate(time.time() + 40, usegmt=True)
    headers = {"Retry_After": at} if date is None else {"Retry_After": at, "Date": date}
    world = World(script(answers(503, **headers), is_finished))
    world.clock.wall_offset = time.time() - EPOCH - START
    ended(path.one("op_1", world.client), "op_1")
    assert 30 <= world.times[1] <= 41 * SPREAD


@on_every_wait
def test_the_larger_of_both_counts(path: Path) -> None:
    steps = [answers(503, Retry_After="6")] * 6
    world = World(script(*steps, is_finished))
    ended(path.one("op_1", world.client), "op_1")
    delays = [after - before for before, after in pairwise(world.times)]
    for delay, back_off in zip(delays, BACK_OFF, strict=False):
        assert delay >= max(6.0, back_off * (1 - JITTER))
        assert delay <= max(6.0, back_off) * SPREAD


@on_fleets
def test_a_fleet_does_not_return_at_once(path: Path) -> None:
    world = World(script(answers(503, Retry_After="100"), is_finished))
    ids = [f"op_{number}" for number in range(60)]
    path.run(ids, world.client)
    second = sorted(asked.at for asked in world.asked if asked.nth == 2)
    assert len(second) == 60
    assert second[0] >= 100
    assert second[-1] <= 100 * SPREAD
    assert len({round(at, 2) for at in second}) > 40
    assert second[-1] - second[0] > 2


@on_every_wait
@pytest.mark.parametrize("value", ["3600", "31536000", "9" * 400, "Fri, 01 Jan 2100 00:00:00 GMT"])
def test_it_does_not_pass_the_deadline(path: Path, value: str) -> None:
    world = World(script(answers(429, Retry_After=value), is_running))
    assert path.one("op_1", world.client, max_wait=60) is None
    assert world.times == [0.0, pytest.approx(60, abs=0.1)]


@on_every_wait
def test_it_does_not_stretch_an_outage(path: Path) -> None:
    world = World(answers(503, Retry_After="3600"))
    error = failed(path.one("op_1", world.client, max_outage=90), ServiceUnavailableError)
    assert error.retry_after == 3600
    assert world.elapsed == pytest.approx(90, abs=0.1)
    assert world.times[-1] == pytest.approx(90, abs=0.1)


@on_every_wait
def test_a_service_that_is_back_at_the_end_of_the_outage(path: Path) -> None:
    world = World(script(answers(503, Retry_After="3600"), is_finished))
    ended(path.one("op_1", world.client, max_outage=90), "op_1")
    assert world.elapsed <= 90.1


@on_every_wait
def test_absurd_lengths_without_bounds_are_taken_for_an_hour(path: Path) -> None:
    world = World(script(answers(503, Retry_After="9" * 30), is_finished))
    ended(path.one("op_1", world.client, max_outage=None, max_wait=None), "op_1")
    assert world.elapsed <= 3600 * SPREAD


@on_every_wait
def test_it_does_not_last_beyond_its_answer(path: Path) -> None:
    steps = [answers(503, Retry_After="50"), is_running, answers(500), is_finished]
    world = World(script(*steps))
    ended(path.one("op_1", world.client, schedule=Fixed(5)), "op_1")
    assert world.times[3] - world.times[2] < 2


@on_every_path
def test_it_is_told_in_the_error(path: Path) -> None:
    bounds = {"timeout": 1} if path.waits else {}

    def check(pair: tuple[str, float | None]) -> None:
        value, expected = pair
        world = World(answers(429, Retry_After=value))
        error = failed(path.one("op_1", world.client, **bounds), TooManyRequestsError)
        assert error.retry_after == expected

    each([("17", 17.0), ("0", 0.0), ("soon", None), ("", None)], check)


@on_fleets
def test_a_hold_is_every_polls_of_the_client(path: Path) -> None:
    """A 429 holds the other operations, too; a 503 concerns its own."""
    table = {"op_1": script(answers(429, Retry_After="40"), is_finished)}
    world = World(
        lambda asked: table.get(asked.op_id, script(is_running, is_finished))(asked),
        max_concurrency=1,
    )
    path.run(["op_1", "op_2", "op_3"], world.client, schedule=Fixed(5))
    assert not [at for at in world.times if 0 < at < 40]


@on_every_wait
def test_a_hold_carries_no_later_wait_past_its_deadline(path: Path) -> None:
    world = World(script(answers(429, Retry_After="500"), is_running))

    def waits(operations: object) -> None:
        path.on(operations, ["op_1"], timeout=1)
        before = world.elapsed
        (result,) = path.on(operations, ["op_2"], max_wait=20)
        assert result is None or isinstance(result, TooManyRequestsError)
        assert world.elapsed - before == pytest.approx(20, abs=0.1)

    async def awaited_waits() -> None:
        async with AsyncClient(SECRET, **world.client) as client:
            operations = client.get_project(PROJECT).operations
            await path.aon(operations, ["op_1"], timeout=1)
            before = world.elapsed
            (result,) = await path.aon(operations, ["op_2"], max_wait=20)
            assert result is None or isinstance(result, TooManyRequestsError)
            assert world.elapsed - before == pytest.approx(20, abs=0.1)

    if path.awaited:
        asyncio.run(awaited_waits())
    else:
        with Client(SECRET, **world.client) as client:
            waits(client.get_project(PROJECT).operations)


@on_every_wait
def test_it_is_read_of_no_final_answer(path: Path) -> None:
    world = World(answers(404, Retry_After="30"))
    failed(path.one("op_1", world.client))
    assert world.elapsed == 0


@on_every_wait
def test_an_outage_of_many_kinds_is_one(path: Path) -> None:
    steps = [is_running, answers(503, Retry_After="20"), is_refused, answers(500), answers(502)]
    world = World(script(*steps))
    failed(path.one("op_1", world.client, max_outage=120), InternalServerError)
    assert world.elapsed - world.times[1] == pytest.approx(120, abs=0.2)
