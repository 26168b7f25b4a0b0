"""One connection: opened over proxies and TLS, and the exchanges made over it one after another.

Everything here is written once for both networks (see `network`). What goes wrong is raised as
httpx raises it, so that `mapping` reads these errors and those of a caller's transport alike.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any, Protocol, TypeVar

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

Headers = list[tuple[bytes, bytes]]


class Stream(Protocol):
    """Bytes to and from the other end."""

    async def send(self, data: bytes, limits: Limits) -> None:
        """Send all the data."""
        ...

    async def receive(self, limits: Limits) -> bytes:
        """Return what comes next; nothing at the end."""
        ...

    def unread(self) -> bytes | None:
        """Return what has come and was not read; nothing at the end, `None` while silent."""
        ...

    def close(self) -> None:
        """Close the connection, without a word to the other end."""
        ...


class SocketStream:
    """A stream over a socket."""

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
        """Close the connection."""
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
        """Close the connection: a process that was forked must not end its parent's session."""
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


async def open_stream(network: Network, route: Route, limits: Limits) -> Stream:
    """Return a stream to the endpoint, through the proxy if there is one."""
    proxy = route.proxy
    if proxy is None:
        stream = await _connect(network, route.host, route.port, limits)
        return await _secured(stream, route.tls, route.host, limits)
    try:
        stream = await _connect(network, proxy.host, proxy.port, limits)
        stream = await _secured(stream, proxy.tls, proxy.host, limits)
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise httpx.ProxyError(str(error)) from error
    try:
        if proxy.is_socks:
            await _tunnel_by_socks(stream, proxy, route, limits)
        elif route.tls is not None:
            await _tunnel_by_connect(stream, proxy, route, limits)
    except (OSError, h11.ProtocolError) as error:
        stream.close()
        if isinstance(error, TimeoutError) and error.errno is None:
            raise
        raise httpx.ProxyError(reason_of(error)) from error
    except BaseException:
        stream.close()
        raise
    return await _secured(stream, route.tls, route.host, limits)


async def _connect(network: Network, host: str, port: int, limits: Limits) -> Stream:
    try:
        addresses = await network.resolve(host, port, limits)
        return SocketStream(network, await network.connect(addresses, limits))
    except OSError as error:
        if isinstance(error, TimeoutError) and error.errno is None:
            raise
        raise httpx.ConnectError(reason_of(error)) from error


async def _secured(
    stream: Stream, context: ssl.SSLContext | None, host: str, limits: Limits
) -> Stream:
    """Return the stream with TLS over it, where that is asked for."""
    if context is None:
        return stream
    secured = TlsStream(stream, context, host)
    try:
        await secured.handshake(limits)
    except OSError as error:
        stream.close()
        if isinstance(error, TimeoutError) and error.errno is None:
            raise
        raise httpx.ConnectError(reason_of(error)) from error
    except BaseException:
        stream.close()
        raise
    return secured


async def _tunnel_by_connect(stream: Stream, proxy: Proxy, route: Route, limits: Limits) -> None:
    target = route.authority(always_port=True).encode("ascii")
    headers = [(b"Host", target), *proxy.headers]
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
    request = h11.Request(method=b"CONNECT", target=target, headers=headers)
    await stream.send(connection.send(request) + connection.send(h11.EndOfMessage()), limits)
    while not isinstance(event := connection.next_event(), (h11.Response, h11.ConnectionClosed)):
        if event is h11.NEED_DATA:
            connection.receive_data(await stream.receive(limits))
    if isinstance(event, h11.ConnectionClosed):
        raise httpx.ProxyError("it closed the connection without an answer")
    if not 200 <= event.status_code < 300:
        reason = event.reason.decode("latin-1")
        raise httpx.ProxyError(f"{event.status_code} {reason}".strip())


SOCKS_REPLIES = {
    1: "general failure",
    2: "the connection is not allowed",
    3: "the network is unreachable",
    4: "the host is unreachable",
    5: "the connection was refused",
    6: "the connection timed out",
}


async def _tunnel_by_socks(stream: Stream, proxy: Proxy, route: Route, limits: Limits) -> None:
    """Ask a SOCKS5 proxy to connect (RFC 1928, 1929); it resolves the endpoint's name."""
    received = bytearray()

    async def take(count: int) -> bytes:
        while len(received) < count:
            data = await stream.receive(limits)
            if not data:
                raise httpx.ProxyError("it closed the connection")
            received.extend(data)
        taken = bytes(received[:count])
        del received[:count]
        return taken

    method = 2 if proxy.credentials else 0
    await stream.send(bytes((5, 1, method)), limits)
    if await take(2) != bytes((5, method)):
        raise httpx.ProxyError("refused: it asks for another kind of user name and password")
    if proxy.credentials:
        user, password = proxy.credentials
        await stream.send(bytes((1, len(user))) + user + bytes((len(password),)) + password, limits)
        if (await take(2))[1] != 0:
            raise httpx.ProxyError("refused the user name and password")
    host = route.host.encode("ascii")
    place = bytes((5, 1, 0, 3, len(host))) + host + route.port.to_bytes(2, "big")
    await stream.send(place, limits)
    _, code, _, kind = await take(4)
    if code != 0:
        raise httpx.ProxyError(f"{SOCKS_REPLIES.get(code, code)}")
    lengths = {1: 4, 4: 16}
    await take((lengths.get(kind) or (await take(1))[0]) + 2)


class Body:
    """A response's body as far as it came, then what went wrong with the rest."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.trouble: Exception | None = None

    def __iter__(self) -> Iterator[bytes]:
        yield from self.parts
        if self.trouble is not None:
            raise self.trouble

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self:
            yield part


class Reply:
    """A response as the connection gave it: what `httpx.HTTPTransport` asks of its pool."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: Headers = []
        self.stream = Body()
        self.extensions: dict[str, Any] = {"http_version": b"HTTP/1.1"}


class Connection:
    """A connection that is kept for one exchange after another.

    Attributes:
        owner: The event loop that it was made in, or `None`.
        idle_since: When its last exchange ended, on the monotonic clock.
    """

    def __init__(self, stream: Stream, owner: object) -> None:
        self.owner = owner
        self.idle_since = 0.0
        self._stream = stream
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)

    @property
    def silent(self) -> bool:
        """Whether nothing has come since the last exchange: no stray response, no end."""
        return self._stream.unread() is None

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()

    async def exchange(self, head: h11.Request, content: Any, reply: Reply, limits: Limits) -> bool:
        """Send a request and fill in the reply; return whether the connection may be kept."""
        failure: OSError | None = None
        try:
            await self._send(head, content, limits)
        except OSError as error:
            if isinstance(error, TimeoutError) and error.errno is None:
                raise
            # The service may have answered, and closed, before it had all of the request.
            failure = error
        try:
            return await self._receive(reply, limits) and failure is None
        except httpx.RemoteProtocolError as error:
            if failure is None or reply.status:
                raise
            raise httpx.WriteError(reason_of(failure)) from error

    async def _send(self, head: h11.Request, content: Any, limits: Limits) -> None:
        data = self._http.send(head)
        if isinstance(content, Iterable):
            parts: Iterable[bytes] = content
            for part in parts:
                data += self._http.send(h11.Data(data=part))
                if len(data) >= CHUNK:
                    await self._stream.send(data, limits)
                    data = b""
        else:
            async for part in content:
                await self._stream.send(data + self._http.send(h11.Data(data=part)), limits)
                data = b""
        await self._stream.send(data + self._http.send(h11.EndOfMessage()), limits)

    async def _receive(self, reply: Reply, limits: Limits) -> bool:
        http, size, informational = self._http, 0, 0
        while True:
            event = http.next_event()
            if event is h11.NEED_DATA:
                http.receive_data(await self._stream.receive(limits))
            elif isinstance(event, h11.Data):
                reply.stream.parts.append(bytes(event.data))
                size += len(event.data)
                if size > MAX_BODY:
                    return False
            elif isinstance(event, h11.Response):
                reply.headers = event.headers.raw_items()
                reply.extensions["reason_phrase"] = bytes(event.reason)
                reply.status = event.status_code
            elif isinstance(event, h11.EndOfMessage):
                return self._start_next(reply)
            elif isinstance(event, h11.InformationalResponse):
                informational += 1
                if informational > MAX_INFORMATIONAL:
                    raise httpx.RemoteProtocolError("too many informational responses")
            else:
                raise httpx.RemoteProtocolError("the service closed the connection unanswered")

    def _start_next(self, reply: Reply) -> bool:
        """Make ready for the next exchange; return whether that can be."""
        http = self._http
        framing = {name.lower() for name, _ in reply.headers}
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


def reason_of(error: BaseException) -> str:
    """Return in a few words what an error says."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate verify failed: {error.verify_message}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
