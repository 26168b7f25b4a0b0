"""`openapi/generate.py` as a command: it refuses clearly, and touches nothing until it is sure."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import generate
import pytest
import yaml
from generator import package
from generator.document import DocumentError, load

from tests.support.generating import document

ROOT = Path(__file__).parent.parent
GOOD: dict[str, Any] = {"type": "object", "properties": {"a": {"type": "string"}}}
OK = {"200": {"description": "Fine."}}


def write(folder: Path, content: object) -> Path:
    path = folder / "document.json"
    path.write_text(json.dumps(content))
    return path


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "openapi/generate.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A package that was generated before."""
    target = tmp_path / "parcels_api"
    generate.generate(write(tmp_path, document({"Good": GOOD})), target)
    return target


# A document's schemas and paths, and what is said of them: a pointer and words of the line.
REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], str, str]] = {
    "pattern": (
        {"S": {**GOOD, "properties": {"p": {"type": "string", "pattern": "\\p{L}"}}}},
        {},
        "#/components/schemas/S/properties/p/pattern",
        "Python",
    ),
    "unevaluated": (
        {"S": {**GOOD, "unevaluatedProperties": False}},
        {},
        "#/components/schemas/S/unevaluatedProperties",
        "additionalProperties",
    ),
    "misspelt": (
        {"S": {"type": "string", "minlength": 1}},
        {},
        "#/components/schemas/S/minlength",
        "`minLength`",
    ),
    "type": ({"S": {"type": "text"}}, {}, "#/components/schemas/S/type", "string"),
    "count": (
        {"S": {"type": "string", "maxLength": -1}},
        {},
        "#/components/schemas/S/maxLength",
        "0",
    ),
    "bound": (
        {"S": {"type": "integer", "minimum": "1"}},
        {},
        "#/components/schemas/S/minimum",
        "number",
    ),
    "step": (
        {"S": {"type": "integer", "multipleOf": 0}},
        {},
        "#/components/schemas/S/multipleOf",
        "above 0",
    ),
    "enum": ({"S": {"enum": []}}, {}, "#/components/schemas/S/enum", "values"),
    "no value": (
        {"S": {"type": "string", "enum": [1]}},
        {},
        "#/components/schemas/S",
        "none of the values",
    ),
    "impossible": (
        {"S": {"allOf": [{"type": "string"}, {"type": "integer"}]}},
        {},
        "#/components/schemas/S",
        "no value",
    ),
    "closed": (
        {
            "S": {
                "type": "object",
                "properties": {"a": {}},
                "required": ["b"],
                "additionalProperties": False,
            }
        },
        {},
        "#/components/schemas/S",
        "additionalProperties",
    ),
    "required and forbidden": (
        {"S": {"type": "object", "properties": {"a": {}, "b": False}, "required": ["b"]}},
        {},
        "#/components/schemas/S",
        "its schema forbids it",
    ),
    "path items in a circle": (
        {},
        {"/a": {"$ref": "#/paths/~1b"}, "/b": {"$ref": "#/paths/~1a"}},
        "#/paths/~1a",
        "no such place",
    ),
    "list of items": (
        {"S": {"type": "array", "items": [{}]}},
        {},
        "#/components/schemas/S/items",
        "prefixItems",
    ),
    "nowhere": (
        {"S": {"$ref": "#/components/schemas/T"}},
        {},
        "#/components/schemas/S",
        "no such place",
    ),
    "elsewhere": (
        {"S": {"$ref": "other.yaml#/T"}},
        {},
        "#/components/schemas/S",
        "out of this document",
    ),
    "circle": (
        {
            "S": {"$ref": "#/components/schemas/T"},
            "T": {"allOf": [{"$ref": "#/components/schemas/S"}]},
        },
        {},
        "#/components/schemas/S",
        "itself",
    ),
    "other than the alternatives": (
        {
            "S": {
                "oneOf": [{"$ref": "#/components/schemas/A"}],
                "discriminator": {
                    "propertyName": "a",
                    "mapping": {"b": "#/components/schemas/B"},
                },
            },
            "A": GOOD,
            "B": GOOD,
        },
        {},
        "#/components/schemas/S/discriminator/mapping/b",
        "none of the alternatives",
    ),
    "too long": (
        {"S": {"type": "string", "minLength": 2**63}},
        {},
        "#/components/schemas/S/minLength",
        "at most",
    ),
    "name": (
        {"S": {**GOOD, "properties": {'a"b': {}}}},
        {},
        '#/components/schemas/S/properties/a"b',
        "msgspec",
    ),
    "schema": ({"S": 1}, {}, "#/components/schemas/S", "object or a boolean"),
    "twice": (
        {},
        {
            "/a": {"get": {"operationId": "x", "responses": OK}},
            "/b": {"get": {"operationId": "x", "responses": OK}},
        },
        "#/paths/~1b/get/operationId",
        "an id of its own",
    ),
    "path": ({}, {"/a/{b}": {"get": {"responses": OK}}}, "#/paths/~1a~1{b}/get", "`b`"),
    "status": (
        {},
        {"/a": {"get": {"responses": {"2000": {}}}}},
        "#/paths/~1a/get/responses/2000",
        "status",
    ),
    "several of a media type": (
        {},
        {
            "/a": {
                "get": {
                    "responses": {
                        "200": {
                            "description": "Fine.",
                            "content": {
                                "application/json; v=1": {"schema": {"type": "string"}},
                                "application/json; v=2": {"schema": {"type": "integer"}},
                            },
                        }
                    }
                }
            }
        },
        "#/paths/~1a/get/responses/200/content/application~1json; v=2",
        "`oneOf`",
    ),
    "multipart": (
        {},
        {"/a": {"post": {"requestBody": {"content": {"multipart/mixed": {}}}, "responses": OK}}},
        "#/paths/~1a/post/requestBody/content/multipart~1mixed",
        "`multipart/form-data`",
    ),
    "part": (
        {},
        {
            "/a": {
                "post": {
                    "requestBody": {
                        "content": {
                            "multipart/form-data": {
                                "schema": {"type": "object", "properties": {"m": GOOD}},
                                "encoding": {"m": {"contentType": "application/xml"}},
                            }
                        }
                    },
                    "responses": OK,
                }
            }
        },
        "#/paths/~1a/post/requestBody/content/multipart~1form-data/encoding/m/contentType",
        "`application/json`",
    ),
    "several types of a part": (
        {},
        {
            "/a": {
                "post": {
                    "requestBody": {
                        "content": {
                            "multipart/form-data": {
                                "schema": GOOD,
                                "encoding": {"a": {"contentType": "text/plain, text/html"}},
                            }
                        }
                    },
                    "responses": OK,
                }
            }
        },
        "#/paths/~1a/post/requestBody/content/multipart~1form-data/encoding/a/contentType",
        "only a file",
    ),
    "default": (
        {},
        {
            "/a": {
                "get": {
                    "parameters": [
                        {
                            "name": "a",
                            "in": "query",
                            "schema": {"type": "integer", "maximum": 3, "default": 5},
                        }
                    ],
                    "responses": OK,
                }
            }
        },
        "#/paths/~1a/get/parameters/0/schema/default",
        "does not allow",
    ),
    "operations beside a reference": (
        {},
        {
            "/a": {"$ref": "#/paths/~1b", "get": {"responses": OK}},
            "/b": {"get": {"responses": OK}},
        },
        "#/paths/~1a/get",
        "one of the two",
    ),
    "method": (
        {},
        {"/a": {"additionalOperations": {"A B": {"responses": OK}}}},
        "#/paths/~1a/additionalOperations/A B",
        "no HTTP method",
    ),
    "parameter": (
        {},
        {"/a": {"get": {"parameters": [{"name": "a", "in": "form"}], "responses": OK}}},
        "#/paths/~1a/get",
        "`in`",
    ),
    "response": (
        {},
        {"/a": {"get": {"responses": {"200": {"$ref": "#/components/responses/None"}}}}},
        "#/paths/~1a/get",
        "no such place",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_expressed_is_named(tmp_path: Path, target: Path, name: str) -> None:
    schemas, paths, pointer, words = REFUSED[name]
    before = generate.read_tree(target)
    source = write(tmp_path, document({"Good": GOOD, **schemas}, paths))
    with pytest.raises(package.GenerationError) as caught:
        generate.generate(source, target)
    line = next(line for line in str(caught.value).splitlines() if line.startswith(f"{pointer}: "))
    assert words in line
    assert generate.read_tree(target) == before
    left_out = generate.generate(source, target, skip_unsupported=True)
    assert line in left_out
    assert "Good" in (target / "models/__init__.py").read_text()


class TestCommand:
    def test_all_places_are_said_in_one_run_and_the_target_stays(
        self, tmp_path: Path, target: Path
    ) -> None:
        schemas = {
            name: schema
            for number, (found, _, _, _) in enumerate(REFUSED.values())
            for name, schema in {f"S{number}": found.get("S")}.items()
            if schema is not None and "$ref" not in str(schema)
        }
        before = generate.read_tree(target)
        source = write(tmp_path, document(schemas))
        done = run("--document", source, "--output", target)
        assert done.returncode == 1
        assert done.stdout == ""
        lines = done.stderr.splitlines()
        assert all(line.startswith("#/components/schemas/S") for line in lines)
        assert {line.split("/")[3].partition(":")[0] for line in lines} == set(schemas)
        assert generate.read_tree(target) == before
        skipping = run("--document", source, "--output", target, "--skip-unsupported")
        assert skipping.returncode == 0
        assert skipping.stdout.splitlines() == [f"left out: {line}" for line in lines]

    @pytest.mark.parametrize("content", ["a: [1", "{}", None])
    def test_a_document_that_cannot_be_read(
        self, tmp_path: Path, target: Path, content: str | None
    ) -> None:
        source = tmp_path / "bad.yaml"
        if content is not None:
            source.write_text(content)
        before = generate.read_tree(target)
        done = run("--document", source, "--output", target)
        assert done.returncode == 1
        assert done.stderr.startswith(str(source))
        assert len(done.stderr.splitlines()) == 1
        assert generate.read_tree(target) == before

    def test_a_folder_that_is_no_generated_package_is_not_replaced(self, tmp_path: Path) -> None:
        source = write(tmp_path, document({"Good": GOOD}))
        other = tmp_path / "mine"
        other.mkdir()
        (other / "precious.txt").write_text("x")
        with pytest.raises(package.GenerationError, match="not a generated package"):
            generate.generate(source, other)
        assert (other / "precious.txt").read_text() == "x"
        file = tmp_path / "file"
        file.write_text("x")
        with pytest.raises(package.GenerationError, match="not a generated package"):
            generate.generate(source, file)
        with pytest.raises(package.GenerationError, match="identifier"):
            generate.generate(source, tmp_path / "not-a-name")

    def test_a_package_that_cannot_be_imported_does_not_replace_another(
        self, tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = package.write

        def broken(*arguments: Any) -> None:
            real(*arguments)
            (arguments[2] / "models" / "good.py").write_text("import nothing_of_the_kind")

        monkeypatch.setattr(package, "write", broken)
        before = generate.read_tree(target)
        with pytest.raises(package.GenerationError, match="nothing_of_the_kind"):
            generate.generate(write(tmp_path, document({"Good": GOOD})), target)
        assert generate.read_tree(target) == before
        assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []

    def test_types_are_checked_if_asked(
        self, tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        source = write(tmp_path, document({"Good": GOOD}))
        generate.generate(source, target, type_check=True)
        real = package.write

        def broken(*arguments: Any) -> None:
            real(*arguments)
            with (arguments[2] / "models" / "good.py").open("a") as file:
                file.write("\nWRONG: int = 'x'\n")

        monkeypatch.setattr(package, "write", broken)
        with pytest.raises(package.GenerationError, match="type errors"):
            generate.generate(source, target, type_check=True)

    def test_check_compares_and_changes_nothing(self, tmp_path: Path, target: Path) -> None:
        source = write(tmp_path, document({"Good": GOOD}))
        assert run("--document", source, "--output", target, "--check").returncode == 0
        (target / "models" / "good.py").write_text("# edited\n")
        done = run("--document", source, "--output", target, "--check")
        assert done.returncode == 1
        assert "-# edited" in done.stdout
        assert (target / "models" / "good.py").read_text() == "# edited\n"

    def test_the_output_is_the_same_whatever_the_hash_seed(self, tmp_path: Path) -> None:
        trees = []
        for seed in ("0", "1"):
            target = tmp_path / f"seed_{seed}" / "nexus_operations_api"
            environment = {**os.environ, "PYTHONHASHSEED": seed}
            command = [sys.executable, ROOT / "openapi/generate.py", "--output", target]
            subprocess.run(command, env=environment, check=True, timeout=120)
            trees.append(generate.read_tree(target))
        assert trees[0] == trees[1]


def places(node: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every node below a node."""
    for key, inner in node.items() if isinstance(node, dict) else enumerate(node):
        yield (*above, key)
        if isinstance(inner, dict | list):
            yield from places(inner, (*above, key))


def test_a_node_of_another_type_anywhere_is_refused_in_words(tmp_path: Path) -> None:
    content = yaml.safe_load(generate.DOCUMENT.read_text())
    refused = 0
    for number, path in enumerate(places(content)):
        wrong = [None, [], {}, 1, "x", True, ["x"], {"x": 1}][number % 8]
        changed = copy.deepcopy(content)
        node = changed
        for key in path[:-1]:
            node = node[key]
        node[path[-1]] = wrong
        try:
            read = load(write(tmp_path, changed))
        except DocumentError:
            refused += 1
        else:
            package.read(read)
            refused += bool(read.refusals)
            assert all(one.pointer.startswith("#/") for one in read.refusals)
    assert refused > 50
