"""Connections over real sockets: their time, their reuse, proxies, TLS, and malformed answers."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import select
import signal
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
import trustme
from nexus_operations import (
    InvalidResponseError,
    NetworkConnectionError,
    NexusError,
    RequestTimeoutError,
    UnexpectedStatusError,
)
from nexus_operations._http import engine, network
from nexus_operations._http.transports import Aborted

from tests.http_paths import SECRET, Both, Path, at, operation

Answer = Callable[["Request", socket.socket], "bytes | None"]


@pytest.fixture(params=Path, ids=lambda path: path.value)
def path(request: pytest.FixtureRequest) -> Path:
    return request.param


class Request:
    """A request as it came: its head, its body, and which of the connections it came over."""

    def __init__(self, head: bytes, body: bytes, connection: int) -> None:
        self.head = head
        self.body = body
        self.connection = connection

    @property
    def target(self) -> str:
        return self.head.split(b" ", 2)[1].decode("ascii")

    @property
    def op_id(self) -> str:
        return self.target.rsplit("/", 1)[-1]


class Server:
    """Answers each request with bytes; `None` closes the connection.

    Attributes:
        requests: Those that came.
        connections: How many connections were made.
    """

    def __init__(self, answer: Answer, tls: ssl.SSLContext | None = None) -> None:
        self._answer, self._tls = answer, tls
        self.requests: list[Request] = []
        self.connections = 0
        self._stopped = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self._socket.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                self.connections += 1
                arguments = (connection, self.connections)
                threading.Thread(target=self._serve, args=arguments, daemon=True).start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            stack.enter_context(connection)
            if self._tls is not None:
                connection = stack.enter_context(self._tls.wrap_socket(connection, True))
            pending = b""
            while True:
                while b"\r\n\r\n" not in pending:
                    if not (data := connection.recv(65536)):
                        return
                    pending += data
                head, _, pending = pending.partition(b"\r\n\r\n")
                length = 0
                for line in head.lower().split(b"\r\n"):
                    if line.startswith(b"content-length:"):
                        length = int(line.partition(b":")[2])
                while len(pending) < length:
                    pending += connection.recv(65536)
                request = Request(head, pending[:length], number)
                pending = pending[length:]
                self.requests.append(request)
                if (answer := self._answer(request, connection)) is None:
                    return
                connection.sendall(answer)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._socket.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    with contextlib.ExitStack() as stack:

        def start(answer: Answer, **options: Any) -> Server:
            return stack.enter_context(contextlib.closing(Server(answer, **options)))

        yield start


def http(content: bytes, status: str = "200 OK", *headers: bytes | str) -> bytes:
    lines = [f"HTTP/1.1 {status}".encode("latin-1")]
    lines += [line if isinstance(line, bytes) else line.encode() for line in headers]
    lines += [b"Content-Length: %d" % len(content)]
    return b"\r\n".join(lines) + b"\r\n\r\n" + content


def running(request: Request, _: object = None) -> bytes:
    return http(operation(request.op_id))


def get(transport: Both, op_id: str = "op_1", timeout: float = 10, **options: Any) -> Any:
    return transport.retrieve("p", op_id, timeout, **options).value


def failure(transport: Both, timeout: float = 10, **options: Any) -> Any:
    with pytest.raises(NexusError) as caught:
        get(transport, timeout=timeout, **options)
    return caught.value


OK = b"HTTP/1.1 200 OK\r\n"


class TestReuse:
    def test_one_connection_serves_one_request_after_another(
        self, path: Path, serve: Callable[..., Server]
    ) -> None:
        server = serve(running)
        with at(path, endpoint=server.url) as transport:
            for number in range(5):
                assert get(transport, f"op_{number}").id == f"op_{number}"
        assert server.connections == 1

    @pytest.mark.parametrize("pause", [0.0, 0.1])
    def test_what_nobody_asked_for_is_no_answer(
        self, path: Path, serve: Callable[..., Server], pause: float
    ) -> None:
        def answer(request: Request, connection: socket.socket) -> bytes:
            if len(server.requests) > 1:
                return http(operation("op_1", "Finished"))
            connection.sendall(running(request))
            time.sleep(pause)
            return http(operation("op_1", "Errored"))

        server = serve(answer)
        with at(path, endpoint=server.url) as transport:
            assert get(transport).status.overview == "Running"
            time.sleep(0.2)
            assert get(transport).status.overview == "Finished"
        assert server.connections == 2

    @pytest.mark.parametrize(
        "answer",
        [
            lambda body: http(body, "200 OK", "Connection: close"),
            lambda body: b"HTTP/1.0 200 OK\r\n\r\n" + body,
            lambda body: (
                OK
                + b"Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n"
                % (len(body), body)
            ),
        ],
        ids=["close", "1.0", "length and chunks"],
    )
    def test_some_answers_end_a_connection(
        self, path: Path, serve: Callable[..., Server], answer: Callable[[bytes], bytes]
    ) -> None:
        def once(request: Request, connection: socket.socket) -> None:
            connection.sendall(answer(operation(request.op_id)))

        server = serve(once)
        with at(path, endpoint=server.url) as transport:
            for _ in range(2):
                assert get(transport).id == "op_1"
        assert server.connections == 2

    def test_a_connection_that_the_service_closed_costs_nothing(
        self, path: Path, serve: Callable[..., Server]
    ) -> None:
        def answer(request: Request, connection: socket.socket) -> None:
            connection.sendall(running(request))

        server = serve(answer)
        with at(path, endpoint=server.url) as transport:
            for _ in range(3):
                get(transport)
                time.sleep(0.05)
        assert server.connections == 3

    def test_an_idle_connection_is_not_kept_for_ever(
        self, path: Path, serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(engine, "KEEP_ALIVE", 0.05)
        server = serve(running)
        with at(path, endpoint=server.url) as transport:
            get(transport)
            time.sleep(0.1)
            get(transport)
        assert server.connections == 2

    def test_an_answer_for_another_operation_drops_the_connection(
        self, path: Path, serve: Callable[..., Server]
    ) -> None:
        server = serve(lambda request, _: http(operation("op_other")))
        with at(path, endpoint=server.url) as transport:
            assert isinstance(failure(transport), NetworkConnectionError)
            assert isinstance(failure(transport), NetworkConnectionError)
            # Over new connections it is the service's own answer, and no use to ask again.
            assert isinstance(failure(transport), InvalidResponseError)
        assert server.connections == 3

    def test_no_cookie_is_kept(self, path: Path, serve: Callable[..., Server]) -> None:
        cookie = "Set-Cookie: lb=sticky; Path=/"
        server = serve(lambda request, _: http(operation("op_1"), "200 OK", cookie))
        with at(path, endpoint=server.url) as transport:
            get(transport)
            get(transport)
        assert b"cookie" not in server.requests[1].head.lower()

    def test_the_same_is_sent_on_every_path(self, serve: Callable[..., Server]) -> None:
        server = serve(running)
        for each in Path:
            with at(each, endpoint=server.url) as transport:
                get(transport)
        assert len({request.head for request in server.requests}) == 1
        assert f"Secret-Key: {SECRET}".encode() in server.requests[0].head

    def test_a_transport_serves_one_loop_after_another(self, serve: Callable[..., Server]) -> None:
        server = serve(running)
        with at(Path.ASYNC, endpoint=server.url) as transport:
            for _ in range(2):
                asyncio.run(transport.made.retrieve("p", "op_1", 5))
            transport.made.concurrency = 1

    def test_many_in_flight_at_once(self, serve: Callable[..., Server]) -> None:
        there = threading.Barrier(150, timeout=10)

        def answer(request: Request, _: socket.socket) -> bytes:
            there.wait()
            return running(request)

        server = serve(answer)
        ids = [f"op_{number}" for number in range(150)]
        with at(Path.SYNC, endpoint=server.url) as transport, ThreadPoolExecutor(150) as pool:
            assert [each.id for each in pool.map(lambda op_id: get(transport, op_id), ids)] == ids

        async def all_at_once() -> list[Any]:
            return await asyncio.gather(*(made.retrieve("p", op_id, 10) for op_id in ids))

        with at(Path.ASYNC, endpoint=server.url) as transport:
            made = transport.made
            answers = transport.run(all_at_once())
        assert [answer.value.id for answer in answers] == ids

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
    @pytest.mark.filterwarnings("ignore::DeprecationWarning")
    def test_a_forked_child_has_connections_of_its_own(
        self, path: Path, serve: Callable[..., Server]
    ) -> None:
        server = serve(running)
        with at(path, endpoint=server.url) as transport:
            get(transport)
            child = os.fork()
            if not child:
                code = 1
                with contextlib.suppress(BaseException):
                    mine = Both(path, transport.settings)
                    mine.made = transport.made
                    code = 0 if get(mine, "op_child").id == "op_child" else 1
                os._exit(code)
            _, status = os.waitpid(child, 0)
            assert get(transport, "op_parent").id == "op_parent"
        assert os.waitstatus_to_exitcode(status) == 0
        connections = {request.op_id: request.connection for request in server.requests}
        assert connections == {"op_1": 1, "op_child": 2, "op_parent": 1}


MALFORMED = {
    "garbage": b"garbage\r\n\r\n",
    "HTTP/2": b"HTTP/2 200\r\nContent-Length: 1\r\n\r\n1",
    "no status": b"HTTP/1.1 OK\r\n\r\n",
    "two lengths": OK + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "bad length": OK + b"Content-Length: -1\r\n\r\n",
    "bad chunk": OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "another coding": OK + b"Transfer-Encoding: gzip\r\n\r\n",
    "NUL": OK + b"X: a\0b\r\nContent-Length: 0\r\n\r\n",
    "no colon": OK + b"X\r\n\r\n",
    "cut head": b"HTTP/1.1 200 OK\r\nX: ",
    "cut body": OK + b"Content-Length: 9\r\n\r\nabc",
    "cut chunk": OK + b"Transfer-Encoding: chunked\r\n\r\n9\r\nabc",
    "endless head": OK + b"X: " + b"x" * (1 << 19),
    "switch": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "informational for ever": b"HTTP/1.1 102 Processing\r\n\r\n" * 200,
    "nothing": b"",
}


class TestAnswers:
    @pytest.mark.parametrize("what", MALFORMED)
    def test_a_malformed_one_is_a_broken_connection(
        self, path: Path, serve: Callable[..., Server], what: str
    ) -> None:
        def answer(_: Request, connection: socket.socket) -> None:
            connection.sendall(MALFORMED[what])

        server = serve(answer)
        with at(path, endpoint=server.url) as transport:
            error = failure(transport)
        assert type(error) is NetworkConnectionError
        assert error.transient
        assert error.reached
        assert f"127.0.0.1:{server.port}" in str(error)
        assert error.__cause__ is error.__context__ is None

    @pytest.mark.parametrize(
        "headers",
        [
            ["X-Long: " + "x" * 10_240],
            [f"X-{number}: {'y' * 800}" for number in range(140)],
            ["X: " + "ü"],
        ],
        ids=["long", "many", "Latin-1"],
    )
    def test_an_unusual_head_is_read(
        self, path: Path, serve: Callable[..., Server], headers: list[str]
    ) -> None:
        encoded = [header.encode("latin-1") for header in headers]
        server = serve(lambda request, _: http(operation("op_1"), "200 Réussi", *encoded))
        with at(path, endpoint=server.url) as transport:
            assert get(transport).id == "op_1"

    def test_informational_ones_are_passed_over(
        self, path: Path, serve: Callable[..., Server]
    ) -> None:
        early = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * 3
        server = serve(lambda request, _: early + running(request))
        with at(path, endpoint=server.url) as transport:
            assert get(transport).id == "op_1"
            assert get(transport).id == "op_1"
        assert server.connections == 1

    def test_a_body_in_chunks_with_a_trailer(
        self, path: Path, serve: Callable[..., Server]
    ) -> None:
        body = operation("op_1")
        chunked = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\nX: y\r\n\r\n"
        server = serve(lambda request, _: OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunked)
        with at(path, endpoint=server.url) as transport:
            assert get(transport).id == "op_1"

    def test_a_204_with_a_body(self, path: Path, serve: Callable[..., Server]) -> None:
        answer = b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello"
        server = serve(lambda request, _: answer)
        with at(path, endpoint=server.url) as transport:
            for _ in range(2):
                error = failure(transport)
                assert (type(error), error.status_code) == (UnexpectedStatusError, 204)
        assert server.connections == 2

    @pytest.mark.parametrize("status", ["500 Oops", "404 Gone"])
    @pytest.mark.parametrize("ending", ["cut", "stalled"])
    def test_a_status_is_worth_more_than_its_body(
        self, path: Path, serve: Callable[..., Server], status: str, ending: str
    ) -> None:
        release = threading.Event()

        def answer(_: Request, connection: socket.socket) -> None:
            connection.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 99\r\n\r\nabc".encode())
            if ending == "stalled":
                release.wait(10)

        server = serve(answer)
        with at(path, endpoint=server.url) as transport:
            error = failure(transport, timeout=0.4 if ending == "stalled" else 10)
            assert error.status_code == int(status[:3])
            assert error.detail == "abc"
            assert transport.settings.contact.reached
        release.set()

    def test_a_large_body_is_not_read_to_its_end(
        self, path: Path, serve: Callable[..., Server]
    ) -> None:
        def answer(_: Request, connection: socket.socket) -> None:
            connection.sendall(OK + b"Content-Length: 99999999999\r\n\r\n")
            with contextlib.suppress(OSError):
                while True:
                    connection.sendall(bytes(1 << 16))

        server = serve(answer)
        with at(path, endpoint=server.url) as transport:
            assert isinstance(failure(transport), InvalidResponseError)

    def test_an_answer_before_the_request_was_read(
        self, path: Path, serve: Callable[..., Server]
    ) -> None:
        listener = socket.create_server(("127.0.0.1", 0))

        def refuse() -> None:
            connection, _ = listener.accept()
            connection.recv(100)
            connection.sendall(http(b'{"message": "too large"}', "413 Too Large"))
            connection.shutdown(socket.SHUT_WR)
            time.sleep(0.2)
            connection.close()

        thread = threading.Thread(target=refuse)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with at(path, endpoint=url) as transport, pytest.raises(NexusError) as caught:
            transport.call(posting(content=bytes(8 << 20)), timeout=10)
        assert caught.value.status_code == 413
        thread.join()
        listener.close()


def posting(**parts: Any) -> Any:
    """Return an endpoint as the generator writes one, which creates something."""
    return SimpleNamespace(
        _get_kwargs=lambda: {"method": "post", "url": "/things", **parts},
        _parse_response=lambda client, response: (response.status_code, response.content),
        errors=SimpleNamespace(UnexpectedStatus=LookupError),
    )


def test_a_request_with_a_body(path: Path, serve: Callable[..., Server]) -> None:
    server = serve(lambda request, _: http(request.body, "201 Created"))
    parts = {
        "json": {"json": {"a": [1, "ü"]}},
        "form": {"data": {"a": "1"}},
        "file": {"files": {"f": ("n", bytes(200_000))}},
        "binary": {"content": bytes(300_000)},
        "none": {},
    }
    with at(path, endpoint=server.url) as transport:
        for part in parts.values():
            status, content = transport.call(posting(**part), timeout=10).value
            assert status == 201
            assert content == server.requests[-1].body
    assert server.connections == 1
    assert [len(request.body) for request in server.requests[-2:]] == [300_000, 0]
    assert b"content-length: 0" in server.requests[-1].head.lower()


def test_no_request_is_repeated(path: Path, serve: Callable[..., Server]) -> None:
    def answer(_: Request, connection: socket.socket) -> bytes | None:
        return http(b"1") if len(server.requests) == 1 else None

    server = serve(answer)
    with at(path, endpoint=server.url) as transport:
        transport.call(posting(), timeout=5)
        with pytest.raises(NetworkConnectionError):
            transport.call(posting(), timeout=5)
    assert len(server.requests) == 2


def trickle(first: bytes, piece: bytes) -> Answer:
    def answer(_: Request, connection: socket.socket) -> None:
        connection.sendall(first)
        while True:
            time.sleep(0.05)
            connection.sendall(piece)

    return answer


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let names of hosts resolve to what a test says."""
    real, known = socket.getaddrinfo, dict[str, tuple[list[str], threading.Event | None]]()

    def getaddrinfo(host: Any, port: Any, *args: Any, **options: Any) -> list[Any]:
        if host not in known:
            return real(host, port, *args, **options)
        addresses, release = known[host]
        if release is not None:
            release.wait(10)
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [real(address, port, *args, **options)[0] for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    def teach(name: str, *addresses: str, release: threading.Event | None = None) -> None:
        known[name] = list(addresses), release

    return teach


@contextlib.contextmanager
def swallowing(address: str, port: int = 0) -> Iterator[int]:
    """Listen, but take no connection."""
    with contextlib.ExitStack() as stack:
        hole = stack.enter_context(socket.socket())
        hole.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        hole.bind((address, port))
        hole.listen(0)
        for _ in range(8):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(hole.getsockname())
        yield hole.getsockname()[1]


linux = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs more loopback addresses")


class TestTime:
    @pytest.mark.parametrize(
        ("first", "piece"),
        [
            (b"", b"HTTP/1.1 102 Processing\r\n\r\n"),
            (OK + b"X: ", b"a"),
            (OK + b"Content-Length: 99999\r\n\r\n", b"a"),
            (OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n", b"X: a\r\n"),
        ],
        ids=["informational", "headers", "body", "trailers"],
    )
    def test_a_request_is_bounded_in_total(
        self, path: Path, serve: Callable[..., Server], first: bytes, piece: bytes
    ) -> None:
        server = serve(trickle(first, piece))
        with at(path, endpoint=server.url) as transport:
            began = time.monotonic()
            error = failure(transport, timeout=0.3)
            assert 0.25 < time.monotonic() - began < 5
        assert type(error) is RequestTimeoutError
        assert error.reached

    def test_sending_is_bounded(self, path: Path) -> None:
        with swallowing("127.0.0.1") as port:
            # The first in line is connected: nobody reads what it sends.
            listener = socket.create_server(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            with at(path, endpoint=url) as transport, pytest.raises(RequestTimeoutError):
                transport.call(posting(content=bytes(32 << 20)), timeout=0.3)
            listener.close()
            assert port

    @linux
    def test_addresses_that_swallow_connections(
        self, path: Path, names: Callable[..., None]
    ) -> None:
        with swallowing("127.0.0.1") as port:
            names("many.test", *["127.0.0.1"] * 12)
            with at(path, endpoint=f"http://many.test:{port}") as transport:
                began = time.monotonic()
                error = failure(transport, timeout=0.6)
                assert 0.5 < time.monotonic() - began < 5
        assert type(error) is NetworkConnectionError
        assert error.transient
        assert not error.reached
        assert not transport.settings.contact.reached

    @linux
    def test_the_next_address_is_tried_beside_a_silent_one(
        self, path: Path, serve: Callable[..., Server], names: Callable[..., None]
    ) -> None:
        server = serve(running)
        with swallowing("127.0.0.3", server.port):
            names("two.test", "127.0.0.3", "127.0.0.1")
            with at(path, endpoint=f"http://two.test:{server.port}") as transport:
                assert get(transport, timeout=8).id == "op_1"

    def test_the_next_address_is_tried_at_once_after_a_refusal(
        self, path: Path, serve: Callable[..., Server], names: Callable[..., None]
    ) -> None:
        server = serve(running)
        names("two.test", "127.0.0.4", "::1", "127.0.0.1")
        with at(path, endpoint=f"http://two.test:{server.port}") as transport:
            began = time.monotonic()
            assert get(transport, timeout=8).id == "op_1"
            assert time.monotonic() - began < network.STAGGER

    def test_both_families_have_their_turns(self) -> None:
        four, six = (
            [(socket.AF_INET, n) for n in range(3)],
            [(socket.AF_INET6, n) for n in range(2)],
        )
        found: Any = [*six, *four]
        turns: Any = network.by_turns(found)
        assert turns == [six[0], four[0], six[1], four[1], four[2]]

    def test_a_name_that_takes_too_long(self, path: Path, names: Callable[..., None]) -> None:
        release = threading.Event()
        names("slow.test", release=release)
        with at(path, endpoint="http://slow.test") as transport:
            error = failure(transport, timeout=0.2)
            assert type(error) is NetworkConnectionError
            assert not error.reached
            assert failure(transport, timeout=0.2).transient
            resolvers = [t for t in threading.enumerate() if t.name == "nexus-operations-resolver"]
            assert len(resolvers) == 1
        release.set()
        resolvers[0].join(10)

    def test_an_event_loop_does_not_wait_for_a_resolver(self, names: Callable[..., None]) -> None:
        release = threading.Event()
        names("slow.test", release=release)
        began = time.monotonic()
        with at(Path.ASYNC, endpoint="http://slow.test") as transport:
            failure(transport, timeout=0.2)
        assert time.monotonic() - began < 5
        release.set()

    @pytest.mark.parametrize("name", ["unknown.test", "x" * 70 + ".test"])
    def test_a_name_that_nobody_has(
        self, path: Path, names: Callable[..., None], name: str
    ) -> None:
        names("unknown.test")
        with at(path, endpoint=f"http://{name}") as transport:
            error = failure(transport)
        assert error.transient
        assert not error.reached
        assert name in str(error)

    @pytest.mark.parametrize("stage", ["resolving", "connecting", "reading"])
    @pytest.mark.parametrize("how", ["event", "signal"])
    def test_a_stop_takes_effect_soon(
        self, serve: Callable[..., Server], names: Callable[..., None], stage: str, how: str
    ) -> None:
        release, event = threading.Event(), threading.Event()
        names("slow.test", "127.0.0.1", release=release)
        server = serve(trickle(b"", b""))
        with contextlib.ExitStack() as stack:
            url = server.url
            if stage == "resolving":
                url = "http://slow.test"
            elif stage == "connecting":
                url = f"http://127.0.0.1:{stack.enter_context(swallowing('127.0.0.1'))}"
            transport = stack.enter_context(at(Path.SYNC, endpoint=url))
            if how == "event":
                stop: Callable[[], None] = event.set
            else:
                stop = lambda: signal.raise_signal(signal.SIGINT)  # noqa: E731
            if how == "signal":
                stop = lambda: os.kill(os.getpid(), signal.SIGINT)  # noqa: E731
            timer = threading.Timer(0.2, stop)
            began = time.monotonic()
            timer.start()
            kind = Aborted if how == "event" else KeyboardInterrupt
            options = {"abort_event": event} if how == "event" else {}
            with pytest.raises(kind) as caught:
                get(transport, timeout=30, **options)
            assert time.monotonic() - began < 5
            assert caught.value.__context__ is None
            timer.join()
        release.set()

    def test_cancellation_is_pythons_own(self, serve: Callable[..., Server]) -> None:
        server = serve(trickle(b"", b""))

        async def run() -> None:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await transport.made.retrieve("p", "op_1", 30)
            assert len(asyncio.all_tasks()) == 1

        with at(Path.ASYNC, endpoint=server.url) as transport:
            transport.run(run())


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


class TestTls:
    def context(self, authority: trustme.CA, *hosts: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*hosts or ("127.0.0.1",)).configure_cert(context)
        return context

    def trusting(self, authority: trustme.CA) -> ssl.SSLContext:
        context = ssl.create_default_context()
        authority.configure_trust(context)
        return context

    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    def test_one_session_serves_one_request_after_another(
        self,
        path: Path,
        serve: Callable[..., Server],
        authority: trustme.CA,
        version: ssl.TLSVersion,
    ) -> None:
        tls = self.context(authority)
        tls.maximum_version = version
        server = serve(running, tls=tls)
        with at(path, endpoint=server.url, verify=self.trusting(authority)) as transport:
            for _ in range(3):
                assert get(transport).id == "op_1"
            status, content = transport.call(posting(content=bytes(300_000)), timeout=10).value
            assert status == 200
            assert content
        assert server.connections == 1

    def test_what_nobody_asked_for_is_no_answer(
        self, path: Path, serve: Callable[..., Server], authority: trustme.CA
    ) -> None:
        def answer(request: Request, connection: socket.socket) -> bytes:
            if len(server.requests) > 1:
                return http(operation("op_1", "Finished"))
            connection.sendall(running(request))
            time.sleep(0.1)
            return http(operation("op_1", "Errored"))

        server = serve(answer, tls=self.context(authority))
        with at(path, endpoint=server.url, verify=self.trusting(authority)) as transport:
            get(transport)
            time.sleep(0.2)
            assert get(transport).status.overview == "Finished"
        assert server.connections == 2

    @pytest.mark.parametrize("host", ["127.0.0.1", "other.test"])
    def test_a_certificate_that_is_not_trusted_is_no_passing_trouble(
        self, path: Path, serve: Callable[..., Server], authority: trustme.CA, host: str
    ) -> None:
        server = serve(running, tls=self.context(authority, host))
        verify = self.trusting(authority) if host == "other.test" else None
        with at(path, endpoint=server.url, verify=verify) as transport:
            error = failure(transport)
        assert type(error) is NetworkConnectionError
        assert "certificate verify failed" in error.message
        assert not error.transient
        assert not error.reached

    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    def test_a_client_certificate_that_is_refused(
        self,
        path: Path,
        serve: Callable[..., Server],
        authority: trustme.CA,
        version: ssl.TLSVersion,
    ) -> None:
        tls = self.context(authority)
        tls.maximum_version = version
        authority.configure_trust(tls)
        tls.verify_mode = ssl.CERT_REQUIRED
        server = serve(running, tls=tls)
        verify = self.trusting(authority)
        trustme.CA().issue_cert("someone@example.org").configure_cert(verify)
        with at(path, endpoint=server.url, verify=verify) as transport:
            assert not failure(transport).transient

    def test_what_speaks_no_tls(self, path: Path, serve: Callable[..., Server]) -> None:
        server = serve(lambda *_: b"HTTP/1.1 400 Bad\r\n\r\n")
        with at(path, endpoint=server.url.replace("http:", "https:")) as transport:
            # The hello holds no empty line: nothing is answered.
            error = failure(transport, timeout=0.3)
        assert error.transient
        assert not error.reached

    def test_a_session_cut_short_is_no_end_of_a_body(
        self, path: Path, serve: Callable[..., Server], authority: trustme.CA
    ) -> None:
        def answer(request: Request, connection: socket.socket) -> None:
            connection.sendall(OK + b"\r\n" + operation("op_1"))
            socket.socket(fileno=connection.detach()).close()  # without a word of TLS

        server = serve(answer, tls=self.context(authority))
        with at(path, endpoint=server.url, verify=self.trusting(authority)) as transport:
            assert type(failure(transport)) is NetworkConnectionError


class Tunnel:
    """A proxy that connects; `answer` says what it answers a CONNECT with."""

    def __init__(self, answer: bytes = b"HTTP/1.1 200 Connected\r\n\r\n", tls: Any = None) -> None:
        self._answer, self._tls = answer, tls
        self.heads: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.place = f"127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            stack.enter_context(connection)
            if self._tls is not None:
                connection = stack.enter_context(self._tls.wrap_socket(connection, True))
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += connection.recv(1)
            self.heads.append(head)
            connection.sendall(self._answer)
            if b" 200 " not in self._answer:
                return
            host, _, port = head.split(b" ")[1].decode().rpartition(":")
            other = stack.enter_context(socket.create_connection((host, int(port))))
            while True:
                for each in select.select([other, connection], [], [], 10)[0]:
                    data = each.recv(65536)
                    if not data:
                        return
                    with contextlib.suppress(OSError):  # what was said before is worth hearing
                        (other if each is connection else connection).sendall(data)

    def close(self) -> None:
        self._socket.close()


class TestProxies(TestTls):
    """Also runs the tests of TLS, through a tunnel."""

    @pytest.fixture(autouse=True)
    def _through_a_tunnel(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        with contextlib.closing(Tunnel()) as self.tunnel:
            monkeypatch.setenv("HTTPS_PROXY", f"http://us%40r:word@{self.tunnel.place}")
            yield

    def test_credentials_are_for_the_proxy_alone(
        self, path: Path, serve: Callable[..., Server], authority: trustme.CA
    ) -> None:
        server = serve(running, tls=self.context(authority))
        with at(path, endpoint=server.url, verify=self.trusting(authority)) as transport:
            get(transport)
        (head,) = self.tunnel.heads
        assert head.startswith(f"CONNECT 127.0.0.1:{server.port} HTTP/1.1\r\n".encode())
        assert b"Proxy-Authorization: Basic " + base64.b64encode(b"us@r:word") in head
        assert SECRET.encode() not in head
        assert b"Proxy-Authorization" not in server.requests[0].head

    def test_tls_within_tls(
        self,
        path: Path,
        serve: Callable[..., Server],
        authority: trustme.CA,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        server = serve(running, tls=self.context(authority))
        with contextlib.closing(Tunnel(tls=self.context(authority))) as tunnel:
            monkeypatch.setenv("HTTPS_PROXY", f"https://{tunnel.place}")
            with at(path, endpoint=server.url, verify=self.trusting(authority)) as transport:
                for _ in range(2):
                    assert get(transport).id == "op_1"
        assert server.connections == 1

    @pytest.mark.parametrize(
        ("answer", "reason", "transient"),
        [
            (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "407 Proxy Auth", False),
            (b"HTTP/1.1 403 Forbidden\r\n\r\n", "403 Forbidden", False),
            (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", "502 Bad Gateway", True),
            (b"HTTP/1.1 429 Slow\r\n\r\n", "429 Slow", True),
            (b"garbage\r\n\r\n", "illegal status line", True),
            (b"", "it was closed before an answer came", True),
        ],
    )
    def test_a_refusal(
        self,
        path: Path,
        monkeypatch: pytest.MonkeyPatch,
        answer: bytes,
        reason: str,
        transient: bool,
    ) -> None:
        with contextlib.closing(Tunnel(answer)) as tunnel:
            monkeypatch.setenv("HTTPS_PROXY", f"http://user:hidden@{tunnel.place}")
            with at(path, endpoint="https://api.example.test") as transport:
                error = failure(transport)
        assert type(error) is NetworkConnectionError
        assert (error.transient, error.reached) == (transient, False)
        assert error.message.startswith(f"The proxy http://{tunnel.place} did not connect")
        assert reason in error.message
        assert "hidden" not in f"{error}{vars(error)}"
        assert "https://api.example.test" in str(error)
        assert not transport.settings.contact.reached

    def test_nobody_at_the_proxys_place(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            place = f"127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv("HTTPS_PROXY", place)
        with at(path, endpoint="https://api.example.test") as transport:
            error = failure(transport)
        assert error.proxy == f"http://{place}"
        assert error.message == f"The proxy http://{place} did not connect (Connection refused)"
        assert error.transient

    def test_a_plain_request_goes_through_whole(
        self, path: Path, serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        proxy = serve(running)
        monkeypatch.setenv("HTTP_PROXY", proxy.url.replace("//", "//user:word@"))
        with at(path, endpoint="http://host.test:81/base") as transport:
            for _ in range(2):
                get(transport)
        head = proxy.requests[0].head
        assert head.startswith(b"GET http://host.test:81/base/projects/p/operations/op_1 HTTP/1.1")
        assert b"\r\nProxy-Authorization: Basic dXNlcjp3b3Jk" in head
        assert b"\r\nHost: host.test:81\r\n" in head
        assert proxy.connections == 1

    def test_a_plain_proxys_refusal_is_not_the_endpoints(
        self, path: Path, serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        proxy = serve(lambda *_: http(b"denied", "407 Proxy Authentication Required"))
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        with at(path, endpoint="http://host.test") as transport:
            error = failure(transport)
            assert (error.status_code, error.transient, error.reached) == (407, False, False)
            assert "proxy" in error.message
            assert not transport.settings.contact.reached


def test_a_reset_is_a_broken_connection(path: Path, serve: Callable[..., Server]) -> None:
    def answer(_: Request, connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    server = serve(answer)
    with at(path, endpoint=server.url) as transport:
        error = failure(transport)
    assert error.message == "The connection to the service broke (Connection reset by peer)"
    assert error.reached


def test_nothing_is_left_open(path: Path, serve: Callable[..., Server]) -> None:
    server = serve(running)
    before = threading.active_count()
    with at(path, endpoint=server.url) as transport:
        get(transport)
    assert [t.name for t in threading.enumerate() if t.name.startswith("nexus-operations")] == []
    assert threading.active_count() <= before + 2  # the server's
