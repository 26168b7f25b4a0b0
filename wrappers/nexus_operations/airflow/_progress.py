"""What a person reads of a wait in its task's log."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from nexus_operations import Operation, Update, WaitState


def until(state: WaitState, max_wait: float | None) -> str:
    """Return until when a wait lasts, for people."""
    if max_wait is None:
        return "until it has ended"
    end = datetime.fromtimestamp(state.started_at + max_wait, UTC)
    return f"until {end:%Y-%m-%d %H:%M:%S} UTC at the latest"


class ProgressLog:
    """Logs each change of an operation's status and progress.

    A poll that failed stands in the same log already: the library tells it there.

    Args:
        log: The task's logger.
        state: The state of the wait before its first poll.
        keep: Called with the state of the wait after each poll.
    """

    def __init__(self, log: Any, state: WaitState, keep: Callable[[WaitState], None]) -> None:
        self._log = log
        self._state = state
        self._keep = keep
        self._shown: tuple[str, int, int] | None = None

    def __call__(self, update: Update) -> None:
        """Take in what a poll found."""
        reached = self._state.reached or update.error is None or update.error.reached
        self._state = dataclasses.replace(self._state, polls=update.polls, reached=reached)
        self._keep(self._state)
        if update.operation is not None:
            self._found(update.operation)

    def _found(self, operation: Operation) -> None:
        status = operation.status
        now = (status.overview, operation.units_done, operation.units)
        if now == self._shown:
            return
        self._shown = now
        text = f": {status.message}" if operation.is_done else ""
        self._log.info(
            "%s: %s, %d of %d (%s)%s",
            operation.id,
            status.overview,
            operation.units_done,
            operation.units,
            status.progress.unit,
            text,
        )
