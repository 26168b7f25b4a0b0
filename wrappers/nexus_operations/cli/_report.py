"""What the command shows of a wait: a live board, plain lines, or JSON lines."""

from __future__ import annotations

import sys
import threading
from datetime import UTC, datetime
from typing import Literal, Protocol

import msgspec
from rich.console import Console
from rich.live import Live

from nexus_operations import NexusError, Operation, Outcome, Update
from nexus_operations._show.board import REFRESH, Board, counts_of, ends_in, trouble_of

End = Literal["finished", "errored", "cancelled", "running", "failed"]


def end_of(outcome: Outcome) -> End:
    """Return in one word what a wait ended in; `failed` is trouble with the service."""
    if outcome.error is not None:
        return "failed"
    if outcome.operation is None:
        return "running"
    words: dict[str, End] = {"Finished": "finished", "Errored": "errored"}
    return words.get(outcome.operation.status.overview, "cancelled")


class Trouble(msgspec.Struct, frozen=True):
    """An error, in a line of JSON.

    Attributes:
        type: The error's class.
        message: What went wrong.
        status_code: The HTTP status, or null.
    """

    type: str
    message: str
    status_code: int | None = None


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A line of JSON.

    Attributes:
        at: When, as an ISO 8601 instant in UTC.
        event: `change` (the operation changed), `trouble` (a poll failed, the wait goes on) or
            `outcome` (the wait is over).
        op_id: The operation's id.
        outcome: For an `outcome`: finished, errored, cancelled, running (a bound was reached) or
            failed (trouble with the service); else null.
        operation: The operation as the service sent it last, or null.
        error: The trouble, or null.
        polls: Retrievals made so far.
        elapsed: Seconds since the wait began.
        remaining: Seconds until the predicted end, or null.
        next_poll: Seconds until the next poll, or null.
        remaining_range: Seconds within which the end comes four times in five, or null.
    """

    at: datetime
    event: Literal["change", "trouble", "outcome"]
    op_id: str
    outcome: End | None = None
    operation: Operation | None = None
    error: Trouble | None = None
    polls: int = 0
    elapsed: float = 0.0
    remaining: float | None = None
    next_poll: float | None = None
    remaining_range: tuple[float, float] | None = None


def trouble(error: Exception | None) -> Trouble | None:
    """Return an error for a line of JSON."""
    if error is None:
        return None
    return Trouble(type(error).__name__, str(error), getattr(error, "status_code", None))


def _rounded(ends: tuple[float, float] | None) -> tuple[float, float] | None:
    return None if ends is None else (round(ends[0], 3), round(ends[1], 3))


class Reporter(Protocol):
    """Shows a wait; a context manager."""

    def update(self, update: Update) -> None:
        """Show what a poll found; called in the thread that polls."""
        ...

    def outcome(self, outcome: Outcome) -> None:
        """Show what a wait ended in."""
        ...

    def __enter__(self) -> object: ...

    def __exit__(self, *details: object) -> None: ...


class Lines:
    """A plain line a change.

    Args:
        every_change: Whether a change of the counts is one, or only one of the status.
        json: Whether lines are JSON.
        instants: Whether plain lines begin with the time.
    """

    def __init__(self, *, every_change: bool, json: bool, instants: bool) -> None:
        self._every_change = every_change
        self._json = json
        self._instants = instants
        self._lock = threading.Lock()
        self._seen: dict[str, object] = {}
        self._last: dict[str, Update] = {}
        self._snapshots: dict[str, Operation] = {}

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *details: object) -> None:
        sys.stdout.flush()

    def update(self, update: Update) -> None:
        """Print what changed, if something did."""
        with self._lock:
            self._last[update.op_id] = update
            if update.operation is not None:
                self._snapshots[update.op_id] = update.operation
            if update.next_poll is None:
                return
            seen = self._essence(update)
            if self._seen.get(update.op_id) == seen:
                return
            self._seen[update.op_id] = seen
        if self._json:
            self._print_json(update, "change" if update.error is None else "trouble")
        elif update.operation is not None:
            operation = update.operation
            self._print(
                update.op_id,
                operation.status.overview,
                counts_of(operation),
                ends_in(update.remaining_range),
            )
        else:
            self._print(update.op_id, "trouble:", trouble_of(update))

    def _essence(self, update: Update) -> object:
        """Return what must differ for a line of its own."""
        if update.operation is None:
            return trouble_of(update) if self._every_change else type(update.error)
        status = update.operation.status
        return (status.overview, status.progress) if self._every_change else status.overview

    def outcome(self, outcome: Outcome) -> None:
        """Print what a wait ended in."""
        if self._json:
            update = self._last.get(outcome.op_id)
            if update is None:  # a bad id: it was never polled
                update = Update(outcome.op_id, None, None, 0, 0.0, None, None)
            self._print_json(update, "outcome", outcome)
        elif outcome.error is not None:
            self._print(outcome.op_id, "failed:", str(outcome.error))
        elif outcome.operation is not None:
            operation = outcome.operation
            self._print(
                outcome.op_id,
                operation.status.overview,
                counts_of(operation),
                operation.status.message,
            )
        elif last := self._snapshots.get(outcome.op_id):
            self._print(outcome.op_id, "still", last.status.overview, counts_of(last))
        else:
            self._print(outcome.op_id, "still running")

    def _print(self, *words: str) -> None:
        at = [f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"] if self._instants else []
        sys.stdout.write(" ".join([*at, *(word for word in words if word)]) + "\n")
        sys.stdout.flush()

    def _print_json(
        self,
        update: Update,
        event: Literal["change", "trouble", "outcome"],
        outcome: Outcome | None = None,
    ) -> None:
        error = update.error if outcome is None else outcome.error
        line = Line(
            at=datetime.now(UTC).replace(microsecond=0),
            event=event,
            op_id=update.op_id,
            outcome=None if outcome is None else end_of(outcome),
            operation=self._snapshots.get(update.op_id),
            error=trouble(error),
            polls=update.polls,
            elapsed=round(update.elapsed, 3),
            remaining=None if update.remaining is None else round(update.remaining, 3),
            next_poll=None if update.next_poll is None else round(update.next_poll, 3),
            remaining_range=_rounded(update.remaining_range),
        )
        sys.stdout.write(msgspec.json.encode(line).decode() + "\n")
        sys.stdout.flush()


class LiveBoard:
    """A row an operation, redrawn; what went wrong is told below it at the end.

    Args:
        total: How many operations there are.
    """

    def __init__(self, total: int) -> None:
        self._board = Board(total)
        self._console = Console(force_jupyter=False)
        self._live = Live(self._board, console=self._console, refresh_per_second=REFRESH)
        self._troubles: list[str] = []

    def __enter__(self) -> LiveBoard:
        self._live.start()
        return self

    def __exit__(self, *details: object) -> None:
        self._live.stop()
        for line in self._troubles:
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def update(self, update: Update) -> None:
        """Hand it to the board."""
        self._board.update(update)

    def outcome(self, outcome: Outcome) -> None:
        """Remember what went wrong."""
        if isinstance(outcome.error, NexusError):
            self._troubles.append(f"{outcome.op_id}: {outcome.error}")
        elif outcome.operation is not None and end_of(outcome) != "finished":
            status = outcome.operation.status
            self._troubles.append(f"{outcome.op_id}: {status.overview}: {status.message}")
