"""The live board, a row an operation, in a terminal and in a notebook. Needs Rich."""

from __future__ import annotations

import contextlib
import io
import math
import sys
import threading
import time
from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from .._core.models import TERMINAL_STATUSES, Operation
from .._core.updates import Listener, Update

STYLES = {"Finished": "green", "Running": "blue", "Errored": "red", "Cancelled": "yellow"}
BAR_WIDTH = 24
NARROW = 110
"""Columns of a terminal below which ids and bars are shortened, so that the rest can be read."""

SHORT_BAR_WIDTH = 10
SHORT_ID_WIDTH = 14
FEW_ROWS = 10
"""Rows where the height of the screen is not known."""

REFRESH = 4.0
"""Redraws per second, at most."""

WIDEST = 30.0
"""A predicted end is not told if its latest instant is more than so many times the earliest."""

NARROWEST = 1.3
"""It is told as one number if it is less than so many times."""

NOTEBOOK_WIDTH = 120
PAGE = '<pre style="line-height:normal;font-family:monospace">{code}</pre>'


@dataclass(slots=True)
class Row:
    """One operation on the board, as of its last poll."""

    op_id: str
    at: float
    elapsed: float
    status: str = "…"
    fraction: float = 0.0
    counts: str = ""
    remaining: tuple[float, float] | None = None
    note: str = ""
    over: bool = False


class Board:
    """What is known of a set of waits, as something Rich can draw; safe to share between threads.

    Args:
        total: How many operations there are, where that is known.
    """

    def __init__(self, total: int | None = None) -> None:
        self._total = total
        self._lock = threading.Lock()
        self._rows: dict[str, Row] = {}
        self._ended: Counter[str] = Counter()

    def update(self, update: Update) -> None:
        """Take in what a poll found."""
        now = time.monotonic()
        with self._lock:
            row = self._rows.setdefault(update.op_id, Row(update.op_id, now, update.elapsed))
            row.at, row.elapsed = now, update.elapsed
            row.remaining = update.remaining_range
            row.over = update.next_poll is None
            if update.operation is not None:
                row.status = update.operation.status.overview
                row.fraction = update.operation.fraction_done
                row.counts = counts_of(update.operation)
                row.note = ""
            elif update.error is not None:
                row.note = trouble_of(update)
            if row.over:
                ended = row.status if row.status in TERMINAL_STATUSES else "still running"
                self._ended["failed" if update.error is not None else ended] += 1

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the summary, and as many operations as there is room for: running ones first."""
        room = max((options.max_height if console.is_terminal else FEW_ROWS + 3) - 3, 1)
        with self._lock:
            rows = list(self._rows.values())
            ended = Counter(self._ended)
        total = len(rows) if self._total is None else self._total
        if total != 1:
            yield self._summary(total, ended)
        rows.sort(key=lambda row: row.over)
        yield self._table(rows[:room], narrow=options.max_width < NARROW)
        if len(rows) > room:
            yield Text(f"… and {len(rows) - room} more", style="dim")

    def _summary(self, total: int, ended: Counter[str]) -> Table:
        table = Table.grid(padding=(0, 1))
        done = sum(ended.values())
        parts = ", ".join(f"{count} {name}" for name, count in sorted(ended.items()))
        bar = bar_of(done, max(total, 1), "bold", BAR_WIDTH)
        table.add_row(Text(f"{done} of {total} ended", style="bold"), bar, Text(parts))
        return table

    def _table(self, rows: list[Row], *, narrow: bool) -> Table:
        width = SHORT_BAR_WIDTH if narrow else BAR_WIDTH
        table = Table.grid(padding=(0, 1))
        table.add_column(
            no_wrap=True, overflow="ellipsis", max_width=SHORT_ID_WIDTH if narrow else None
        )
        table.add_column(no_wrap=True)
        table.add_column(width=width)
        table.add_column(no_wrap=True, overflow="ellipsis")
        table.add_column(no_wrap=True, justify="right")
        table.add_column(no_wrap=True, overflow="ellipsis")
        now = time.monotonic()
        for row in rows:
            since = 0.0 if row.over else now - row.at
            style = STYLES.get(row.status, "magenta")
            table.add_row(
                Text(row.op_id),
                Text(row.status, style=style),
                bar_of(row.fraction, 1.0, style, width),
                Text(row.counts),
                Text(duration(row.elapsed + since)),
                Text(row.note, style="yellow") if row.note else Text(ends(row, since)),
            )
        return table


def bar_of(completed: float, total: float, style: str, width: int) -> ProgressBar:
    """Return a bar in one style throughout."""
    return ProgressBar(total, completed, width, complete_style=style, finished_style=style)


def counts_of(operation: Operation) -> str:
    """Return the counts by status in a few words."""
    counts = operation.status.progress.with_status
    failed = [(counts.Errored, "errored"), (counts.Cancelled, "cancelled")]
    parts = [f"{counts.Finished}/{operation.units}", *(f"{n} {word}" for n, word in failed if n)]
    return " ".join(parts)


def trouble_of(update: Update) -> str:
    """Return a failed poll in a few words."""
    assert update.error is not None
    status = update.error.status_code
    what = f"HTTP {status}" if status is not None else type(update.error).__name__
    return what if update.next_poll is None else f"{what}, retry in {duration(update.next_poll)}"


def ends(row: Row, since: float) -> str:
    """Return when the operation is expected to end."""
    if row.over or row.remaining is None:
        return ""
    low, high = row.remaining
    return ends_in((max(low - since, 0.0), max(high - since, 0.0)))


def ends_in(remaining: tuple[float, float] | None) -> str:
    """Return a predicted end in words as exact as it is known, or "" without a useful one."""
    if remaining is None:
        return ""
    low, high = remaining
    if high < 1.0:
        return "ends at any moment"
    if high > WIDEST * max(low, 1.0):
        return ""
    near, far = roughly(low), roughly(high)
    if near == far or high < NARROWEST * low:
        return f"ends in about {roughly(math.sqrt(low * high))}"
    number, _, unit = near.partition(" ")
    near = number if far.endswith(f" {unit}") else near
    return f"ends in {near} to {far}"


def roughly(seconds: float) -> str:
    """Return seconds in one unit and two digits at most."""
    for size, unit in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 1.5 * size:
            return f"{_two_digits(seconds / size)} {unit}"
    return f"{_two_digits(seconds)} s"


def _two_digits(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0") if number < 3 else str(round(float(f"{number:.2g}")))


def duration(seconds: float) -> str:
    """Return seconds as hours, minutes and seconds."""
    return str(timedelta(seconds=round(seconds)))


@contextlib.contextmanager
def live(total: int | None) -> Generator[Listener | None]:
    """Show a board on standard error or in the notebook's cell; nothing where there is neither."""
    board = Board(total)
    console = Console(stderr=True, force_jupyter=False)
    if in_notebook():
        with _cell(board) as notify:
            yield notify
    elif console.is_terminal:
        with Live(board, console=console, refresh_per_second=REFRESH):
            yield board.update
    else:
        yield None


def in_notebook() -> bool:
    """Return whether this runs in a notebook's kernel."""
    ipython: Any = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None


@contextlib.contextmanager
def _cell(board: Board) -> Generator[Listener]:
    """Show a board below a notebook's cell, without widgets: its HTML is replaced."""
    display: Any = sys.modules["IPython"].display
    handle = display.display(display.HTML(page_of(board)), display_id=True)
    shown = time.monotonic()

    def notify(update: Update) -> None:
        nonlocal shown
        board.update(update)
        if time.monotonic() - shown >= 1 / REFRESH:
            shown = time.monotonic()
            handle.update(display.HTML(page_of(board)))

    try:
        yield notify
    finally:
        handle.update(display.HTML(page_of(board)))


def page_of(board: Board) -> str:
    """Return a board as HTML."""
    console = Console(
        record=True,
        file=io.StringIO(),
        width=NOTEBOOK_WIDTH,
        force_jupyter=False,
        legacy_windows=False,
    )
    console.print(board)
    return console.export_html(inline_styles=True, code_format=PAGE)
