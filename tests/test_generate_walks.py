"""The walk of CONTRIBUTING.md, and others like it, in a copy of the tree: no test needs an edit."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
COPIED = ("openapi", "generated", "wrappers", "tests", "docs", "pyproject.toml", "CONTRIBUTING.md")
TESTS = ("test_generated", "test_consumer_contract", "test_reference_page", "test_models")
TESTS += ("test_contract", "test_responses")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
OPERATION = {"$ref": "#/components/schemas/Operation"}
ERROR = {"$ref": "#/components/responses/BadRequest"}
PROJECT = {"$ref": "#/components/parameters/ProjectId"}
OP = {"$ref": "#/components/parameters/OpId"}

CALL = """
import httpx, json
from nexus_operations import *
from nexus_operations import _operations
from nexus_operations._http.exchange import Secret, Settings
from nexus_operations._http.transports import Transport
from nexus_operations_api import models
from nexus_operations_api.api import operations as _
EXAMPLE = json.loads({example!r})
seen = []
def answer(status, body):
    def handle(request):
        seen.append(request)
        return httpx.Response(status, json=body)
    return httpx.MockTransport(handle)
def transport(status, body):
    return Transport(Settings("https://t", Secret("s3cret")), answer(status, body))
"""


def fenced(language: str, word: str) -> str:
    """Return the block of CONTRIBUTING.md in a language that has a word in it, without indent."""
    for block in re.findall(
        rf"^ *```{language}\n(.*?)^ *```", CONTRIBUTING, re.MULTILINE | re.DOTALL
    ):
        if word in block:
            indent = len(block) - len(block.lstrip(" "))
            return "\n".join(line[indent:] for line in block.splitlines())
    raise AssertionError(f"CONTRIBUTING.md has no {language} with {word}")


def expire_date(document: dict[str, Any]) -> str:
    """Add the field of CONTRIBUTING.md, as it stands there."""
    added = yaml.safe_load(fenced("yaml", "expireDate"))
    document["components"]["schemas"]["Operation"]["properties"] |= added
    return """
operation = Operation.from_json(json.dumps({**EXAMPLE, "expireDate": 5}).encode())
assert operation.expire_date == 5, operation
assert "expire_date=5" in repr(operation)
assert "expire_date" not in repr(Operation.from_json(json.dumps(EXAMPLE).encode()))
"""


def nullable_date(document: dict[str, Any]) -> str:
    """Add a date that may be null and has a pattern, behind a reference, and an enum and a map."""
    schemas = document["components"]["schemas"]
    schemas["Day"] = {"type": ["string", "null"], "format": "date", "pattern": "^20"}
    schemas["Operation"]["properties"] |= {
        "endDay": {"$ref": "#/components/schemas/Day", "description": "When it ended."},
        "phase": {"type": "string", "enum": ["first", "second"], "description": "Where it is."},
        "labels": {
            "type": "object",
            "additionalProperties": {"type": "string"},
            "description": "What it is called.",
        },
        "parts": {"type": "array", "items": OPERATION, "description": "What it is made of."},
    }
    return """
def read(**more):
    return Operation.from_json(json.dumps({**EXAMPLE, **more}).encode())
assert read(endDay=None).end_day is None
assert read(endDay="2026-02-28", labels={"a": "b"}, parts=[EXAMPLE]).end_day == "2026-02-28"
for bad in ("1999-01-01", "2026-02-29", 1):
    try:
        read(endDay=bad)
    except ValueError as error:
        assert "$.endDay" in str(error), error
    else:
        raise AssertionError(bad)
"""


def listing(document: dict[str, Any]) -> str:
    """Add an endpoint that lists operations by the page."""
    document["components"]["schemas"]["OperationPage"] = {
        "type": "object",
        "description": "Some of the operations.",
        "required": ["data"],
        "properties": {
            "data": {"type": "array", "items": OPERATION, "description": "They."},
            "nextPage": {"type": ["string", "null"], "description": "Where the others are."},
        },
    }
    page = {"name": "page", "in": "query", "description": "Where.", "schema": {"type": "string"}}
    limit = {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/OperationPage"}}}
    document["paths"]["/projects/{project_id}/operations"] = {
        "get": {
            "operationId": "listOperations",
            "tags": ["operations"],
            "summary": "List operations",
            "description": "Returns the operations of a project, by the page.",
            "security": [{"SecretKey": []}, {"MutualTLS": []}],
            "parameters": [
                PROJECT,
                page,
                {"name": "limit", "in": "query", "description": "How many.", "schema": limit},
            ],
            "responses": {"200": {"description": "A page.", "content": content}, "400": ERROR},
        }
    }
    return """
from nexus_operations_api.api.operations import list_operations
called = transport(200, {"data": [EXAMPLE], "nextPage": None})
page = called.call(list_operations, "proj_1", page="a b", timeout=5).value
assert page.data[0].id == EXAMPLE["id"] and page.next_page is None
assert str(seen[-1].url) == "https://t/projects/proj_1/operations?page=a+b&limit=20", seen[-1].url
assert seen[-1].headers["Secret-Key"] == "s3cret"
try:
    transport(200, {"data": [{}]}).call(list_operations, "proj_1", timeout=5)
except InvalidResponseError as error:
    assert error.path == "$.data[0]", error.path
    assert "s3cret" not in repr(error)
else:
    raise AssertionError
try:
    transport(429, {"message": "m"}).call(list_operations, "proj_1", timeout=5)
except TooManyRequestsError as error:
    assert "m" in str(error)
"""


def cancelling(document: dict[str, Any]) -> str:
    """Add an endpoint that takes a JSON body, and the method of CONTRIBUTING.md."""
    document["components"]["schemas"]["CancelRequest"] = {
        "type": "object",
        "description": "Why.",
        "required": ["reason"],
        "properties": {"reason": {"type": "string", "minLength": 1, "description": "Why."}},
    }
    body = {"application/json": {"schema": {"$ref": "#/components/schemas/CancelRequest"}}}
    content = {"application/json": {"schema": OPERATION}}
    document["paths"]["/projects/{project_id}/operations/{op_id}/cancel"] = {
        "post": {
            "operationId": "cancelOperation",
            "tags": ["operations"],
            "summary": "Cancel an operation",
            "description": "Cancels it.",
            "security": [{"SecretKey": []}, {"MutualTLS": []}],
            "parameters": [PROJECT, OP],
            "requestBody": {"required": True, "content": body},
            "responses": {"200": {"description": "It.", "content": content}, "400": ERROR},
        }
    }
    return f"""
space = vars(_operations)
exec({fenced("python", "cancel_operation")!r}, space)
Operations.cancel = space["cancel"]
with Client("s3cret", endpoint="https://t", transport=answer(200, EXAMPLE)) as client:
    operation = client.get_project("proj_1").operations.cancel(EXAMPLE["id"], "enough")
assert isinstance(operation, Operation) and operation.id == EXAMPLE["id"]
assert seen[-1].method == "POST" and json.loads(seen[-1].read()) == {{"reason": "enough"}}
assert seen[-1].url.path.endswith(EXAMPLE["id"] + "/cancel")
with Client("s3cret", endpoint="https://t", transport=answer(403, {{"message": "no"}})) as client:
    try:
        client.get_project("proj_1").operations.cancel(EXAMPLE["id"], "enough")
    except ForbiddenError as error:
        assert "no" in str(error)
    else:
        raise AssertionError
"""


@pytest.mark.parametrize("walk", [expire_date, nullable_date, listing, cancelling])
def test_a_walk(walk: Callable[[dict[str, Any]], str], tmp_path: Path) -> None:
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            unwanted = shutil.ignore_patterns(
                "node_modules", "__pycache__", ".hypothesis", "airflow"
            )
            shutil.copytree(source, tmp_path / name, ignore=unwanted)
        elif source.exists():
            shutil.copyfile(source, tmp_path / name)
    path = tmp_path / "openapi/operations.yaml"
    document = yaml.safe_load(path.read_text())
    code = walk(document)
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    folders = (tmp_path / "wrappers", tmp_path / "generated", tmp_path)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))}
    for name in [name for name in environment if name.startswith("COVERAGE")]:
        del environment[name]  # what runs here is a copy

    def run(*command: str) -> None:
        done = subprocess.run(
            [sys.executable, *command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]

    run("openapi/generate.py")
    run("openapi/generate.py", "--check", "--type-check")
    run("openapi/render.py")
    run("openapi/render.py", "--check")
    example = document["components"]["examples"]["FinishedExport"]["value"]
    run("-c", CALL.replace("{example!r}", repr(json.dumps(example))) + code)
    run(
        "-m",
        "pytest",
        "-q",
        "-x",
        "-p",
        "no:cacheprovider",
        *(f"tests/{name}.py" for name in TESTS),
    )
