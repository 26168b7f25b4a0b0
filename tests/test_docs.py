"""The documents tell the truth: their code runs, and what is public is documented."""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
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
ELSEWHERE = {"airflow", "engines", "CONTRIBUTING"}
"""Pages whose code runs elsewhere: in environments of its own (tests/airflow/, tests/engines/), or
in a copy of the repository (tests/test_generate_walks.py)."""

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
PROJECT = "proj_b705a........"
OP_ID = "op_508fc5d1-e908-486d-9e7b-1dca99b80024"


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    logger = logging.getLogger("nexus_operations")
    yield logger
    logger.setLevel(logging.NOTSET)


def set_up(monkeypatch: pytest.MonkeyPatch, simulator: Simulator) -> None:
    """Set what the documents say is set, and start the operation that they name."""
    monkeypatch.setenv("DATATURE_API_BASE_URL", simulator.endpoint)
    monkeypatch.setenv("NEXUS_SECRET", "any")
    monkeypatch.setenv("NEXUS_PROJECT", PROJECT)
    simulator.start(Life(duration=0.2), project_id=PROJECT, op_id=OP_ID)


@pytest.mark.usefixtures("logger")
@pytest.mark.parametrize("block", blocks("python"))
def test_a_code_block_runs(
    block: str,
    nexus_simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    pytester: pytest.Pytester,
) -> None:
    set_up(monkeypatch, nexus_simulator)
    if PYTEST.search(block):
        pytester.makepyfile(block)
        pytester.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)
        return
    monkeypatch.chdir(tmp_path)
    code = compile(block, "block", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    namespace: dict[str, Any] = {"__name__": "block"}  # pools of processes need a file
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
    simulator.start(Life(duration=0.2), project_id=PROJECT, op_id=OP_ID)
    environment = {key: value for key, value in os.environ.items() if key != "CI"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    environment["DATATURE_API_BASE_URL"] = simulator.endpoint
    environment.update(NEXUS_SECRET=SECRET, NEXUS_PROJECT=PROJECT)
    environment["NEXUS_DURATIONS"] = str(tmp_path / "durations.json")
    script = SHELL.format(root=ROOT, block=block)
    if block.rstrip().endswith("nexus-operations simulate"):  # it runs until Ctrl-C
        with Terminal(["bash", "-c", script], environment) as terminal:
            text = terminal.until(lambda text: "nexus-operations wait op_" in text)
            assert OP_ID in text.replace("\n", "")
            terminal.interrupt()
            terminal.end()
        return
    subprocess.run(["bash", "-c", script], env=environment, cwd=tmp_path, check=True, timeout=60)


def as_module(block: str) -> str:
    """Return a block as a module: what awaits at the top goes into a function."""
    tree = compile(block, "block", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST)
    imports = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    rest = [node for node in tree.body if node not in imports]
    if not any(isinstance(node, (ast.Await, ast.AsyncWith, ast.AsyncFor)) for node in own(rest)):
        return block
    body = "\n".join(ast.unparse(node) for node in rest)
    return "\n".join([*map(ast.unparse, imports), "async def block() -> None:", indented(body)])


def own(nodes: list[ast.stmt]) -> Iterator[ast.AST]:
    """Walk nodes, but not into functions."""
    for node in nodes:
        yield node
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield from own(list(ast.iter_child_nodes(node)))  # type: ignore[arg-type]


def indented(text: str) -> str:
    return textwrap.indent(text, "    ")


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with every block of Python as a module."""
    folder = tmp_path_factory.mktemp("blocks")
    for parameter in blocks("python"):
        name = re.sub(r"\W", "_", str(parameter.id))
        (folder / f"{name}.py").write_text(as_module(str(parameter.values[0])))
    return folder


PYRIGHT = {
    "typeCheckingMode": "strict",
    "reportUnusedVariable": False,
    "reportUnusedFunction": False,
    "reportUnusedExpression": False,  # a notebook shows it
}


@pytest.mark.parametrize("tool", ["mypy", "pyright"])
def test_the_blocks_type_check(modules: Path, tool: str) -> None:
    path = os.pathsep.join(
        entry for entry in sys.path if Path(entry).name in ("wrappers", "generated")
    )
    command = [sys.executable, "-m", tool]
    if tool == "mypy":
        command += ["--strict", "--config-file", os.devnull, "--follow-imports", "silent"]
        command += [str(file) for file in sorted(modules.glob("*.py"))]
    else:
        settings = {**PYRIGHT, "extraPaths": path.split(os.pathsep), "include": ["*.py"]}
        (modules / "pyrightconfig.json").write_text(json.dumps(settings))
        command += ["--pythonpath", sys.executable, "--project", str(modules)]
    binaries = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": binaries, "MYPYPATH": path}
    done = subprocess.run(
        command, env=env, cwd=modules, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


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
    typing = {"Any", "TYPE_CHECKING"}
    assert public - modules - typing == set(nexus_operations.__all__) - {"__version__"}


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
