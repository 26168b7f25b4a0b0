"""Ids on their way from the caller's iterable to a fleet.

A collection is taken as it is. An async iterable is read by a task; another iterable by the event
loop of an awaited call, and for a sync call by a thread of its own, since a producer may block: it
then holds up neither polls nor a stop. What works in the caller's thread alone is read there.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import sys
import threading
import types
from collections.abc import AsyncIterable, Iterable, Iterator
from typing import Any

from ._fleet import Fleet

READING = 1.0
"""Seconds, on the machine's clock, that a thread that reads is waited for before any other clock
may move."""

SOURCE_ENDS = 5.0
"""Seconds for which an async source that is cancelled is waited for."""

CHUNK = 256
"""Ids read by the event loop between two looks at the polls that are due."""

REFERENCE_DEPTH = 6
"""References followed from an iterable in search of what it reads from."""


class IdReader:
    """Reads the source of a fleet as far as there is room.

    Args:
        fleet: The fleet; ids of a collection are in it already.
        apart: Whether the event loop is not the caller's: the source is read in another thread.
        here: Whether that is the caller's own, which calls `read_some`.

    Attributes:
        exhausted: Whether no further id will come.
    """

    def __init__(self, fleet: Fleet, *, apart: bool = False, here: bool = False) -> None:
        self._fleet = fleet
        self._apart = apart
        self._here = here
        self._room = threading.Event()
        self._task: asyncio.Task[None] | None = None
        self._awaited_room = asyncio.Event()
        self._iterator: Iterator[Any] = iter(())
        self._loop: asyncio.AbstractEventLoop | None = None
        self.exhausted = fleet.source is None
        if not self.exhausted and not isinstance(fleet.source, AsyncIterable):
            assert fleet.source is not None
            self._iterator = iter(fleet.source)

    def start(self, wake: asyncio.Event) -> None:
        """Begin to read; `wake` is set as ids come."""
        self._loop, self._wake = asyncio.get_running_loop(), wake
        if self.exhausted:
            return
        if isinstance(self._fleet.source, AsyncIterable):
            self._task = asyncio.ensure_future(self._read_awaited(self._fleet.source))
        elif not self._apart:
            self._task = asyncio.ensure_future(self._read_in_loop())
        elif not self._here:
            run = contextvars.copy_context().run
            threading.Thread(
                target=run, args=(self._read_in_thread,), name="nexus-operations-ids", daemon=True
            ).start()

    def ask(self) -> None:
        """Have the source read on if there is room."""
        if self._wants_more:
            self._room.set()
            self._awaited_room.set()

    def stop(self) -> None:
        """Read no further."""
        self.exhausted = True
        self._room.set()
        if self._task is not None and not self._task.cancelling():
            self._task.cancel()

    async def ended(self) -> None:
        """Wait until the task that reads has ended, its source's `finally` included."""
        self.stop()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=SOURCE_ENDS)
            if self._task.done() and not self._task.cancelled():
                self._task.exception()

    @property
    def _wants_more(self) -> bool:
        """Whether there is room for another id: an iterable is read no further than it must."""
        return self._fleet.has_room_to_read

    async def comes_within(self, seconds: float | None) -> bool:
        """Return whether something happens while another thread reads.

        A clock of tests knows nothing of that thread, which is given a moment before it moves.
        """
        if not self._apart or self.exhausted or not self._wants_more:
            return False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(READING if seconds is None else min(seconds, READING)):
                return await self._wake.wait()
        return False

    def read_some(self, count: int) -> bool:
        """Read some ids in this thread; return whether there may be room for more at once."""
        for _ in range(count):
            if self.exhausted or not self._wants_more:
                return False
            self._read_next()
        return True

    def _read_next(self) -> None:
        try:
            self._fleet.read(next(self._iterator))
        except StopIteration:
            self.exhausted = True
        self._notify()

    def _notify(self) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._wake.set)

    def _read_in_thread(self) -> None:
        try:
            while not self.exhausted:
                self._room.clear()
                if self._wants_more:
                    self._read_next()
                else:
                    self._room.wait()
        except BaseException as error:  # noqa: BLE001  (it is raised by the call)
            self._fail(error)

    async def _read_in_loop(self) -> None:
        try:
            while not self.exhausted:
                self._awaited_room.clear()
                if self.read_some(CHUNK):
                    await asyncio.sleep(0)
                elif not self.exhausted:
                    await self._awaited_room.wait()
        except BaseException as error:  # noqa: BLE001
            self._fail_unless_stopped(error)

    async def _read_awaited(self, source: AsyncIterable[Any]) -> None:
        count = 0
        try:
            async for op_id in source:
                self._fleet.read(op_id)
                self._wake.set()
                count += 1
                if count % CHUNK == 0:
                    await asyncio.sleep(0)
                while not self._wants_more:
                    self._awaited_room.clear()
                    await self._awaited_room.wait()
            self.exhausted = True
            self._wake.set()
        except BaseException as error:  # noqa: BLE001
            self._fail_unless_stopped(error)

    def _fail_unless_stopped(self, error: BaseException) -> None:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise error
        self._fail(error)

    def _fail(self, error: BaseException) -> None:
        self._fleet.failure = self._fleet.failure or error
        self.exhausted = True
        self._notify()


def reads_in_this_thread_only(source: object) -> bool:
    """Whether an iterable reads from what works in its own thread alone.

    That is SQLite, whose objects refuse another thread, and `threading.local`, which is another
    object in each.
    """
    bound: tuple[type, ...] = (threading.local,)
    if sqlite := sys.modules.get("sqlite3"):
        bound += (sqlite.Cursor, sqlite.Connection)
    skipped = (type, types.ModuleType, types.CodeType)
    level: list[object] = [source]
    frame = getattr(source, "gi_frame", None)
    if frame is not None:
        names = frame.f_code.co_names
        level += [frame.f_globals[name] for name in names if name in frame.f_globals]
    for _ in range(REFERENCE_DEPTH):
        if any(issubclass(type(item), bound) for item in level):  # `isinstance` asks a proxy's own
            return True
        level = [
            item
            for referrer in level
            if not issubclass(type(referrer), skipped)
            for item in _referents(referrer)
        ]
    return False


def _referents(item: object) -> Iterable[object]:
    """Return what an object refers to; of a function what it closes over, not its module."""
    return item.__closure__ or () if type(item) is types.FunctionType else gc.get_referents(item)
