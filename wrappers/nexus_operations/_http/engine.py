"""Connections kept for one endpoint, behind httpx's transports.

`httpx.HTTPTransport` hands each request to a pool: here to one of ours, so that what instruments or
replaces httpx's transports (tracing, recorders) meets our requests, too. Our pool has no bound that
a request could wait for; it bounds each request in total, and keeps a connection only while nothing
that was not asked for has come over it.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from typing import Any

import h11

from ._httpx import httpx
from .connection import Connection, Headers, Reply, open_stream, reason_of
from .environment import Route
from .network import BlockingNetwork, Limits, LoopNetwork, Network, run

KEEP_ALIVE = 30.0
"""Seconds that an idle connection is kept: polls of one operation are seldom further apart."""

LIMITS = "nexus_operations.limits"
"""The request's extension that holds its `Limits`."""


class Pool:
    """Idle connections, the last used first; safe to share between threads and event loops."""

    def __init__(self, route: Route, network: type[Network]) -> None:
        self._route = route
        self._make_network = network
        self._begin()

        self._closed = False

    def _begin(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._network = self._make_network()
        self._idle: list[Connection] = []

    def _take(self, owner: object) -> Connection | None:
        """Return an idle connection that can be used, if there is one."""
        if self._process != os.getpid():
            inherited = self._idle  # its lock may be held by a thread that is not in this process
            self._begin()
            for connection in inherited:
                connection.close()
        while True:
            with self._lock:
                if not self._idle:
                    return None
                connection = self._idle.pop()
            fresh = time.monotonic() - connection.idle_since < KEEP_ALIVE
            if fresh and connection.owner is owner and connection.silent:
                return connection
            connection.close()

    def _give_back(self, connection: Connection) -> None:
        now = time.monotonic()
        stale: list[Connection] = []
        with self._lock:
            while self._idle and now - self._idle[0].idle_since > KEEP_ALIVE:
                stale.append(self._idle.pop(0))
            (stale if self._closed else self._idle).append(connection)
        for each in stale:
            each.close()

    def drop_idle(self) -> None:
        """Close the connections that are not in use."""
        with self._lock:
            dropped, self._idle = self._idle, []
        for connection in dropped:
            connection.close()

    def close(self) -> None:
        """Close the connections, those in use as soon as they are not."""
        self._closed = True
        self.drop_idle()

    async def _exchange(self, request: Any, reply: Reply, limits: Limits, owner: object) -> None:
        """Make an exchange over an idle connection or a new one."""
        connection = self._take(owner)
        if connection is None:
            connection = Connection(await open_stream(self._network, self._route, limits), owner)
        limits.connected = True
        kept = False
        try:
            head = self._head(request)
            kept = await connection.exchange(head, request.stream, reply, limits)
        finally:
            if not kept:
                connection.close()
        if kept:
            self._give_back(connection)

    def _head(self, request: Any) -> h11.Request:
        target: bytes = request.url.target
        headers: Headers = request.headers
        proxy = self._route.proxy
        if proxy is not None and self._route.tls is None and not proxy.is_socks:
            place = f"{self._route.scheme}://{self._route.authority()}".encode("ascii")
            target, headers = place + target, [*headers, *proxy.headers]
        return h11.Request(method=request.method, target=target, headers=headers)


def _raise_unless_answered(error: Exception, reply: Reply, limits: Limits) -> None:
    """Raise what httpx would raise; a response that has begun takes the error into its body."""
    if isinstance(error, TimeoutError) and error.errno is None:
        kind = httpx.ReadTimeout if limits.connected else httpx.ConnectTimeout
        error = kind("no answer within the request's time")
    elif isinstance(error, h11.RemoteProtocolError):
        error = httpx.RemoteProtocolError(reason_of(error)).with_traceback(None)
    elif isinstance(error, h11.LocalProtocolError):
        error = httpx.LocalProtocolError(reason_of(error))
    elif isinstance(error, OSError):
        cause, error = error, httpx.ReadError(reason_of(error))
        error.__cause__ = cause
    if not reply.status or not isinstance(error, httpx.HTTPError):
        raise error
    reply.stream.trouble = error


class SyncPool(Pool):
    """The pool of a sync transport."""

    def __init__(self, route: Route) -> None:
        super().__init__(route, BlockingNetwork)

    def handle_request(self, request: Any) -> Reply:
        """Return the response to a request, its body read."""
        limits: Limits = request.extensions[LIMITS]
        reply = Reply()
        try:
            run(self._exchange(request, reply, limits, None))
        except (OSError, h11.ProtocolError, httpx.HTTPError) as error:
            _raise_unless_answered(error, reply, limits)
        return reply


class AsyncPool(Pool):
    """The pool of an async transport."""

    def __init__(self, route: Route) -> None:
        super().__init__(route, LoopNetwork)

    async def handle_async_request(self, request: Any) -> Reply:
        """Return the response to a request, its body read."""
        limits: Limits = request.extensions[LIMITS]
        reply = Reply()
        try:
            async with asyncio.timeout(limits.left()):
                loop = asyncio.get_running_loop()
                await self._exchange(request, reply, limits, loop)
        except (OSError, h11.ProtocolError, httpx.HTTPError) as error:
            _raise_unless_answered(error, reply, limits)
        return reply

    async def aclose(self) -> None:
        """Close the connections, those in use as soon as they are not."""
        self.close()


class SyncEngine(httpx.HTTPTransport):
    """httpx's transport over our pool."""

    def __init__(self, pool: SyncPool) -> None:
        self._pool: Any = pool


class AsyncEngine(httpx.AsyncHTTPTransport):
    """The same, awaited."""

    def __init__(self, pool: AsyncPool) -> None:
        self._pool: Any = pool
