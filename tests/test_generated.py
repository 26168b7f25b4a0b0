"""The generated package: it is what the document generates, and the document is valid."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema
import msgspec
import nexus_operations_api
import pytest
import yaml
from nexus_operations import TERMINAL_STATUSES, Operation
from nexus_operations._core.checks import DEFAULT_ENDPOINT, ENDPOINT_VARIABLE, KNOWN_STATUSES
from nexus_operations._core.errors import BY_STATUS
from openapi_spec_validator import validate

ROOT = Path(__file__).parent.parent
DOCUMENT: dict[str, Any] = yaml.safe_load((ROOT / "openapi/operations.yaml").read_text())
SCHEMAS = DOCUMENT["components"]["schemas"]
GET = DOCUMENT["paths"]["/projects/{project_id}/operations/{op_id}"]["get"]
GENERATOR_RUNS = pytest.mark.skipif(
    sys.version_info < (3, 11), reason="the pinned generator needs Python 3.11"
)


@pytest.fixture
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "openapi/generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class TestDocument:
    def test_it_is_valid(self) -> None:
        validate(DOCUMENT)

    def test_it_names_every_status_code_that_is_known(self) -> None:
        known = [200, 400, 401, 403, 404, 429, 500, 502, 503, 504, *range(520, 525)]
        assert sorted(int(code) for code in GET["responses"]) == known
        assert {str(code) for code in BY_STATUS} <= set(GET["responses"])

    def test_its_example_is_the_reference_pages(self) -> None:
        example = DOCUMENT["components"]["examples"]["FinishedExport"]["value"]
        schema = {"$ref": "#/components/schemas/Operation", "components": {"schemas": SCHEMAS}}
        jsonschema.validate(example, schema)
        operation = Operation.from_json(msgspec.json.encode(example))
        assert operation.status.progress.with_status.Finished == 1

    def test_the_wrappers_know_what_it_says(self) -> None:
        overview = SCHEMAS["OperationStatus"]["properties"]["overview"]
        assert tuple(overview["x-extensible-enum"]) == KNOWN_STATUSES
        assert set(SCHEMAS["OperationProgressWithStatus"]["required"]) == set(KNOWN_STATUSES)
        assert all(f"`{status}`" in overview["description"] for status in TERMINAL_STATUSES)
        endpoint = DOCUMENT["servers"][0]["variables"]["endpoint"]
        assert endpoint["default"] == DEFAULT_ENDPOINT
        assert ENDPOINT_VARIABLE in endpoint["description"]


class TestModels:
    def test_fields_keep_the_pages_names(self) -> None:
        assert Operation.__struct_fields__ == ("id", "kind", "status", "create_date", "update_date")

    def test_they_are_frozen_and_hashable(self) -> None:
        body = msgspec.json.encode(DOCUMENT["components"]["examples"]["FinishedExport"]["value"])
        operation = Operation.from_json(body)
        assert hash(operation) == hash(Operation.from_json(body))
        with pytest.raises(AttributeError):
            operation.kind = "other"  # type: ignore[misc]

    def test_they_encode_to_what_they_came_from(self) -> None:
        example = DOCUMENT["components"]["examples"]["FinishedExport"]["value"]
        operation = Operation.from_json(msgspec.json.encode(example))
        assert msgspec.json.decode(msgspec.json.encode(operation)) == example


@GENERATOR_RUNS
class TestGenerator:
    def test_the_committed_output_is_the_generators(
        self, generator: ModuleType, tmp_path: Path
    ) -> None:
        generator.generate(generator.DOCUMENT, tmp_path / "fresh")
        committed = generator.read_tree(Path(nexus_operations_api.__file__).parent)
        assert generator.differences(committed, generator.read_tree(tmp_path / "fresh")) == []

    def test_one_changed_character_in_any_file_is_seen(self, generator: ModuleType) -> None:
        tree = generator.read_tree(generator.TARGET)
        assert len(tree) >= 14
        for name, text in tree.items():
            edited = {**tree, name: text[:-2] + "#" + text[-1:] if text else "#"}
            assert generator.differences(edited, tree), name
            without = {key: value for key, value in tree.items() if key != name}
            assert generator.differences(without, tree), name
            assert generator.differences(tree, without), name

    def test_an_api_that_grows_can_be_generated(
        self, generator: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        grown = yaml.safe_load((ROOT / "openapi/operations.yaml").read_text())
        grown["components"]["schemas"]["Operation"]["properties"].update(
            {
                "ratio": {"type": "number", "minimum": 0.5, "exclusiveMaximum": 2},
                "note": {"type": ["string", "null"], "description": 'Of a "person".'},
                "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 3},
                "phase": {"type": "string", "enum": ["first", "second"]},
                "code": {"type": "string", "pattern": "^[a-z]$"},
                "errors": {"type": "array", "items": {"$ref": "#/components/schemas/Error"}},
                "endDate": {"type": "string", "format": "date-time"},
            }
        )
        document = tmp_path / "grown.yaml"
        document.write_text(yaml.safe_dump(grown))
        generator.generate(document, tmp_path / "grown_api")
        monkeypatch.syspath_prepend(tmp_path)
        from grown_api.models import Operation as Grown  # type: ignore[import-not-found]

        body = dict(DOCUMENT["components"]["examples"]["FinishedExport"]["value"])
        assert Grown.from_json(msgspec.json.encode(body)).note is msgspec.UNSET
        more = {
            "ratio": 1.5,
            "note": None,
            "tags": ["a"],
            "phase": "first",
            "code": "a",
            "errors": [{"message": "m"}],
            "endDate": "2026-01-01T00:00:00Z",
        }
        grown_operation = Grown.from_json(msgspec.json.encode({**body, **more}))
        assert grown_operation.errors[0].message == "m"
        assert grown_operation.end_date.year == 2026
        for key, bad in [("ratio", 2), ("tags", list("abcd")), ("phase", "x"), ("code", "ab")]:
            with pytest.raises(msgspec.ValidationError, match=rf"\$\.{key}"):
                Grown.from_json(msgspec.json.encode({**body, key: bad}))

    def test_what_the_template_cannot_express_fails(
        self, generator: ModuleType, tmp_path: Path
    ) -> None:
        odd = yaml.safe_load((ROOT / "openapi/operations.yaml").read_text())
        odd["components"]["schemas"]["Error"]["properties"]["file"] = {
            "type": "string",
            "format": "binary",
        }
        document = tmp_path / "odd.yaml"
        document.write_text(yaml.safe_dump(odd))
        with pytest.raises(subprocess.CalledProcessError):
            generator.generate(document, tmp_path / "odd_api")
