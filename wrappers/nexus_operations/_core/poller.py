"""The polling core: one decision, no I/O.

A `Poller` is fed what each poll gave, and the time; its `step` is what to do next:

    Poll     retrieve the operation after `delay` seconds
    Done     the wait is over: return the operation
    GiveUp   a bound was reached while the operation was still running: return None
    Fail     raise the error

The rules, in the order in which they are asked:

1. A status that the caller named ends the wait with an error, a terminal one with the operation.
2. A bound ends it: `max_polls`, or the deadline (`max_wait` after the start). A delay never passes
   the deadline, so the last poll is made at it.
3. Transient trouble is polled through until it has lasted for `max_outage`. The delay is the larger
   of the back-off and `Retry-After`, cut to what is left of the outage.
4. Other trouble is final, unless this wait had a good answer before: then it is looked at again,
   twice at most and never when the same comes back, since one odd answer of a proxy should not end
   hours of waiting.

Time comes in as numbers: `now` is seconds on a monotonic clock, `age` the operation's age in
seconds.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from . import checks
from .errors import NexusError, OperationFailedError
from .models import KNOWN_STATUSES, TERMINAL_STATUSES
from .schedule import Adaptive, History, Schedule

if TYPE_CHECKING:
    from .hazard import Estimate
    from .memory import Memory
    from .models import Operation

JITTER = 0.05
"""Each delay is spread by this share to either side, so that a fleet does not poll in step."""

MIN_DELAY = 0.05
"""Seconds between two polls of an operation, at least, whatever a schedule says."""

BACKOFF_BASE = 1.0
"""Seconds until the poll after a first failure; doubled with each further failure in a row."""

BACKOFF_MAX = 60.0
"""Seconds between two polls during an outage, at most."""

RETRY_AFTER_MAX = 3600.0
"""Seconds of a `Retry-After` that are honoured, at most: beyond that it is taken for a mistake."""

RETRY_AFTER_SPREAD = 0.1
"""Share by which a `Retry-After` is stretched at random, so that a fleet returns spread out."""

UNREACHABLE_OUTAGE = 60.0
"""Seconds that a wait tolerates an endpoint to which the client never got a connection: a wrong
name should not look like an outage."""

SECOND_LOOKS = (20.0, 40.0)
"""Seconds after which trouble that would be final is looked at again: two looks over a minute."""

LAST_POLL_TIMEOUT = 5.0
"""Seconds after the deadline by which a wait has ended, its last poll included."""

ROUNDING = 1e-6
"""Seconds by which a bound may be missed in floating point and still count as reached."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The bounds of a wait; see `Operations.wait_until_done` for their meaning.

    Attributes:
        max_polls: The most polls made; `None` for no bound.
        raise_if: The statuses that end the wait with an error.
        max_wait: Seconds from the start to the deadline; `None` for no bound.
        max_outage: Seconds without a good answer that are tolerated; `None` for no bound.
        schedule: When to poll.
    """

    max_polls: int | None = 36000
    raise_if: frozenset[str] = frozenset({"Errored"})
    max_wait: float | None = 36000.0
    max_outage: float | None = 1800.0
    schedule: Schedule = field(default_factory=Adaptive)


@dataclass(frozen=True, slots=True)
class Poll:
    """Retrieve the operation after `delay` seconds."""

    delay: float


@dataclass(frozen=True, slots=True)
class Done:
    """The wait is over: the operation has ended."""

    operation: Operation


@dataclass(frozen=True, slots=True)
class GiveUp:
    """A bound was reached, or the caller stopped the wait, while the operation was running."""

    reason: str


@dataclass(frozen=True, slots=True)
class Fail:
    """The wait is over: raise the error."""

    error: NexusError


Step = Poll | Done | GiveUp | Fail


class Poller:
    """Decides when to poll one operation, and when its wait is over.

    Attributes:
        step: What to do next.
        started: The instant at which the wait began.
        deadline: The instant of the last poll, or infinity.
        end: The instant by which the wait is over, its last poll included, or infinity.
        outage_end: The instant of the last poll of an outage, or infinity while there is none.
        polls: Polls made so far, failed ones included.
        failures: Failures in a row, the last poll's included.
        unknown_status: A status that the contract does not name, if the last poll gave the first
            such of this wait, else `None`.
    """

    __slots__ = (
        "_bounds",
        "_created",
        "_failing_since",
        "_failure",
        "_history",
        "_kind",
        "_looks",
        "_memory",
        "_odd",
        "_random",
        "_reached",
        "_warned",
        "deadline",
        "end",
        "failures",
        "outage_end",
        "polls",
        "started",
        "step",
        "unknown_status",
    )

    def __init__(
        self,
        bounds: Bounds,
        now: float,
        *,
        polls: int = 0,
        random: Callable[[], float] = random.random,
        memory: Memory | None = None,
    ) -> None:
        self._bounds = bounds
        self._memory = memory
        self._kind: str | None = None
        self._random = random
        self.started = now
        self.deadline = math.inf if bounds.max_wait is None else now + bounds.max_wait
        self.end = self.deadline + LAST_POLL_TIMEOUT
        self.outage_end = math.inf
        self.polls = polls
        self.failures = 0
        self.unknown_status: str | None = None
        self._created = now
        self._failing_since: float | None = None
        self._failure: NexusError | None = None
        self._history: History | None = None
        self._looks = 0
        self._reached = False
        self._odd: tuple[type[NexusError], int | None] | None = None
        self._warned = False
        self.step: Step = Poll(0.0)

    @property
    def estimate(self) -> Estimate | None:
        """Seconds from the last good poll to the predicted end, or `None` without a prediction."""
        return None if self._history is None else self._history.estimate

    @property
    def pending(self) -> bool:
        """Whether there is another poll to make."""
        return isinstance(self.step, Poll)

    def result(self) -> Operation | None:
        """Return what the wait ended in, or raise its error."""
        if isinstance(self.step, Fail):
            raise self.step.error
        return self.step.operation if isinstance(self.step, Done) else None

    def stop(self, reason: str = "stopped by the caller") -> None:
        """End the wait without another poll."""
        self.step = GiveUp(reason)

    def expire(self, reason: str) -> None:
        """End the wait at a bound without another poll: as the last one ended, if it failed."""
        self.step = GiveUp(reason) if self._failure is None else Fail(self._failure)

    def timeout(self, request_timeout: float, now: float) -> float:
        """Return the seconds that a request made now may take, so that the wait ends in time."""
        room = max(self.deadline - now, min(self.end - now, LAST_POLL_TIMEOUT))
        return max(min(request_timeout, room), 0.0)

    def received(self, operation: Operation, now: float, age: float) -> None:
        """Take in a retrieval that succeeded.

        Raises:
            TypeError, ValueError: If the schedule returns no delay.
        """
        self.polls += 1
        self._reached = True
        self.failures = self._looks = 0
        self._failing_since = self._odd = self._failure = None
        self.outage_end = math.inf
        status = operation.status.overview
        self._notice(status)
        if status in TERMINAL_STATUSES:
            self._remember(operation, now)
        if status in self._bounds.raise_if:
            self.step = Fail(OperationFailedError(operation))
        elif status in TERMINAL_STATUSES:
            self.step = Done(operation)
        elif reason := self._bound_reached(now):
            self.step = GiveUp(reason)
        else:
            history = self._observe(operation, now, age)
            delay = checks.delay(self._bounds.schedule.next_delay(history))
            self.step = self._poll_after(max(self._jittered(delay), MIN_DELAY), now)

    def failed(self, error: NexusError, now: float, *, reached: bool = False) -> None:
        """Take in a retrieval that failed.

        Args:
            error: Why.
            now: The time.
            reached: Whether the client has ever reached the endpoint.
        """
        self.polls += 1
        self.failures += 1
        self._failure = error
        self._reached = self._reached or reached or error.reached
        delay = self._retry_delay(error, now)
        if delay is None or self._bound_reached(now):
            self.step = Fail(error)
        else:
            self.step = self._poll_after(delay, now)

    def _retry_delay(self, error: NexusError, now: float) -> float | None:
        """Return the seconds until the next poll after a failure, or `None` if it is final."""
        if not error.transient:
            kind = (type(error), error.status_code)
            again, self._odd = kind == self._odd, kind
            looked, self._looks = self._looks, self._looks + 1
            if self._history is None or again or looked >= len(SECOND_LOOKS):
                return None
            return self._jittered(SECOND_LOOKS[looked])
        if self._failing_since is None:
            self._failing_since = now
        tolerated = math.inf if self._bounds.max_outage is None else self._bounds.max_outage
        if not self._reached:
            tolerated = min(tolerated, UNREACHABLE_OUTAGE)
        self.outage_end = self._failing_since + tolerated
        left = self.outage_end - now
        if left <= ROUNDING:
            return None
        # The exponent is clamped: 2.0 ** n overflows in a wait without bounds.
        backoff = min(BACKOFF_BASE * 2.0 ** min(self.failures - 1, 16), BACKOFF_MAX)
        asked = min(error.retry_after or 0.0, RETRY_AFTER_MAX)
        asked *= 1.0 + RETRY_AFTER_SPREAD * self._random()
        return min(max(self._jittered(backoff), asked), left)

    def _poll_after(self, delay: float, now: float) -> Poll:
        """Return a poll after `delay`, or at the deadline if that is sooner."""
        return Poll(min(delay, max(self.deadline - now, 0.0)))

    def _bound_reached(self, now: float) -> str | None:
        """Return which bound of the wait is reached, if one is."""
        bounds = self._bounds
        if bounds.max_polls is not None and self.polls >= bounds.max_polls:
            return f"still running after {self.polls} polls"
        if now >= self.deadline - ROUNDING:
            return f"still running after {bounds.max_wait:g} s"
        return None

    def _notice(self, status: str) -> None:
        """Remember a status that the contract does not name, so that a shell can warn once."""
        self.unknown_status = None
        if status not in KNOWN_STATUSES and not self._warned:
            self._warned = True
            self.unknown_status = status

    def _observe(self, operation: Operation, now: float, age: float) -> History:
        """Bring the history up to date."""
        if self._history is None:
            self._created = now - age
            self._history = History(max(self.started - self._created, 0.0))
        history = self._history
        if self._memory is not None:
            before = None if self._kind is None else history.age
            self._kind = self._kind or operation.kind
            history.expected = self._memory.running(self._kind, before, now - self._created)
        history.add(
            now - self._created,
            operation.units_done,
            operation.units,
            operation.status.overview == "Queued",
        )
        return history

    def _remember(self, operation: Operation, now: float) -> None:
        """Tell the memory how long the operation took, if this wait saw it running.

        Its dates say so to the millisecond; what was seen bounds what they may say.
        """
        if self._memory is None or self._kind is None or self._history is None:
            return
        before, age = self._history.age, now - self._created
        seconds = (operation.update_date - operation.create_date) / 1000
        seconds = min(max(seconds, before), age)
        self._memory.ended(self._kind, before, seconds, operation.create_date / 1000 + age)
        self._memory = None

    def close(self) -> None:
        """Take the operation out of what runs: it is no longer waited for."""
        if self._memory is not None and self._kind is not None:
            self._memory.left(self._kind)
        self._memory = None

    def _jittered(self, delay: float) -> float:
        return delay * (1.0 + JITTER * (2.0 * self._random() - 1.0))
