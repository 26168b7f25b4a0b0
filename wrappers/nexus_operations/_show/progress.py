"""What a wait reports after each poll, and to whom: the caller's function, or a live board."""

from __future__ import annotations

import contextlib
from collections.abc import Generator

from .._core import checks as arguments
from .._core.updates import Listener
from .notebook import below_cell, in_notebook


def check_progress(progress: object) -> Listener | bool:
    """Return the argument `progress` of a call."""
    if isinstance(progress, bool):
        return progress
    if callable(progress):
        return progress
    shown = arguments.show(progress)
    raise TypeError(f"progress must be True, False or a function of an Update, not {shown}")


@contextlib.contextmanager
def listening(progress: Listener | bool, total: int | None) -> Generator[Listener | None]:
    """Yield the callback to run after each poll: the caller's, a live board's, or `None`.

    Args:
        progress: The caller's argument.
        total: Number of distinct operations, if known in advance.

    Raises:
        ModuleNotFoundError: If a board in a terminal is asked for and Rich is not installed.
    """
    if not isinstance(progress, bool):
        yield progress
    elif not progress:
        yield None
    elif in_notebook():
        with below_cell(total) as listener:
            yield listener
    else:
        try:
            from .terminal import on_stderr
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "progress=True needs Rich: install nexus-operations[progress]", name=error.name
            ) from error
        with on_stderr(total) as listener:
            yield listener
