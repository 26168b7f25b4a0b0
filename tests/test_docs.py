"""The documents tell the truth: their code runs, and what is public is documented."""

from __future__ import annotations

import ast
import asyncio
import inspect
import logging
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nexus_operations
import pytest
import yaml
from nexus_operations.simulator import Life, Simulator

from tests.terminal import Terminal

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
ELSEWHERE = {"airflow", "engines"}
"""Pages whose code runs in environments of its own: tests/airflow/ and tests/engines/."""

NOT_RUN = {"json", "yaml"}
"""Kinds of block that are no code; they are parsed."""


def blocks(*kinds: str) -> list[Any]:
    """Return the blocks of some kinds, of all pages, as parameters."""
    return [
        pytest.param(textwrap.dedent(block), id=f"{page.stem}-{number}")
        for page in PAGES
        for number, (_, kind, block) in enumerate(FENCE.findall(page.read_text()), 1)
        if kind in kinds and not (kind == "python" and page.stem in ELSEWHERE)
    ]


PYTEST = re.compile(r"^@[\w.]+\.(parametrize\(\)|mark\.\w+)$", re.MULTILINE)
"""In a block that only pytest runs: a decorator for its tests."""
OP_ID = "op_508fc5d1-e908-486d-9e7b-1dca99b80024"


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    logger = logging.getLogger("nexus_operations")
    yield logger
    logger.setLevel(logging.NOTSET)


@pytest.mark.usefixtures("logger")
@pytest.mark.parametrize("block", blocks("python"))
def test_a_code_block_runs(
    block: str,
    nexus_simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    pytester: pytest.Pytester,
) -> None:
    monkeypatch.setenv("DATATURE_API_BASE_URL", nexus_simulator.endpoint)
    if PYTEST.search(block):
        pytester.makepyfile(block)
        pytester.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)
        return
    monkeypatch.chdir(tmp_path)
    nexus_simulator.start(Life(duration=0.2), project_id="proj_b705a........", op_id=OP_ID)
    code = compile(block, "block", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    namespace: dict[str, Any] = {}
    result = eval(code, namespace)
    if inspect.iscoroutine(result):
        asyncio.run(result)
    for name, value in list(namespace.items()):
        if name.startswith("test_"):
            value(nexus_simulator)


# Nothing is installed, and targets are looked up rather than run, in a copy of a reader's shell.
SHELL = """
set -euo pipefail
pip() {{ [ "$1" = install ]; }}
make() {{ command make --dry-run --no-print-directory -C "{root}" "$@" > /dev/null; }}
{block}
true
"""


SECRET = "5aa41e8ba........"


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """A service that refuses every secret but the documents'."""
    with Simulator(secret=SECRET) as simulator:
        yield simulator


@pytest.mark.parametrize("block", blocks("sh"))
def test_a_shell_block_runs(block: str, simulator: Simulator, tmp_path: Path) -> None:
    simulator.start(Life(duration=0.2), project_id="proj_b705a........", op_id=OP_ID)
    environment = {key: value for key, value in os.environ.items() if key != "CI"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    environment["DATATURE_API_BASE_URL"] = simulator.endpoint
    environment.update(NEXUS_SECRET=SECRET, NEXUS_PROJECT="proj_b705a........")
    script = SHELL.format(root=ROOT, block=block)
    if block.rstrip().endswith("nexus-operations simulate"):  # it runs until Ctrl-C
        with Terminal(["bash", "-c", script], environment) as terminal:
            terminal.until(lambda text: "nexus-operations wait op_" in text)
            terminal.interrupt()
            terminal.end()
        return
    subprocess.run(["bash", "-c", script], env=environment, cwd=tmp_path, check=True, timeout=60)


def test_blocks_of_other_kinds_are_well_formed() -> None:
    kinds = {kind for page in PAGES for _, kind, _ in FENCE.findall(page.read_text())}
    assert kinds <= {"python", "sh", *NOT_RUN}
    for parameter in blocks(*NOT_RUN):
        assert yaml.safe_load(parameter.values[0])  # JSON is YAML


def test_every_public_name_is_documented_and_exists() -> None:
    assert len(set(nexus_operations.__all__)) == len(nexus_operations.__all__)
    reference = (ROOT / "docs/reference.md").read_text()
    for name in nexus_operations.__all__:
        assert name == "__version__" or f"::: nexus_operations.{name}\n" in reference, name
        value = getattr(nexus_operations, name)
        if inspect.isclass(value):
            assert inspect.getdoc(value), name
            for method, function in inspect.getmembers(value, inspect.isfunction):
                ours = function.__module__.startswith("nexus_operations")
                private = method.startswith("_") or not ours
                assert private or inspect.getdoc(function), f"{name}.{method}"


def test_nothing_is_public_by_accident() -> None:
    modules = {path.stem for path in Path(nexus_operations.__file__).parent.iterdir()}
    public = {name for name in vars(nexus_operations) if name[0].isalpha()}
    assert public - modules == set(nexus_operations.__all__) - {"__version__"}


def test_the_targets_named_in_the_documents_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    for page in PAGES:
        for line in re.findall(r"`make ([a-z -]+)", page.read_text()):
            assert set(line.split()) <= targets, f"{page.name}: make {line}"


def test_links_between_the_documents_lead_somewhere() -> None:
    for page in PAGES:
        for link in re.findall(r"\]\((?!http)([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_the_changelog_names_the_version_or_what_comes() -> None:
    assert "## Unreleased" in (ROOT / "CHANGELOG.md").read_text()
