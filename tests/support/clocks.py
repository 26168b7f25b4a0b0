"""Clocks: the machine's, sped up, for cases on sockets that wait; one for many sleepers at once."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping
from typing import Any

from nexus_operations import SystemClock

from tests.support.server import Server

SPEED = 50.0


class QuickClock(SystemClock):
    """The machine's clock, sped up: requests take real time, waits a fiftieth."""

    def monotonic(self) -> float:
        """Return sped-up seconds."""
        return time.monotonic() * SPEED

    def sleep(self, seconds: float, abort_event: threading.Event | None = None) -> bool:
        """Sleep for less."""
        return super().sleep(seconds / SPEED, abort_event)

    async def async_sleep(self, seconds: float | None, wake: asyncio.Event | None = None) -> None:
        """Sleep for less."""
        await super().async_sleep(None if seconds is None else seconds / SPEED, wake)


def client_of(server: Server | str, **options: Any) -> dict[str, Any]:
    """Return the arguments of a client of a scripted server, in sped-up time."""
    endpoint = server if isinstance(server, str) else server.url
    defaults: Mapping[str, Any] = {"endpoint": endpoint, "clock": QuickClock()}
    return {**defaults, **options}
