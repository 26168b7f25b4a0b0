"""Waiting for ids as the command does it, and the exit code that comes of it."""

from __future__ import annotations

import os
import shlex
import sys
from typing import Any

import typer
from typer.core import TyperOption

from nexus_operations import Outcome

from ._options import Where
from ._report import End, Lines, LiveBoard, Reporter, end_of

FINISHED, UNSUCCESSFUL, USAGE, RUNNING, TROUBLE, INTERRUPTED = 0, 1, 2, 3, 4, 130
CODES: dict[End, int] = {
    "finished": FINISHED,
    "running": RUNNING,
    "errored": UNSUCCESSFUL,
    "cancelled": UNSUCCESSFUL,
    "failed": TROUBLE,
}
GRAVEST_FIRST = (TROUBLE, UNSUCCESSFUL, RUNNING, FINISHED)
IDS_ON_A_LINE = 20
"""More ids than this are not repeated as arguments, but one a line, for standard input."""


def exit_code(outcomes: list[Outcome]) -> int:
    """Return the code of the gravest outcome."""
    codes = {CODES[end_of(outcome)] for outcome in outcomes}
    return next(code for code in GRAVEST_FIRST if code in codes or code == FINISHED)


def wants_board() -> bool:
    """Return whether a person is looking at standard output."""
    return sys.stdout.isatty() and not os.environ.get("CI") and os.environ.get("TERM") != "dumb"


def wait(
    context: typer.Context,
    where: Where,
    op_ids: list[str],
    reporter: Reporter,
    client_options: dict[str, Any],
    bounds: dict[str, Any],
) -> None:
    """Wait for operations, report, and exit with the code for what they ended in."""
    project_id = where.project_id()
    try:
        client = where.connect(**client_options)
        operations = client.get_project(project_id).operations
        iteration = operations.as_completed(
            op_ids, raise_exception_if=None, progress=reporter.update, **bounds
        )
    except (ValueError, TypeError) as error:
        raise typer.BadParameter(str(error)) from None
    outcomes: dict[str, Outcome] = {}
    try:
        with client, reporter:
            for outcome in iteration:
                outcomes[outcome.op_id] = outcome
                reporter.outcome(outcome)
    except (KeyboardInterrupt, BrokenPipeError) as interruption:
        if isinstance(interruption, BrokenPipeError):
            # Nobody reads on (`| head`): what Python would still flush goes nowhere.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        pending = [op_id for op_id in op_ids if op_id not in outcomes]
        tell_how_to_go_on(context, pending)
        raise typer.Exit(INTERRUPTED) from None
    raise typer.Exit(exit_code(list(outcomes.values())))


def reporter_for(total: int, *, every_change: bool, json: bool) -> Reporter:
    """Return what shows a wait here."""
    if not json and wants_board():
        return LiveBoard(total)
    return Lines(every_change=every_change, json=json, instants=True)


def tell_how_to_go_on(context: typer.Context, pending: list[str]) -> None:
    """Print the ids still waited for, and the command that takes the wait up again."""
    words = ["nexus-operations", context.info_name or "wait"]
    for parameter in context.command.params:
        if not isinstance(parameter, TyperOption) or parameter.name is None:
            continue
        source = context.get_parameter_source(parameter.name)
        if source is None or source.name != "COMMANDLINE":
            continue
        value = context.params[parameter.name]
        words += [parameter.opts[0]] if parameter.is_flag else [parameter.opts[0], str(value)]
    many = len(pending) > IDS_ON_A_LINE
    words += ["-"] if many else pending
    tell = sys.stderr.write
    tell(f"\nInterrupted. Still running: {len(pending)}\n")
    for op_id in pending:
        tell(f"  {op_id}\n")
    tell("To take the wait up again" + (", with these ids on standard input:\n" if many else ":\n"))
    tell(f"  {shlex.join(words)}\n")
