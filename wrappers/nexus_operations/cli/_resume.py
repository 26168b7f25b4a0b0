"""The line that resumes an interrupted wait: what was typed, with the waits that had not ended.

Each stands there as its state in JSON, so that its bounds count on from where they were.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nexus_operations import WaitState

from ._ids import word_of
from ._output import complain

AS_ARGUMENTS = 20
"""More waits than this are given on standard input."""


def tell_how_to_resume(
    command: Any, pending: Sequence[str | WaitState], *, more_to_come: bool
) -> None:
    """Print how many operations still run, and the command that goes on waiting for them.

    Args:
        command: The command that was run, for its options.
        pending: The waits that had not ended; an id is one that had not begun.
        more_to_come: Whether standard input had not been read to its end.
    """
    words = shlex.join([*_program(), *_without_ids(sys.argv[1:], command)])
    complain(f"\nInterrupted. Still waited for: {len(pending)}")
    if more_to_come:
        complain("Ids that had not yet been read from standard input are not among them.")
    if not pending:
        return
    complain("To resume:")
    waits = [word_of(wait) for wait in pending]
    if len(waits) > AS_ARGUMENTS:
        complain("\n".join([f"{words} - <<'END'", *waits, "END"]))
    else:
        if any(wait.startswith("-") for wait in waits):
            waits.insert(0, "--")  # an id is no option
        complain(f"  {words} {shlex.join(waits)}")


def _program() -> list[str]:
    """Return how the command was started."""
    if Path(sys.argv[0]).name.startswith("nexus-operations"):
        return ["nexus-operations"]
    return [sys.executable, "-m", "nexus_operations"]


def _without_ids(arguments: list[str], command: Any) -> list[str]:
    """Return the arguments as typed, but for the ids."""
    takes_value = {
        name
        for parameter in command.params
        if not getattr(parameter, "is_flag", True)
        for name in (*parameter.opts, *parameter.secondary_opts)
    }
    kept: list[str] = []
    named = False
    rest = iter(arguments)
    for word in rest:
        if word == "--":
            break
        if word.startswith("-") and word != "-":
            kept.append(word)
            if word in takes_value:
                kept.append(next(rest, ""))
        elif not named:  # the command's name
            named = True
            kept.append(word)
    return kept
