"""The consumer's side of the contract: all that the document allows parses, nothing else does."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from nexus_operations import InvalidResponseError, Operation

from tests.conftest import Driver

DOCUMENT: dict[str, Any] = yaml.safe_load(
    (Path(__file__).parent.parent / "openapi/operations.yaml").read_text()
)
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]
EXAMPLE: dict[str, Any] = DOCUMENT["components"]["examples"]["FinishedExport"]["value"]
VALIDATOR = jsonschema.Draft202012Validator(
    {"$ref": "#/components/schemas/Operation", "components": {"schemas": SCHEMAS}}
)
KNOWN_KEYWORDS = {"type", "title", "description", "example", "required", "properties", "minimum"}
KNOWN_KEYWORDS |= {"minLength", "format", "x-extensible-enum", "$ref"}

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema, or the one it refers to."""
    assert set(schema) <= KNOWN_KEYWORDS, f"these tests do not know {set(schema) - KNOWN_KEYWORDS}"
    return SCHEMAS[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def valid(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Return a strategy for what a schema of the document allows, further keys included."""
    schema = resolved(schema)
    if schema["type"] == "integer":
        assert schema["format"] == "int64"
        return st.integers(schema["minimum"], 2**63 - 1)
    if schema["type"] == "string":
        text = st.text(min_size=schema.get("minLength", 0))
        return text | st.sampled_from(schema.get("x-extensible-enum", ["Operation finished"]))
    assert schema["type"] == "object"
    names = schema["properties"]
    required = {name: valid(names[name]) for name in schema["required"]}
    optional = {name: valid(names[name]) for name in names if name not in schema["required"]}
    others = st.dictionaries(
        st.text().filter(lambda key: key not in names), json_values, max_size=2
    )
    return st.builds(
        lambda known, more: {**more, **known},
        st.fixed_dictionaries(required, optional=optional),
        others,
    )


@settings(max_examples=300)
@given(valid({"$ref": "#/components/schemas/Operation"}), st.booleans())
def test_every_valid_body_parses(body: dict[str, Any], ascii_only: bool) -> None:
    VALIDATOR.validate(body)
    operation = Operation.from_json(json.dumps(body, ensure_ascii=ascii_only).encode())
    assert operation.create_date == body["createDate"]
    counts = body["status"]["progress"]["withStatus"]
    assert msgspec.to_builtins(operation.status.progress.with_status) == {
        key: counts[key] for key in ("Queued", "Running", "Finished", "Cancelled", "Errored")
    }


WRONG: dict[str, list[Any]] = {
    "integer": [None, True, "1", "", 0.5, -1, -(2**63), 2**63, [], {}, [1]],
    "string": [None, False, 0, 1.5, [], {}, ["a"]],
    "object": [None, True, 0, "x", [], [{}]],
}


def mutations(schema: dict[str, Any], value: Any, path: str) -> Iterator[tuple[Any, str]]:
    """Yield every body that differs from a valid one in one spot, and the path of the error."""
    schema = resolved(schema)
    for wrong in WRONG[schema["type"]]:
        yield wrong, path
    if schema.get("minLength"):
        yield "", path
    if schema["type"] != "object":
        return
    for name in schema["required"]:
        without = {key: kept for key, kept in value.items() if key != name}
        yield without, path
        misspelt = {**without, name.swapcase(): value[name]}
        yield misspelt, path
    for name, inner in schema["properties"].items():
        for changed, at in mutations(inner, value[name], f"{path}.{name}"):
            yield {**value, name: changed}, at


MUTATIONS = list(mutations({"$ref": "#/components/schemas/Operation"}, EXAMPLE, "$"))


def test_the_mutations_break_the_schema() -> None:
    assert len(MUTATIONS) > 100
    for body, _ in MUTATIONS:
        too_large = "9223372036854775808" in json.dumps(body)  # beyond the format, not the schema
        assert too_large or not VALIDATOR.is_valid(body)


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_every_mutation_is_refused_with_its_path(kind: str) -> None:
    from nexus_operations.simulator import Trouble

    nexus = Driver(kind)
    for body, path in MUTATIONS:
        op_id = nexus.service.start()
        nexus.service.trouble(Trouble(kind="body", body=json.dumps(body)), op_id=op_id)
        with pytest.raises(InvalidResponseError) as caught:
            nexus.get(op_id)
        assert caught.value.path == path, body


def test_the_example_is_not_changed_by_all_this() -> None:
    assert Operation.from_json(json.dumps(copy.deepcopy(EXAMPLE)).encode()).kind == EXAMPLE["kind"]
