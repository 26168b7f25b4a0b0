"""Compare the public names with those of the last tag. Run by `make check-api`.

python -m tools.check_api [REVISION]
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import griffe

ROOT = Path(__file__).parent.parent
PACKAGE = "nexus_operations"
FOLDERS = ["wrappers", "generated"]


def last_tag() -> str | None:
    """Return the newest tag of a version that this revision descends from."""
    command = ["git", "describe", "--tags", "--abbrev=0", "--match", "v*"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


def breakages(revision: str) -> list[str]:
    """Return what changed incompatibly since a revision, a line each."""
    options = {"resolve_aliases": True, "resolve_external": False}
    old = griffe.load_git(PACKAGE, ref=revision, repo=ROOT, search_paths=FOLDERS, **options)
    folders = [ROOT / folder for folder in FOLDERS]
    new = griffe.load(PACKAGE, search_paths=folders, **options)
    found = griffe.find_breaking_changes(old, new)  # type: ignore[arg-type]
    return [breakage.explain(griffe.ExplanationStyle.ONE_LINE) for breakage in found]


def main() -> int:
    """Print the incompatible changes; return 1 if there are any."""
    revision = sys.argv[1] if len(sys.argv) > 1 else last_tag()
    if revision is None:
        print("No version is tagged yet: nothing to compare with.")
        return 0
    found = breakages(revision)
    for line in found:
        print(line)
    print(f"{len(found)} incompatible changes since {revision}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
