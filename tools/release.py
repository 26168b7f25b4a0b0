"""Check that what `make wheel` built may be published, and say how. Run by `make release`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from nexus_operations import __version__

ROOT = Path(__file__).parent.parent
BAD, GOOD = 1, 0


def git(*arguments: str) -> str:
    """Return what git prints."""
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def problems() -> list[str]:
    """Return what is in the way of a release."""
    found: list[str] = []
    changelog = (ROOT / "CHANGELOG.md").read_text()
    if not re.search(
        rf"^## {re.escape(__version__)} \(\d{{4}}-\d\d-\d\d\)$", changelog, re.MULTILINE
    ):
        found.append(f"CHANGELOG.md has no heading `## {__version__} (YYYY-MM-DD)`")
    if git("status", "--porcelain"):
        found.append("the working tree has changes that are not committed")
    if f"v{__version__}" in git("tag").splitlines():
        found.append(f"the tag v{__version__} exists; raise __version__ in _version.py")
    built = sorted(path.name for path in (ROOT / "dist").glob("*"))
    expected = [
        f"nexus_operations-{__version__}-py3-none-any.whl",
        f"nexus_operations-{__version__}.tar.gz",
    ]
    if built != expected:
        found.append(f"dist/ holds {', '.join(built) or 'nothing'}, not {', '.join(expected)}")
    return found


def main() -> int:
    """Print the problems, or the next steps."""
    found = problems()
    for problem in found:
        print(f"not ready: {problem}", file=sys.stderr)
    if found:
        return BAD
    print(f"Version {__version__} is ready. To publish it:")
    print(f"  git tag v{__version__} && git push origin v{__version__}")
    print("  uvx twine upload dist/*")
    return GOOD


if __name__ == "__main__":
    sys.exit(main())
