"""Statuses: any can be named, a near miss is told, what is unknown is polled on."""

from __future__ import annotations

import enum
import logging
from typing import Any

import pytest
from nexus_operations import AsyncClient, Client, Operation, OperationFailedError

from tests.conftest import PROJECT, SECRET
from tests.support.checks import each, ended, failed
from tests.support.paths import Path, on_every_wait
from tests.support.replies import good
from tests.support.worlds import CREATED, World, is_finished, is_running, script


class Status(enum.Enum):
    """Statuses as a program may have them."""

    ERRORED = "Errored"
    CANCELLED = "Cancelled"


class Word(str, enum.Enum):  # noqa: UP042
    """Statuses that are words."""

    ERRORED = "Errored"
    EXPIRED = "Expired"


class Strict(enum.StrEnum):
    """Statuses of the standard library's kind."""

    ERRORED = "Errored"


def overview(name: str) -> Any:
    return lambda asked: good(asked.op_id, name, created=CREATED)


UNKNOWN = [
    "Expired",
    "Timeout",
    "Skipped",
    "Paused",
    "x",
    "Failed",
    "Done",
    "完了",
    "with blanks in it",
]


@on_every_wait
def test_a_status_that_nobody_knows_can_be_named(path: Path) -> None:
    def check(name: str) -> None:
        world = World(script(is_running, overview(name)))
        for named in (name, [name], ("Errored", name), {name, "Cancelled"}):
            error = failed(
                path.one("op_1", world.client, raise_exception_if=named), OperationFailedError
            )
            assert error.operation.status.overview == name
            assert name in str(error)

    each(UNKNOWN, check)


@on_every_wait
def test_one_that_nobody_named_is_polled_on(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def check(name: str) -> None:
        caplog.clear()
        world = World(script(is_running, *[overview(name)] * 4, is_finished))
        ended(path.one("op_1", world.client), "op_1")
        warnings = [r for r in caplog.records if r.levelno == logging.WARNING]
        assert len(warnings) == 1
        assert name in warnings[0].getMessage()

    each(UNKNOWN, check)


NEAR = {
    "errored": "Errored",
    "ERRORED": "Errored",
    "Erorred": "Errored",
    "Errord": "Errored",
    "Erroredd": "Errored",
    " Errored": "Errored",
    "Errored ": "Errored",
    "Errored\n": "Errored",
    "Canceled": "Cancelled",
    "cancelled": "Cancelled",
    "CANCELED": "Cancelled",
    "Cancelld": "Cancelled",
    "finished": "Finished",
    "Finishd": "Finished",
    "running": "Running",
    "Runing": "Running",
    "queued": "Queued",
    "Queud": "Queued",
}


@on_every_wait
def test_a_near_miss_is_told(path: Path) -> None:
    def check(name: str) -> None:
        for named in (name, [name], ("Expired", name)):
            world = World(is_finished)
            with pytest.raises(ValueError, match="raise_exception_if") as caught:
                path.one("op_1", world.client, raise_exception_if=named)
            assert NEAR[name] in str(caught.value)
            assert not world.asked

    each(NEAR, check)


NO_STATUS: list[tuple[Any, type[Exception]]] = [
    (5, TypeError),
    (True, TypeError),
    (b"Errored", TypeError),
    ([None], TypeError),
    (["Errored", 5], TypeError),
    ([b"Errored"], TypeError),
    ({"Errored": 1}.items(), TypeError),
    ("", ValueError),
    (" ", ValueError),
    ([""], ValueError),
    (object(), TypeError),
]


@on_every_wait
def test_what_is_no_status(path: Path) -> None:
    def check(pair: tuple[Any, type[Exception]]) -> None:
        value, kind = pair
        world = World(is_finished)
        try:
            path.one("op_1", world.client, raise_exception_if=value)
        except (TypeError, ValueError) as error:
            assert "raise_exception_if" in str(error)  # noqa: PT017
            assert isinstance(error, kind)  # noqa: PT017
        else:
            raise AssertionError("nothing was raised")
        assert not world.asked

    each(NO_STATUS, check)


MEMBERS: dict[str, Any] = {
    "a member": Status.ERRORED,
    "a member that is a str": Word.ERRORED,
    "a member of a StrEnum": Strict.ERRORED,
    "a list of members": [Status.ERRORED, Status.CANCELLED],
    "a tuple of both": (Word.ERRORED, "Cancelled"),
    "a set": {Strict.ERRORED},
    "a frozenset": frozenset({"Errored"}),
    "the keys of a dict": {"Errored": 1}.keys(),
    "a whole enumeration": list(Status),
    "an enumeration's class": Status,
}


@on_every_wait
def test_members_and_collections(path: Path) -> None:
    def check(row: str) -> None:
        world = World(script(is_running, overview("Errored")))
        named = MEMBERS[row]
        failed(path.one("op_1", world.client, raise_exception_if=named), OperationFailedError)

    each(MEMBERS, check)


@on_every_wait
def test_a_generator_of_statuses(path: Path) -> None:
    world = World(script(is_running, overview("Cancelled")))
    named = (name for name in ("Errored", "Cancelled"))
    failed(path.one("op_1", world.client, raise_exception_if=named), OperationFailedError)


@on_every_wait
@pytest.mark.parametrize("status", ["Queued", "Running", "Finished", "Cancelled", "Errored"])
def test_every_status_that_is_known_can_be_named(path: Path, status: str) -> None:
    world = World(overview(status))
    error = failed(path.one("op_1", world.client, raise_exception_if=status), OperationFailedError)
    assert error.operation.status.overview == status
    assert len(world.asked) == 1


@on_every_wait
@pytest.mark.parametrize("status", ["Finished", "Cancelled", "Errored"])
def test_an_end_that_was_not_named_is_returned(path: Path, status: str) -> None:
    for named in (None, [], (), "Expired", {"Finished", "Errored", "Cancelled"} - {status}):
        world = World(overview(status))
        ended(path.one("op_1", world.client, raise_exception_if=named), "op_1", status)
        assert len(world.asked) == 1


ODD_WORDS = [
    "finished",
    "FINISHED",
    "Finished ",
    "",
    "Fin\u200bished",
    "a" * 5000,
    "\x1b[31mFinished",
]


@on_every_wait
def test_words_that_look_like_an_end_are_none(path: Path) -> None:
    def check(name: str) -> None:
        world = World(script(overview(name), is_finished))
        result = path.one("op_1", world.client)
        assert isinstance(result, Operation) or name == ""
        assert len(world.asked) == 2 or name == ""

    each(ODD_WORDS, check)


def test_watch_shows_what_is_unknown() -> None:
    world = World(script(is_running, overview("Paused"), is_finished))
    with Client(SECRET, **world.client) as client:
        operations = client.get_project(PROJECT).operations
        seen = [snapshot.status.overview for snapshot in operations.watch("op_1")]
    assert seen == ["Running", "Paused", "Finished"]


def test_awaited_watch_shows_what_is_unknown() -> None:
    import asyncio

    world = World(script(is_running, overview("Paused"), is_finished))

    async def run() -> list[str]:
        async with AsyncClient(SECRET, **world.client) as client:
            operations = client.get_project(PROJECT).operations
            return [snapshot.status.overview async for snapshot in operations.watch("op_1")]

    assert asyncio.run(run()) == ["Running", "Paused", "Finished"]
