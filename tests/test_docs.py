"""The documents tell the truth: their code runs, and what is public is documented."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
from pathlib import Path
from typing import Any

import nexus_operations
import pytest
from nexus_operations.simulator import Life, Simulator

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"```python\n(.*?)```", re.DOTALL)
BLOCKS = [
    pytest.param(block, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, block in enumerate(FENCE.findall(page.read_text()), 1)
]
OP_ID = "op_508fc5d1-e908-486d-9e7b-1dca99b80024"


@pytest.mark.parametrize("block", BLOCKS)
def test_a_code_block_runs(
    block: str, nexus_simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATATURE_API_BASE_URL", nexus_simulator.endpoint)
    nexus_simulator.start(Life(duration=0.2), project_id="proj_b705a........", op_id=OP_ID)
    code = compile(block, "block", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    namespace: dict[str, Any] = {}
    result = eval(code, namespace)
    if inspect.iscoroutine(result):
        asyncio.run(result)
    for name, value in list(namespace.items()):
        if name.startswith("test_"):
            value(nexus_simulator)


def test_every_public_name_is_documented_and_exists() -> None:
    assert len(set(nexus_operations.__all__)) == len(nexus_operations.__all__)
    for name in nexus_operations.__all__:
        value = getattr(nexus_operations, name)
        if inspect.isclass(value):
            assert inspect.getdoc(value), name
            for method, function in inspect.getmembers(value, inspect.isfunction):
                assert method.startswith("_") or inspect.getdoc(function), f"{name}.{method}"


def test_nothing_is_public_by_accident() -> None:
    modules = {path.stem for path in Path(nexus_operations.__file__).parent.iterdir()}
    public = {name for name in vars(nexus_operations) if name[0].isalpha()}
    assert public - modules == set(nexus_operations.__all__) - {"__version__"}


def test_the_targets_named_in_the_documents_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    for page in PAGES:
        for line in re.findall(r"`?make ([a-z -]+)", page.read_text()):
            named = line.split()[0]
            assert named in targets or named in ("sure", "are"), f"{page.name}: make {named}"


def test_links_between_the_documents_lead_somewhere() -> None:
    for page in PAGES:
        for link in re.findall(r"\]\((?!http)([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_the_changelog_names_the_version_or_what_comes() -> None:
    assert "## Unreleased" in (ROOT / "CHANGELOG.md").read_text()
