"""Requests made, sync and async, within their time: the HTTP layer's face to the rest."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import weakref
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, cast

from nexus_operations_api.api.operations import get_operation

from .._core.errors import InvalidResponseError, NetworkConnectionError
from .._core.models import Operation
from .._core.stop import StopEvent
from ._httpx import httpx
from .connection import MAX_BODY
from .engine import LIMITS, AsyncEngine, Pool, SyncEngine
from .exchange import Answer, Contact, Exchange, Received, Secret, Settings
from .network import Aborted, BlockingNetwork, Limits, LoopNetwork, in_thread, run

__all__ = ["Aborted", "Answer", "AsyncTransport", "Contact", "Secret", "Settings", "Transport"]

CONCURRENCY = 64
"""Requests in flight that our own connections are good at."""

GIVEN_CONCURRENCY = 8
"""Requests in flight over a transport of the caller's: httpx's own is slow with more."""


def default_concurrency(transport: object) -> int:
    """Return the requests in flight that are good for a transport, `None` for our own."""
    return CONCURRENCY if transport is None else GIVEN_CONCURRENCY


class _Caller:
    """What the sync and the async transport share: everything but how a request is sent.

    Attributes:
        closed: Whether it was closed.
    """

    def __init__(self, settings: Settings, transport: object) -> None:
        self._pool = None if transport is not None else Pool(settings.route, settings.pace)
        self._exchange = Exchange(settings, through_proxy=self._pool is not None)
        self.closed = False
        self._strangers: dict[str, list[str]] = {}  # whose answers came last, by the id asked for
        if self._pool is not None:
            # The reference page's examples close nothing: connections go with the last reference.
            weakref.finalize(self, self._pool.close)

    async def _send(self, request: httpx.Request) -> Received:
        raise NotImplementedError

    async def _attempt(
        self,
        limits: Limits,
        endpoint: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        read: Callable[[Answer[Any]], Answer[Any]] = lambda answer: answer,
    ) -> Answer[Any] | BaseException:
        """Make a request; return the error, so that it is raised where no frame holds a request."""
        if self.closed:
            return ValueError("the client is closed")
        try:
            request = self._exchange.build(limits, endpoint, args, kwargs)
        except Exception as error:  # noqa: BLE001  (it is about the arguments)
            return error
        try:
            limits.left()
            return read(self._exchange.conclude(endpoint, await self._send(request)))
        except BaseException as error:  # noqa: BLE001  (it is raised by whoever called)
            return self._exchange.errors.failure(error, _op_id(endpoint, args, kwargs))

    def _retrieve(
        self, limits: Limits, project_id: str, op_id: str
    ) -> Coroutine[Any, Any, Answer[Any] | BaseException]:
        """Retrieve an operation; where the answer is another's, the connection is bad.

        The same answer over two new connections is the service's own, and breaks the contract.
        """

        def read(answer: Answer[Any]) -> Answer[Operation]:
            operation = Operation.from_generated(answer.value)
            before = self._strangers.pop(op_id, []) if self._strangers else []
            if operation.id == op_id:
                return Answer(operation, answer.date)
            if self._pool is not None:
                self._pool.drop_idle()
            if before == [operation.id] * 2:
                raise InvalidResponseError(
                    "The service answers with another operation", path="$.id"
                )
            self._strangers[op_id] = [*before[-1:], operation.id]
            raise NetworkConnectionError("The connection gave the answer for another operation")

        return self._attempt(limits, get_operation, (project_id, op_id), {}, read)


def _op_id(endpoint: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
    """Return the operation that an endpoint's arguments name, if they name one."""
    try:
        names = inspect.signature(endpoint._get_kwargs).bind(*args, **kwargs)  # noqa: SLF001
    except TypeError:
        return None
    return names.arguments.get("op_id")


def _raised(outcome: Answer[Any] | BaseException) -> Answer[Any]:
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


class Transport(_Caller):
    """Makes requests in the caller's thread; safe to share between threads.

    Args:
        transport: An `httpx.BaseTransport` to send them with; by default connections of our own.

    Attributes:
        interruptible: Whether requests look at an event at no cost; over a caller's transport, one
            with an event takes a thread.

    Raises:
        ValueError: For an environment, or a certificate, that cannot be used.
    """

    def __init__(self, settings: Settings, transport: httpx.BaseTransport | None = None) -> None:
        super().__init__(settings, transport)
        self._transport = transport or SyncEngine(self._pool)
        self.interruptible = transport is None

    def call(
        self,
        endpoint: Any,
        *args: Any,
        timeout: float,
        abort_event: StopEvent | None = None,
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
        return _raised(run(self._attempt(limits, endpoint, args, kwargs)))

    def retrieve(
        self,
        project_id: str,
        op_id: str,
        timeout: float,
        abort_event: StopEvent | None = None,
    ) -> Answer[Operation]:
        """Retrieve an operation: see `call`. An answer for another one is a broken connection."""
        return _raised(run(self._retrieve(Limits(timeout, abort_event), project_id, op_id)))

    async def _send(self, request: httpx.Request) -> Received:
        limits: Limits = request.extensions[LIMITS]
        if self._pool is not None or limits.abort_event is None:
            return _exchanged(self._transport, request)
        future = in_thread("request", lambda: _exchanged(self._transport, request))
        return await BlockingNetwork().result(future, limits)

    def close(self) -> None:
        """Close the connections; later calls raise `ValueError`."""
        self.closed = True
        self._transport.close()


def _exchanged(transport: httpx.BaseTransport, request: httpx.Request) -> Received:
    """Send a request; return the response with its body, as far as it may be read."""
    with contextlib.closing(transport.handle_request(request)) as response:
        received = Received(response, bytearray())
        try:
            for part in cast("Iterable[bytes]", response.stream):
                received.content.extend(part)
                if len(received.content) > MAX_BODY:
                    break
                request.extensions[LIMITS].left()
        except Exception as error:  # noqa: BLE001  (the status decides whether it matters)
            return received._replace(trouble=error)
        return received


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
        super().__init__(settings, transport)
        self._transport = transport or AsyncEngine(self._pool)
        self.concurrency = default_concurrency(transport)

    async def call(self, endpoint: Any, *args: Any, timeout: float, **kwargs: Any) -> Answer[Any]:
        """Make one request of a generated endpoint: see `Transport.call`."""
        return _raised(await self._attempt(Limits(timeout), endpoint, args, kwargs))

    async def retrieve(self, project_id: str, op_id: str, timeout: float) -> Answer[Operation]:
        """Retrieve an operation: see `Transport.retrieve`."""
        return _raised(await self._retrieve(Limits(timeout), project_id, op_id))

    async def _send(self, request: httpx.Request) -> Received:
        transport, limits = self._transport, request.extensions[LIMITS]
        if self._pool is not None:
            return await _exchanged_async(transport, request)
        async with asyncio.timeout(limits.left()):
            if isinstance(transport, httpx.AsyncBaseTransport):
                return await _exchanged_async(transport, request)
            future = in_thread("request", lambda: _exchanged(transport, request))
            return await LoopNetwork().result(future, limits)

    async def aclose(self) -> None:
        """Close the connections; later calls raise `ValueError`."""
        self.closed = True
        if isinstance(self._transport, httpx.AsyncBaseTransport):
            await self._transport.aclose()


async def _exchanged_async(transport: Any, request: httpx.Request) -> Received:
    """Send a request; return the response with its body, as far as it may be read."""
    async with contextlib.aclosing(await transport.handle_async_request(request)) as response:
        received = Received(response, bytearray())
        try:
            async for part in response.stream:
                received.content.extend(part)
                if len(received.content) > MAX_BODY:
                    break
        except Exception as error:  # noqa: BLE001  (the status decides whether it matters)
            return received._replace(trouble=error)
        return received
