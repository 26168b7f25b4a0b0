"""When to poll next: schedules are values, and know nothing of I/O."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from . import checks as arguments
from .hazard import AGE_OFFSET, BASE_DELAY, GROWTH, Expectation, base_delay, base_polls

SHORTEST = 0.05
"""Seconds of delay, at least."""

NEAR = 0.6
"""Seconds of delay where the end is expected at any moment (pace 1)."""

QUEUED = 2.0
"""Stretch of plain delays while the operation is queued: it has yet to run before it can end."""

APPROACH = (0.34, 0.45)
"""Share of the predicted rest to let pass: where two estimates of it disagree, where they agree."""

TRUST = (0.5, 1.0)
"""Longest delay as a share of the progress watched so far; in the same two cases."""

OVERDUE = 0.5
"""Growth of the delay with the time that the predicted end lies back."""

STRETCH = (1.25, 8.0)
"""Longest delay as a multiple of the plain one, which is what a false prediction can cost in lag:
after one sign of progress; after more, and then less of it at a pace below 1."""

STALLED = 2.0
"""Progress has stalled when it has been missing for this many times the last interval between two
signs of it; it then predicts nothing."""

SLOWING = 0.3
"""Where progress slows down, the share of the way from the earlier estimate to the later one."""

BUDGET = 1.25
"""Polls that may be made in all, as a multiple of those that plain delays would have made: polls
around a predicted end are paid for by those spared before it, so no progress, however false, costs
more than this."""


class Change(NamedTuple):
    """A poll that found progress.

    Attributes:
        before: The operation's age at the poll before, in seconds.
        seen: The operation's age at this poll, in seconds.
        done: Units that had ended by then.
    """

    before: float
    seen: float
    done: int


class History:
    """What a wait has seen of its operation so far; all ages are seconds since its creation.

    Attributes:
        age: The operation's age at the last poll, as far as can be told.
        age_at_start: Its age when the wait began.
        polls: Retrievals that succeeded.
        done: Units that have ended, whichever way.
        total: Units of the operation.
        queued: Whether the operation has not begun.
        begun: The age at which it began, as far as can be told.
        consistent: Whether progress never went backwards and the total never changed.
        last, previous: The last two polls that found progress, or `None`.
        expected: What earlier operations of its kind tell of it, or `None` if nothing is known.
    """

    __slots__ = (
        "age",
        "age_at_start",
        "begun",
        "consistent",
        "done",
        "expected",
        "last",
        "polls",
        "previous",
        "queued",
        "total",
    )

    def __init__(self, age_at_start: float) -> None:
        self.age_at_start = age_at_start
        self.age: float = age_at_start
        self.begun: float = 0.0
        self.polls: int = 0
        self.done: int = 0
        self.total: int = 0
        self.queued: bool = False
        self.consistent = True
        self.last: Change | None = None
        self.previous: Change | None = None
        self.expected: Expectation | None = None

    @property
    def stalled(self) -> bool:
        """Whether progress has been missing for longer than it took before."""
        if self.last is None or self.previous is None:
            return False
        return self.age - self.last.seen > STALLED * (self.last.seen - self.previous.seen)

    @property
    def remaining(self) -> float | None:
        """Seconds until the predicted end; `None` where nothing predicts it, 0 where it is due."""
        if self.last is None or not self.consistent or self.stalled:
            return None
        return max(predict_end(self, self.last)[0] - self.age, 0.0)

    def add(self, age: float, done: int, total: int, queued: bool) -> None:
        """Take in what a poll found at an age."""
        if self.polls and (done < self.done or total != self.total):
            self.consistent = False
        if self.queued and not queued:
            self.begun = (self.age + age) / 2
        if done > self.done:
            before = self.age if self.polls else self.begun
            self.previous, self.last = self.last, Change(before, age, done)
        self.age = age
        self.done = done
        self.total = total
        self.queued = queued
        self.polls += 1


class Schedule(Protocol):
    """Decides how long to wait before the next poll of an operation that is not done."""

    def next_delay(self, history: History) -> float:
        """Return seconds until the next poll."""
        ...


@dataclass(frozen=True)
class Adaptive:
    """The default: sparse far from the end, dense around it.

    Where nothing is known of an operation but its age, delays grow with the age. Item counts
    predict the end: polls are then spared before it and spent around it. Progress that stalls, goes
    backwards or changes its total falls back to the plain delays.

    Attributes:
        pace: Multiplies every delay. Below 1 there is less lag and there are more requests.
        maximum: The longest delay, in seconds.
    """

    pace: float = 1.0
    maximum: float = 300.0

    def __post_init__(self) -> None:
        arguments.seconds("pace", self.pace, positive=True)
        arguments.seconds("maximum", self.maximum, positive=True)

    def next_delay(self, history: History) -> float:
        """Return the delay for what is known of the operation."""
        plain = self.pace * BASE_DELAY * math.pow(history.age + AGE_OFFSET, GROWTH)
        predicted = history.last is not None and history.consistent and not history.stalled
        if history.expected is not None and not predicted:
            delay = history.expected.delay(history.age, self.pace)
        elif history.queued:
            delay = QUEUED * plain
        elif not predicted:
            delay = plain
        else:
            delay = self._informed_delay(history, history.last, plain)
        return max(min(delay, self.maximum), SHORTEST)

    def _informed_delay(self, history: History, last: Change, plain: float) -> float:
        """Return the delay where there is progress to predict the end from."""
        end, agreement = predict_end(history, last)
        rest = end - history.age
        if rest > 0:
            share = APPROACH[0] + (APPROACH[1] - APPROACH[0]) * agreement
            trust = TRUST[0] + (TRUST[1] - TRUST[0]) * agreement
            delay = share * rest + NEAR * self.pace
            stretch = max(STRETCH[1] * math.sqrt(min(self.pace, 1.0)), STRETCH[0])
            delay = min(delay, (stretch if history.previous else STRETCH[0]) * plain)
            delay = min(delay, max(trust * (history.age - history.begun), plain))
        else:
            delay = min(NEAR * self.pace - OVERDUE * rest, plain)
        if delay < plain and history.polls > BUDGET * self._plain_polls(history):
            return plain
        return delay

    def _plain_polls(self, history: History) -> float:
        """Return how many polls plain delays would have made in the wait so far."""
        return 1.0 + (base_polls(history.age) - base_polls(history.age_at_start)) / self.pace


def predict_end(history: History, last: Change) -> tuple[float, float]:
    """Return the age at which progress will be complete, and how far two estimates of it agree.

    The estimates extrapolate the whole run, and the run since the change before the last. The
    agreement is 0 to 1, and 0 where there is one estimate only.
    """
    # Progress that comes at every poll is seen as it happens, other progress somewhere in between.
    at = last.seen if last.seen == history.age else (last.before + last.seen) / 2
    end = history.begun + (at - history.begun) * history.total / last.done
    previous = history.previous
    if previous is None or last.done - previous.done < 2:
        return end, 0.0
    per_unit = (last.seen - previous.seen) / (last.done - previous.done)
    recent = last.seen + (history.total - last.done) * per_unit
    sooner, later = min(end, recent) - history.age, max(end, recent) - history.age
    agreement = (sooner / later) ** 2 if sooner > 0 else 0.0
    return recent if recent < end else end + SLOWING * (recent - end), agreement


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
