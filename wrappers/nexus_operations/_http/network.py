"""Sockets within a time: resolve, connect, send and receive, blocking or in an event loop.

The rest of the HTTP layer is written once, as coroutines over a `Network`. `BlockingNetwork` never
suspends, so that `run` drives such a coroutine to its end in the caller's thread; `LoopNetwork`
awaits the running event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import errno
import ipaddress
import os
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from itertools import zip_longest
from typing import Any, TypeVar, cast

from .._core.stop import StopEvent

T = TypeVar("T")

STAGGER = 0.25
"""Seconds after which the next address of a name is tried beside a silent one (RFC 8305)."""

SLICE = 0.05
"""Seconds between two looks at `abort_event`."""

LONGEST_SLICE = 3600.0

SHARED_LOOKUP = 1.0
"""Seconds for which later requests join a lookup; then they start their own."""

CHUNK = 1 << 16

Address = tuple[int, int, int, str, Any]
"""An entry of `socket.getaddrinfo`."""


class Aborted(Exception):
    """The caller's event was set while a request was under way."""


class Limits:
    """How long one request may go on.

    Attributes:
        expiry: When it must have ended, on the monotonic clock.
        abort_event: Ends it once it is set.
        connecting_to: `"proxy"` or `"endpoint"`; `None` once the connection is made.
    """

    __slots__ = ("abort_event", "connecting_to", "expiry")

    def __init__(self, timeout: float, abort_event: StopEvent | None = None) -> None:
        self.expiry = time.monotonic() + timeout
        self.abort_event = abort_event
        self.connecting_to: str | None = "endpoint"

    def left(self) -> float:
        """Return the seconds left; raise `TimeoutError` or `Aborted` if there are none."""
        if self.abort_event is not None and self.abort_event.is_set():
            raise Aborted
        left = self.expiry - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def slice(self) -> float:
        """Return the seconds to block for before asking again."""
        return min(self.left(), LONGEST_SLICE if self.abort_event is None else SLICE)


def out_of_time(error: BaseException) -> bool:
    """Return whether an error is the end of a request's time, rather than a socket's own."""
    return isinstance(error, TimeoutError) and error.errno is None


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never suspends."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return cast("T", stop.value)
    raise AssertionError("a coroutine over a BlockingNetwork was suspended")


def in_thread(name: str, call: Callable[[], T]) -> Future[T]:
    """Call a function in a thread of its own, which can be left behind where it hangs."""
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()  # so that nobody who waits can cancel it
    context = contextvars.copy_context()

    def work() -> None:
        try:
            future.set_result(context.run(call))
        except BaseException as error:  # noqa: BLE001  (it is raised where the result is awaited)
            future.set_exception(error)

    try:
        threading.Thread(target=work, name=f"nexus-operations-{name}", daemon=True).start()
    except RuntimeError as error:
        raise OSError(errno.EAGAIN, str(error)) from error
    return future


class Resolver:
    """Looks names up in threads; those who ask at the same time share a lookup."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lookup: tuple[str, int, float, Future[list[Address]]] | None = None

    def start(self, host: str, port: int) -> Future[list[Address]]:
        """Return the addresses to come; those of a host that is an address are there."""
        with contextlib.suppress(ValueError):
            ipaddress.ip_address(host)
            known: Future[list[Address]] = Future()
            known.set_result(_look_up(host, port))
            return known
        now = time.monotonic()
        with self._lock:
            if self._lookup is not None and not self._lookup[3].done():
                place, begun, future = self._lookup[:2], *self._lookup[2:]
                if place == (host, port) and now - begun < SHARED_LOOKUP:
                    return future
            future = in_thread("resolver", lambda: _look_up(host, port))
            self._lookup = (host, port, now, future)
            return future


def _look_up(host: str, port: int) -> list[Address]:
    try:
        return by_turns(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except UnicodeError:
        raise OSError(errno.EINVAL, "the host is no name") from None


def by_turns(addresses: Sequence[Address]) -> list[Address]:
    """Return addresses with their families by turns, so that one broken family costs little."""
    first = [address for address in addresses if address[0] == addresses[0][0]]
    second = [address for address in addresses if address[0] != addresses[0][0]]
    pairs = zip_longest(first, second)
    return [address for pair in pairs for address in pair if address is not None]


def _socket_for(address: Address) -> socket.socket:
    connection = socket.socket(*address[:3])
    connection.setblocking(False)
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


class BlockingNetwork:
    """A network for the caller's thread; a signal ends each wait in the main thread."""

    async def result(self, future: Future[T], limits: Limits) -> T:
        """Return a future's result."""
        while not future.done():
            with contextlib.suppress(TimeoutError):
                future.exception(min(limits.left(), SLICE))
            limits.left()
        return future.result()

    async def connect(self, addresses: list[Address], limits: Limits) -> socket.socket:
        """Return a connection to the first address that answers."""
        waiting, failure, next_start = deque(addresses), OSError("no address"), 0.0
        with contextlib.ExitStack() as unused, selectors.DefaultSelector() as selector:
            while waiting or selector.get_map():
                pause = limits.slice()
                if waiting and (not selector.get_map() or time.monotonic() >= next_start):
                    address, next_start = waiting.popleft(), time.monotonic() + STAGGER
                    try:
                        connection = unused.enter_context(_socket_for(address))
                        _begin(connection, address)
                    except OSError as error:
                        failure = error
                        continue
                    selector.register(connection, selectors.EVENT_WRITE)
                if waiting:
                    pause = min(pause, max(next_start - time.monotonic(), 0.0))
                for key, _ in selector.select(pause):
                    connection = cast("socket.socket", key.fileobj)
                    selector.unregister(connection)
                    code = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                    if code == 0:
                        return socket.socket(fileno=connection.detach())
                    failure, next_start = OSError(code, os.strerror(code)), 0.0
            raise failure

    async def pause(self, seconds: float, limits: Limits) -> None:
        """Let time pass."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, limits.slice()))

    async def send(self, connection: socket.socket, data: bytes, limits: Limits) -> None:
        """Send all the data."""
        rest = memoryview(data)
        while rest:
            connection.settimeout(limits.slice())
            with _SLICE_ENDS:
                rest = rest[connection.send(rest) :]

    async def receive(self, connection: socket.socket, limits: Limits) -> bytes:
        """Return what comes next; nothing at the end."""
        while True:
            connection.settimeout(limits.slice())
            with _SLICE_ENDS:
                return connection.recv(CHUNK)


def _begin(connection: socket.socket, address: Address) -> None:
    code = connection.connect_ex(address[4])
    if code not in (0, errno.EINPROGRESS, errno.EWOULDBLOCK):
        raise OSError(code, os.strerror(code))


class _SliceEnds(contextlib.AbstractContextManager[None]):
    """Passes over the end of a slice; the next look at the limits says what it means."""

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> bool:
        return error is not None and out_of_time(error)


_SLICE_ENDS = _SliceEnds()


class LoopNetwork:
    """A network for the running event loop; whoever calls bounds it by `asyncio.timeout`."""

    async def result(self, future: Future[T], limits: Limits) -> T:
        """Return a future's result without the loop's executor, whose threads the loop joins."""
        limits.left()
        if future.done():
            return future.result()
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def wake(_: object) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(done.set)

        future.add_done_callback(wake)
        await done.wait()
        return future.result()

    async def connect(self, addresses: list[Address], limits: Limits) -> socket.socket:
        """Return a connection to the first address that answers."""
        limits.left()
        waiting, failure = deque(addresses), OSError("no address")
        tasks: set[asyncio.Task[socket.socket | OSError]] = set()
        try:
            while waiting or tasks:
                if waiting:
                    tasks.add(asyncio.create_task(_connected(waiting.popleft())))
                pause = STAGGER if waiting else None
                done, _ = await asyncio.wait(
                    tasks, timeout=pause, return_when=asyncio.FIRST_COMPLETED
                )
                for task in done:
                    tasks.remove(task)
                    outcome = task.result()
                    if not isinstance(outcome, OSError):
                        return outcome
                    failure = outcome
            raise failure
        finally:
            for task in tasks:
                task.cancel()
            for late in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(late, socket.socket):
                    late.close()

    async def send(self, connection: socket.socket, data: bytes, limits: Limits) -> None:
        """Send all the data."""
        limits.left()
        await asyncio.get_running_loop().sock_sendall(connection, data)

    async def pause(self, seconds: float, limits: Limits) -> None:
        """Let time pass."""
        await asyncio.sleep(min(seconds, limits.left()))

    async def receive(self, connection: socket.socket, limits: Limits) -> bytes:
        """Return what comes next; nothing at the end."""
        limits.left()  # data that is always there would keep the loop from its timeouts
        return await asyncio.get_running_loop().sock_recv(connection, CHUNK)


async def _connected(address: Address) -> socket.socket | OSError:
    try:
        with contextlib.ExitStack() as unless_connected:
            connection = unless_connected.enter_context(_socket_for(address))
            await asyncio.get_running_loop().sock_connect(connection, address[4])
            unless_connected.pop_all()
            return connection
    except OSError as error:
        return OSError(error.errno, os.strerror(error.errno or 0))  # the loop's text says where


Network = BlockingNetwork | LoopNetwork
