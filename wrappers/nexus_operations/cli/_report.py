"""What the command shows of a wait: a live board, plain lines, or JSON lines."""

from __future__ import annotations

import _thread
import signal
import threading
import time
from collections import Counter
from datetime import UTC, datetime
from typing import Literal, Protocol

import msgspec
from rich.console import Console

from nexus_operations import Operation, Outcome, Update
from nexus_operations._core.models import show_instant
from nexus_operations._core.text import escape_text
from nexus_operations._show.board import Board
from nexus_operations._show.terminal import live_board
from nexus_operations._show.words import counts_of, ends_in, trouble_of

from ._codes import Ending, ending_of
from ._output import OutputError, complain, write_json, write_line

Event = Literal["change", "trouble", "outcome"]


class Failure(msgspec.Struct, frozen=True):
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
        polls: Polls made so far.
        elapsed: Seconds since the wait began.
        remaining: Seconds until the predicted end, or null.
        next_poll: Seconds until the next poll, or null.
        remaining_range: Seconds within which the end comes four times in five, or null.
    """

    at: datetime
    event: Event
    op_id: str
    outcome: Ending | None = None
    operation: Operation | None = None
    error: Failure | None = None
    polls: int = 0
    elapsed: float = 0.0
    remaining: float | None = None
    next_poll: float | None = None
    remaining_range: tuple[float, float] | None = None


def _interrupt_main_thread() -> None:
    """End what the main thread blocks in: only a signal that is delivered to it does."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    else:  # Windows
        _thread.interrupt_main()


def failure_of(error: Exception | None) -> Failure | None:
    """Return an error for a line of JSON."""
    if error is None:
        return None
    return Failure(type(error).__name__, str(error), getattr(error, "status_code", None))


def _rounded(ends: tuple[float, float] | None) -> tuple[float, float] | None:
    return None if ends is None else (round(ends[0], 3), round(ends[1], 3))


class Reporter(Protocol):
    """Shows a wait; a context manager.

    Attributes:
        failure: Why it cannot show any more, if that happened in a thread of its own.
    """

    failure: OutputError | None

    def update(self, update: Update) -> None:
        """Show what a poll found; called in the thread that polls."""
        ...

    def outcome(self, outcome: Outcome) -> None:
        """Show what a wait ended in."""
        ...

    def set_total(self, total: int) -> None:
        """Note how many operations there are."""
        ...

    def __enter__(self) -> object: ...

    def __exit__(self, *details: object) -> None: ...


class Lines:
    """A plain line, or one of JSON, for each change.

    Args:
        every_change: Whether a change of the counts has a line, or only one of the status.
        json: Whether lines are JSON.
        heartbeat: The longest time without a line in seconds; `None` for no limit.
    """

    def __init__(self, *, every_change: bool, json: bool, heartbeat: float | None) -> None:
        self.failure: OutputError | None = None
        self._every_change = every_change
        self._json = json
        self._heartbeat = heartbeat
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._written = time.monotonic()
        self._seen: dict[str, object] = {}
        self._last: dict[str, Update] = {}
        self._snapshots: dict[str, Operation] = {}
        self._ended = 0

    def __enter__(self) -> Lines:
        if self._heartbeat is not None:
            threading.Thread(target=self._beat, name="nexus-heartbeat", daemon=True).start()
        return self

    def __exit__(self, *details: object) -> None:
        self._over.set()

    def set_total(self, total: int) -> None:
        """Do nothing: lines have no total."""

    def update(self, update: Update) -> None:
        """Print what changed, if something did."""
        with self._lock:
            self._last[update.op_id] = update
            if update.operation is not None:
                self._snapshots[update.op_id] = update.operation
            essence = self._essence(update)
            if update.next_poll is None or self._seen.get(update.op_id) == essence:
                return
            self._seen[update.op_id] = essence
            if self._json:
                self._print_json(update, "change" if update.error is None else "trouble")
            elif update.operation is not None:
                self._print(
                    update.op_id, *_state(update.operation), ends_in(update.remaining_range)
                )
            else:
                self._print(update.op_id, "trouble:", trouble_of(update))

    def _essence(self, update: Update) -> object:
        """Return what must differ for a line of its own."""
        if update.operation is None:
            return str(update.error) if self._every_change else type(update.error)
        status = update.operation.status
        return (status.overview, status.progress) if self._every_change else status.overview

    def outcome(self, outcome: Outcome) -> None:
        """Print what a wait ended in."""
        with self._lock:
            self._ended += 1
            last = self._last.pop(outcome.op_id, None)
            snapshot = self._snapshots.pop(outcome.op_id, outcome.operation)
            if self._json:
                if last is None:  # a bad id: it was never polled
                    last = Update(outcome.op_id, None, None, 0, 0.0, None, None)
                self._print_json(last, "outcome", outcome, snapshot)
            elif outcome.error is not None:
                self._written = time.monotonic()
                complain(_line(outcome.op_id, "failed:", str(outcome.error), instant=True))
            else:
                self._print(*self._ending(outcome, snapshot))

    def _ending(self, outcome: Outcome, snapshot: Operation | None) -> list[str]:
        """Return the words for a wait that ended without an error."""
        if outcome.operation is not None:
            return [outcome.op_id, *_state(outcome.operation), outcome.operation.status.message]
        return [outcome.op_id, "still", *(_state(snapshot) if snapshot else ["running"])]

    def _until_beat(self) -> float:
        """Return the seconds to wait for the next heartbeat, as far as a thread can wait."""
        assert self._heartbeat is not None
        left = self._written + self._heartbeat - time.monotonic()
        return min(max(left, 0.01), threading.TIMEOUT_MAX)

    def _beat(self) -> None:
        """Print a line whenever none was for too long; runs in a thread of its own."""
        assert self._heartbeat is not None
        while not self._over.wait(self._until_beat()):
            with self._lock:
                if time.monotonic() - self._written < self._heartbeat or self._over.is_set():
                    continue
                try:
                    self._print_heartbeat()
                except OutputError as error:
                    self.failure = error
                    _interrupt_main_thread()
                    return

    def _print_heartbeat(self) -> None:
        if len(self._last) == 1:
            ((op_id, update),) = self._last.items()
            snapshot = self._snapshots.get(op_id)
            state = _state(snapshot) if snapshot else ["waited for"]
            what = (
                trouble_of(update) if update.error is not None else ends_in(update.remaining_range)
            )
            words = [op_id, "still", *state, what]
        else:
            states = Counter(
                "in trouble" if update.operation is None else update.operation.status.overview
                for update in self._last.values()
            )
            counts = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
            words = ["waiting:", counts or "no operations yet,", f"{self._ended} ended"]
        if self._json:  # a line for people, beside the JSON
            self._written = time.monotonic()
            complain(_line(*words, instant=True))
        else:
            self._print(*words)

    def _print(self, *words: str) -> None:
        self._written = time.monotonic()
        write_line(_line(*words, instant=True))

    def _print_json(
        self,
        update: Update,
        event: Event,
        outcome: Outcome | None = None,
        snapshot: Operation | None = None,
    ) -> None:
        error = update.error if outcome is None else outcome.error
        line = Line(
            at=datetime.now(UTC).replace(microsecond=0),
            event=event,
            op_id=update.op_id,
            outcome=None if outcome is None else ending_of(outcome),
            operation=snapshot or self._snapshots.get(update.op_id),
            error=failure_of(error),
            polls=update.polls,
            elapsed=round(update.elapsed, 3),
            remaining=None if update.remaining is None else round(update.remaining, 3),
            next_poll=None if update.next_poll is None else round(update.next_poll, 3),
            remaining_range=_rounded(update.remaining_range),
        )
        self._written = time.monotonic()
        write_json(msgspec.to_builtins(line))


class Snapshots(Lines):
    """One line for each operation as it is now, without the time: what `get` prints."""

    def __init__(self, *, json: bool) -> None:
        super().__init__(every_change=False, json=json, heartbeat=None)

    def outcome(self, outcome: Outcome) -> None:
        """Print an operation, with what it is and its dates; or why it could not be retrieved."""
        operation = self._snapshots.get(outcome.op_id, outcome.operation)
        if self._json:
            super().outcome(outcome)
        elif operation is None:
            complain(_line(outcome.op_id, "failed:", str(outcome.error or "no answer")))
        else:
            status = operation.status
            words = [*_state(operation), status.progress.unit, operation.kind]
            dates = ["created", show_instant(operation.create_date) + ","]
            dates += ["updated", show_instant(operation.update_date)]
            write_line(_line(outcome.op_id, *words, *dates, status.message))


def _state(operation: Operation) -> list[str]:
    """Return the words for an operation's status and counts."""
    return [operation.status.overview, counts_of(operation)]


def _line(*words: str, instant: bool = False) -> str:
    """Return words as a line, with what is unsafe in them escaped."""
    at = [f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"] if instant else []
    return " ".join([*at, *(escape_text(word) for word in words if word)])


class LiveBoard:
    """A row for each operation, redrawn; what went wrong is printed below it at the end.

    Args:
        total: Number of distinct operations, if known in advance.
    """

    failure: OutputError | None = None

    def __init__(self, total: int | None) -> None:
        self._board = Board(total)
        self._live = live_board(self._board, Console(force_jupyter=False), own_stdout=True)
        self._troubles: list[str] = []

    def __enter__(self) -> LiveBoard:
        self._live.start()
        return self

    def __exit__(self, *details: object) -> None:
        self._live.stop()
        for line in self._troubles:
            write_line(line)

    def set_total(self, total: int) -> None:
        """Note how many operations there are."""
        self._board.total = total

    def update(self, update: Update) -> None:
        """Show what a poll found in its row."""
        self._board.update(update)

    def outcome(self, outcome: Outcome) -> None:
        """Remember what went wrong."""
        if outcome.error is not None:
            self._troubles.append(_line(f"{outcome.op_id}:", str(outcome.error)))
        elif outcome.operation is not None and ending_of(outcome) != "finished":
            status = outcome.operation.status
            self._troubles.append(_line(f"{outcome.op_id}:", f"{status.overview}:", status.message))
