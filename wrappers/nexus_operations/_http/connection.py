"""One connection: opened over proxies and TLS, and the exchanges made over it one after another.

Everything here is written once for both networks (see `network`). Errors of sockets, TLS and HTTP
are raised as they come; the pool gives them httpx's names.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, TypeVar

import h11

from ._httpx import httpx
from .environment import Proxy, Route
from .network import CHUNK, Limits, Network

T = TypeVar("T")

MAX_HEAD = 1 << 18
"""Bytes of a response's status line and headers, at most."""

MAX_BODY = 1 << 20
"""Bytes of a response's body that are read, at most; an operation takes some 500."""

MAX_INFORMATIONAL = 100
"""Informational responses (1xx) before the answer, at most."""


class SocketStream:
    """Bytes to and from the other end of a socket."""

    def __init__(self, network: Network, connection: socket.socket) -> None:
        self._network = network
        self._socket = connection

    async def send(self, data: bytes, limits: Limits) -> None:
        """Send all the data."""
        await self._network.send(self._socket, data, limits)

    async def receive(self, limits: Limits) -> bytes:
        """Return what comes next; nothing at the end."""
        return await self._network.receive(self._socket, limits)

    def unread(self) -> bytes | None:
        """Return what has come and was not read; nothing at the end, `None` while silent."""
        self._socket.setblocking(False)
        try:
            return self._socket.recv(CHUNK)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError:
            return b""

    def close(self) -> None:
        """Close the socket, without a word: a forked process must not end its parent's session."""
        self._socket.close()


class TlsStream:
    """TLS over another stream."""

    def __init__(self, stream: Stream, context: ssl.SSLContext, host: str) -> None:
        self._stream = stream
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)

    async def handshake(self, limits: Limits) -> None:
        """Agree on keys and check certificates."""
        await self._step(self._tls.do_handshake, limits)

    async def send(self, data: bytes, limits: Limits) -> None:
        """Send all the data."""
        await self._step(lambda: self._tls.write(data), limits)

    async def receive(self, limits: Limits) -> bytes:
        """Return what comes next; nothing at the end."""
        try:
            return await self._step(lambda: self._tls.read(CHUNK), limits)
        except ssl.SSLZeroReturnError:
            return b""

    def unread(self) -> bytes | None:
        """Return what has come and was not read; session tickets of TLS 1.3 are no data."""
        while True:
            try:
                return self._tls.read(CHUNK)
            except ssl.SSLWantReadError:
                data = self._stream.unread()
                if not data:
                    return data
                self._incoming.write(data)
            except ssl.SSLError:
                return b""

    def close(self) -> None:
        """Close the socket."""
        self._stream.close()

    async def _step(self, step: Callable[[], T], limits: Limits) -> T:
        """Do a step of TLS, with the bytes that it wants to send and to receive."""
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                await self._flush(limits)
                data = await self._stream.receive(limits)
                self._incoming.write(data) if data else self._incoming.write_eof()
            except ssl.SSLError:
                with contextlib.suppress(OSError):
                    await self._flush(limits)  # tell the other end why
                raise
            else:
                await self._flush(limits)
                return result

    async def _flush(self, limits: Limits) -> None:
        data = self._outgoing.read()
        if data:
            await self._stream.send(data, limits)


Stream = SocketStream | TlsStream


async def open_stream(
    network: Network, route: Route, addresses: list[Any], limits: Limits
) -> Stream:
    """Return a stream to the endpoint, through the proxy if there is one."""
    proxy = route.proxy
    stream: Stream = SocketStream(network, await network.connect(addresses, limits))
    try:
        if proxy is not None:
            stream = await _secured(stream, proxy.tls, proxy.host, limits)
            if route.tls is not None:
                await _tunnel(stream, proxy, route, limits)
            limits.connecting_to = "endpoint"
        return await _secured(stream, route.tls, route.host, limits)
    except BaseException:
        stream.close()
        raise


async def _secured(
    stream: Stream, context: ssl.SSLContext | None, host: str, limits: Limits
) -> Stream:
    """Return the stream with TLS over it, where that is asked for."""
    if context is None:
        return stream
    secured = TlsStream(stream, context, host)
    await secured.handshake(limits)
    return secured


async def _tunnel(stream: Stream, proxy: Proxy, route: Route, limits: Limits) -> None:
    """Have the proxy connect to the endpoint."""
    target = route.authority(always_port=True).encode("ascii")
    headers = [(b"Host", target), *proxy.headers]
    http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
    request = h11.Request(method=b"CONNECT", target=target, headers=headers)
    await stream.send(http.send(request) + http.send(h11.EndOfMessage()), limits)
    while not isinstance(event := http.next_event(), h11.Response):
        if event is h11.NEED_DATA:
            await _receive_more(stream, http, limits)
    if not 200 <= event.status_code < 300:
        raise httpx.ProxyError(f"{event.status_code} {event.reason.decode('latin-1')}".strip())


async def _receive_more(stream: Stream, http: h11.Connection, limits: Limits) -> None:
    data = await stream.receive(limits)
    if not data and http.their_state is h11.SEND_RESPONSE:
        raise ConnectionError("it was closed before an answer came")
    http.receive_data(data)


class Reply:
    """A response as the connection gave it: what `httpx.HTTPTransport` asks of its pool.

    Attributes:
        status: Its status, or 0 while there is none.
        stream: Its body as far as it came, then what went wrong with the rest.
    """

    def __init__(self) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.extensions: dict[str, Any] = {"http_version": b"HTTP/1.1"}
        self.stream = self
        self.body: list[bytes] = []
        self.trouble: Exception | None = None

    def __iter__(self) -> Iterator[bytes]:
        yield from self.body
        if self.trouble is not None:
            raise self.trouble

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self:
            yield part


class Connection:
    """A connection that is kept for one exchange after another.

    Attributes:
        owner: The event loop that it was made in, or `None`.
        idle_since: When its last exchange ended, on the monotonic clock.
    """

    def __init__(self, stream: Stream, owner: object) -> None:
        self.owner = owner
        self.idle_since = 0.0
        self.close = stream.close
        self._stream = stream
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)

    @property
    def silent(self) -> bool:
        """Whether nothing has come since the last exchange: no stray response, no end."""
        return self._stream.unread() is None

    async def exchange(self, head: h11.Request, content: Any, reply: Reply, limits: Limits) -> bool:
        """Send a request and fill in the reply; return whether the connection may be kept."""
        with contextlib.suppress(ConnectionError):
            # The service may have answered, and closed, before it had all of the request.
            await self._send(head, content, limits)
        return await self._receive(reply, limits)

    async def _send(self, head: h11.Request, content: Any, limits: Limits) -> None:
        data = self._http.send(head)
        for part in content:
            data += self._http.send(h11.Data(data=part))
            if len(data) >= CHUNK:
                await self._stream.send(data, limits)
                data = b""
        await self._stream.send(data + self._http.send(h11.EndOfMessage()), limits)

    async def _receive(self, reply: Reply, limits: Limits) -> bool:
        size = informational = 0
        while size <= MAX_BODY:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                await _receive_more(self._stream, self._http, limits)
            elif isinstance(event, h11.Data):
                reply.body.append(bytes(event.data))
                size += len(event.data)
            elif isinstance(event, h11.Response):
                reply.headers = event.headers.raw_items()
                reply.extensions["reason_phrase"] = bytes(event.reason)
                reply.status = event.status_code
            elif isinstance(event, h11.EndOfMessage):
                return self._start_next(reply)
            elif isinstance(event, h11.InformationalResponse) and informational < MAX_INFORMATIONAL:
                informational += 1
            else:
                raise httpx.RemoteProtocolError("an answer does not come")
        return False

    def _start_next(self, reply: Reply) -> bool:
        """Make ready for the next exchange; return whether that can be."""
        http, framing = self._http, {name.lower() for name, _ in reply.headers}
        if (
            http.our_state is not h11.DONE
            or http.their_state is not h11.DONE
            or http.trailing_data != (b"", False)
            or framing >= {b"content-length", b"transfer-encoding"}  # RFC 9112, 6.1
        ):
            return False
        http.start_next_cycle()
        self.idle_since = time.monotonic()
        return True
