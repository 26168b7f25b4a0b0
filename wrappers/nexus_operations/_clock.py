"""Time and sleep, taken from outside the core so that tests can run in virtual time."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

from ._core.stop import StopEvent

LONGEST_SLEEP = 86400.0
"""Seconds of one call of the system's sleep: centuries overflow its clock."""


class Clock(Protocol):
    """What a wait needs of time."""

    def monotonic(self) -> float:
        """Return seconds that only ever grow; all bounds are measured on it."""
        ...

    def time(self) -> float:
        """Return seconds since the Unix epoch: the fallback where a response has no `Date`."""
        ...

    def sleep(self, seconds: float, abort_event: StopEvent | None = None) -> bool:
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

    def sleep(self, seconds: float, abort_event: StopEvent | None = None) -> bool:
        """Sleep; return False as soon as the event is set, else True at the end."""
        end = time.monotonic() + seconds
        while True:
            part = min(max(end - time.monotonic(), 0.0), LONGEST_SLEEP)
            if abort_event is None:
                time.sleep(part)
            elif abort_event.wait(part):
                return False
            if part < LONGEST_SLEEP:
                return True

    async def async_sleep(self, seconds: float | None, wake: asyncio.Event | None = None) -> None:
        """Sleep without blocking the event loop, until `wake` is set; `None` is until then only."""
        if wake is None:
            await asyncio.sleep(min(seconds or 0.0, LONGEST_SLEEP))
        elif seconds is None:
            await wake.wait()
        else:
            loop = asyncio.get_running_loop()
            timer = loop.call_later(min(seconds, LONGEST_SLEEP), wake.set)
            try:
                await wake.wait()
            finally:
                timer.cancel()
