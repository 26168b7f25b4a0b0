"""Bounds on a client's requests: how many a second, and how many at a time. Neither sleeps.

A request first enters `Slots`, then asks the `RateLimiter`: whoever waits for the rate holds a
slot, so at most `max_concurrency` callers do, and each is woken once, at its own turn.
"""

from __future__ import annotations

import heapq
import math
import threading
from collections import deque
from collections.abc import Callable

from .forks import renew_in_children

MARGIN = 1.02
"""Requests are spaced this much wider than the rate asks, so that a network that delays one a
little does not push two windows' requests into one second."""

ROUNDING = 1e-9
"""Seconds by which a turn may be early in floating point."""

PAUSE_SPREAD = 0.1
"""Share of a pause by which callers return later at random, so that they do not return at once."""


class RateLimiter:
    """Grants requests one at a time, first come first served; safe to share between threads.

    Turns stand an interval apart. One that is taken late, as on a busy machine, does not put off
    those behind it: they follow at half an interval, as long as no second holds too many. What
    an idle client did not use is not saved up.

    Args:
        max_rate: Requests per second, or `None` for no bound.
    """

    def __init__(self, max_rate: float | None) -> None:
        self._interval = 0.0 if max_rate is None else MARGIN / max_rate
        self._most = 1 if max_rate is None else math.ceil(max_rate)
        self._window = self._most * self._interval
        self._granted: deque[float] = deque()  # the instants within the last window
        self._next = -math.inf
        self._given_back: list[float] = []
        self._last = -math.inf
        self._paused_until = -math.inf
        self._pause = 0.0
        self.renew()
        renew_in_children(self)

    def renew(self) -> None:
        """Take a new lock; a child keeps to the rate and the pause by itself."""
        self._lock = threading.Lock()

    def reserve(self, now: float, latest: float) -> float | None:
        """Return the instant of the caller's turn, or `None` if that is after `latest`."""
        with self._lock:
            while self._given_back and self._given_back[0] < now:
                heapq.heappop(self._given_back)
            turn = self._given_back[0] if self._given_back else max(self._next, now)
            if turn > latest:
                return None
            if self._given_back:
                return heapq.heappop(self._given_back)
            self._next = turn + self._interval
            return turn

    def give_back(self, turn: float) -> None:
        """Let another have a turn that was reserved and is not taken."""
        with self._lock:
            heapq.heappush(self._given_back, turn)

    def try_acquire(self, now: float) -> float:
        """Grant the request whose turn it is and return 0, or return the seconds to wait."""
        with self._lock:
            earliest = self._last + self._interval / 2
            while self._granted and self._granted[0] + self._window <= now + ROUNDING:
                self._granted.popleft()
            if len(self._granted) >= self._most:
                earliest = max(earliest, self._granted[0] + self._window)
                self._next = max(self._next, earliest)
            if earliest > now + ROUNDING:
                return earliest - now
            self._last = now
            self._granted.append(now)
            return 0.0

    def pause_until(self, instant: float, now: float) -> None:
        """Ask every wait to poll no sooner: the service asked to be left alone."""
        with self._lock:
            self._paused_until = max(self._paused_until, instant)
            self._pause = self._paused_until - now

    def pause_left(self, now: float, luck: float) -> float:
        """Return the seconds for which a wait should put off its poll, 0 without a pause.

        Args:
            now: The time.
            luck: 0 to 1, at random: spreads the callers' return.
        """
        left = self._paused_until - now
        return left + PAUSE_SPREAD * luck * self._pause if left > 0 else 0.0


class Slots:
    """Requests in flight, at most, first come first served; safe to share between threads.

    Attributes:
        limit: How many may be in flight.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.renew()
        renew_in_children(self)

    def renew(self) -> None:
        """Take a new lock; requests in flight are the parent's, not a child's."""
        self._lock = threading.Lock()
        self._free = self.limit
        self._line: deque[Callable[[], object]] = deque()

    def enter(self) -> bool:
        """Take a slot if one is free and nobody is in line; return whether it was taken."""
        with self._lock:
            if self._free > 0:
                self._free -= 1
                return True
            return False

    def line_up(self, granted: Callable[[], object]) -> None:
        """Stand in line; `granted` is called with the slot, at once or later, in any thread."""
        with self._lock:
            if self._free == 0:
                self._line.append(granted)
                return
            self._free -= 1
        granted()

    def leave(self) -> None:
        """Give the slot to the next in line."""
        with self._lock:
            granted = self._line.popleft() if self._line else None
            self._free += granted is None
        if granted is not None:
            granted()

    def withdraw(self, granted: Callable[[], object]) -> None:
        """Leave the line; a slot that was granted meanwhile goes to the next."""
        with self._lock:
            try:
                self._line.remove(granted)
            except ValueError:
                pass
            else:
                return
        self.leave()
