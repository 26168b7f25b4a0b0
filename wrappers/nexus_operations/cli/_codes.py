"""The exit codes, and which of several applies."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from nexus_operations import TERMINAL_STATUSES, Outcome

FINISHED, UNSUCCESSFUL, USAGE, RUNNING, TROUBLE = 0, 1, 2, 3, 4
DEFECT, NO_OUTPUT, INTERRUPTED = 70, 74, 130
SIGNALLED = 128
"""Plus the number of the signal that ended the command."""

Ending = Literal["finished", "errored", "cancelled", "running", "failed"]

_CODES: dict[Ending, int] = {
    "finished": FINISHED,
    "running": RUNNING,
    "errored": UNSUCCESSFUL,
    "cancelled": UNSUCCESSFUL,
    "failed": TROUBLE,
}
_GRAVEST_FIRST = (TROUBLE, UNSUCCESSFUL, RUNNING, FINISHED)


def ending_of(outcome: Outcome) -> Ending:
    """Return in one word what a wait ended in; `failed` is trouble with the service."""
    if outcome.error is not None:
        return "failed"
    status = None if outcome.operation is None else outcome.operation.status.overview
    if status not in TERMINAL_STATUSES:
        return "running"
    words: dict[str, Ending] = {"Finished": "finished", "Errored": "errored"}
    return words.get(status, "cancelled")


def exit_code(outcomes: Iterable[Outcome]) -> int:
    """Return the code of the gravest outcome."""
    codes = {_CODES[ending_of(outcome)] for outcome in outcomes}
    return next(code for code in _GRAVEST_FIRST if code in codes or code == FINISHED)
