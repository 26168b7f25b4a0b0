"""The live board in a terminal. Needs Rich."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Generator

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from .._core.statuses import status_of
from .._core.updates import Listener
from .board import REFRESH, Board, Row
from .words import clock

NARROW, MEDIUM, WIDE = 80, 110, 160
"""Columns of a terminal from which bars, whole ids, and units and messages are shown."""

SHORT_BAR, BAR = 10, 24
SHORTEST_ID, SHORT_ID = 12, 14
FEW_ROWS = 10
"""Rows if the height of the screen is not known."""


class TerminalBoard:
    """A board as something that Rich can draw."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the summary, and as many operations as there is room for."""
        room = max((options.max_height if console.is_terminal else FEW_ROWS + 3) - 3, 1)
        rows, hidden = self._board.rows(room)
        done, total, parts = self._board.summary()
        if total != 1:
            summary = Table.grid(padding=(0, 1))
            bar = _bar(done / max(total, 1), "bold", BAR if options.max_width >= NARROW else 6)
            summary.add_row(Text(f"{done} of {total} ended", style="bold"), bar, Text(parts))
            yield summary
        yield _table(rows, options.max_width)
        if hidden:
            dots = "..." if options.ascii_only else "…"
            yield Text(f"{dots} and {hidden} more", style="dim")


def _table(rows: list[Row], width: int) -> Table:
    """Return the rows as a table that fits a width in columns."""
    wide, bar_width = (
        width >= WIDE,
        None if width >= WIDE else BAR if width >= MEDIUM else SHORT_BAR,
    )
    table = Table.grid(padding=(0, 1), expand=wide)
    id_width = None if width >= MEDIUM else SHORT_ID if width >= NARROW else SHORTEST_ID
    table.add_column(no_wrap=True, overflow="ellipsis", max_width=id_width)
    table.add_column(no_wrap=True, overflow="ellipsis", max_width=16)
    if width >= NARROW:
        table.add_column(width=bar_width, ratio=2 if wide else None)
    table.add_column(no_wrap=True, overflow="ellipsis")
    table.add_column(no_wrap=True, justify="right")
    table.add_column(no_wrap=True, overflow="ellipsis")
    if wide:
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=3)
    now = time.monotonic()
    for row in rows:
        colour = status_of(row.status).colour
        cells: list[Text | ProgressBar] = [Text(row.op_id), Text(row.status, style=colour)]
        if width >= NARROW:
            cells.append(_bar(row.fraction, colour, bar_width))
        cells.append(Text(f"{row.counts} {row.unit}".rstrip() if wide else row.counts))
        cells.append(Text(clock(row.waited(now))))
        cells.append(Text(row.end(now), style="yellow" if row.note else ""))
        if wide:
            cells.append(Text(row.message, style="dim"))
        table.add_row(*cells)
    return table


def _bar(fraction: float, style: str, width: int | None) -> ProgressBar:
    """Return a bar in one style throughout; without a width it fills its column."""
    return ProgressBar(1.0, fraction, width, complete_style=style, finished_style=style)


def live_board(board: Board, console: Console, *, own_stdout: bool) -> Live:
    """Return a live display of a board; a context manager.

    Args:
        own_stdout: Whether what the program prints on standard output may be taken over, to appear
            above the board.
    """
    return Live(
        TerminalBoard(board),
        console=console,
        refresh_per_second=REFRESH,
        redirect_stdout=own_stdout,
        redirect_stderr=sys.stderr is not None and sys.stderr.isatty(),
    )


@contextlib.contextmanager
def on_stderr(total: int | None) -> Generator[Listener | None]:
    """Show a board on standard error if that is a terminal; nothing otherwise."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    board = Board(total)
    console = Console(stderr=True, force_jupyter=False)
    own_stdout = sys.stdout is not None and sys.stdout.isatty()
    with live_board(board, console, own_stdout=own_stdout):
        yield board.update
