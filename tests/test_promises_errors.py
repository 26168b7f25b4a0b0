"""Only our errors leave a call; each says which operation and where, and shows no secret."""

from __future__ import annotations

import asyncio
import copy
import errno
import logging
import pickle
import ssl
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from nexus_operations import (
    AsyncClient,
    Client,
    Fixed,
    ForbiddenError,
    InternalServerError,
    InvalidResponseError,
    NetworkConnectionError,
    NexusError,
    NotFoundError,
    OperationFailedError,
    RequestTimeoutError,
    ServiceUnavailableError,
    UnauthorizedError,
    UnexpectedStatusError,
    WaitErrorGroup,
)

from tests.conftest import PROJECT, SECRET
from tests.support.checks import each, ended, failed, hides_secret, within
from tests.support.clocks import client_of
from tests.support.paths import (
    Path,
    on_every_path,
    on_every_wait,
    on_fleets,
    row_of,
)
from tests.support.replies import Reply, good, trouble
from tests.support.server import Reaction, Request, Server, Then, finished, free_port
from tests.support.worlds import (
    Asked,
    World,
    answers,
    is_finished,
    is_refused,
    is_running,
    script,
)

Serve = Callable[..., Server]

BROKEN = (NetworkConnectionError, InvalidResponseError, RequestTimeoutError)
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"

MALFORMED: dict[str, bytes] = {
    "a status line without a status": b"HTTP/1.1\r\n\r\n",
    "a status in words": b"HTTP/1.1 fine OK\r\n\r\n",
    "a status of two digits": b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
    "a status of five digits": b"HTTP/1.1 20000 OK\r\nContent-Length: 0\r\n\r\n",
    "an answer of HTTP/0.9": b'{"message": "hello"}\n',
    "a greeting of SMTP": b"220 mail.example ESMTP\r\n",
    "an alert of TLS": b"\x15\x03\x01\x00\x02\x02\x28",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "nothing but empty lines": b"\r\n" * 200,
    "zeros": b"\x00" * 200,
    "a header without a colon": OK + b"Nonsense\r\nContent-Length: 2\r\n\r\n{}",
    "a header name with a blank": OK + b"X Y: 1\r\nContent-Length: 2\r\n\r\n{}",
    "an empty header name": OK + b": 1\r\nContent-Length: 2\r\n\r\n{}",
    "headers that do not end": OK + b"X-Long: " + b"x" * 300_000,
    "a negative length": OK + b"Content-Length: -2\r\n\r\n{}",
    "a length in words": OK + b"Content-Length: two\r\n\r\n{}",
    "a length with an exponent": OK + b"Content-Length: 1e1\r\n\r\n{}",
    "two lengths in one header": OK + b"Content-Length: 2, 3\r\n\r\n{}",
    "a length that is not reached": OK + b"Content-Length: 500\r\n\r\n{}",
    "a transfer coding nobody knows": OK + b"Transfer-Encoding: banana\r\n\r\n{}",
    "a chunk of a negative size": CHUNKED + b"-2\r\n{}\r\n0\r\n\r\n",
    "a chunk of an empty size": CHUNKED + b"\r\n{}\r\n0\r\n\r\n",
    "a chunk of a size beyond bounds": CHUNKED + b"f" * 40 + b"\r\n{}\r\n0\r\n\r\n",
    "a chunk longer than its size": CHUNKED + b"1\r\n{}\r\n0\r\n\r\n",
    "chunks without the last one": CHUNKED + b"2\r\n{}\r\n",
    "a switch of protocols": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n",
}


@on_every_path
def test_a_malformed_answer(path: Path, serve: Serve) -> None:
    def answer(request: Request) -> Reaction:
        return iter((MALFORMED[row_of(MALFORMED, request.op_id)], Then.CLOSE))

    client = client_of(serve(answer), request_timeout=5)
    bounds = {"timeout": 1} if path.waits else {}
    results = within(lambda: path.table(MALFORMED, client, **bounds))
    each(MALFORMED, lambda row: failed(results[row], *BROKEN, UnexpectedStatusError))


@on_every_wait
def test_one_malformed_answer_after_a_good_one(path: Path, serve: Serve) -> None:
    def answer(request: Request) -> Reaction:
        if request.nth == 2:
            return iter((MALFORMED[row_of(MALFORMED, request.op_id)], Then.CLOSE))
        return finished(request) if request.nth > 2 else good(request.op_id, "Running")

    client = client_of(serve(answer), request_timeout=5)
    results = within(lambda: path.table(MALFORMED, client, schedule=Fixed(1)))
    each(results, lambda row: ended(results[row], f"op_{list(MALFORMED).index(row):04d}"))


UNEXPECTED = {
    "201": Reply(201, b"{}"),
    "202 with an operation": Reply(202, good("op_0001").body),
    "204": Reply(204),
    "206": Reply(206, b"{}"),
    "300": Reply(300),
    "304": Reply(304),
    "305": Reply(305, headers={"Location": "http://proxy.example"}),
    "402": Reply(402, b'{"message": "pay first"}'),
    "405": Reply(405, headers={"Allow": "POST"}),
    "410": Reply(410, b'{"message": "it is gone"}'),
    "418": Reply(418, b"short and stout"),
    "451": Reply(451),
    "499": Reply(499),
    "600": Reply(600),
    "999": Reply(999),
}


@on_every_path
def test_a_status_that_the_contract_does_not_have(path: Path, serve: Serve) -> None:
    server = serve(lambda request: UNEXPECTED[row_of(UNEXPECTED, request.op_id)])
    bounds = {"timeout": 1} if path.waits else {}
    results = within(lambda: path.table(UNEXPECTED, client_of(server), **bounds))

    def check(row: str) -> None:
        error = failed(results[row], UnexpectedStatusError)
        assert error.status_code == int(row[:3])
        assert not error.transient

    each(UNEXPECTED, check)


def parts(**changed: Any) -> bytes:
    return good("op_1", **changed).body


BROKEN_BODIES: dict[str, bytes] = {
    "nothing": b"",
    "a blank": b" ",
    "null": b"null",
    "a number": b"17",
    "a string": b'"op_1"',
    "a list": b"[" + parts() + b"]",
    "an empty object": b"{}",
    "cut in the middle": parts()[:-20],
    "two documents": parts() + parts(),
    "something after it": parts() + b"x",
    "another encoding": parts().decode().encode("utf-16"),
    "bytes that are no UTF-8": parts(message="AAA").replace(b"AAA", b"\xff\xfe"),
    "brackets beyond any depth": b"[" * 200_000,
    "objects beyond any depth": b'{"a":' * 200_000,
    "NaN for a count": parts(counts={"Queued": 77}).replace(b"77", b"NaN"),
    "a negative count": parts(counts={"Queued": -1}),
    "half a unit": parts(counts={"Queued": 1.5}),
    "a count in words": parts(counts={"Queued": "1"}),
    "a count of null": parts(counts={"Queued": None}),
    "a count of true": parts(counts={"Queued": True}),
    "a count beyond all bounds": parts(counts={"Queued": 77}).replace(b"77", b"1e400"),
    "a date in words": parts(created="2023-12-07T05:40:49Z"),
    "no date": parts().replace(b'"createDate"', b'"CreateDate"'),
    "a status that is a string": b'{"id": "op_1", "kind": "k", "status": "Finished"}',
    "an overview of null": parts().replace(b'"Finished"', b"null", 1),
    "an overview that is a list": parts().replace(b'"Finished"', b'["Finished"]', 1),
    "a page of HTML": b"<!doctype html><title>Sign in</title>",
    "an error's body": b'{"message": "Internal error"}',
}


@on_every_path
def test_a_body_that_breaks_the_contract(path: Path) -> None:
    def check(row: str) -> None:
        world = World(lambda _: Reply(200, BROKEN_BODIES[row]))
        error = failed(path.one("op_1", world.client), InvalidResponseError)
        assert not error.transient
        assert len(world.asked) == 1

    each(BROKEN_BODIES, check)


RAISED_BY_HTTPX = (
    "ConnectTimeout ReadTimeout WriteTimeout PoolTimeout ConnectError ReadError WriteError"
    " CloseError ProxyError UnsupportedProtocol LocalProtocolError RemoteProtocolError DecodingError"  # noqa: E501
    " TooManyRedirects InvalidURL"
)


def raised_by_httpx(name: str) -> Callable[[], BaseException]:
    kind: type[Exception] = getattr(httpx, name)
    return lambda: kind("by the transport")


RAISED: dict[str, Callable[[], BaseException]] = {
    **{name: raised_by_httpx(name) for name in RAISED_BY_HTTPX.split(" ")},
    "OSError": lambda: OSError(errno.EMFILE, "Too many open files"),
    "ConnectionResetError": lambda: ConnectionResetError(errno.ECONNRESET, "reset"),
    "BrokenPipeError": lambda: BrokenPipeError(errno.EPIPE, "broken pipe"),
    "TimeoutError": lambda: TimeoutError("timed out"),
    "SSLError": lambda: ssl.SSLError(1, "[SSL: BAD] bad"),
    "SSLEOFError": lambda: ssl.SSLEOFError(8, "EOF occurred in violation of protocol"),
    "UnicodeError": lambda: UnicodeError("label too long"),
    "IncompleteReadError": lambda: asyncio.IncompleteReadError(b"", 10),
    "StreamConsumed": httpx.StreamConsumed,
    "StreamClosed": httpx.StreamClosed,
}


@on_every_path
def test_what_a_transport_raises(path: Path) -> None:
    bounds = {"timeout": 1} if path.waits else {}

    def check(row: str) -> None:
        world = World(lambda _: RAISED[row]())
        failed(path.one("op_1", world.client, **bounds))

    each(RAISED, check)


ECHO = {
    "in the message": lambda r: trouble(503, "refused: " + r.raw.decode()),
    "in an object": lambda r: trouble(400, f'{{"headers": {{"k": "{SECRET}"}}}}'.encode()),
    "in a key": lambda r: trouble(400, f'{{"message": "no", "{SECRET}": 1}}'.encode()),
    "in plain text": lambda r: trouble(500, r.raw),
    "in a header": lambda r: trouble(301, Location=f"https://elsewhere.example/?key={SECRET}"),
    "in Retry-After": lambda r: trouble(429, Retry_After=SECRET),
    "in the reason phrase": lambda r: (
        f"HTTP/1.1 403 {SECRET}\r\nContent-Length: 0\r\n\r\n".encode()
    ),
    "in the status line": lambda r: f"HTTP/1.1 {SECRET}\r\n\r\n".encode(),
    "in a chunk's size": lambda r: CHUNKED + SECRET.encode() + b"\r\n",
    "in the length": lambda r: OK + f"Content-Length: {SECRET}\r\n\r\n".encode(),
    "in the encoding": lambda r: (
        OK + f"Content-Encoding: {SECRET}\r\nContent-Length: 1\r\n\r\n1".encode()
    ),
    "in a body that breaks the contract": lambda r: good(SECRET, created=SECRET),
    "in another operation's id": lambda r: good(f"op_{SECRET}"),
    "in no JSON": lambda r: Reply(200, SECRET.encode()),
}


@on_every_path
def test_an_answer_that_echoes_the_secret(
    path: Path, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(1)
    caplog.set_level(1, logger="nexus_operations")
    server = serve(lambda request: ECHO[row_of(ECHO, request.op_id)](request))
    bounds = {"timeout": 1} if path.waits else {}
    client = client_of(server, request_timeout=2)
    results = within(lambda: path.table(ECHO, client, **bounds))

    def check(row: str) -> None:
        error = failed(results[row])
        assert SECRET.encode() not in pickle.dumps(error)

    each(ECHO, check)
    logged = [r for r in caplog.records if not r.name.startswith("httpcore")]
    assert not [r for r in logged if SECRET in r.getMessage()]


TROUBLES: dict[str, tuple[Callable[[Asked], Any], type[NexusError]]] = {
    "401": (answers(401), UnauthorizedError),
    "403": (answers(403), ForbiddenError),
    "404": (answers(404), NotFoundError),
    "418": (answers(418), UnexpectedStatusError),
    "500": (answers(500), InternalServerError),
    "503": (answers(503), ServiceUnavailableError),
    "no JSON": (lambda _: Reply(200, b"<html>"), InvalidResponseError),
    "another operation": (lambda _: good("op_other"), NexusError),
    "refused": (is_refused, NetworkConnectionError),
    "broken": (lambda _: httpx.ReadError("broken"), NetworkConnectionError),
    "too late": (lambda _: httpx.ReadTimeout("late"), RequestTimeoutError),
}


@on_every_path
def test_an_error_names_its_operation_and_the_endpoint(path: Path) -> None:
    bounds = {"timeout": 1} if path.waits else {}

    def check(row: str) -> None:
        answer, kind = TROUBLES[row]
        world = World(answer, endpoint="https://nexus.example:8443/base")
        error = failed(path.one("op_asked-for", world.client, **bounds), kind)
        assert "op_asked-for" in str(error)
        assert "nexus.example:8443" in str(error)

    each(TROUBLES, check)


@on_every_wait
def test_a_failed_operation_is_named_once(path: Path) -> None:
    world = World(lambda asked: good(asked.op_id, "Errored", message="no disk"))
    error = failed(path.one("op_asked-for", world.client), OperationFailedError)
    assert str(error).count("op_asked-for") == 1
    assert "no disk" in str(error)


@on_every_path
def test_an_error_can_be_pickled_and_copied(path: Path) -> None:
    bounds = {"timeout": 1} if path.waits else {}

    def check(row: str) -> None:
        error = failed(path.one("op_1", World(TROUBLES[row][0]).client, **bounds))
        for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
            assert type(again) is type(error)
            assert (str(again), again.transient, again.reached, again.status_code) == (
                str(error),
                error.transient,
                error.reached,
                error.status_code,
            )

    each(TROUBLES, check)


def test_what_a_person_sees_of_a_group() -> None:
    table = {"op_bad": answers(404), "op_worse": answers(401), "op_good": is_finished}
    world = World(lambda asked: table[asked.op_id](asked))
    with (
        Client(SECRET, **world.client) as client,
        pytest.raises(WaitErrorGroup) as caught,
    ):
        client.get_project(PROJECT).operations.wait_all(list(table))
    text = str(caught.value)
    for word in ("op_bad", "op_worse", "404", "401", "2 of 3"):
        assert word in text
    assert "op_good" not in text


@on_fleets
def test_a_group_of_many_is_told_in_bounds_and_hides_the_secret(path: Path) -> None:
    world = World(answers(403, "no"), max_concurrency=8)
    ids = [f"op_{number:04d}" for number in range(300)]
    with pytest.raises(WaitErrorGroup) as caught:
        path.run(ids, world.client, on_error="group")
    group = caught.value
    assert len(group.exceptions) == len(group.outcomes) == 300
    assert "op_0000" in str(group)
    assert "300 of 300" in str(group)
    assert len(str(group)) < 5000
    hides_secret(group)
    again = pickle.loads(pickle.dumps(group))
    assert str(again) == str(group)


@on_every_path
def test_nobody_listens(path: Path, plain_environment: None) -> None:
    bounds = {"timeout": 1} if path.waits else {}
    port = free_port()
    client = client_of(f"http://127.0.0.1:{port}")
    error = failed(within(lambda: path.one("op_1", client, **bounds)), NetworkConnectionError)
    assert not error.reached
    assert error.transient
    assert f"127.0.0.1:{port}" in str(error)


@on_every_path
@pytest.mark.parametrize("when", [Then.CLOSE, Then.RESET], ids=lambda then: then.name)
def test_connections_that_end_at_every_point(path: Path, serve: Serve, when: Then) -> None:
    whole = good("op_0000").wire()
    cuts = {f"after {size} bytes": size for size in (0, 1, 9, 17, 60, len(whole) - 1)}

    def answer(request: Request) -> Reaction:
        return iter((whole[: cuts[row_of(cuts, request.op_id)]], when))

    bounds = {"timeout": 1} if path.waits else {}
    results = within(lambda: path.table(cuts, client_of(serve(answer)), **bounds))

    def check(row: str) -> None:
        error = failed(results[row], NetworkConnectionError)
        assert error.transient
        assert error.reached

    each(cuts, check)


@on_every_wait
def test_no_error_of_a_poll_is_chained_to_another_waits(path: Path) -> None:
    """An error keeps neither earlier failures nor the frames that held them."""
    world = World(script(answers(503), answers(502), answers(404)))
    error = failed(path.one("op_1", world.client), NotFoundError)
    assert error.__context__ is None or not isinstance(error.__context__, NexusError)


@pytest.mark.parametrize("level", [logging.INFO, logging.WARNING])
@on_every_wait
def test_a_wait_that_goes_well_logs_next_to_nothing(
    path: Path, serve: Serve, caplog: pytest.LogCaptureFixture, level: int
) -> None:
    caplog.set_level(level)
    server = serve(lambda r: finished(r) if r.nth > 7 else good(r.op_id, "Running"))
    ended(within(lambda: path.one("op_1", client_of(server), schedule=Fixed(1))), "op_1")
    assert len(caplog.records) <= (2 if level == logging.INFO else 0)


def test_a_wait_that_is_running_is_no_error() -> None:
    async def run() -> None:
        async with AsyncClient(SECRET, **World(is_running).client) as client:
            assert await client.get_project(PROJECT).operations.wait_until_done("op_1", 3) is None

    asyncio.run(run())
