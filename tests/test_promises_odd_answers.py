"""One odd answer does not end hours of waiting; the same again does."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from nexus_operations import (
    BadRequestError,
    Fixed,
    ForbiddenError,
    InvalidResponseError,
    NexusError,
    NotFoundError,
    OperationFailedError,
    UnauthorizedError,
    UnexpectedStatusError,
)

from tests.support.checks import each, ended, failed
from tests.support.paths import (
    Path,
    on_every_wait,
    on_fleets,
    on_gets,
)
from tests.support.replies import Reply, good
from tests.support.worlds import (
    Answer,
    Asked,
    World,
    answers,
    is_finished,
    is_running,
    script,
)

LOOKS = 60.0 * 1.05
"""Seconds over which an odd answer is looked at again: a minute, and its jitter."""


def body(content: bytes, **headers: str) -> Answer:
    return lambda _: Reply(200, content, {"Content-Type": "text/html", **headers})


ODD: dict[str, tuple[Answer, type[NexusError]]] = {
    "400": (answers(400, "Bad request"), BadRequestError),
    "401": (answers(401, "Invalid secret key"), UnauthorizedError),
    "403": (answers(403, "Forbidden"), ForbiddenError),
    "404": (answers(404, "Operation not found"), NotFoundError),
    "404 of a proxy": (answers(404, b"<html>404</html>"), NotFoundError),
    "405": (answers(405), UnexpectedStatusError),
    "410": (answers(410), UnexpectedStatusError),
    "201": (answers(201), UnexpectedStatusError),
    "204": (lambda _: Reply(204), UnexpectedStatusError),
    "a redirect": (answers(302, Location="https://login.example"), UnexpectedStatusError),
    "a page of HTML": (body(b"<html>Sign in</html>"), InvalidResponseError),
    "an empty 200": (body(b""), InvalidResponseError),
    "half an operation": (body(b'{"id": "op_1", "kind"'), InvalidResponseError),
    "another object": (body(b'{"status": "ok"}'), InvalidResponseError),
    "more than can be read": (body(b'{"a": "' + b"x" * (1 << 21)), InvalidResponseError),
}


@on_every_wait
def test_one_after_a_good_answer(path: Path) -> None:
    def check(row: str) -> None:
        world = World(script(is_running, ODD[row][0], is_running, is_finished))
        ended(path.one("op_1", world.client), "op_1")
        assert len(world.asked) == 4

    each(ODD, check)


@on_every_wait
def test_the_same_again_is_final(path: Path) -> None:
    def check(row: str) -> None:
        answer, kind = ODD[row]
        world = World(script(is_running, answer))
        error = failed(path.one("op_1", world.client), kind)
        assert not error.transient
        assert 3 <= len(world.asked) <= 4
        assert world.times[-1] - world.times[1] <= LOOKS + 0.1

    each(ODD, check)


@on_every_wait
def test_one_before_any_good_answer_is_final_at_once(path: Path) -> None:
    def check(row: str) -> None:
        answer, kind = ODD[row]
        world = World(script(answer, is_finished))
        failed(path.one("op_1", world.client), kind)
        assert len(world.asked) == 1

    each(ODD, check)


@on_every_wait
def test_failures_before_it_are_no_good_answer(path: Path) -> None:
    world = World(script(answers(503), answers(502), answers(404), is_finished))
    failed(path.one("op_1", world.client), NotFoundError)
    assert len(world.asked) == 3


@on_fleets
def test_another_operations_good_answer_does_not_count(path: Path) -> None:
    table = {"op_good": script(is_running, is_running, is_finished), "op_odd": answers(404)}
    world = World(lambda asked: table[asked.op_id](asked))
    results = path.run(["op_good", "op_odd"], world.client, schedule=Fixed(1))
    ended(results[0], "op_good")
    failed(results[1], NotFoundError)
    assert sum(asked.op_id == "op_odd" for asked in world.asked) == 1


@on_every_wait
def test_two_that_differ_are_looked_at_a_third_time(path: Path) -> None:
    world = World(script(is_running, answers(401), answers(404), is_finished))
    ended(path.one("op_1", world.client), "op_1")
    assert world.times[3] - world.times[1] <= LOOKS + 0.1


@on_every_wait
def test_the_third_in_a_row_is_final(path: Path) -> None:
    world = World(script(is_running, answers(401), answers(404), answers(403), is_finished))
    failed(path.one("op_1", world.client), ForbiddenError)
    assert world.times[3] - world.times[1] <= LOOKS + 0.1


@on_every_wait
def test_a_good_answer_between_two_of_the_same(path: Path) -> None:
    steps = [is_running, answers(404)] * 6
    world = World(script(*steps, is_finished))
    ended(path.one("op_1", world.client), "op_1")


@on_every_wait
def test_it_is_looked_at_soon(path: Path) -> None:
    """Not when the schedule would have polled next, and not at once either."""
    world = World(script(is_running, answers(404), is_finished))
    ended(path.one("op_1", world.client, schedule=Fixed(1200)), "op_1")
    again = world.times[2] - world.times[1]
    assert 0.5 <= again <= LOOKS


@on_every_wait
def test_one_at_the_deadline_is_raised(path: Path) -> None:
    world = World(script(is_running, answers(404)))
    failed(path.one("op_1", world.client, max_wait=30, schedule=Fixed(30)), NotFoundError)
    assert world.elapsed == pytest.approx(30, abs=0.1)


@on_every_wait
def test_one_at_the_last_of_the_retrievals_is_raised(path: Path) -> None:
    world = World(script(is_running, answers(404)))
    failed(path.one("op_1", world.client, timeout=2), NotFoundError)


@on_every_wait
def test_looking_again_does_not_pass_the_deadline(path: Path) -> None:
    world = World(script(is_running, answers(401), answers(404), answers(403)))
    failed(path.one("op_1", world.client, max_wait=10, schedule=Fixed(9.5)))
    assert world.elapsed <= 10.1


@on_every_wait
def test_no_outage_allowed_does_not_make_it_final(path: Path) -> None:
    """`max_outage` is about trouble that passes; one odd answer is looked at again all the same."""
    world = World(script(is_running, answers(404), is_finished))
    result = path.one("op_1", world.client, max_outage=0)
    if not isinstance(result, NotFoundError):
        ended(result, "op_1")


@on_every_wait
def test_an_outage_right_after_it(path: Path) -> None:
    def broken(_: Asked) -> BaseException:
        return httpx.ReadError("connection reset by peer")

    steps: list[Callable[[Asked], Reply | BaseException]] = [is_running, answers(404)]
    world = World(script(*steps, *[broken] * 12, is_finished))
    ended(path.one("op_1", world.client), "op_1")


@on_every_wait
def test_a_status_that_was_named_is_no_odd_answer(path: Path) -> None:
    world = World(script(is_running, lambda asked: good(asked.op_id, "Errored")))
    failed(path.one("op_1", world.client), OperationFailedError)
    assert len(world.asked) == 2


@on_gets
def test_a_single_retrieval_takes_what_it_gets(path: Path) -> None:
    def check(row: str) -> None:
        answer, kind = ODD[row]
        world = World(script(answer, is_finished))
        failed(path.one("op_1", world.client), kind)
        assert len(world.asked) == 1

    each(ODD, check)
