"""Many waits in one process: which operation is polled next, and what each ended in. No I/O.

A waiting operation is a small record in a heap, ordered by when its poll is due: under a bound on
requests the one that is most overdue comes first, so waits degrade evenly.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import AsyncIterable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ._core import checks
from ._core.errors import NexusError
from ._core.tracebacks import render_traceback
from .wire import WaitState

if TYPE_CHECKING:
    from ._core.models import Operation
    from ._core.updates import Listener
    from ._wait import Call, Wait

NAMED_IN_GROUP = 3
"""Errors whose text the message of a group repeats."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the wait for one operation of many ended in.

    Attributes:
        op_id: The operation's id.
        operation: The operation once it has ended; `None` if it was still running at a bound, or if
            there is an error.
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

    def _render_traceback_(self) -> list[str]:
        """Return what a notebook shows: the caller's lines, not those of this library."""
        return render_traceback(self)


@dataclass(frozen=True, slots=True)
class Interruption:
    """How far an interrupted call had come.

    Attributes:
        ended: The outcomes so far; where ids came from an iterator, and outcomes went to one, those
            that had not been handed out.
        pending: The ids of the operations that had not ended, those not yet taken included.
        states: The same as states, with which another process resumes their waits.
    """

    ended: list[Outcome]
    pending: list[str]
    states: list[WaitState]

    @classmethod
    def from_error(cls, error: BaseException | None) -> Interruption | None:
        """Return the interruption that an error, or one that it came from, carries."""
        while error is not None:
            found = getattr(error, "interruption", None)
            if isinstance(found, Interruption):
                return found
            error = error.__cause__ or error.__context__
        return None

    def attach(self, error: BaseException) -> None:
        """Let an error carry this, as `interruption`, `ended` and `pending`."""
        vars(error).update(interruption=self, ended=self.ended, pending=self.pending)


class Fleet:
    """Decides which operation to poll next, and keeps what has ended.

    Args:
        op_ids: The ids or states; those of a collection are checked at once.
        call: What the caller asks for.
        begin: Begins the wait for one of them, with a listener.
        keep: Whether outcomes are kept, for a result in the order given.

    Attributes:
        listener: Called after each poll, or `None`; set before the first.
        source: The iterable of ids that is still to be read, or `None`.
        untaken: Ids that were read and are not waited for yet.
        total: Number of distinct operations, if known in advance.
        failure: What ends the whole call, or `None`.
        consumed: Outcomes that the caller has taken.
    """

    def __init__(
        self,
        op_ids: Iterable[str | WaitState] | AsyncIterable[str | WaitState],
        call: Call,
        begin: Callable[[str | WaitState, Listener | None], Wait],
        *,
        keep: bool,
    ) -> None:
        source, is_collection = checks.operation_identifiers("op_ids", op_ids)
        self.source = None if is_collection else source
        self.untaken: deque[str | WaitState | Outcome] = deque()
        self.total: int | None = None
        if is_collection:
            op_ids = [_checked(op_id) for op_id in source]
            self.untaken.extend(op_ids)
            self.total = len(set(map(_id_of, op_ids)))
        self.failure: BaseException | None = None
        self.consumed = 0
        self.listener: Listener | None = None
        self._call = call
        self._begin = begin
        self._keep = keep or is_collection or call.on_error == "group"
        self._due: list[Wait] = []
        self._running: dict[str, Wait] = {}
        self._outcomes: dict[str, Outcome | None] = {}
        self._order: list[str | Outcome] = []
        self._ended = 0

    @property
    def running(self) -> Iterable[Wait]:
        """The waits that have not ended."""
        return self._running.values()

    @property
    def has_room(self) -> bool:
        """Whether another operation may be waited for."""
        return len(self._running) < self._call.max_waiting

    @property
    def has_room_to_read(self) -> bool:
        """Whether another id may be read: those that were have room.

        Outcomes that a slow consumer has not taken count, so that they cannot pile up.
        """
        unconsumed = self._ended - self.consumed
        return len(self._running) + len(self.untaken) + unconsumed < self._call.max_waiting

    @property
    def waits_for_its_consumer(self) -> bool:
        """Whether nothing happens until an outcome is consumed."""
        return not self._running and not self.untaken and not self.has_room_to_read

    def read(self, op_id: object) -> None:
        """Take in an id of the source; one that cannot be an id is an outcome of its own."""
        try:
            self.untaken.append(_checked(op_id))
        except (TypeError, ValueError) as error:
            shown = op_id if isinstance(op_id, str) else checks.show(op_id)
            self.untaken.append(Outcome(shown, None, error))

    def take(self, count: int) -> list[Outcome]:
        """Begin to wait for ids that were read; return the outcomes of those that can be none.

        An id that is known already is not polled twice.
        """
        ended: list[Outcome] = []
        while self.untaken and count and self.has_room:
            count -= 1
            op_id = self.untaken[0]
            if isinstance(op_id, Outcome):
                self._remember(op_id)
                ended.append(self._count(op_id))
            else:
                self._take(op_id)
            self.untaken.popleft()
        return ended

    def _take(self, op_id: str | WaitState) -> None:
        key = _id_of(op_id)
        self._remember(key)
        if key not in self._outcomes:
            self._outcomes[key] = None
            self._running[key] = wait = self._begin(op_id, self.listener)
            heapq.heappush(self._due, wait)

    def _remember(self, given: str | Outcome) -> None:
        if self._keep:
            self._order.append(given)

    def next_due(self) -> float | None:
        """Return the instant at which a poll is due, `None` without any."""
        return self._due[0].due if self._due else None

    def pop(self) -> Wait:
        """Return the wait whose poll is most overdue; the caller gives it back when polled."""
        return heapq.heappop(self._due)

    def give_back(self, wait: Wait) -> Outcome | None:
        """Take back a wait that was polled; return its outcome if that ended it."""
        if wait.pending:
            heapq.heappush(self._due, wait)
            return None
        try:
            outcome = Outcome(wait.op_id, wait.poller.result())
        except NexusError as error:
            outcome = Outcome(wait.op_id, None, error)
        return self._end(wait, outcome)

    def abandon(self) -> None:
        """End every wait without another poll, and those of the ids that were read."""
        for wait in list(self._running.values()):
            wait.poller.stop()
            self._end(wait, Outcome(wait.op_id))
        self._due.clear()
        while self.untaken:
            op_id = self.untaken.popleft()
            self._remember(op_id if isinstance(op_id, Outcome) else _id_of(op_id))

    def _end(self, wait: Wait, outcome: Outcome) -> Outcome:
        wait.close()
        del self._running[wait.op_id]
        if self._keep:
            self._outcomes[wait.op_id] = outcome
        return self._count(outcome)

    def _count(self, outcome: Outcome) -> Outcome:
        self._ended += 1
        if outcome.error is not None and self._call.on_error == "first" and self.failure is None:
            self.failure = outcome.error
        return outcome

    def interruption(self, unconsumed: Iterable[Outcome] = ()) -> Interruption:
        """Return how far the call has come.

        Args:
            unconsumed: The outcomes that an iterator has not handed out.
        """
        ended = list(unconsumed)
        if self._keep:
            ended = [outcome for outcome in self._outcomes.values() if outcome is not None]
            ended += [given for given in self._order if isinstance(given, Outcome)]
        states = [wait.state for wait in self._running.values()]
        known = set(self._outcomes)
        for op_id in self.untaken:
            if isinstance(op_id, Outcome):
                ended.append(op_id)
            elif _id_of(op_id) not in known:
                known.add(_id_of(op_id))
                states.append(self._begin(op_id, self.listener).state)
        return Interruption(ended, [state.op_id for state in states], states)

    def results(self) -> list[Operation | Exception | None]:
        """Return what each id given ended in, in their order; raise the errors as a group."""
        in_order = [
            given if isinstance(given, Outcome) else self._outcomes.get(given) or Outcome(given)
            for given in self._order
        ]
        failed = list({id(o): o for o in in_order if o.error is not None}.values())
        if failed and self._call.on_error == "group":
            lines = [f"{len(failed)} of {self._ended} operations"]
            lines += [f"{o.op_id}: {o.error}" for o in failed[:NAMED_IN_GROUP]]
            if len(failed) > NAMED_IN_GROUP:
                lines.append(f"and {len(failed) - NAMED_IN_GROUP} more")
            group = WaitErrorGroup("; ".join(lines), [o.error for o in failed if o.error])
            group.outcomes = in_order
            raise group
        return [o.operation if o.error is None else o.error for o in in_order]


def _checked(op_id: object) -> str | WaitState:
    return op_id if isinstance(op_id, WaitState) else checks.operation_identifier("op_ids", op_id)


def _id_of(op_id: str | WaitState) -> str:
    return op_id.op_id if isinstance(op_id, WaitState) else op_id
