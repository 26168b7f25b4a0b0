"""The live board below a notebook's cell, as HTML that is replaced: no widgets, no Rich."""

from __future__ import annotations

import contextlib
import html
import sys
import time
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from .._core.models import TABLE, html_badge, html_bar
from .board import REFRESH, Board
from .words import clock

if TYPE_CHECKING:
    from .._core.updates import Listener, Update

MAX_ROWS = 50
"""Rows in a cell; more would push what follows out of sight."""

LEFT = "text-align:left;white-space:nowrap"


def in_notebook() -> bool:
    """Return whether this runs in a notebook's kernel."""
    ipython: Any = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None


@contextlib.contextmanager
def below_cell(total: int | None) -> Generator[Listener]:
    """Show a board below the notebook's cell while the block runs."""
    board = Board(total)
    display: Any = sys.modules["IPython"].display
    handle = display.display(display.HTML(page_of(board)), display_id=True)
    shown = time.monotonic()

    def listener(update: Update) -> None:
        nonlocal shown
        board.update(update)
        if time.monotonic() - shown >= 1 / REFRESH:
            shown = time.monotonic()
            handle.update(display.HTML(page_of(board)))

    try:
        yield listener
    finally:
        handle.update(display.HTML(page_of(board)))


def page_of(board: Board) -> str:
    """Return a board as HTML: as wide as the cell, in the theme's own text colour."""
    rows, hidden = board.rows(MAX_ROWS)
    done, total, parts = board.summary()
    now = time.monotonic()
    lines = [
        "<tr>"
        f'<td style="{LEFT};font-family:monospace">{html.escape(row.op_id)}</td>'
        f'<td style="{LEFT}">{html_badge(row.status)}</td>'
        f'<td style="width:100%;min-width:6em">{html_bar(row.fraction, row.status)}</td>'
        f'<td style="{LEFT}">{html.escape(row.counts)}</td>'
        f'<td style="{LEFT}">{clock(row.waited(now))}</td>'
        f'<td style="{LEFT}">{html.escape(row.end(now))}</td></tr>'
        for row in rows
    ]
    head = "" if total == 1 else f"<strong>{done} of {total} ended</strong> {html.escape(parts)}"
    more = f"… and {hidden} more" if hidden else ""
    return (
        f'<div style="overflow-x:auto;width:100%">{head}'
        f'<table style="{TABLE}">{"".join(lines)}</table>{more}</div>'
    )
