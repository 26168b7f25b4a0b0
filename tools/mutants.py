"""Mutation testing: does the suite notice a change in one spot? Run by `make mutants`.

    python -m tools.mutants [--jobs 2] [--parts _core,_http,_wait,_loops] [--sample 300]

mutmut wants its sources below `src/`, so the library is copied to a folder laid out so. Prints the
score and every change that no test noticed; `docs/mutants.md` gives the reason for each.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
WORK = ROOT / "mutants"
PARTS = ("_core", "_http", "_wait", "_loops")
"""Folders and modules that are changed."""

TESTS = [
    "arguments",
    "connections",
    "durations",
    "environment",
    "errors",
    "exchange",
    "fleet",
    "intake",
    "limiter",
    "memory",
    "models",
    "polling",
    "polling_record",
    "promises_arguments",
    "promises_clocks",
    "promises_environment",
    "promises_errors",
    "promises_harmless",
    "promises_identity",
    "promises_ids",
    "promises_odd_answers",
    "promises_requests",
    "promises_resume",
    "promises_retry_after",
    "promises_statuses",
    "responses",
    "schedule",
    "schedule_record",
    "tracing",
    "transport",
    "waiting",
    "wire",
]
"""Tests that are run on each change: those of the promises that take time are left out."""

GOAL = 92.0

CONFIG = """
[tool.mutmut]
source_paths = ["src"]
only_mutate = [{modules}]
also_copy = ["benchmarks"]
pytest_add_cli_args_test_selection = [{tests}]
pytest_add_cli_args = ["-x", "-q", "-p", "no:cacheprovider", "-k", "not microseconds"]

[tool.pytest.ini_options]
pythonpath = ["."]
"""


def quoted(names: list[str]) -> str:
    """Return names as the items of a TOML list."""
    return ", ".join(f'"{name}"' for name in names)


def modules_of(parts: list[str]) -> list[str]:
    """Return the files of some parts, as they are laid out."""
    package = ROOT / "wrappers/nexus_operations"
    found: list[Path] = []
    for part in parts:
        folder = package / part
        found += sorted(folder.rglob("*.py")) if folder.is_dir() else [package / f"{part}.py"]
    return [f"src/nexus_operations/{path.relative_to(package)}" for path in found]


def lay_out(parts: list[str]) -> None:
    """Copy what is mutated and what tests it."""
    shutil.rmtree(WORK, ignore_errors=True)
    ignore = shutil.ignore_patterns("__pycache__")
    for package in ("wrappers/nexus_operations", "generated/nexus_operations_api"):
        shutil.copytree(ROOT / package, WORK / "src" / Path(package).name, ignore=ignore)
    for folder in ("tests", "benchmarks"):
        shutil.copytree(ROOT / folder, WORK / folder, ignore=ignore)
    tests = [f"tests/test_{name}.py" for name in TESTS]
    config = CONFIG.format(modules=quoted(modules_of(parts)), tests=quoted(tests))
    (WORK / "pyproject.toml").write_text(config)
    # Python does not look again into a folder that was missing when it started.
    (WORK / "mutants/src").mkdir(parents=True)


def mutmut(*arguments: str) -> str:
    """Run mutmut in the folder; return what it printed."""
    path = os.pathsep.join([str(WORK / "mutants/src"), str(WORK / "mutants")])
    command = [sys.executable, "-m", "mutmut", *arguments]
    environment = {**os.environ, "PYTHONPATH": path}
    quiet = arguments[0] != "run"
    output = subprocess.PIPE if quiet else None
    done = subprocess.run(command, cwd=WORK, env=environment, stdout=output, text=True, check=False)
    return done.stdout or ""


def some_of(count: int, seed: int) -> list[str]:
    """Return the names of some changes, at random."""
    mutmut("run", "no such change")  # mutmut writes all changes, and stops at the name
    files = sorted((WORK / "mutants/src").rglob("*.meta"))
    names = [name for file in files for name in json.loads(file.read_text())["exit_code_by_key"]]
    return random.Random(seed).sample(names, min(count, len(names)))


def main() -> int:
    """Run mutmut and print the score; return 1 if it is below the goal."""
    parser = argparse.ArgumentParser(description="Mutation testing.")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--parts", default=",".join(PARTS), help=f"of {', '.join(PARTS)}")
    parser.add_argument("--sample", type=int, metavar="N", help="run only N changes, at random")
    parser.add_argument("--seed", type=int, default=1, help="of the sample")
    arguments = parser.parse_args()
    lay_out(arguments.parts.split(","))
    names = [] if arguments.sample is None else some_of(arguments.sample, arguments.seed)
    mutmut("run", "--max-children", str(arguments.jobs), *names)
    mutmut("export-cicd-stats")
    figures = json.loads((WORK / "mutants/mutmut-cicd-stats.json").read_text())
    noticed = figures["killed"] + figures["timeout"] + figures["segfault"]
    total = noticed + figures["survived"] + figures["suspicious"] + figures["no_tests"]
    for line in mutmut("results").splitlines():
        name, _, result = line.strip().partition(": ")
        if result in ("survived", "suspicious", "no tests"):
            print(mutmut("show", name))
    score = 100.0 * noticed / max(total, 1)
    print(f"{noticed} of {total} changes noticed: {score:.1f}%")
    return 0 if score >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
