"""The command `nexus-operations`. It uses the library's public names, its board and its escapes."""

from __future__ import annotations

import sys

__all__ = ["main"]

INSTALL = (
    "nexus-operations: the command needs the extra `cli`: pip install 'nexus-operations[cli]'\n"
)


def main() -> None:
    """Run the command and exit with its code; say what to install if its extra is missing."""
    try:
        from ._main import run

        code = run(sys.argv[1:])
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich"):
            raise
        sys.stderr.write(INSTALL)
        code = 2
    except KeyboardInterrupt:  # while modules are loaded
        code = 130
    raise SystemExit(code)
