"""When to poll next: schedules are values, and know nothing of I/O."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from . import _arguments as arguments


@dataclass(slots=True)
class History:
    """What a wait has seen of its operation so far.

    Attributes:
        polls: Retrievals that succeeded.
        age: Seconds since the operation was created, as far as can be told.
        total: Units of the operation, 0 if it gave none.
        done: Units that have ended, whichever way.
        queued: Whether the operation has not begun.
    """

    polls: int = 0
    age: float = 0.0
    total: int = 0
    done: int = 0
    queued: bool = False


class Schedule(Protocol):
    """Decides how long to wait before the next poll of an operation that is not done."""

    def next_delay(self, history: History) -> float:
        """Return seconds until the next poll."""
        ...


@dataclass(frozen=True)
class Adaptive:
    """The default: delays grow with the square root of the operation's age.

    Attributes:
        pace: Seconds of delay at an age of one second.
        minimum: The shortest delay, in seconds.
        maximum: The longest delay, in seconds.
    """

    pace: float = 0.5
    minimum: float = 1.0
    maximum: float = 60.0

    def next_delay(self, history: History) -> float:
        """Return the delay for the operation's age."""
        return min(max(self.pace * math.sqrt(max(history.age, 0.0)), self.minimum), self.maximum)


@dataclass(frozen=True)
class Fixed:
    """The same delay always.

    Attributes:
        seconds: The delay, in seconds, more than 0.
    """

    seconds: float

    def __post_init__(self) -> None:
        arguments.seconds("seconds", self.seconds, positive=True)

    def next_delay(self, history: History) -> float:  # noqa: ARG002
        """Return the delay."""
        return self.seconds
