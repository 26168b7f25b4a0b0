"""`make diff-contract`: what changed in the document, and whether it breaks callers."""

from __future__ import annotations

import copy
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from openapi.diff_contract import Change, Differ

ROOT = Path(__file__).parent.parent
DOCUMENT: dict[str, Any] = yaml.safe_load((ROOT / "openapi/operations.yaml").read_text())
PATH = "/projects/{project_id}/operations/{op_id}"


def get(document: Any) -> Any:
    return document["paths"][PATH]["get"]


def schema(document: Any, name: str) -> Any:
    return document["components"]["schemas"][name]


def component(document: Any, kind: str, name: str) -> Any:
    return document["components"][kind][name]


def drop(holder: Any, *names: str) -> None:
    for name in names:
        del holder[name]


def changes(edit: Callable[[Any], object], *, backwards: bool = False) -> list[Change]:
    """Return what the differ finds after an edit of the document, or before it."""
    edited = copy.deepcopy(DOCUMENT)
    edit(edited)
    old, new = (edited, DOCUMENT) if backwards else (DOCUMENT, edited)
    return list(Differ(old, new).run())


ORDER = {"name": "order", "in": "query", "required": True, "schema": {"type": "string"}}

BREAKING: dict[str, tuple[Callable[[Any], object], str]] = {
    "a removed field": (
        lambda d: drop(schema(d, "Operation")["properties"], "kind"),
        r"200 content application/json \$\.kind: removed",
    ),
    "a retyped field": (
        lambda d: schema(d, "Operation")["properties"]["createDate"].update(type="string"),
        r"\$\.createDate: type changed from 'integer' to 'string'",
    ),
    "a retyped field deep down": (
        lambda d: schema(d, "OperationProgressWithStatus")["properties"]["Queued"].update(
            type="number"
        ),
        r"\$\.status\.progress\.withStatus\.Queued: type changed",
    ),
    "a field that may be missing": (
        lambda d: schema(d, "Operation")["required"].remove("updateDate"),
        r"\$\.updateDate: no longer always there",
    ),
    "a closed object": (
        lambda d: schema(d, "Operation").update(additionalProperties=False),
        r"additionalProperties changed",
    ),
    "a status word removed": (
        lambda d: schema(d, "OperationStatus")["properties"]["overview"][
            "x-extensible-enum"
        ].remove("Cancelled"),
        r"\$\.status\.overview: value Cancelled removed",
    ),
    "a removed status code": (lambda d: drop(get(d)["responses"], "429"), "429: status removed"),
    "a removed content type": (
        lambda d: drop(component(d, "responses", "BadGateway")["content"], "text/html"),
        "502 content text/html: removed",
    ),
    "a removed header": (
        lambda d: drop(component(d, "responses", "TooManyRequests")["headers"], "Retry-After"),
        "429 headers Retry-After: removed",
    ),
    "a new required parameter": (
        lambda d: get(d)["parameters"].append(ORDER),
        "parameter order in query: added, required",
    ),
    "a removed parameter": (
        lambda d: get(d)["parameters"].pop(),
        "parameter op_id in path: removed",
    ),
    "a parameter that accepts other values": (
        lambda d: component(d, "parameters", "OpId")["schema"].update(pattern="^op_"),
        "parameter op_id in path: accepts other values",
    ),
    "another operation id": (
        lambda d: get(d).update(operationId="retrieveOperation"),
        "operationId changed",
    ),
    "a removed way to authenticate": (
        lambda d: get(d)["security"].pop(),
        "security MutualTLS removed",
    ),
    "another header for the secret": (
        lambda d: component(d, "securitySchemes", "SecretKey").update(name="X-Secret"),
        "security SecretKey changed",
    ),
    "a removed path": (lambda d: drop(d["paths"], PATH), "GET .*: removed"),
}


@pytest.mark.parametrize(("edit", "words"), BREAKING.values(), ids=BREAKING)
def test_a_change_that_breaks_callers(edit: Callable[[Any], object], words: str) -> None:
    found = changes(edit)
    assert any(change.breaking for change in found)
    assert re.search(words, "\n".join(f"{change.where}: {change.what}" for change in found))


HARMLESS: dict[str, tuple[Callable[[Any], object], str]] = {
    "a new field": (
        lambda d: schema(d, "Operation")["properties"].update(owner={"type": "string"}),
        "added",
    ),
    "a field that is always there now": (
        lambda d: schema(d, "Error")["required"].append("code"),
        "now always there",
    ),
    "a new status word": (
        lambda d: schema(d, "OperationStatus")["properties"]["overview"][
            "x-extensible-enum"
        ].append("Paused"),
        "value Paused added",
    ),
    "a new status code": (
        lambda d: get(d)["responses"].update({"410": {"description": "Gone."}}),
        "status added",
    ),
    "a new optional parameter": (
        lambda d: get(d)["parameters"].append({**ORDER, "required": False}),
        "added, optional",
    ),
    "a new way to authenticate": (
        lambda d: get(d)["security"].append({"OAuth": []}),
        "security OAuth added",
    ),
}


@pytest.mark.parametrize(("edit", "words"), HARMLESS.values(), ids=HARMLESS)
def test_a_change_that_breaks_nobody(edit: Callable[[Any], object], words: str) -> None:
    found = changes(edit)
    assert {change.what for change in found} == {words}
    assert not any(change.breaking for change in found)


def test_a_parameter_that_becomes_required() -> None:
    optional = {**ORDER, "required": False}
    old, new = copy.deepcopy(DOCUMENT), copy.deepcopy(DOCUMENT)
    get(old)["parameters"].append(optional)
    get(new)["parameters"].append(ORDER)
    (change,) = Differ(old, new).run()
    assert change == (True, f"GET {PATH} parameter order in query", "became required")


def test_items_of_a_list() -> None:
    def listed(kind: str) -> Callable[[Any], object]:
        tags = {"type": "array", "items": {"type": kind}}
        return lambda d: schema(d, "Operation")["properties"].update(tags=tags)

    old, new = copy.deepcopy(DOCUMENT), copy.deepcopy(DOCUMENT)
    listed("string")(old)
    listed("integer")(new)
    (change,) = Differ(old, new).run()
    assert change.breaking
    assert change.where.endswith("$.tags[]")


def test_descriptions_and_examples_do_not_count() -> None:
    def edit(document: Any) -> None:
        schema(document, "Operation").update(description="Otherwise put.", title="Job")
        schema(document, "Operation")["properties"]["kind"].update(example="other")

    assert changes(edit) == []


def test_a_loosened_and_a_tightened_bound_are_both_told() -> None:
    def edit(document: Any) -> None:
        schema(document, "Operation")["properties"]["createDate"].update(minimum=-1)

    assert changes(edit)[0].what == "minimum changed from 0 to -1"
    assert changes(edit, backwards=True)[0].what == "minimum changed from -1 to 0"


def run(base: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(folder / "openapi/diff_contract.py"), base]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command_compares_with_a_revision(tmp_path: Path) -> None:
    (tmp_path / "openapi").mkdir()
    for name in ("operations.yaml", "diff_contract.py"):
        (tmp_path / "openapi" / name).write_bytes((ROOT / "openapi" / name).read_bytes())
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    for command in (["init", "-q"], ["add", "."], [*identity, "commit", "-qm", "One"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)

    same = run("HEAD", tmp_path)
    assert (same.returncode, same.stdout) == (0, "the contract is that of HEAD\n")

    document = tmp_path / "openapi/operations.yaml"
    document.write_text(document.read_text().replace("createDate", "createdAt"))
    broken = run("HEAD", tmp_path)
    assert broken.returncode == 1
    assert "BREAKING" in broken.stdout
    assert "$.createDate: removed" in broken.stdout

    unknown = run("no-such-revision", tmp_path)
    assert unknown.returncode == 2
    assert "no operations.yaml at 'no-such-revision'" in unknown.stderr
