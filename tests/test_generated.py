"""The generated package: it is what the document generates, and the document is valid."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import generate
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
        page = ("id", "kind", "status", "create_date", "update_date")
        fields = Operation.__struct_fields__
        assert tuple(name for name in fields if name in page) == page

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


class TestGenerator:
    def test_the_committed_output_is_the_generators(self, tmp_path: Path) -> None:
        target = tmp_path / "nexus_operations_api"
        assert generate.generate(generate.DOCUMENT, target) == []
        committed = generate.read_tree(Path(nexus_operations_api.__file__).parent)
        assert generate.differences(committed, generate.read_tree(target)) == []

    def test_one_changed_character_in_any_file_is_seen(self) -> None:
        tree = generate.read_tree(generate.TARGET)
        assert len(tree) >= 14
        for name, text in tree.items():
            edited = {**tree, name: text[:-2] + "#" + text[-1:] if text else "#"}
            assert generate.differences(edited, tree), name
            without = {key: value for key, value in tree.items() if key != name}
            assert generate.differences(without, tree), name
            assert generate.differences(tree, without), name
