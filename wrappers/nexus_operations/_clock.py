"""Time and sleep, taken from outside the polling core so that tests can run in virtual time."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import threading


class Clock(Protocol):
    """What a wait needs of time."""

    def monotonic(self) -> float:
        """Return seconds that only ever grow; all bounds are measured on it."""
        ...

    def time(self) -> float:
        """Return seconds since the Unix epoch; used only to guess an operation's age."""
        ...

    def sleep(self, seconds: float, abort_event: threading.Event | None = None) -> bool:
        """Sleep; return False as soon as the event is set, else True at the end."""
        ...

    async def async_sleep(self, seconds: float | None, wake: asyncio.Event | None = None) -> None:
        """Sleep without blocking the event loop, until `wake` is set; `None` is until then only."""
        ...


class SystemClock:
    """The machine's clock."""

    def monotonic(self) -> float:
        """Return `time.monotonic()`."""
        return time.monotonic()

    def time(self) -> float:
        """Return `time.time()`."""
        return time.time()

    def sleep(self, seconds: float, abort_event: threading.Event | None = None) -> bool:
        """Sleep; return False as soon as the event is set, else True at the end."""
        if abort_event is not None:
            return not abort_event.wait(seconds)
        time.sleep(seconds)
        return True

    async def async_sleep(self, seconds: float | None, wake: asyncio.Event | None = None) -> None:
        """Sleep without blocking the event loop, until `wake` is set; `None` is until then only."""
        if wake is None:
            await asyncio.sleep(seconds or 0.0)
        elif seconds is None:
            await wake.wait()
        else:
            timer = asyncio.get_running_loop().call_later(seconds, wake.set)
            try:
                await wake.wait()
            finally:
                timer.cancel()
