"""The consumer's side of the contract: all that the document allows parses, nothing else does.

The bodies and the mutations come from the document, and a validator of JSON Schema says which are
valid: whatever is added to the document is tested without an edit here.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
import schemathesis
import yaml
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from nexus_operations import InvalidResponseError, Operation

from tests.conftest import Driver

DOCUMENT: dict[str, Any] = yaml.safe_load(
    (Path(__file__).parent.parent / "openapi/operations.yaml").read_text()
)
EXAMPLE: dict[str, Any] = DOCUMENT["components"]["examples"]["FinishedExport"]["value"]
FORMATS = jsonschema.FormatChecker(["date", "date-time", "uuid"])
INT64 = {"type": "number", "minimum": -(2**63), "maximum": 2**63 - 1}
MOST_MUTATIONS = 400
"""Requests that the test of the mutations makes, at most, for each kind of client."""

WRONG: list[Any] = [None, True, "", "x", "1", 0, -1, 0.5, 2**63, -(2**63) - 1, [], {}, [1], [{}]]


def with_formats(node: Any) -> Any:
    """Return the document with the bounds that a format means, which validators do not know."""
    if isinstance(node, list):
        return [with_formats(item) for item in node]
    if not isinstance(node, dict):
        return node
    changed = {key: with_formats(value) for key, value in node.items()}
    if changed.get("format") == "int64" and isinstance(changed.get("type"), str | list):
        changed["allOf"] = [
            *changed.get("allOf", []),
            {"if": {"type": "number"}, "then": INT64},
        ]
    return changed


CHECKED = with_formats(DOCUMENT)
VALIDATOR = jsonschema.Draft202012Validator(
    {"$ref": "#/components/schemas/Operation", "components": CHECKED["components"]},
    format_checker=FORMATS,
)


def bodies() -> st.SearchStrategy[Any]:
    """Return a strategy for what the document allows as an operation, further keys included."""
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Operation"}}}
    post = {
        "requestBody": {"required": True, "content": content},
        "responses": {"200": {"description": "Taken."}},
    }
    document = {
        "openapi": "3.1.0",
        "info": {"title": "bodies", "version": "1"},
        "paths": {"/operations": {"post": post}},
        "components": {"schemas": CHECKED["components"]["schemas"]},
    }
    operation = schemathesis.openapi.from_dict(document)["/operations"]["POST"]
    return operation.as_strategy().map(lambda case: case.body).filter(VALIDATOR.is_valid)


def is_kept(sent: Any, back: Any) -> bool:
    """Return whether all that came back was sent; keys that nobody knows may be left out."""
    if isinstance(sent, dict) and isinstance(back, dict):
        return all(key in sent and is_kept(sent[key], back[key]) for key in back)
    if isinstance(sent, list) and isinstance(back, list):
        return len(sent) == len(back) and all(map(is_kept, sent, back))
    return bool(sent == back) and isinstance(sent, bool) == isinstance(back, bool)


@settings(max_examples=300, suppress_health_check=list(HealthCheck), deadline=None)
@given(bodies(), st.booleans())
def test_every_valid_body_parses(body: dict[str, Any], ascii_only: bool) -> None:
    operation = Operation.from_json(json.dumps(body, ensure_ascii=ascii_only).encode())
    back = msgspec.json.decode(msgspec.json.encode(operation))
    assert is_kept(body, back)
    known = DOCUMENT["components"]["schemas"]["Operation"]["properties"]
    assert {key for key in body if key in known} == set(back)
    assert operation.create_date == body["createDate"]


def spots(value: Any) -> Iterator[Any]:
    """Yield every value that differs from a given one in one spot."""
    yield from (wrong for wrong in WRONG if wrong != value or type(wrong) is not type(value))
    if isinstance(value, dict):
        for key, inner in value.items():
            without = {other: kept for other, kept in value.items() if other != key}
            yield without
            yield {**without, key.swapcase(): inner}
            for changed in spots(inner):
                yield {**value, key: changed}
    elif isinstance(value, list) and value:
        yield [*value, *value]
        for changed in spots(value[0]):
            yield [changed, *value[1:]]


def path_of(error: jsonschema.ValidationError) -> str:
    """Return where a value breaks its schema, as msgspec writes it."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.absolute_path)
    return "$" + "".join(steps)


def samples() -> list[Any]:
    """Return the document's example, and bodies that between them have every key of it."""
    found: list[Any] = []

    @seed(1)
    @settings(
        max_examples=40,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(bodies())
    def collect(body: Any) -> None:
        found.append(body)

    collect()
    known = set(DOCUMENT["components"]["schemas"]["Operation"]["properties"])
    chosen, missing = [EXAMPLE], known - set(EXAMPLE)
    for body in sorted(found, key=lambda one: (len(json.dumps(one)), json.dumps(one))):
        if missing & set(body):
            chosen.append({key: value for key, value in body.items() if key in known})
            missing -= set(body)
    assert not missing, f"no body of {len(found)} has {missing}"
    return chosen


@pytest.fixture(scope="module")
def mutations() -> list[tuple[Any, set[str]]]:
    """Return bodies that are broken in one spot, and where they may be said to be broken."""
    found: dict[str, tuple[Any, set[str]]] = {}
    for body in map(spots, samples()):
        for changed in body:
            errors = list(VALIDATOR.iter_errors(changed))
            inner = [one for error in errors for one in [error, *(error.context or [])]]
            if errors:
                found[json.dumps(changed)] = changed, {path_of(error) for error in inner}
    ordered = list(found.values())
    step = -(-len(ordered) // MOST_MUTATIONS)
    return ordered[::step]


def test_the_mutations_are_many(mutations: list[tuple[Any, set[str]]]) -> None:
    assert len(mutations) > 100
    paths = {path for _, found in mutations for path in found}
    assert {"$", "$.id", "$.status", "$.status.progress.withStatus.Queued"} <= paths


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_every_mutation_is_refused_with_its_path(
    kind: str, mutations: list[tuple[Any, set[str]]]
) -> None:
    from nexus_operations.simulator import Trouble

    nexus = Driver(kind)
    for body, paths in mutations:
        op_id = nexus.service.start()
        nexus.service.trouble(Trouble(kind="body", body=json.dumps(body)), op_id=op_id)
        with pytest.raises(InvalidResponseError) as caught:
            nexus.get(op_id)
        assert caught.value.path in paths, body


def test_the_example_is_not_changed_by_all_this() -> None:
    assert Operation.from_json(json.dumps(copy.deepcopy(EXAMPLE)).encode()).kind == EXAMPLE["kind"]
