"""Tell what changed in the contract, and whether it breaks callers of the generated client.

    python openapi/diff_contract.py BASE                   the document, since a git revision
    python openapi/diff_contract.py --old OLD --new NEW    one document and another

Prints a line for each change: `BREAKING` or `ok`, where, and what. Exit status 0 (no caller
breaks), 1 (one breaks), 2 (it cannot tell: the line says where, and why). The rules are in
`difference/`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from difference.document import CannotTellError, Document, load, read
from difference.operations import Differ

DOCUMENT = Path(__file__).resolve().parent / "operations.yaml"


def since(base: str) -> Document:
    """Return the document at a git revision."""
    command = ["git", "show", f"{base}:./{DOCUMENT.name}"]
    old = subprocess.run(
        command, cwd=DOCUMENT.parent, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
    )
    if old.returncode:
        raise CannotTellError(base, f"git has no {DOCUMENT.name} at this revision")
    return load(old.stdout, f"{DOCUMENT.name} at {base}")


def main() -> int:
    """Print the changes; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("base", nargs="?", help="the git revision to compare with")
    parser.add_argument("--old", type=Path, help="the document as it was")
    parser.add_argument("--new", type=Path, help="the document as it is")
    chosen = parser.parse_args()
    if bool(chosen.base) == bool(chosen.old) or bool(chosen.old) != bool(chosen.new):
        parser.error("name a git revision, or both --old and --new")
    try:
        old = read(chosen.old) if chosen.old else since(chosen.base)
        new = read(chosen.new or DOCUMENT)
        changes = list(Differ(old, new).run())
    except CannotTellError as error:
        print(f"cannot tell: {error}")
        return 2
    except RecursionError:
        print("cannot tell: the document is nested too deeply")
        return 2
    except Exception as error:  # noqa: BLE001  (no traceback: 1 would mean that callers break)
        print(f"cannot tell: {chosen.new or DOCUMENT}: {type(error).__name__}: {error}")
        return 2
    for change in changes:
        print(f"{'BREAKING' if change.breaking else 'ok      '}  {change.where}: {change.what}")
    if not changes:
        print(f"the contract is that of {chosen.old or chosen.base}")
    return int(any(change.breaking for change in changes))


if __name__ == "__main__":
    sys.exit(main())
