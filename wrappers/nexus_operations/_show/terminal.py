"""The live board in a terminal. Needs Rich."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Generator

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from .._core.statuses import status_of
from .._core.updates import Listener
from .board import REFRESH, Board, Row
from .words import clock

WIDE = 160
"""Columns of a terminal from which units and messages are shown."""

RESERVED = {"id": 39, "status": 9, "bar": 24, "counts": 15, "elapsed": 7, "end": 23}
"""Columns that a field has if there is room, so that the board does not jump as texts change."""

GIVE_WAY = (
    ("message", 10),
    ("bar", 10),
    ("id", 14),
    ("counts", 9),
    ("bar", 0),
    ("id", 11),
    ("end", 8),
)
"""Which field is shortened first if there is no room, and to how many columns."""

LONGEST_STATUS = 16
SUMMARY_BAR = 24
FIELDS = ("id", "status", "bar", "counts", "unit", "elapsed", "end", "message")
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
            bar = _bar(done / max(total, 1), "bold", SUMMARY_BAR if options.max_width >= 80 else 6)
            summary.add_row(Text(f"{done} of {total} ended", style="bold"), bar, Text(parts))
            yield summary
        yield _table(rows, options.max_width)
        if hidden:
            dots = "..." if options.ascii_only else "…"
            yield Text(f"{dots} and {hidden} more", style="dim")


def _table(rows: list[Row], width: int) -> Table:
    """Return the rows as a table that fits a width in columns."""
    now = time.monotonic()
    texts = [_texts(row, now) for row in rows]
    widths = _widths(texts, width)
    table = Table.grid(padding=(0, 1))
    for name, columns in widths.items():
        right = name == "elapsed"
        table.add_column(
            width=columns, no_wrap=True, overflow="ellipsis", justify="right" if right else "left"
        )
    for row, fields in zip(rows, texts, strict=True):
        colour = status_of(row.status).colour
        styles = {"status": colour, "end": "yellow" if row.note else "", "message": "dim"}
        cells: list[Text | ProgressBar] = [
            _bar(row.fraction, colour, columns)
            if name == "bar"
            else Text(fields[name], style=styles.get(name, ""))
            for name, columns in widths.items()
        ]
        table.add_row(*cells)
    return table


def _texts(row: Row, now: float) -> dict[str, str]:
    """Return a row's fields as they are shown; the bar is drawn, not written."""
    return {
        "id": row.op_id,
        "status": row.status[:LONGEST_STATUS],
        "bar": "",
        "counts": row.counts,
        "unit": row.unit,
        "elapsed": clock(row.waited(now)),
        "end": row.end(now),
        "message": row.message,
    }


def _widths(texts: list[dict[str, str]], width: int) -> dict[str, int]:
    """Return the fields that are shown, and how many columns each has."""
    shown = [name for name in FIELDS if width >= WIDE or name in RESERVED]
    widths = {
        name: max(RESERVED.get(name, 0), *(cell_len(fields[name]) for fields in texts), 0)
        for name in shown
    }
    for name, least in GIVE_WAY:
        missing = sum(widths.values()) + len(widths) - 1 - width
        if missing > 0 and name in widths:
            widths[name] = max(widths[name] - missing, min(least, widths[name]))
            if widths[name] == 0:
                del widths[name]
    spare = width - sum(widths.values()) - len(widths) + 1
    if width >= WIDE and spare > 0:
        widths["bar"] += spare
    return widths


def _bar(fraction: float, style: str, width: int) -> ProgressBar:
    """Return a bar in one style throughout."""
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
