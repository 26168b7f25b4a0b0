"""A bound on requests per second, shared by all the waits of a client."""

from __future__ import annotations

import threading

MARGIN = 1.02
"""Requests are spaced this much wider than the rate asks, so that a network that delays one a
little does not push two windows' requests into one second."""


class Pacer:
    """Grants requests one at a time; safe to share between threads and event loops.

    Args:
        max_rate: Requests per second, or `None` for no bound.
    """

    def __init__(self, max_rate: float | None) -> None:
        self._interval = 0.0 if max_rate is None else MARGIN / max_rate
        self._next = 0.0
        self._held = 0.0
        self._lock = threading.Lock()

    def take(self, now: float, *, held: bool = True) -> float:
        """Grant a request and return 0, or return the seconds after which to ask again.

        Args:
            now: The time, in seconds on a monotonic clock.
            held: Whether `hold` applies to this request.
        """
        with self._lock:
            earliest = max(self._next, self._held) if held else self._next
            if now < earliest:
                return earliest - now
            self._next = now + self._interval
            return 0.0

    def hold(self, seconds: float, now: float) -> None:
        """Grant no poll for some seconds: the service asked to be left alone."""
        with self._lock:
            self._held = max(self._held, now + seconds)
