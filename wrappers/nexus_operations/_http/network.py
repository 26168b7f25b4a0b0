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
from typing import Any, Protocol, TypeVar, cast

T = TypeVar("T")

STAGGER = 0.25
"""Seconds after which the next address of a name is tried beside a silent one (RFC 8305)."""

SLICE = 0.05
"""Seconds between two looks at `abort_event`, and for which a signal may have to wait."""

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
        connected: Whether the connection is made, which tells one kind of timeout from the other.
    """

    __slots__ = ("abort_event", "connected", "expiry")

    def __init__(self, timeout: float, abort_event: threading.Event | None = None) -> None:
        self.expiry = time.monotonic() + timeout
        self.abort_event = abort_event
        self.connected = False

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


class Network(Protocol):
    """What the HTTP layer asks of the operating system."""

    async def resolve(self, host: str, port: int, limits: Limits) -> list[Address]:
        """Return the addresses of a host, both families by turns."""
        ...

    async def connect(self, addresses: list[Address], limits: Limits) -> socket.socket:
        """Return a connection to the first address that answers."""
        ...

    async def send(self, connection: socket.socket, data: bytes, limits: Limits) -> None:
        """Send all the data."""
        ...

    async def receive(self, connection: socket.socket, limits: Limits) -> bytes:
        """Return what comes next; nothing at the end."""
        ...


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never suspends."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    raise AssertionError("a coroutine over a BlockingNetwork was suspended")


def in_thread(name: str, call: Callable[[], T]) -> Future[T]:
    """Call a function in a thread of its own, which can be left behind where it hangs."""
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()  # so that nobody who waits can cancel it
    context = contextvars.copy_context()

    def work() -> None:
        try:
            result = context.run(call)
        except BaseException as error:  # noqa: BLE001  (it is raised where the result is awaited)
            future.set_exception(error)
        else:
            future.set_result(result)

    try:
        threading.Thread(target=work, name=f"nexus-operations-{name}", daemon=True).start()
    except RuntimeError as error:
        raise OSError(errno.EAGAIN, str(error)) from error
    return future


def blocking_result(future: Future[T], limits: Limits) -> T:
    """Return a future's result within the limits; a signal ends it in the main thread."""
    while not future.done():
        with contextlib.suppress(TimeoutError):
            future.exception(min(limits.left(), SLICE))
        limits.left()
    return future.result()


async def loop_result(future: Future[T]) -> T:
    """Return a future's result without the loop's executor, whose threads the loop joins."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def wake(_: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(done.set)

    future.add_done_callback(wake)
    await done.wait()
    return future.result()


class Resolver:
    """Looks names up in threads; those who ask at the same time share a lookup."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._key: tuple[str, int] | None = None
        self._begun = 0.0
        self._future: Future[list[Address]] = Future()

    def lookup(self, host: str, port: int) -> Future[list[Address]]:
        """Return the addresses to come."""
        with self._lock:
            recent = time.monotonic() - self._begun < SHARED_LOOKUP and not self._future.done()
            if self._key != (host, port) or not recent:
                self._future = in_thread("resolver", lambda: _look_up(host, port))
                self._key, self._begun = (host, port), time.monotonic()
            return self._future


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


def _numeric(host: str, port: int) -> list[Address] | None:
    """Return the address that a host is written as, or `None` where it is a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return None
    return by_turns(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))


def _socket_for(address: Address) -> socket.socket:
    family, kind, protocol, _, _ = address
    connection = socket.socket(family, kind, protocol)
    connection.setblocking(False)
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


class BlockingNetwork:
    """A network for the caller's thread; a signal ends each wait in the main thread."""

    def __init__(self) -> None:
        self._resolver = Resolver()

    async def resolve(self, host: str, port: int, limits: Limits) -> list[Address]:
        """Return the addresses of a host."""
        numeric = _numeric(host, port)
        if numeric is not None:
            return numeric
        return blocking_result(self._resolver.lookup(host, port), limits)

    async def connect(self, addresses: list[Address], limits: Limits) -> socket.socket:
        """Return a connection to the first address that answers."""
        waiting = deque(addresses)
        failure: OSError | None = None
        next_start = 0.0
        with contextlib.ExitStack() as unused, selectors.DefaultSelector() as selector:
            while True:
                pause = limits.slice()
                if waiting and (not selector.get_map() or time.monotonic() >= next_start):
                    try:
                        address = waiting.popleft()
                        connection = _socket_for(address)
                        unused.callback(connection.close)
                        _begin_connect(connection, address)
                        selector.register(connection, selectors.EVENT_WRITE)
                    except OSError as error:
                        failure = failure or error
                    next_start = time.monotonic() + STAGGER
                if waiting:
                    pause = min(pause, max(next_start - time.monotonic(), 0.0))
                elif not selector.get_map():
                    assert failure is not None
                    raise failure
                for key, _ in selector.select(pause) if selector.get_map() else ():
                    connection = cast("socket.socket", key.fileobj)
                    selector.unregister(connection)
                    code = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                    if code == 0:
                        return _kept(connection)
                    failure = failure or OSError(code, os.strerror(code))
                    next_start = 0.0

    async def send(self, connection: socket.socket, data: bytes, limits: Limits) -> None:
        """Send all the data."""
        rest = memoryview(data)
        while rest:
            connection.settimeout(limits.slice())
            with _timeouts_of_slices():
                rest = rest[connection.send(rest) :]

    async def receive(self, connection: socket.socket, limits: Limits) -> bytes:
        """Return what comes next; nothing at the end."""
        while True:
            connection.settimeout(limits.slice())
            with _timeouts_of_slices():
                return connection.recv(CHUNK)


def _begin_connect(connection: socket.socket, address: Address) -> None:
    code = connection.connect_ex(address[4])
    if code not in (0, errno.EINPROGRESS, errno.EWOULDBLOCK):
        raise OSError(code, os.strerror(code))


def _kept(connection: socket.socket) -> socket.socket:
    """Return the same connection in an object of its own: the others' are closed."""
    return socket.socket(
        connection.family, connection.type, connection.proto, fileno=connection.detach()
    )


class _timeouts_of_slices(contextlib.AbstractContextManager[None]):  # noqa: N801  (as suppress)
    """Passes over the end of a slice, which `Limits` looks at; not over `ETIMEDOUT`."""

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> bool:
        return isinstance(error, TimeoutError) and error.errno is None


class LoopNetwork:
    """A network for the running event loop; `asyncio.timeout` bounds what awaits it."""

    def __init__(self) -> None:
        self._resolver = Resolver()

    async def resolve(self, host: str, port: int, limits: Limits) -> list[Address]:
        """Return the addresses of a host."""
        limits.left()
        numeric = _numeric(host, port)
        if numeric is not None:
            return numeric
        return await loop_result(self._resolver.lookup(host, port))

    async def connect(self, addresses: list[Address], limits: Limits) -> socket.socket:
        """Return a connection to the first address that answers."""
        limits.left()
        waiting = deque(addresses)
        tasks: set[asyncio.Task[socket.socket]] = set()
        failure: BaseException | None = None
        try:
            while waiting or tasks:
                if waiting:
                    tasks.add(asyncio.ensure_future(_connect_in_loop(waiting.popleft())))
                done, tasks = await asyncio.wait(
                    tasks,
                    timeout=STAGGER if waiting else None,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                for task in done:
                    error = task.exception()
                    if error is None:
                        tasks |= done - {task}
                        return task.result()
                    failure = failure or error
            assert failure is not None
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

    async def receive(self, connection: socket.socket, limits: Limits) -> bytes:
        """Return what comes next; nothing at the end."""
        limits.left()  # data that is always there would keep the loop from its timeouts
        return await asyncio.get_running_loop().sock_recv(connection, CHUNK)


async def _connect_in_loop(address: Address) -> socket.socket:
    connection = _socket_for(address)
    try:
        await asyncio.get_running_loop().sock_connect(connection, address[4])
    except BaseException:
        connection.close()
        raise
    return connection
