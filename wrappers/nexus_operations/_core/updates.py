"""What one poll of a wait found, told to whoever listens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .errors import NexusError
    from .models import Operation


@dataclass(frozen=True, slots=True)
class Update:
    """What one poll of a wait found.

    Attributes:
        op_id: The operation's id.
        operation: The operation as this poll found it; `None` if the poll failed.
        error: Why the poll failed, or `None`. The wait may go on: see `next_poll`.
        polls: Polls made so far, failed ones included.
        elapsed: Seconds since the wait began.
        remaining: Seconds until the predicted end of the operation; `None` without a prediction.
        next_poll: Seconds until the next poll; `None` once the wait is over.
        remaining_range: Seconds within which the end comes four times in five, as far as can be
            told; `None` without a prediction.
    """

    op_id: str
    operation: Operation | None
    error: NexusError | None
    polls: int
    elapsed: float
    remaining: float | None
    next_poll: float | None
    remaining_range: tuple[float, float] | None = None


Listener = Callable[[Update], object]
"""Called after each poll, in the thread or event loop that polls. What it raises ends the wait."""
