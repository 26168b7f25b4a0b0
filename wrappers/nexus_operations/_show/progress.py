"""Telling a caller how a wait goes, poll by poll, and showing it where asked to."""

from __future__ import annotations

import contextlib
from collections.abc import Generator

from .._core import checks as arguments
from .._core.updates import Listener


def check_progress(progress: object) -> Listener | bool:
    """Return the argument `progress` of a call."""
    if isinstance(progress, bool):
        return progress
    if callable(progress):
        return progress
    shown = arguments.show(progress)
    raise TypeError(f"progress must be True, False or a function of an Update, not {shown}")


@contextlib.contextmanager
def told(progress: Listener | bool, total: int | None) -> Generator[Listener | None]:
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
            from .board import live
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "progress=True needs Rich: install nexus-operations[progress]", name=error.name
            ) from error
        with live(total) as notify:
            yield notify
