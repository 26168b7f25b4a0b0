"""Requests made, sync and async, within their time: the HTTP layer's face to the rest."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import threading
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

from nexus_operations_api.api.operations import get_operation

from .._core.errors import NetworkConnectionError
from .._core.models import Operation
from ._httpx import httpx
from .connection import MAX_BODY
from .engine import LIMITS, AsyncEngine, AsyncPool, Pool, SyncEngine, SyncPool
from .exchange import Aborted, Answer, Contact, Exchange, Received, Secret, Settings
from .network import Limits, blocking_result, in_thread, loop_result, run

__all__ = ["Aborted", "Answer", "AsyncTransport", "Contact", "Secret", "Settings", "Transport"]

CONCURRENCY = 64
"""Requests in flight that our own connections are good at."""

GIVEN_CONCURRENCY = 8
"""Requests in flight over a transport of the caller's: httpx's own is slow with more."""

Send = Callable[[httpx.Request], Awaitable[Received]]


class _Caller:
    """What the sync and the async transport share: everything but how a request is sent.

    Attributes:
        closed: Whether `close` was called.
    """

    def __init__(self, settings: Settings, pool: Pool | None) -> None:
        proxy = settings.route.proxy if pool is not None else None
        self._exchange = Exchange(settings, None if proxy is None else proxy.name)
        self._pool = pool
        self.closed = False
        if pool is not None:
            # The reference page's examples close nothing: connections go with the last reference.
            weakref.finalize(self, pool.close)

    async def _attempt(
        self,
        send: Send,
        endpoint: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        limits: Limits,
    ) -> Answer[Any] | BaseException:
        """Make a request; return the error, so that it is raised where no frame holds a request."""
        if self.closed:
            return ValueError("the client is closed")
        try:
            request = self._exchange.build(endpoint, args, kwargs, limits)
            return self._exchange.conclude(endpoint, await send(request))
        except BaseException as error:  # noqa: BLE001  (it is raised by whoever called)
            return self._exchange.errors.failure(error, _op_id(endpoint, args, kwargs))

    def _identified(self, answer: Answer[Any], op_id: str) -> Answer[Operation] | BaseException:
        """Return the operation asked for, or an error where the answer is another's."""
        operation = Operation.of(answer.value)
        if operation.id == op_id:
            return Answer(operation, answer.date)
        if self._pool is not None:
            self._pool.drop_idle()
        other = NetworkConnectionError("The connection gave the answer for another operation")
        return self._exchange.errors.failure(other, op_id)


def _op_id(endpoint: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
    """Return the operation that an endpoint's arguments name, if they name one."""
    try:
        names = inspect.signature(endpoint._get_kwargs).bind(*args, **kwargs)  # noqa: SLF001
    except TypeError:
        return None
    op_id = names.arguments.get("op_id")
    return op_id if isinstance(op_id, str) else None


def _raised(outcome: Answer[Any] | BaseException) -> Answer[Any]:
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


class _Reading:
    """A body that is read as far as it may be."""

    def __init__(self, response: httpx.Response, limits: Limits) -> None:
        self._response = response
        self._limits = limits
        self._parts: list[bytes] = []
        self._size = 0
        self.trouble: Exception | None = None

    def add(self, part: bytes) -> bool:
        """Take a part; return whether there may be more."""
        self._limits.left()
        self._parts.append(part)
        self._size += len(part)
        return self._size <= MAX_BODY

    def received(self) -> Received:
        return Received(self._response, b"".join(self._parts), self.trouble)


class Transport(_Caller):
    """Makes requests in the caller's thread; safe to share between threads.

    Args:
        transport: An `httpx.BaseTransport` to send them with; by default a pool of our own.

    Raises:
        ValueError: For an environment, or a certificate, that cannot be used.
    """

    def __init__(self, settings: Settings, transport: httpx.BaseTransport | None = None) -> None:
        pool = None
        if transport is None:
            pool = SyncPool(settings.route)
            transport = SyncEngine(pool)
        super().__init__(settings, pool)
        self._transport = transport

    def call(
        self,
        endpoint: Any,
        *args: Any,
        timeout: float,
        abort_event: threading.Event | None = None,
        **kwargs: Any,
    ) -> Answer[Any]:
        """Make one request of a generated endpoint, of any method.

        Args:
            endpoint: The generated module.
            args, kwargs: What its functions take.
            timeout: Seconds that the request may take in all.
            abort_event: Ends the request, with `Aborted`, once it is set.

        Returns:
            The value that the generated parser makes of a 2xx.

        Raises:
            NexusError: For everything else.
            ValueError: If the transport is closed, or the path would lead elsewhere.
        """
        limits = Limits(timeout, abort_event)
        return _raised(run(self._attempt(self._send, endpoint, args, kwargs, limits)))

    def retrieve(
        self,
        project_id: str,
        op_id: str,
        timeout: float,
        abort_event: threading.Event | None = None,
    ) -> Answer[Operation]:
        """Retrieve an operation: see `call`. An answer for another one is a broken connection."""
        answer = self.call(
            get_operation, project_id, op_id, timeout=timeout, abort_event=abort_event
        )
        return _raised(self._identified(answer, op_id))

    def fetch(self, project_id: str, op_id: str, timeout: float) -> Operation:
        """Retrieve an operation, without the answer's date."""
        return self.retrieve(project_id, op_id, timeout).value

    async def _send(self, request: httpx.Request) -> Received:
        limits: Limits = request.extensions[LIMITS]
        if self._pool is None and limits.abort_event is not None:
            future = in_thread("request", lambda: _exchanged(self._transport, request))
            return blocking_result(future, limits)
        return _exchanged(self._transport, request)

    def close(self) -> None:
        """Close the connections; later calls raise `ValueError`."""
        self.closed = True
        self._transport.close()


def _exchanged(transport: httpx.BaseTransport, request: httpx.Request) -> Received:
    with contextlib.closing(transport.handle_request(request)) as response:
        return _read(response, request.extensions[LIMITS])


def _read(response: httpx.Response, limits: Limits) -> Received:
    """Return a response with its body, as far as it may be read."""
    reading = _Reading(response, limits)
    assert isinstance(response.stream, httpx.SyncByteStream)
    try:
        for part in response.stream:
            if not reading.add(part):
                break
    except Exception as error:  # noqa: BLE001  (the status decides whether it matters)
        reading.trouble = error
    return reading.received()


def default_concurrency(transport: object) -> int:
    """Return the requests in flight that are good for a transport, `None` for our own."""
    return CONCURRENCY if transport is None else GIVEN_CONCURRENCY


class AsyncTransport(_Caller):
    """The same, awaited; usable from one event loop after another.

    Attributes:
        concurrency: How many requests in flight it is good at.
    """

    def __init__(
        self,
        settings: Settings,
        transport: httpx.BaseTransport | httpx.AsyncBaseTransport | None = None,
    ) -> None:
        pool = None
        if transport is None:
            pool = AsyncPool(settings.route)
            transport = AsyncEngine(pool)
        super().__init__(settings, pool)
        self._transport = transport
        self.concurrency = default_concurrency(None if pool else transport)

    async def call(self, endpoint: Any, *args: Any, timeout: float, **kwargs: Any) -> Answer[Any]:
        """Make one request of a generated endpoint: see `Transport.call`."""
        limits = Limits(timeout)
        return _raised(await self._attempt(self._send, endpoint, args, kwargs, limits))

    async def retrieve(self, project_id: str, op_id: str, timeout: float) -> Answer[Operation]:
        """Retrieve an operation: see `Transport.retrieve`."""
        answer = await self.call(get_operation, project_id, op_id, timeout=timeout)
        return _raised(self._identified(answer, op_id))

    async def fetch(self, project_id: str, op_id: str, timeout: float) -> Operation:
        """Retrieve an operation, without the answer's date."""
        return (await self.retrieve(project_id, op_id, timeout)).value

    async def _send(self, request: httpx.Request) -> Received:
        transport, limits = self._transport, request.extensions[LIMITS]
        if not isinstance(transport, httpx.AsyncBaseTransport):
            future = in_thread("request", lambda: _exchanged(transport, request))
            async with asyncio.timeout(limits.left()):
                return await loop_result(future)
        async with asyncio.timeout(limits.left()) if self._pool is None else _UNBOUNDED:
            response = await transport.handle_async_request(request)
        return await _read_async(response, limits)

    async def aclose(self) -> None:
        """Close the connections; later calls raise `ValueError`."""
        self.closed = True
        if isinstance(self._transport, httpx.AsyncBaseTransport):
            await self._transport.aclose()


_UNBOUNDED = contextlib.nullcontext()


async def _read_async(response: httpx.Response, limits: Limits) -> Received:
    """Return a response with its body, as far as it may be read."""
    reading = _Reading(response, limits)
    assert isinstance(response.stream, httpx.AsyncByteStream)
    try:
        async with asyncio.timeout(limits.left()), contextlib.aclosing(response):
            async for part in response.stream:
                if not reading.add(part):
                    break
    except Exception as error:  # noqa: BLE001  (the status decides whether it matters)
        reading.trouble = error
    return reading.received()
