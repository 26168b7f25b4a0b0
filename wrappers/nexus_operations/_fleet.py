"""Many waits in one process: which operation is polled next, without I/O.

A waiting operation is a small record in a heap, ordered by when its poll is due: under a bound on
requests the one that is most overdue comes first, so waits degrade evenly.
"""

from __future__ import annotations

import heapq
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ._core import checks as arguments
from ._core.errors import NexusError
from ._core.poller import Policy, Poll, Poller

if TYPE_CHECKING:
    from ._core.models import Operation

if sys.version_info >= (3, 11):
    from builtins import ExceptionGroup
else:
    from exceptiongroup import ExceptionGroup


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the wait for one operation of many ended in.

    Attributes:
        op_id: The operation's id.
        operation: The operation once it has ended; `None` where it was still running at a bound, or
            where there is an error.
        error: What `wait_until_done` would have raised, or `None`.
    """

    op_id: str
    operation: Operation | None = None
    error: Exception | None = None

    def result(self) -> Operation | None:
        """Return the operation or `None`, or raise the error."""
        if self.error is not None:
            raise self.error
        return self.operation


class WaitErrorGroup(ExceptionGroup[Exception]):
    """The errors of several waits, raised together once all had ended.

    Attributes:
        outcomes: Every outcome, in the order of the ids given, the good ones included.
    """

    outcomes: list[Outcome]

    def derive(self, excs: Sequence[Exception]) -> WaitErrorGroup:  # type: ignore[override]
        """Return a group of a part of the errors, with all outcomes."""
        group = WaitErrorGroup(self.message, excs)
        group.outcomes = self.outcomes
        return group


class Wait:
    """One waiting operation.

    Attributes:
        op_id: Its id.
        poller: What decides.
        span: Its OpenTelemetry span, where there is one.
        due: When its poll is due.
        since: When that was decided.
    """

    __slots__ = ("due", "op_id", "poller", "since", "span")

    def __init__(self, op_id: str, poller: Poller, now: float) -> None:
        self.op_id = op_id
        self.poller = poller
        self.span: Any = None
        self.due = now
        self.since = now

    def __lt__(self, other: Wait) -> bool:
        # Of polls due at the same instant (a common deadline), the one that waited longest.
        return (self.due, self.since) < (other.due, other.since)


class Fleet:
    """Decides which operation to poll next, and keeps what has ended.

    Args:
        policy: The bounds of each wait.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._waiting: list[Wait] = []
        self.outcomes: dict[str, Outcome | None] = {}
        self.ended = 0

    @property
    def waiting(self) -> Iterable[Wait]:
        """The waits whose next poll has not begun, in no order."""
        return self._waiting

    @property
    def running(self) -> int:
        """How many operations have not ended."""
        return len(self.outcomes) - self.ended

    def add(self, op_id: object, now: float) -> Outcome | None:
        """Wait for one more operation; return its outcome if the id cannot be one.

        An id that is known already is not polled twice.
        """
        try:
            checked = arguments.identifier("op_ids", op_id)
        except (TypeError, ValueError) as error:
            outcome = Outcome(str(op_id), None, error)
            return None if self.outcomes.get(outcome.op_id) else self.end(outcome)
        if checked not in self.outcomes:
            self.outcomes[checked] = None
            heapq.heappush(self._waiting, Wait(checked, Poller(self._policy, now), now))
        return None

    def seconds_to_next(self, now: float) -> float | None:
        """Return the seconds until a poll is due, 0 or less if one is; `None` without any."""
        return self._waiting[0].due - now if self._waiting else None

    def next(self) -> Wait:
        """Return the wait whose poll is most overdue; the caller gives it back when polled."""
        return heapq.heappop(self._waiting)

    def give_back(self, wait: Wait, now: float) -> Outcome | None:
        """Take back a wait that was polled; return its outcome if that ended it."""
        step = wait.poller.step
        if isinstance(step, Poll):
            wait.due, wait.since = now + step.delay, now
            heapq.heappush(self._waiting, wait)
            return None
        try:
            return self.end(Outcome(wait.op_id, wait.poller.result()))
        except NexusError as error:
            return self.end(Outcome(wait.op_id, None, error))

    def end(self, outcome: Outcome) -> Outcome:
        """Keep an outcome."""
        self.outcomes[outcome.op_id] = outcome
        self.ended += 1
        return outcome
