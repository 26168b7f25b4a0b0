"""Telling a caller how a wait goes, poll by poll, and showing it where asked to."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import _arguments as arguments
from ._polling import Poll

if TYPE_CHECKING:
    from ._errors import NexusError
    from ._fleet import Wait
    from ._models import Operation


@dataclass(frozen=True, slots=True)
class Update:
    """What one poll of a wait found.

    Attributes:
        op_id: The operation's id.
        operation: The operation as this poll found it; `None` where the poll failed.
        error: Why the poll failed, or `None`. The wait may go on: see `next_poll`.
        polls: Retrievals made so far, failed ones included.
        elapsed: Seconds since the wait began.
        remaining: Seconds until the predicted end of the operation; `None` where nothing predicts
            it.
        next_poll: Seconds until the next poll; `None` once the wait is over.
    """

    op_id: str
    operation: Operation | None
    error: NexusError | None
    polls: int
    elapsed: float
    remaining: float | None
    next_poll: float | None


Notify = Callable[[Update], object]
"""Called after each poll, in the thread or event loop that polls. What it raises ends the wait."""


def update_of(
    wait: Wait, now: float, operation: Operation | None = None, error: NexusError | None = None
) -> Update:
    """Return what there is to tell after a poll."""
    poller = wait.poller
    return Update(
        op_id=wait.op_id,
        operation=operation,
        error=error,
        polls=poller.polls,
        elapsed=now - poller.started,
        remaining=poller.remaining if poller.pending else None,
        next_poll=poller.step.delay if isinstance(poller.step, Poll) else None,
    )


def checked(progress: object) -> Notify | bool:
    """Return the argument `progress` of a call."""
    if isinstance(progress, bool):
        return progress
    if callable(progress):
        return progress
    shown = arguments.show(progress)
    raise TypeError(f"progress must be True, False or a function of an Update, not {shown}")


@contextlib.contextmanager
def told(progress: Notify | bool, total: int | None) -> Generator[Notify | None]:
    """Give what is to be called after each poll: the caller's function, a live board, or nothing.

    Args:
        progress: The caller's wish.
        total: How many operations are waited for, where that is known.

    Raises:
        ModuleNotFoundError: If a board is asked for and Rich is not installed.
    """
    if not isinstance(progress, bool):
        yield progress
    elif not progress:
        yield None
    else:
        try:
            from ._board import live
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "progress=True needs Rich: install nexus-operations[progress]", name=error.name
            ) from error
        with live(total) as notify:
            yield notify
