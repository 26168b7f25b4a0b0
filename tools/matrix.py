"""Run the tests against the built wheel, on every installed Python that the classifiers name.

Run by `make test-matrix`. Each Python gets an environment of its own with the locked tools and the
wheel, not the working tree; a Python that is not installed is named and skipped.

    python -m tools.matrix [PYTEST ARGUMENT …]
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
CLASSIFIER = re.compile(r"Programming Language :: Python :: (3\.\d+)")


def versions() -> list[str]:
    """Return the versions of Python that the classifiers name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [found[1] for line in project["classifiers"] if (found := CLASSIFIER.fullmatch(line))]


def run(*command: str | Path) -> int:
    """Run a command in the repository; return its exit code."""
    return subprocess.run([str(word) for word in command], cwd=ROOT, check=False).returncode


def build(folder: Path) -> Path:
    """Build the wheel into a folder; return its path."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    (wheel,) = folder.glob("*.whl")
    return wheel


def test(python: str, wheel: Path, folder: Path, arguments: list[str]) -> bool:
    """Run the tests with one Python; return whether they passed."""
    pip = [folder / "bin/python", "-m", "pip", "install", "-qq", "--no-compile"]
    return not (
        run(python, "-m", "venv", folder)
        or run(*pip, "--require-hashes", "-r", ROOT / "requirements/dev.txt")
        or run(*pip, "--no-deps", wheel)
        or run(folder / "bin/python", "-P", "-m", "pytest", "-n", "auto", "-q", *arguments)
    )


def main() -> int:
    """Test all; return 1 if the tests failed with one, or no Python was found."""
    results: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as name:
        wheel = build(Path(name) / "dist")
        for version in versions():
            python = shutil.which(f"python{version}")
            if python is None:
                results[version] = "not installed"
                continue
            print(f"Python {version}: installing the tools and {wheel.name} …", flush=True)
            passed = test(python, wheel, Path(name) / version, sys.argv[1:])
            results[version] = "passed" if passed else "FAILED"
    for version, result in results.items():
        print(f"Python {version}: {result}")
    return 0 if {"passed"} <= set(results.values()) <= {"passed", "not installed"} else 1


if __name__ == "__main__":
    sys.exit(main())
