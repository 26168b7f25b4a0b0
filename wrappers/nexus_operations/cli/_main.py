"""From arguments to an exit code, whatever happens on the way.

The codes: 0 to 4 say what operations ended in, 70 is a defect of the command, 74 is output that
cannot be written, and 128 plus a signal's number is that signal (130 for Ctrl-C).
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from types import FrameType
from typing import Any

import typer
from typer.main import get_command

from nexus_operations._core.text import escape_text

from ._app import app
from ._codes import DEFECT, INTERRUPTED, NO_OUTPUT, SIGNALLED, USAGE
from ._output import OutputError, complain, discard_output, flush_output, prepare_streams

NAME = "nexus-operations"
SHOW_CURSOR = "\x1b[?25h"
STOPS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
"""Signals that end the command as Ctrl-C does, unless they are ignored (`nohup`)."""

UNWRITABLE = (28, 5, 9)  # ENOSPC, EIO, EBADF

_received = 0


def _stop(number: int, _: FrameType | None) -> None:
    """Note the signal and interrupt whatever runs."""
    global _received
    _received = number
    for each in (*STOPS, signal.SIGINT):
        signal.signal(each, _stop_now)
    raise KeyboardInterrupt(number)


def _stop_now(number: int, _: FrameType | None) -> None:
    """End at once: the second signal, while the first is being obeyed."""
    if sys.stdout is not None and sys.stdout.isatty():
        os.write(1, SHOW_CURSOR.encode())
    os._exit(SIGNALLED + number)


def run(arguments: list[str]) -> int:
    """Run the command; return its exit code."""
    prepare_streams()
    for number in (*STOPS, signal.SIGINT):
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, _stop)
    debug = "--debug" in arguments
    try:
        code = _invoke([word for word in arguments if word != "--debug"])
        flush_output()
    except KeyboardInterrupt:
        code = INTERRUPTED
    except OutputError as error:
        code = report_unwritable(error)
    except Exception as error:  # noqa: BLE001  (a defect: it gets a code and a line of its own)
        code = report_defect(error, debug=debug)
    return SIGNALLED + _received if code == INTERRUPTED and _received else code


def _invoke(arguments: list[str]) -> int:
    """Parse the arguments, run the command that they name, and return its exit code."""
    command: Any = get_command(app)
    try:
        result = command.main(arguments, prog_name=NAME, standalone_mode=False)
    except (typer.Abort, EOFError):
        return INTERRUPTED
    except SystemExit as ended:
        # Typer's own: help that nobody reads, else what its completion says.
        abandoned = ended.code == 1 and f"_{NAME}_COMPLETE".upper() not in os.environ
        if abandoned:
            discard_output()
        return INTERRUPTED if abandoned else int(ended.code or 0)
    except OSError as error:
        if error.errno in UNWRITABLE:
            raise OutputError(error) from None
        raise
    except Exception as error:
        if not isinstance(error, usage_errors()):
            raise
        complain(_usage(error))
        return USAGE
    return result if isinstance(result, int) else 0


def usage_errors() -> tuple[type[Exception], ...]:
    """Return the base class of the errors in arguments, which Typer does not export."""
    bases = [base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException"]
    return tuple(bases)


def _usage(error: Any) -> str:
    """Return what is wrong with the arguments, and where to read on."""
    if type(error).__name__ == "NoArgsIsHelpError":
        return str(error.format_message())
    context = getattr(error, "ctx", None)
    path = NAME if context is None else context.command_path
    return f"{path}: {escape_text(error.format_message())} (see {path} --help)"


def report_unwritable(error: OutputError) -> int:
    """Say that standard output cannot be written; return the exit code."""
    if error.abandoned:
        return INTERRUPTED
    complain(f"{NAME}: standard output cannot be written: {error}")
    return NO_OUTPUT


def report_defect(error: BaseException, *, debug: bool) -> int:
    """Say that the command itself failed, in a line; return the exit code."""
    if debug:
        complain("".join(traceback.format_exception(error)).rstrip())
    what = escape_text(f"{type(error).__name__}: {error}")
    hint = "" if debug else " (--debug shows where)"
    complain(f"{NAME}: internal error, which says nothing about the operations: {what}{hint}")
    return DEFECT
