"""Arguments of any size and type: right, or a clear error that names them before any request."""

from __future__ import annotations

import asyncio
import io
import math
import pathlib
import threading
import uuid
from collections import UserString, deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from nexus_operations import AsyncClient, Client, Fixed, NexusError

from tests.conftest import SECRET
from tests.support.checks import each, within
from tests.support.paths import (
    Path,
    on_every_path,
    on_every_wait,
    on_fleets,
    on_sync,
)
from tests.support.worlds import World, is_finished, is_running


class Odd:
    """An object that cannot even be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")


def refused(call: Callable[[World], object], name: str, *kinds: type[Exception]) -> None:
    """Check that a call is refused in words that name the argument, and asks for nothing."""
    world = World(is_finished)
    with pytest.raises((TypeError, ValueError)) as caught:
        call(world)
    assert type(caught.value) in (kinds or (TypeError, ValueError)), repr(caught.value)
    assert name in str(caught.value)
    assert len(str(caught.value)) < 500
    assert not world.asked


def refused_or_works(call: Callable[[World], object], name: str) -> None:
    """Check that a call is refused as above, or does its work."""
    world = World(is_finished)
    try:
        result = call(world)
    except (TypeError, ValueError) as error:
        assert name in str(error)  # noqa: PT017
        assert not world.asked
    else:
        assert world.asked or isinstance(result, NexusError)


HUGE = 10**400

NO_NUMBERS: dict[str, tuple[Any, type[Exception]]] = {
    "a bool": (True, TypeError),
    "words": ("5", TypeError),
    "bytes": (b"5", TypeError),
    "a complex number": (5 + 0j, TypeError),
    "a list": ([5], TypeError),
    "a date": (datetime(2030, 1, 1, tzinfo=UTC), TypeError),
    "what cannot be shown": (Odd(), TypeError),
    "a class": (float, TypeError),
    "an array": (np.array([5.0, 6.0]), TypeError),
}
NO_SECONDS: dict[str, tuple[Any, type[Exception]]] = {
    **NO_NUMBERS,
    "less than nothing": (-1, ValueError),
    "a little less than nothing": (-1e-300, ValueError),
    "a negative timedelta": (timedelta(seconds=-1), ValueError),
    "NaN": (math.nan, ValueError),
    "infinity": (math.inf, ValueError),
    "minus infinity": (-math.inf, ValueError),
    "an array's NaN": (np.float64("nan"), ValueError),
}
SECONDS_AT_THE_EDGE: dict[str, Any] = {
    "Decimal": Decimal("5.5"),
    "Fraction": Fraction(11, 2),
    "an array's float": np.float64(5.5),
    "an array's short float": np.float32(5.5),
    "an array's int": np.int64(5),
    "beyond any float": HUGE,
    "the largest float": 1.7e308,
    "the smallest float": 5e-324,
    "the longest timedelta": timedelta.max,
    "minus nothing": -0.0,
}


@pytest.mark.parametrize("name", ["max_wait", "max_outage"])
@on_every_wait
def test_durations(path: Path, name: str) -> None:
    def no_duration(row: str) -> None:
        value, kind = NO_SECONDS[row]
        refused(lambda world: path.one("op_1", world.client, **{name: value}), name, kind)

    def edge(row: str) -> None:
        value = {name: SECONDS_AT_THE_EDGE[row]}
        refused_or_works(lambda world: path.one("op_1", world.client, **value), name)

    each(NO_SECONDS, no_duration)
    each(SECONDS_AT_THE_EDGE, edge)


@on_every_path
def test_request_timeout(path: Path) -> None:
    def no_duration(row: str) -> None:
        value, kind = {**NO_SECONDS, "none": (None, TypeError), "nothing": (0, ValueError)}[row]
        refused(
            lambda world: path.one("op_1", {**world.client, "request_timeout": value}),
            "request_timeout",
            kind,
        )

    def edge(row: str) -> None:
        client = {"request_timeout": SECONDS_AT_THE_EDGE[row]}
        refused_or_works(
            lambda world: path.one("op_1", {**world.client, **client}), "request_timeout"
        )

    each([*NO_SECONDS, "none", "nothing"], no_duration)
    each(SECONDS_AT_THE_EDGE, edge)


NO_COUNTS: dict[str, tuple[Any, type[Exception]]] = {
    **NO_NUMBERS,
    "nothing": (0, ValueError),
    "less than nothing": (-1, ValueError),
    "far less than nothing": (-HUGE, ValueError),
    "a float": (3.0, TypeError),
    "infinity": (math.inf, TypeError),
    "NaN": (math.nan, TypeError),
    "Decimal": (Decimal(3), TypeError),
    "a timedelta": (timedelta(seconds=3), TypeError),
}
COUNTS_AT_THE_EDGE = {"one": 1, "beyond any float": HUGE, "an array's int": np.int64(3)}


@on_every_wait
def test_timeout_is_a_count(path: Path) -> None:
    def no_count(row: str) -> None:
        value, kind = NO_COUNTS[row]
        refused(lambda world: path.one("op_1", world.client, timeout=value), "timeout", kind)

    def edge(row: str) -> None:
        value = COUNTS_AT_THE_EDGE[row]
        refused_or_works(lambda world: path.one("op_1", world.client, timeout=value), "timeout")

    each(NO_COUNTS, no_count)
    each(COUNTS_AT_THE_EDGE, edge)


@on_fleets
def test_max_waiting(path: Path) -> None:
    def no_count(row: str) -> None:
        value, kind = {**NO_COUNTS, "none": (None, TypeError)}[row]
        refused(
            lambda world: path.run(["op_1"], world.client, max_waiting=value), "max_waiting", kind
        )

    def edge(row: str) -> None:
        value = COUNTS_AT_THE_EDGE[row]
        refused_or_works(
            lambda world: path.run(["op_1"], world.client, max_waiting=value), "max_waiting"
        )

    each([*NO_COUNTS, "none"], no_count)
    each(COUNTS_AT_THE_EDGE, edge)


@pytest.mark.parametrize("client", [Client, AsyncClient])
def test_max_concurrency_and_max_rate(client: Any) -> None:
    def no_count(row: str) -> None:
        value, kind = NO_COUNTS[row]
        refused(lambda _: client(SECRET, max_concurrency=value), "max_concurrency", kind)

    def no_rate(row: str) -> None:
        value, kind = {**NO_NUMBERS, "a timedelta": (timedelta(1), TypeError)}[row]
        refused(lambda _: client(SECRET, max_rate=value), "max_rate", kind)

    each(NO_COUNTS, no_count)
    each([*NO_NUMBERS, "a timedelta"], no_rate)
    for value in (0, -1, -0.0, math.nan, math.inf, -math.inf):
        refused(lambda _, value=value: client(SECRET, max_rate=value), "max_rate", ValueError)  # type: ignore[misc]


@on_every_path
@pytest.mark.parametrize("rate", [HUGE, 1e308, 5e-324, 1e-9])
def test_rates_at_the_edge(path: Path, rate: float) -> None:
    """One request is always granted, or the rate is refused."""
    refused_or_works(
        lambda world: within(lambda: path.one("op_1", {**world.client, "max_rate": rate})),
        "max_rate",
    )


class NoSchedule:
    """No schedule."""


class Given:
    """A schedule of one's own."""

    def __init__(self, delay: Any) -> None:
        self.delay = delay

    def next_delay(self, history: Any) -> Any:
        """Return what was given, or raise it."""
        if isinstance(self.delay, BaseException):
            raise self.delay
        return self.delay


@on_every_wait
def test_what_is_no_schedule(path: Path) -> None:
    values = [8, 8.0, "fast", NoSchedule(), object(), lambda _: 5, [5], Fixed, Given, True]

    def check(index: int) -> None:
        refused(
            lambda world: path.one("op_1", world.client, schedule=values[index]),
            "schedule",
            TypeError,
        )

    each(range(len(values)), check)


NONSENSE = {
    "NaN": math.nan,
    "infinity": math.inf,
    "minus infinity": -math.inf,
    "less than nothing": -1.0,
    "a little less than nothing": -1e-9,
    "nothing": None,
    "words": "5",
    "a complex number": 5j,
    "a list": [5],
    "what cannot be shown": Odd(),
    "a timedelta": timedelta(seconds=5),
    "an array's NaN": np.float64("nan"),
    "beyond any float": HUGE,
    "a bool": True,
}


@on_every_wait
def test_a_schedule_that_returns_nonsense(path: Path) -> None:
    """A clear error that names it, alike on every path; or made sane."""

    def check(row: str) -> None:
        world = World(is_running)
        try:
            result = within(
                lambda: path.one(
                    "op_1", world.client, schedule=Given(NONSENSE[row]), max_wait=10, timeout=500
                )
            )
        except (TypeError, ValueError) as error:
            result = error
        if isinstance(result, Exception):
            assert type(result) in (TypeError, ValueError), repr(result)
            assert "schedule" in str(result).lower()
            assert len(world.asked) == 1
            return
        assert result is None
        assert 9 <= world.elapsed <= 15.1
        assert len(world.asked) <= 250

    each(NONSENSE, check)


@on_every_wait
def test_a_schedule_that_gives_nonsense_is_alike_on_every_path(path: Path) -> None:
    def kind_of(path: Path, delay: Any) -> str:
        try:
            options = {"schedule": Given(delay), "max_wait": 10, "timeout": 500}
            result = path.one("op_1", World(is_running).client, **options)
        except (TypeError, ValueError) as error:
            result = error
        return type(result).__name__

    single = Path("wait_until_done", False)
    for delay in (math.nan, -1.0, None, "5", math.inf):
        assert kind_of(path, delay) == kind_of(single, delay)


@on_every_wait
def test_a_schedule_that_raises(path: Path) -> None:
    """What it raises arrives as it is."""
    world = World(is_running)
    result: Any = None
    try:
        result = within(lambda: path.one("op_1", world.client, schedule=Given(LookupError("mine"))))
    except LookupError as error:
        result = error
    assert isinstance(result, LookupError)
    assert "mine" in str(result)
    assert len(world.asked) == 1


@on_every_wait
def test_whole_numbers_for_delays(path: Path) -> None:
    def check(delay: Any) -> None:
        world = World(is_running)
        path.one("op_1", world.client, schedule=Given(delay), timeout=3)
        assert len(world.asked) == 3
        assert 2 * delay * 0.9 <= world.elapsed <= 2 * delay * 1.1

    each([5, 5.0, np.float64(5), 0.25], check)


@on_every_wait
@pytest.mark.parametrize("delay", [1e10, 1e17, 1e300])
def test_a_delay_of_ages_ends_at_the_deadline(path: Path, delay: float) -> None:
    try:
        schedule = Fixed(delay)
    except ValueError as error:
        assert "seconds" in str(error) or "interval" in str(error)  # noqa: PT017
        return
    world = World(is_running)
    assert path.one("op_1", world.client, schedule=schedule, max_wait=50) is None
    assert world.elapsed == pytest.approx(50, abs=0.1)


@on_sync
@pytest.mark.parametrize("delay", [1e10, 1e17, 1e300])
def test_a_delay_of_ages_can_be_stopped(path: Path, delay: float) -> None:
    """On the machine's clock, whose sleeps have a longest."""
    try:
        schedule = Fixed(delay)
    except ValueError:
        return
    event = threading.Event()
    world = World(is_running)
    threading.Timer(0.1, event.set).start()
    client = {"transport": world}
    bounds = {"schedule": schedule, "max_wait": None, "abort_event": event}
    assert within(lambda: path.one("op_1", client, **bounds), 8) is None


@on_every_wait
def test_progress(path: Path) -> None:
    if path.method == "watch":
        pytest.skip("watch takes no progress function")
    for value in (5, "yes", [print], Odd(), 1.0, ()):
        refused(
            lambda world, value=value: path.one("op_1", world.client, progress=value),  # type: ignore[misc]
            "progress",
            TypeError,
        )


@on_sync
def test_abort_event(path: Path) -> None:
    values = [5, "stop", True, object(), threading.Lock(), asyncio.Event(), threading.Event]

    def check(index: int) -> None:
        value = values[index]
        refused(
            lambda world: path.one("op_1", world.client, abort_event=value),
            "abort_event",
            TypeError,
        )

    each(range(len(values)), check)


@on_fleets
def test_on_error(path: Path) -> None:
    for value in ("Group", "raise", "", None, 5, True, ["group"], Odd()):
        refused(
            lambda world, value=value: path.run(["op_1"], world.client, on_error=value),  # type: ignore[misc]
            "on_error",
        )


NO_IDS: dict[str, tuple[Any, type[Exception]]] = {
    "none": (None, TypeError),
    "bytes": (b"op_1", TypeError),
    "an array of bytes": (bytearray(b"op_1"), TypeError),
    "a number": (1, TypeError),
    "a bool": (True, TypeError),
    "a list": (["op_1"], TypeError),
    "a path": (pathlib.Path("op_1"), TypeError),
    "a UUID": (uuid.UUID(int=7), TypeError),
    "a string of collections": (UserString("op_1"), TypeError),
    "what cannot be shown": (Odd(), TypeError),
    "nothing": ("", ValueError),
    "a blank": (" ", ValueError),
    "blanks of other kinds": ("\u2003\u00a0", ValueError),
    "a line break after it": ("op_1\n", ValueError),
    "a line break in it": ("op_1\nop_2", ValueError),
    "a carriage return": ("op_1\r", ValueError),
    "a header in it": ("op_1\r\nX: 1", ValueError),
    "a tab": ("op\t1", ValueError),
    "NUL": ("op_\x00", ValueError),
    "an escape": ("op_\x1b[31m", ValueError),
    "DEL": ("op_\x7f", ValueError),
    "a line separator": ("op_\u2028", ValueError),
    "a mark of direction": ("op_\u202e1", ValueError),
    "half a surrogate pair": ("op_\ud800", ValueError),
    "a dot": (".", ValueError),
    "two dots": ("..", ValueError),
    "too long": ("op_" + "x" * 600, ValueError),
    "far too long": ("x" * 10_000_000, ValueError),
}


@on_every_path
def test_what_is_no_id(path: Path) -> None:
    name = "op_ids" if path.many else "op_id"

    def check(row: str) -> None:
        value, kind = NO_IDS[row]
        refused(lambda world: path.run([value], world.client), name, kind)

    each(NO_IDS, check)


NO_SOURCES: dict[str, Any] = {
    "one id": "op_1",
    "bytes": b"op_1",
    "a dict": {"op_1": 1},
    "none": None,
    "a number": 7,
    "a bool": True,
    "a function": lambda: ["op_1"],
    "a class": list,
    "an event": threading.Event(),
    "what cannot be shown": Odd(),
}


@on_fleets
def test_what_is_no_source_of_ids(path: Path) -> None:
    each(
        NO_SOURCES,
        lambda row: refused(
            lambda world: path.run(NO_SOURCES[row], world.client), "op_ids", TypeError
        ),
    )


@on_fleets
def test_an_awaited_source_for_a_sync_call(path: Path) -> None:
    async def ids() -> Any:
        yield "op_1"

    if path.awaited:
        assert path.run(ids(), World(is_finished).client)
    else:
        refused_or_works(lambda world: within(lambda: path.run(ids(), world.client)), "op_ids")


SOURCES: dict[str, Callable[[], Any]] = {
    "a list": lambda: ["op_1", "op_2"],
    "a tuple": lambda: ("op_1", "op_2"),
    "a set": lambda: {"op_1", "op_2"},
    "a frozenset": lambda: frozenset({"op_1", "op_2"}),
    "a deque": lambda: deque(["op_1", "op_2"]),
    "keys": lambda: {"op_1": 1, "op_2": 2}.keys(),
    "values": lambda: {1: "op_1", 2: "op_2"}.values(),
    "a generator": lambda: (f"op_{n}" for n in (1, 2)),
    "map": lambda: map("op_{}".format, (1, 2)),
    "an array": lambda: np.array(["op_1", "op_2"]),
    "lines of a file": lambda: map(str.strip, io.StringIO("op_1\nop_2\n")),
}


@on_fleets
def test_sources_of_ids(path: Path) -> None:
    def check(row: str) -> None:
        world = World(is_finished)
        results = path.run(SOURCES[row](), world.client)
        assert sorted(result.id for result in results) == ["op_1", "op_2"]

    each(SOURCES, check)


@on_fleets
def test_a_list_that_grows_meanwhile(path: Path) -> None:
    """The ids are those that it held when the call began."""
    ids = ["op_1", "op_2"]
    world = World(lambda asked: ids.append("op_3") or is_finished(asked))  # type: ignore[func-returns-value]
    results = path.run(ids, world.client)
    assert [result.id for result in results[:2]] == ["op_1", "op_2"]
    assert len({asked.op_id for asked in world.asked}) in (2, 3)


@on_every_path
def test_an_argument_nobody_knows(path: Path) -> None:
    if path.waits:
        with pytest.raises(TypeError, match="max_wiat"):
            path.one("op_1", World(is_finished).client, max_wiat=5)


NO_SECRETS = [
    "",
    " ",
    "canary\nb",
    "canary\r\nX: 1",
    "canaryé",
    "canary\x00",
    " canary",
    "canary\n",
    "canary\ud800",
]


@pytest.mark.parametrize("client", [Client, AsyncClient])
def test_secrets(client: Any) -> None:
    def check(value: Any) -> None:
        with pytest.raises((TypeError, ValueError), match="secret_key") as caught:
            client(value)
        assert "canary" not in str(caught.value)

    each([*NO_SECRETS, b"canary", 5, ["canary"]], check)


NO_ENDPOINTS = [
    "",
    " ",
    "nexus.example",
    "ftp://nexus.example",
    "http://",
    "http:///path",
    "http://host:0",
    "http://host:99999",
    "http://host:x",
    "http://[::1",
    "http://host/a b",
    "http://host\n",
    "http://host?x=1",
    "http://host#x",
    "http://me@host",
    "http://me:canary@host",
    "http://\ud800",
    "//host",
    b"http://host",
    5,
    True,
]


@pytest.mark.parametrize("client", [Client, AsyncClient])
def test_endpoints(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def check(value: Any) -> None:
        with pytest.raises((TypeError, ValueError), match="endpoint") as caught:
            client(SECRET, endpoint=value)
        assert "canary" not in str(caught.value)

    def from_environment(value: str) -> None:
        monkeypatch.setenv("DATATURE_API_BASE_URL", value)
        with pytest.raises(ValueError, match="DATATURE_API_BASE_URL"):
            client(SECRET)

    each(NO_ENDPOINTS, check)
    words = [value for value in NO_ENDPOINTS if isinstance(value, str)]
    each([v for v in words if v.strip() and v.isprintable()], from_environment)
