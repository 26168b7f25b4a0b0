"""Waiting for ids as the command does it, and the exit code that comes of it."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, cast

import typer

from nexus_operations import Interruption, Outcome, Update, load_durations, save_durations

from ._codes import FINISHED, RUNNING, exit_code
from ._ids import Ids
from ._options import Where
from ._output import complain
from ._report import Lines, LiveBoard, Reporter
from ._resume import tell_how_to_resume


def wait(
    context: typer.Context,
    where: Where,
    words: list[str] | None,
    reporter_for: Callable[[int | None], Reporter],
    client_options: dict[str, Any],
    bounds: dict[str, Any],
    *,
    running_is_fine: bool = False,
    durations_file: Path | None = None,
) -> None:
    """Wait for operations, report, and exit with the code for what they ended in.

    Args:
        reporter_for: Returns what shows a wait for a number of operations, if that is known.
        running_is_fine: Whether an operation that still runs is no reason for a code of its own.
        durations_file: Where durations are remembered, or `None`.
    """
    project_id = where.project_id()
    ids = Ids(words)
    reporter = reporter_for(None if ids.known is None else len(ids.known))
    ids.on_complete = reporter.set_total
    polled = False

    def listener(update: Update) -> None:
        nonlocal polled
        polled = True
        reporter.update(update)

    outcomes: dict[str, Outcome] = {}
    interruption: Interruption | None = None

    def end(outcome: Outcome) -> None:
        outcomes[outcome.op_id] = outcome
        reporter.outcome(outcome)

    ids.on_refused = lambda word, error: end(Outcome(word, None, error))
    durations = None if durations_file is None else load_durations(durations_file)
    try:
        client = where.connect(**client_options, durations=durations)
        operations = client.get_project(project_id).operations
        iteration = operations.as_completed(
            ids.known or ids,
            raise_exception_if=None,
            progress=listener,
            **bounds,
        )
    except (ValueError, TypeError) as error:
        raise typer.BadParameter(str(error)) from None
    try:
        with client, reporter, contextlib.closing(cast("Any", iteration)):
            for outcome in iteration:
                try:
                    end(outcome)
                except Exception:
                    interruption = _interrupted(cast("Any", iteration))
                    raise
    except BaseException as error:
        if isinstance(error, (ValueError, TypeError)) and not polled:
            # About the environment: a proxy, a certificate.
            raise typer.BadParameter(str(error)) from None
        if polled or not isinstance(error, typer.BadParameter):
            interruption = Interruption.from_error(error) or interruption
            pending = ids.pending(outcomes) if interruption is None else interruption.states
            complete = ids.known is not None or ids.complete
            tell_how_to_resume(context.command, pending, more_to_come=not complete)
        if reporter.failure is not None:
            raise reporter.failure from None
        raise
    finally:
        if durations_file is not None and durations:
            save_durations(durations, durations_file)
    if not outcomes:
        complain("no ids on standard input: nothing to wait for")
    code = exit_code(outcomes.values())
    raise typer.Exit(FINISHED if code == RUNNING and running_is_fine else code)


def _interrupted(iteration: Generator[Outcome]) -> Interruption | None:
    """Return how far an iteration has come, and end it."""
    found: Interruption | None = None
    try:
        iteration.throw(KeyboardInterrupt())
    except KeyboardInterrupt as error:
        found = Interruption.from_error(error)
    return found


def wants_board() -> bool:
    """Return whether a person is looking at standard output."""
    return (
        sys.stdout is not None
        and sys.stdout.isatty()
        and not os.environ.get("CI")
        and os.environ.get("TERM") != "dumb"
    )


def show_wait(
    *, every_change: bool, json: bool, heartbeat: float | None
) -> Callable[[int | None], Reporter]:
    """Return what makes the reporter of a wait."""
    if not json and wants_board():
        return LiveBoard
    return lambda _: Lines(every_change=every_change, json=json, heartbeat=heartbeat)
