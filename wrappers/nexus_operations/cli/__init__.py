"""The command `nexus-operations`; it sees only the library's public names and its board."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command; say what to install where its extra is missing."""
    try:
        from ._app import app
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich"):
            raise
        sys.stderr.write("nexus-operations: the command needs the extra `cli`:\n")
        sys.stderr.write("  pip install 'nexus-operations[cli]'\n")
        raise SystemExit(2) from None
    app()
