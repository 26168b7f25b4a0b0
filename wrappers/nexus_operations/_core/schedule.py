"""When to poll next: schedules are values, and know nothing of I/O."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from . import checks
from .hazard import AGE_OFFSET, BASE_DELAY, GROWTH, TENTH, Estimate, Expectation, base_polls

SHORTEST_DELAY = 0.05
"""Seconds of delay, at least, however soon the end is expected."""

DELAY_AT_END = 0.6
"""Seconds of delay where counts expect the end at any moment (pace 1)."""

QUEUED_FACTOR = 2.0
"""Factor of base delays while the operation is queued: it has yet to run before it can end."""

SHARE_OF_TIME_LEFT = (0.34, 0.45)
"""Share of the predicted time left to let pass: if two estimates of it disagree, if they agree."""

SHARE_OF_TIME_WATCHED = (0.5, 1.0)
"""Longest delay as a share of the progress watched so far; in the same two cases."""

GROWTH_OVERDUE = 0.5
"""Growth of the delay with the time that the predicted end lies back."""

LONGEST_FACTOR = (1.25, 8.0)
"""Longest delay as a multiple of the base delay, which is what a false prediction can cost in lag:
after one sign of progress; after more, and then less of it at a pace below 1."""

SURE = 0.9
"""Weight of a memory from which on it is believed rather than a first sign of progress."""

STALLED_AFTER = 2.0
"""Progress has stalled when it has been missing for this many times the last interval between two
signs of it; it then predicts nothing."""

TRUST_IN_SLOWING = 0.3
"""When progress slows down, the share of the way from the earlier estimate to the later one."""

POLL_BUDGET = 1.25
"""Polls that may be made in all, as a multiple of those that base delays would have made: polls
around an end that counts predict are paid for by those spared before it, so no progress, however
false, costs more than this."""

ERROR_OF_COUNTS = (1.5, 0.95, 0.35)
"""Standard deviation of the logarithm of the time left that counts predict: after one sign of
progress; after more, if two estimates disagree; if they agree. Measured over the shapes of progress
of the benchmark."""


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
        polls: Polls that succeeded.
        done: Units that have ended, whichever way.
        total: Units of the operation.
        queued: Whether the operation has not begun.
        started_age: The age at which it began, as far as can be told.
        consistent: Whether progress never went backwards and the total never changed.
        last, previous: The last two polls that found progress, or `None`.
        expected: What earlier operations of its kind tell of it, or `None` if nothing is known.
    """

    __slots__ = (
        "age",
        "age_at_start",
        "consistent",
        "done",
        "expected",
        "last",
        "polls",
        "previous",
        "queued",
        "started_age",
        "total",
    )

    def __init__(self, age_at_start: float) -> None:
        self.age_at_start = age_at_start
        self.age: float = age_at_start
        self.started_age: float = 0.0
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
        return self.age - self.last.seen > STALLED_AFTER * (self.last.seen - self.previous.seen)

    @property
    def predicted(self) -> bool:
        """Whether counts predict the end."""
        return self.last is not None and self.consistent and not self.stalled

    @property
    def estimate(self) -> Estimate | None:
        """When the operation will have ended, by its counts or the memory, whichever is surer."""
        counted = None
        if self.last is not None and self.predicted:
            end, agreement = predict_end(self, self.last)
            one, apart, agreed = ERROR_OF_COUNTS
            error = apart + (agreed - apart) * agreement if self.previous is not None else one
            left, factor = max(end - self.age, 0.0), math.exp(TENTH * error)
            counted = Estimate(left / factor, left, left * factor)
        if self.expected is None:
            return counted
        known = self.expected.remaining(self.age)
        return counted if counted is not None and counted.width < known.width else known

    @property
    def remaining(self) -> float | None:
        """Seconds until the predicted end; `None` without a prediction, 0 if it is due."""
        estimate = self.estimate
        return None if estimate is None else estimate.median

    def add(self, age: float, done: int, total: int, queued: bool) -> None:
        """Take in what a poll found at an age."""
        if self.polls and (done < self.done or total != self.total):
            self.consistent = False
        if self.queued and not queued:
            self.started_age = (self.age + age) / 2
        if done > self.done:
            before = self.age if self.polls else self.started_age
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

    Where nothing is known of an operation but its age, delays grow with the age. What earlier
    operations of its kind took, and those that run beside it, make polls sparse before the likely
    end and dense around it (see `hazard`). So do item counts that predict the end. Progress that
    stalls, goes backwards or changes its total, and an operation that outlives all expectation,
    fall back to the delays by age.

    Attributes:
        pace: Multiplies every delay. Below 1 there is less lag and there are more requests.
        maximum: The longest delay, in seconds.
    """

    pace: float = 1.0
    maximum: float = 300.0

    def __post_init__(self) -> None:
        checks.seconds("pace", self.pace, positive=True)
        checks.seconds("maximum", self.maximum, positive=True)

    def next_delay(self, history: History) -> float:
        """Return the delay for what is known of the operation."""
        base = self.pace * BASE_DELAY * math.pow(history.age + AGE_OFFSET, GROWTH)
        expected = history.expected
        if (
            history.last is not None
            and history.predicted
            and (history.previous is not None or expected is None or expected.weight < SURE)
        ):
            delay = self._counted_delay(history, history.last, base)
        else:
            delay = base if expected is None else expected.delay(history.age, self.pace)
            if history.queued:
                delay = max(delay, QUEUED_FACTOR * base)
        return max(min(delay, self.maximum), SHORTEST_DELAY)

    def _counted_delay(self, history: History, last: Change, base: float) -> float:
        """Return the delay where counts predict the end."""
        end, agreement = predict_end(history, last)
        time_left = end - history.age
        at_end = DELAY_AT_END * self.pace
        if time_left > 0:
            delay = at_end + time_left * _between(SHARE_OF_TIME_LEFT, agreement)
            one, more = LONGEST_FACTOR
            longest = max(more * math.sqrt(min(self.pace, 1.0)), one)
            delay = min(delay, base * (longest if history.previous else one))
            watched = history.age - history.started_age
            delay = min(delay, max(watched * _between(SHARE_OF_TIME_WATCHED, agreement), base))
        else:
            delay = min(at_end - GROWTH_OVERDUE * time_left, base)
        if delay < base and history.polls > POLL_BUDGET * self._base_polls(history):
            return base
        return delay

    def _base_polls(self, history: History) -> float:
        """Return how many polls base delays would have made in the wait so far."""
        return 1.0 + (base_polls(history.age) - base_polls(history.age_at_start)) / self.pace


def _between(ends: tuple[float, float], share: float) -> float:
    return ends[0] + (ends[1] - ends[0]) * share


def predict_end(history: History, last: Change) -> tuple[float, float]:
    """Return the age at which progress will be complete, and how far two estimates of it agree.

    The estimates extrapolate the whole run, and the run since the change before the last. The
    agreement is 0 to 1, and 0 where there is one estimate only.
    """
    # Progress that comes at every poll is seen as it happens, other progress somewhere in between.
    at = last.seen if last.seen == history.age else (last.before + last.seen) / 2
    end = history.started_age + (at - history.started_age) * history.total / last.done
    previous = history.previous
    if previous is None or last.done - previous.done < 2:
        return end, 0.0
    per_unit = (last.seen - previous.seen) / (last.done - previous.done)
    recent = last.seen + (history.total - last.done) * per_unit
    sooner, later = min(end, recent) - history.age, max(end, recent) - history.age
    agreement = (sooner / later) ** 2 if sooner > 0 else 0.0
    return recent if recent < end else end + TRUST_IN_SLOWING * (recent - end), agreement


@dataclass(frozen=True)
class Fixed:
    """The same delay always.

    Attributes:
        seconds: The delay, in seconds, more than 0.
    """

    seconds: float

    def __post_init__(self) -> None:
        checks.seconds("seconds", self.seconds, positive=True)

    def next_delay(self, history: History) -> float:  # noqa: ARG002
        """Return the delay."""
        return self.seconds
