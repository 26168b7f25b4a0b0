"""The house: imports go downwards without a circle, parts keep budgets, importing is cheap."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.children import Child

PACKAGE = "nexus_operations"
ROOT = Path(__file__).parent.parent / "wrappers" / PACKAGE

LAYERS: list[set[str]] = [
    {"_core", "_version"},
    {"_http", "_show"},
    {"_clock", "_durations_file", "_fleet", "_intake", "_loops", "_wait", "wire"},
    {"__init__", "_client", "_operations"},
    {"__main__", "airflow", "cli", "contract", "pytest_plugin", "simulator", "testing"},
]
"""Parts, lowest first. A module imports its own part, and parts of its own layer or below; `_http`
and `_show` know nothing of each other."""

BUDGETS = {
    "_core": 1530,
    "_http": 1165,
    "_show": 380,
    "shells": 1190,
    "public": 600,
    "contract": 850,
}
"""Lines of code that each part may have: docstrings, comments and blank lines apart. Raised by a
change of its own, with its reason."""


@dataclass(frozen=True)
class Import:
    """One import of a module of the package.

    Attributes:
        source: The module that imports.
        target: The module that is imported.
        line: Where.
        typing: Whether it is for type checkers alone.
        late: Whether it is made in a function.
    """

    source: str
    target: str
    line: int
    typing: bool
    late: bool

    def __str__(self) -> str:
        return f"{self.source}:{self.line} imports {self.target}"


def modules() -> dict[str, Path]:
    """Return the modules of the package by name, its own prefix left out."""
    found: dict[str, Path] = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts
        found[".".join(name)] = path
    return found


MODULES = modules()


def part_of(module: str) -> str:
    """Return the part of the house that a module belongs to."""
    return module.split(".")[0] or "__init__"


def layer_of(module: str) -> int:
    """Return the layer of a module."""
    part = part_of(module)
    return next(number for number, parts in enumerate(LAYERS) if part in parts)


def imports_of(module: str, path: Path) -> Iterator[Import]:
    """Yield what a module imports of the package, wherever in it."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    package = "" if module == "__init__" else package

    def visit(node: ast.AST, typing: bool, late: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.Import, ast.ImportFrom)):
                for target in targets(child, package):
                    yield Import(module, target, child.lineno, typing, late)
            checking = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
            function = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef))
            yield from visit(child, typing or checking, late or function)

    yield from visit(ast.parse(path.read_text()), False, False)


def targets(node: ast.Import | ast.ImportFrom, package: str) -> list[str]:
    """Return the modules of the package that one statement imports."""
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
        return [
            name.removeprefix(PACKAGE).lstrip(".") or "__init__"
            for name in names
            if name.split(".")[0] == PACKAGE
        ]
    if node.level:
        base = package.split(".") if package else []
        base = base[: len(base) - node.level + 1]
        base += node.module.split(".") if node.module else []
    elif node.module and node.module.split(".")[0] == PACKAGE:
        base = node.module.split(".")[1:]
    else:
        return []
    found = [".".join([*base, alias.name]) for alias in node.names]
    return [name if name in MODULES else ".".join(base) or "__init__" for name in found]


IMPORTS = [found for name, path in MODULES.items() for found in imports_of(name, path)]


def test_the_imports_are_seen() -> None:
    seen = {(found.source, found.target) for found in IMPORTS}
    assert ("_core.poller", "_core.schedule") in seen
    assert ("_operations", "_loops") in seen
    assert {part_of(name) for name in MODULES} <= set().union(*LAYERS)


def test_imports_go_downwards() -> None:
    wrong = [str(found) for found in IMPORTS if layer_of(found.target) > layer_of(found.source)]
    assert not wrong, "\n".join(wrong)


def test_what_talks_and_what_shows_know_nothing_of_each_other() -> None:
    wrong = [
        str(found)
        for found in IMPORTS
        if {part_of(found.source), part_of(found.target)} == {"_http", "_show"}
    ]
    assert not wrong, "\n".join(wrong)


SEAMS = {
    "_core.checks",  # an integration checks arguments before there is a client
    "_core.models",
    "_core.statuses",  # colours
    "_core.text",  # what the service says is escaped in one way
    "_durations_file",
    "_show.board",  # the command's board is the library's
    "_show.terminal",
    "_show.words",
}
"""What the command, the simulator and the Airflow provider share with the library beside its public
names, so that a rule has one place."""


def test_what_is_above_sees_public_names_and_the_seams_only() -> None:
    above = LAYERS[-1]
    wrong = [
        str(found)
        for found in IMPORTS
        if part_of(found.source) in above
        and part_of(found.target) not in above
        and found.target not in SEAMS
        and any(word.startswith("_") and word != "__init__" for word in found.target.split("."))
    ]
    assert not wrong, "\n".join(wrong)


def test_there_is_no_circle() -> None:
    graph: dict[str, set[str]] = {name: set() for name in MODULES}
    for found in IMPORTS:
        if not found.typing and found.source != found.target and found.source != "__init__":
            graph[found.source].add(found.target)
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " → ".join([*trail[trail.index(name) :], name])
        if name not in done:
            for target in sorted(graph.get(name, ())):
                visit(target, (*trail, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def test_the_core_neither_waits_nor_talks() -> None:
    forbidden = {"asyncio", "httpx", "h11", "socket", "ssl", "time", "logging", "queue"}
    wrong = []
    for name, path in MODULES.items():
        if part_of(name) != "_core":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            wrong += [f"{name} imports {n}" for n in names if n.split(".")[0] in forbidden]
    assert not wrong, "\n".join(wrong)


def code_lines(path: Path) -> int:
    """Return the lines of a file that hold code: no docstring, comment or blank line."""
    text = path.read_text()
    lines: set[int] = set()
    blank = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in (*blank, tokenize.ENDMARKER):
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        bodies = [node.body] if isinstance(node, documented) else []
        for body in bodies:
            for statement in body:  # docstrings, those of attributes included
                value = getattr(statement, "value", None)
                text_only = isinstance(value, ast.Constant) and isinstance(value.value, str)
                if isinstance(statement, ast.Expr) and text_only:
                    lines -= set(range(statement.lineno, (statement.end_lineno or 0) + 1))
    return len(lines)


def budget_of(module: str) -> str:
    """Return the budget that a module is counted in."""
    part = part_of(module)
    if part in LAYERS[2]:
        return "shells"
    return "public" if part in LAYERS[3] or part == "_version" else part


SIZES: dict[str, int] = {}
for _name, _path in MODULES.items():
    SIZES[budget_of(_name)] = SIZES.get(budget_of(_name), 0) + code_lines(_path)


@pytest.mark.parametrize("part", BUDGETS)
def test_each_part_keeps_its_budget(part: str) -> None:
    assert SIZES[part] <= BUDGETS[part]


def test_lines_of_code_are_counted_right(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text(
        '"""Doc."""\n\n# no\nX = 1  # yes\n"""Of X."""\n\n\ndef f():\n    """Doc."""\n    return (\n        X\n    )\n'  # noqa: E501
    )
    assert code_lines(file) == 5


LOADED = """
    import nexus_operations
    names = ("httpx", "msgspec", "h11", "rich", "asyncio", "ssl", "nexus_operations_api")
    tell(first=[name for name in names if name in sys.modules])
"""


def test_importing_loads_next_to_nothing() -> None:
    with Child(LOADED) as child:
        told = child.told()
    assert told["first"] == []


EVERY_NAME = """
    import nexus_operations
    missing = [name for name in nexus_operations.__all__ if not hasattr(nexus_operations, name)]
    listed = sorted(set(nexus_operations.__all__) - set(dir(nexus_operations)))
    try:
        nexus_operations.Cleint
    except AttributeError as error:
        tell(missing=missing, listed=listed, unknown=str(error))
"""


def test_every_public_name_is_there() -> None:
    with Child(EVERY_NAME) as child:
        told = child.told()
    assert told["missing"] == told["listed"] == []
    assert "Cleint" in told["unknown"]


PLUGIN = """
    import pytest
    pytest.main(["--collect-only", "-q", "-p", "no:cacheprovider", sys.argv[1]])
    names = ("httpx", "msgspec", "h11", "nexus_operations_api")
    tell(loaded=[name for name in names if name in sys.modules])
"""


def test_a_run_of_pytest_without_the_fixture_loads_nothing_of_ours(tmp_path: Path) -> None:
    file = tmp_path / "test_nothing.py"
    file.write_text("def test_nothing():\n    pass\n")
    with Child(PLUGIN, str(file)) as child:
        assert child.told(60)["loaded"] == []
