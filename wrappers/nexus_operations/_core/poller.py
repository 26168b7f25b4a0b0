"""The polling core: one decision, no I/O.

A `Poller` is told what each poll gave, and the time; its `step` is what to do next:

    Poll     retrieve the operation after `delay` seconds
    Done     the wait is over: return the operation
    GiveUp   a bound was reached while the operation was still running: return None
    Fail     raise the error

Time comes in as numbers: `now` is seconds on a monotonic clock, `wall` seconds since the Unix epoch
(used once, to guess the age of an operation that was started before the wait).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .errors import NexusError, OperationFailedError
from .models import KNOWN_STATUSES, TERMINAL_STATUSES
from .schedule import Adaptive, History, Schedule

if TYPE_CHECKING:
    from .models import Operation

JITTER = 0.05
"""Each delay is spread by this share to either side, so that a fleet does not poll in step."""

FIRST_RETRY = 1.0
"""Seconds until the poll after a first failure; doubled with each further failure in a row."""

LONGEST_RETRY = 60.0
"""Seconds between two polls during an outage, at most."""

LONGEST_RETRY_AFTER = 3600.0
"""Seconds that a `Retry-After` is obeyed, at most: beyond that it is taken for a mistake."""

UNREACHABLE_OUTAGE = 60.0
"""Seconds that a wait tolerates an endpoint to which it has never got a connection: a wrong name
should not look like an outage."""

LAST_POLL_TIMEOUT = 5.0
"""Seconds that the poll at the deadline may take: a wait ends at most this long after it."""

ROUNDING = 1e-6
"""Seconds by which a bound may be missed in floating point and still count as reached."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The bounds of a wait; see `Operations.wait_until_done` for their meaning."""

    max_polls: int | None = 36000
    raise_if: frozenset[str] = frozenset({"Errored"})
    max_wait: float | None = 36000.0
    max_outage: float | None = 1800.0
    schedule: Schedule = field(default_factory=Adaptive)
    request_timeout: float = 30.0
    random: Callable[[], float] = random.random


@dataclass(frozen=True, slots=True)
class Poll:
    """Retrieve the operation after `delay` seconds, and allow the request `timeout` seconds."""

    delay: float
    timeout: float


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
        polls: Retrievals made so far, failed ones included.
        failures: Failures in a row, the last poll's included.
        unknown_status: A status that the contract does not name, if the last poll gave the first
            such of this wait, else `None`.
    """

    __slots__ = (
        "_created",
        "_deadline",
        "_failing_since",
        "_history",
        "_policy",
        "_reached",
        "_started",
        "_warned",
        "failures",
        "polls",
        "step",
        "unknown_status",
    )

    def __init__(self, policy: Policy, now: float) -> None:
        self._policy = policy
        self._started = now
        self._deadline = None if policy.max_wait is None else now + policy.max_wait
        self._created = now
        self._reached = False
        self._failing_since: float | None = None
        self._history: History | None = None
        self._warned = False
        self.polls = 0
        self.failures = 0
        self.unknown_status: str | None = None
        self.step: Step = self._poll_after(0.0, now)

    @property
    def deadline(self) -> float | None:
        """The instant after which there is no further poll, or `None`."""
        return self._deadline

    @property
    def started(self) -> float:
        """The instant at which the wait began."""
        return self._started

    @property
    def remaining(self) -> float | None:
        """Seconds from the last good poll to the predicted end, or `None` without a prediction."""
        return None if self._history is None else self._history.remaining

    @property
    def pending(self) -> bool:
        """Whether there is another poll to make."""
        return isinstance(self.step, Poll)

    def result(self) -> Operation | None:
        """Return what the wait ended in, or raise its error."""
        if isinstance(self.step, Fail):
            raise self.step.error
        return self.step.operation if isinstance(self.step, Done) else None

    def stop(self) -> None:
        """End the wait at the caller's wish."""
        self.step = GiveUp("stopped by the caller")

    def received(self, operation: Operation, now: float, wall: float) -> None:
        """Take in a retrieval that succeeded."""
        self.polls += 1
        self.failures = 0
        self._failing_since = None
        self._reached = True
        status = operation.status.overview
        self._notice(status)
        if status in self._policy.raise_if:
            self.step = Fail(OperationFailedError(operation))
        elif status in TERMINAL_STATUSES:
            self.step = Done(operation)
        elif reason := self._bound_reached(now):
            self.step = GiveUp(reason)
        else:
            history = self._observe(operation, now, wall)
            delay = max(self._policy.schedule.next_delay(history), 0.0)
            self.step = self._poll_after(self._jittered(delay), now)

    def failed(self, error: NexusError, now: float) -> None:
        """Take in a retrieval that failed."""
        self.polls += 1
        self.failures += 1
        self._reached = self._reached or error.reached
        if self._failing_since is None:
            self._failing_since = now
        tolerated = self._policy.max_outage
        if not self._reached:
            tolerated = min(
                UNREACHABLE_OUTAGE, UNREACHABLE_OUTAGE if tolerated is None else tolerated
            )
        remaining = None if tolerated is None else self._failing_since + tolerated - now
        if (
            not error.transient
            or self._bound_reached(now)
            or (remaining is not None and remaining <= ROUNDING)
        ):
            self.step = Fail(error)
        elif error.retry_after is not None:
            self.step = self._poll_after(min(error.retry_after, LONGEST_RETRY_AFTER), now)
        else:
            # The exponent is clamped: 2.0 ** n overflows in a wait without bounds.
            delay = self._jittered(
                min(FIRST_RETRY * 2.0 ** min(self.failures - 1, 16), LONGEST_RETRY)
            )
            self.step = self._poll_after(delay if remaining is None else min(delay, remaining), now)

    def _poll_after(self, delay: float, now: float) -> Poll:
        """Return a poll after `delay`, or at the deadline if that is sooner."""
        timeout = self._policy.request_timeout
        if self._deadline is not None:
            remaining = max(self._deadline - now, 0.0)
            delay = min(delay, remaining)
            timeout = min(timeout, max(remaining - delay, LAST_POLL_TIMEOUT))
        return Poll(delay, timeout)

    def _bound_reached(self, now: float) -> str | None:
        """Return which bound of the wait is reached, if one is."""
        policy = self._policy
        if policy.max_polls is not None and self.polls >= policy.max_polls:
            return f"still running after {self.polls} retrievals"
        if self._deadline is not None and now >= self._deadline - ROUNDING:
            return f"still running after {policy.max_wait:g} s"
        return None

    def _notice(self, status: str) -> None:
        """Remember a status that the contract does not name, so that a shell can warn once."""
        self.unknown_status = None
        if status not in KNOWN_STATUSES and not self._warned:
            self._warned = True
            self.unknown_status = status

    def _observe(self, operation: Operation, now: float, wall: float) -> History:
        """Bring the history up to date."""
        if self._history is None:
            age = max(wall - operation.create_date / 1000, 0.0)
            self._created = now - age
            self._history = History(max(self._started - self._created, 0.0))
        self._history.add(
            now - self._created,
            operation.units_done,
            operation.units,
            operation.status.overview == "Queued",
        )
        return self._history

    def _jittered(self, delay: float) -> float:
        return delay * (1.0 + JITTER * (2.0 * self._policy.random() - 1.0))
