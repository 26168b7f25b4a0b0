"""What ends a sleep or a request before its time."""

from __future__ import annotations

from typing import Protocol


class StopEvent(Protocol):
    """What ends a sleep; a `threading.Event` is one."""

    def is_set(self) -> bool:
        """Whether the sleep is to end."""
        ...

    def wait(self, timeout: float | None = None) -> bool:
        """Block until it is set, at most `timeout` seconds; return whether it is."""
        ...
