"""A service on a raw socket that answers as it is scripted, malformed where a case wants it so."""

from __future__ import annotations

import contextlib
import enum
import socket
import ssl
import struct
import threading
import time
import urllib.parse
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.support.replies import Reply, good

BACKLOG = 1024
HANDSHAKE = b"\x16\x03"
NOT_HTTP = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class Then(enum.Enum):
    """What is done with a connection after, or instead of, an answer."""

    CLOSE = "close it"
    RESET = "reset it"
    HOLD = "leave it open, without another word"


Step = bytes | float | Then
"""Bytes to send, seconds to pause, or what is done with the connection."""

Reaction = Reply | bytes | Then | Iterator[Step]


@dataclass(frozen=True)
class Request:
    """A request as it came.

    Attributes:
        raw: Its head.
        number: Its place among all requests, from 1.
        nth: Its place among those for the same operation, from 1.
        connection: The number of its connection, from 1.
        at: When it came, in monotonic seconds.
    """

    raw: bytes
    number: int
    nth: int
    connection: int
    at: float

    @property
    def target(self) -> str:
        return self.raw.split(b" ", 2)[1].decode("latin-1")

    @property
    def op_id(self) -> str:
        return op_id_of(self.raw)

    def header(self, name: str) -> str | None:
        for line in self.raw.split(b"\r\n")[1:]:
            key, _, value = line.partition(b":")
            if key.strip().lower() == name.lower().encode():
                return value.strip().decode("latin-1")
        return None


def op_id_of(raw: bytes) -> str:
    """Return the operation that a request asks for."""
    target = raw.split(b" ", 2)[1].decode("latin-1")
    return urllib.parse.unquote(target.rsplit("/", 1)[-1])


class Server:
    """Answers requests on the loopback interface, each connection in a thread.

    Args:
        answer: Called with each request; see `Reaction`.
        tls: The TLS context to serve with.
        host: The address to listen on.

    Attributes:
        requests: Every request so far.
        in_flight, most_in_flight: Requests that were not answered yet.
        connections: How many connections came.
    """

    def __init__(
        self,
        answer: Callable[[Request], Reaction],
        *,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self._answer, self._tls = answer, tls
        self._lock = threading.Lock()
        self._nth: Counter[str] = Counter()
        self._open: set[socket.socket] = set()
        self.closed = threading.Event()
        self.requests: list[Request] = []
        self.in_flight = self.most_in_flight = self.connections = 0
        self._listener = socket.create_server((host, port), backlog=BACKLOG)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://{host}:{self.port}"
        threading.Thread(target=self._accept, name="scripted-server", daemon=True).start()

    def close(self) -> None:
        """Stop listening and drop every connection."""
        self.closed.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def wait_for(self, count: int, seconds: float = 20.0) -> None:
        """Wait until so many requests have come."""
        end = time.monotonic() + seconds
        while len(self.requests) < count:
            assert time.monotonic() < end, f"{len(self.requests)} of {count} requests came"
            time.sleep(0.005)

    def most_within(self, seconds: float) -> int:
        """Return the most requests that came in any such stretch of time."""
        times = sorted(request.at for request in self.requests)
        return max((sum(t <= u < t + seconds for u in times) for t in times), default=0)

    def _accept(self) -> None:
        while not self.closed.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(
                target=self._serve, args=(connection,), name="scripted-server", daemon=True
            ).start()

    def _serve(self, connection: socket.socket) -> None:
        with self._lock:
            self.connections += 1
            number = self.connections
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            stack.callback(connection.close)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
                stack.callback(connection.close)
            with self._lock:
                self._open.add(connection)
            stack.callback(self._open.discard, connection)
            pending = b""
            while not self.closed.is_set():
                while b"\r\n\r\n" not in pending:
                    data = connection.recv(65536)
                    if not data:
                        return
                    pending += data
                    if self._tls is None and pending.startswith(HANDSHAKE):
                        connection.sendall(NOT_HTTP)
                        return
                raw, _, pending = pending.partition(b"\r\n\r\n")
                if not self._react(raw, number, connection):
                    return

    def _react(self, raw: bytes, number: int, connection: socket.socket) -> bool:
        """Answer one request; return whether the connection is kept."""
        with self._lock:
            op_id = op_id_of(raw)
            self._nth[op_id] += 1
            place = len(self.requests) + 1
            request = Request(raw, place, self._nth[op_id], number, time.monotonic())
            self.requests.append(request)
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            reaction = self._answer(request)
            if isinstance(reaction, Reply):
                reaction = reaction.wire()
            steps = iter((reaction,)) if isinstance(reaction, (bytes, Then)) else reaction
            return all(self._step(step, connection) for step in steps)
        finally:
            with self._lock:
                self.in_flight -= 1

    def _step(self, step: Step, connection: socket.socket) -> bool:
        if isinstance(step, bytes):
            connection.sendall(step)
        elif isinstance(step, Then):
            if step is Then.HOLD:
                self.closed.wait()
            if step is Then.RESET:
                linger = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            return False
        else:
            self.closed.wait(step)
        return not self.closed.is_set()


def finished(request: Request) -> Reply:
    """Answer that the operation has finished."""
    return good(request.op_id)


def running(request: Request) -> Reply:
    """Answer that the operation is running."""
    return good(request.op_id, "Running")


def silence(_: Request) -> Then:
    """Answer nothing at all."""
    return Then.HOLD


def trickle(first: bytes, piece: bytes, pause: float = 0.05) -> Callable[[Request], Iterator[Step]]:
    """Return an answer that begins and never ends."""

    def answer(_: Request) -> Iterator[Step]:
        yield first
        while True:
            yield pause
            yield piece

    return answer


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])
