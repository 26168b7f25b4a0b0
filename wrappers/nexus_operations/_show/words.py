"""What a poll found, in a few words: the same on a board, in plain lines and in a notebook."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .._core.models import Operation
    from .._core.updates import Update

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0

WIDEST = 30.0
"""A predicted end is not shown if its latest instant is more than so many times the earliest."""

NARROWEST = 1.3
"""It is shown as one number if it is less than so many times."""


def counts_of(operation: Operation) -> str:
    """Return the counts by status: `120/200 3 errored`."""
    counts = operation.status.progress.with_status
    failed = [(counts.Errored, "errored"), (counts.Cancelled, "cancelled")]
    parts = [f"{counts.Finished}/{operation.units}", *(f"{n} {word}" for n, word in failed if n)]
    return " ".join(parts)


def trouble_of(update: Update) -> str:
    """Return a failed poll: `HTTP 503, retry in 4 s`."""
    assert update.error is not None
    status = update.error.status_code
    what = f"HTTP {status}" if status is not None else type(update.error).__name__
    return what if update.next_poll is None else f"{what}, retry in {in_words(update.next_poll)}"


def ends_in(remaining: tuple[float, float] | None) -> str:
    """Return a predicted end, as exactly as it is known; `""` without a useful prediction.

    Args:
        remaining: The seconds within which the end is expected.
    """
    if remaining is None:
        return ""
    low, high = remaining
    if high < 1.0:
        return "ends at any moment"
    if high > WIDEST * max(low, 1.0):
        return ""
    near, far = roughly(low), roughly(high)
    if near == far or high < NARROWEST * low:
        return f"ends in about {roughly(math.sqrt(low * high))}"
    number, _, unit = near.partition(" ")
    return f"ends in {number if far.endswith(f' {unit}') else near} to {far}"


def clock(seconds: float) -> str:
    """Return elapsed seconds as hours, minutes and seconds: `1:02:03`."""
    return str(timedelta(seconds=round(seconds)))


def in_words(seconds: float) -> str:
    """Return seconds to the second below a minute, roughly above: `4 s`, `12 min`."""
    return f"{max(round(seconds), 1)} s" if seconds < MINUTE else roughly(seconds)


def roughly(seconds: float) -> str:
    """Return seconds in one unit, to about a tenth: `40 s`, `12 min`, `1.5 h`, `3 days`."""
    if seconds < 0.95 * MINUTE:
        return f"{max(round(seconds / 5), 1) * 5} s"
    if seconds < 0.95 * HOUR:
        return f"{round(seconds / MINUTE)} min"
    if seconds < 9.75 * HOUR:
        return f"{round(seconds / HOUR * 2) / 2:g} h"
    if seconds < 2 * DAY:
        return f"{round(seconds / HOUR)} h"
    return f"{round(seconds / DAY)} days"
