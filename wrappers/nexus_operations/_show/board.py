"""What is known of a set of waits: a row an operation, drawn by `terminal` and `notebook`."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._core.statuses import status_of
from .._core.text import escape_text
from .words import counts_of, ends_in, trouble_of

if TYPE_CHECKING:
    from .._core.updates import Update

REFRESH = 4.0
"""Redraws per second, at most."""


@dataclass(slots=True)
class Row:
    """One operation, as of its last poll; its texts are safe to show.

    Attributes:
        at: When it was polled (monotonic seconds).
        elapsed: Seconds since the wait began, then.
        remaining: Seconds within which the end was expected, then.
        note: Why the last poll failed.
        over: Whether the wait is over.
    """

    op_id: str
    at: float
    elapsed: float
    status: str = "…"
    fraction: float = 0.0
    counts: str = ""
    unit: str = ""
    message: str = ""
    remaining: tuple[float, float] | None = None
    note: str = ""
    over: bool = False

    def waited(self, now: float) -> float:
        """Return the seconds that the operation was waited for, up to `now`."""
        return self.elapsed + (0.0 if self.over else now - self.at)

    def end(self, now: float) -> str:
        """Return when the operation is expected to end, or what the trouble is."""
        if self.note or self.over or self.remaining is None:
            return self.note
        low, high = (max(seconds - (now - self.at), 0.0) for seconds in self.remaining)
        return ends_in((low, high))


class Board:
    """The rows and the summary; safe to share between threads.

    Args:
        total: Number of distinct operations, if known in advance.

    Attributes:
        total: The same; it may be set once it is known.
    """

    def __init__(self, total: int | None = None) -> None:
        self.total = total
        self._lock = threading.Lock()
        self._rows: dict[str, Row] = {}
        self._ended: Counter[str] = Counter()

    def update(self, update: Update) -> None:
        """Record what a poll found."""
        now = time.monotonic()
        with self._lock:
            row = self._rows.get(update.op_id)
            if row is None:
                row = self._rows[update.op_id] = Row(escape_text(update.op_id), now, 0.0)
            row.at, row.elapsed = now, update.elapsed
            row.remaining = update.remaining_range
            row.over = update.next_poll is None
            if update.operation is not None:
                status = update.operation.status
                row.status = escape_text(status.overview)
                row.fraction = update.operation.fraction_done
                row.counts = counts_of(update.operation)
                row.unit = escape_text(status.progress.unit)
                row.message = escape_text(status.message)
                row.note = ""
            elif update.error is not None:
                row.note = trouble_of(update)
            if row.over:
                ended = row.status if status_of(row.status).terminal else "still running"
                self._ended["failed" if update.error is not None else ended] += 1

    def rows(self, room: int | None = None) -> tuple[list[Row], int]:
        """Return rows, those of running waits first, and how many more there are than `room`."""
        with self._lock:
            rows = sorted(self._rows.values(), key=lambda row: row.over)
        return rows[:room], 0 if room is None else max(len(rows) - room, 0)

    def summary(self) -> tuple[int, int, str]:
        """Return how many waits have ended, of how many, and in what."""
        with self._lock:
            ended = Counter(self._ended)
            total = len(self._rows) if self.total is None else self.total
        parts = ", ".join(f"{count} {name}" for name, count in sorted(ended.items()))
        return sum(ended.values()), total, parts
