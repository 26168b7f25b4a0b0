"""Connections kept for one endpoint, behind httpx's transports.

`httpx.HTTPTransport` hands each request to a pool: here to ours, so that what instruments or
replaces httpx's transports (tracing, recorders) meets our requests, too. Our pool has no bound that
a request could wait for; it bounds each request in total, and keeps a connection only while nothing
that was not asked for has come over it.
"""

from __future__ import annotations

import asyncio
import bisect
import os
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any

import h11

from ._httpx import httpx
from .connection import Connection, Reply, open_stream
from .environment import Route
from .network import BlockingNetwork, Limits, LoopNetwork, Network, Resolver, out_of_time, run

KEEP_ALIVE = 30.0
"""Seconds that an idle connection is kept: polls of one operation are seldom further apart."""

LIMITS = "nexus_operations.limits"
"""The request's extension that holds its `Limits`."""

TURN_LASTS = 0.1
"""Seconds to connect in, at most; then the turn at the rate has passed, and another is taken."""

RAISED = (OSError, h11.ProtocolError, httpx.HTTPError)


class Pool:
    """Idle connections, the last used first; safe to share between threads and event loops.

    Args:
        route: The way to the endpoint.
        pace: Takes a turn at the client's rate, or returns the seconds to wait for one.
    """

    def __init__(self, route: Route, pace: Callable[[], float] = lambda: 0.0) -> None:
        self._route = route
        self._pace = pace
        self._closed = False
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._resolver = Resolver()
        self._idle: list[Connection] = []

    def handle_request(self, request: Any) -> Reply:
        """Return the response to a request, its body read."""
        limits, reply = request.extensions[LIMITS], Reply()
        try:
            run(self._exchange(BlockingNetwork(), None, request, reply))
        except RAISED as error:
            _raise_unless_answered(error, reply, limits)
        return reply

    async def handle_async_request(self, request: Any) -> Reply:
        """Return the response to a request, its body read."""
        limits, reply = request.extensions[LIMITS], Reply()
        try:
            async with asyncio.timeout(limits.left()):
                loop = asyncio.get_running_loop()
                await self._exchange(LoopNetwork(), loop, request, reply)
        except RAISED as error:
            _raise_unless_answered(error, reply, limits)
        return reply

    async def _exchange(self, network: Network, owner: object, request: Any, reply: Reply) -> None:
        """Make an exchange over an idle connection or a new one."""
        limits: Limits = request.extensions[LIMITS]
        began = time.monotonic()
        connection = self._take(owner) or await self._open(network, owner, limits)
        limits.connecting_to = None
        kept = False
        try:
            while time.monotonic() - began > TURN_LASTS and (seconds := self._pace()) > 0:
                await network.pause(seconds, limits)
            kept = await connection.exchange(self._head(request), request.stream, reply, limits)
        finally:
            if not kept:
                connection.close()
        if kept:
            self._give_back(connection)

    async def _open(self, network: Network, owner: object, limits: Limits) -> Connection:
        first = self._route.proxy or self._route
        limits.connecting_to = "proxy" if self._route.proxy else "endpoint"
        addresses = await network.result(self._resolver.start(first.host, first.port), limits)
        return Connection(await open_stream(network, self._route, addresses, limits), owner)

    def _head(self, request: Any) -> h11.Request:
        target, headers = request.url.target, request.headers
        proxy = self._route.proxy
        if proxy is not None and self._route.tls is None:
            target = f"http://{self._route.authority()}".encode() + target
            headers = [*headers, *proxy.headers]
        return h11.Request(method=request.method, target=target, headers=headers)

    def _take(self, owner: object) -> Connection | None:
        """Return an idle connection that can be used, if there is one."""
        while True:
            with self._locked():
                if not self._idle:
                    return None
                connection = self._idle.pop()
            fresh = time.monotonic() - connection.idle_since < KEEP_ALIVE
            if fresh and connection.owner is owner and connection.silent:
                return connection
            connection.close()

    def _give_back(self, connection: Connection) -> None:
        with self._locked():
            self._idle.append(connection)
        self.drop_idle(0.0 if self._closed else KEEP_ALIVE)

    def drop_idle(self, seconds: float = 0.0) -> None:
        """Close the connections that were not in use for some time."""
        until = time.monotonic() - seconds
        with self._locked():
            count = bisect.bisect(self._idle, until, key=lambda each: each.idle_since)
            stale, self._idle[:count] = self._idle[:count], []
        for connection in stale:
            connection.close()

    def _locked(self) -> threading.Lock:
        """Return the lock of the idle connections; those of another process are left to it."""
        if self._process != os.getpid():
            inherited = self._idle  # their lock may be held by a thread that is not in this process
            self._begin()
            for connection in inherited:
                connection.close()
        return self._lock

    def close(self) -> None:
        """Close the connections, those in use as soon as they are not."""
        self._closed = True
        self.drop_idle()

    async def aclose(self) -> None:
        """Close the connections, those in use as soon as they are not."""
        self.close()


def _raise_unless_answered(error: Exception, reply: Reply, limits: Limits) -> None:
    """Raise what httpx would raise; a response that has begun takes the error into its body."""
    named: Exception = error
    kind: type[httpx.TransportError]
    if out_of_time(error):
        kind = httpx.ConnectTimeout if limits.connecting_to else httpx.ReadTimeout
        named = kind(reason_of(error))
    elif not isinstance(error, httpx.HTTPError):
        kinds = {"proxy": httpx.ProxyError, "endpoint": httpx.ConnectError, None: httpx.ReadError}
        kind = kinds[limits.connecting_to]
        if isinstance(error, h11.ProtocolError) and limits.connecting_to is None:
            local = isinstance(error, h11.LocalProtocolError)
            kind = httpx.LocalProtocolError if local else httpx.RemoteProtocolError
        named = kind(reason_of(error))
        named.__cause__ = error
    if not reply.status:
        raise named
    reply.trouble = named


def reason_of(error: BaseException) -> str:
    """Return in a few words what an error says."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate verify failed: {error.verify_message}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if out_of_time(error) and not str(error):
        return "no answer within the request's time"
    return str(error) or type(error).__name__


class SyncEngine(httpx.HTTPTransport):
    """httpx's transport over our pool."""

    def __init__(self, pool: Pool | None) -> None:
        self._pool: Any = pool


class AsyncEngine(httpx.AsyncHTTPTransport):
    """The same, awaited."""

    def __init__(self, pool: Pool | None) -> None:
        self._pool: Any = pool
