"""Models of random schemas: they take what a validator of JSON Schema takes, and keep it."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from tests.support.generating import Package, document

SCHEMAS_EACH = 60
SEEDS = range(
    int(os.environ.get("GENERATE_SEED", "0")), int(os.environ.get("GENERATE_SEED", "0")) + 4
)
"""Seeds that are run: four, from the one that the environment names."""
VALUES = [
    *(None, True, False, 0, 1, 2, 3, 10, -1, 0.5, 2.5, -0.25, 2**40),
    *("", "a", "ab", "abc", "b", "x-1", "2026-01-02", "é", "a b"),
    *([], [1], [1, 1], ["a"], ["a", "a"], [None], [[1]], [{}], ["a", 1], [{"a": 1}, {"a": "x"}]),
    *({}, {"a": 1}, {"a": "a"}, {"b": "ab"}, {"a": 1, "b": "ab"}, {"c": None}, {"a": {"a": 1}}),
    *({"x-k": 1}, {"x-k": "a", "a": 1}, {"kind": "one", "a": 1}, {"kind": "two", "b": "b"}),
    *({"a": None, "b": []}, {"a": [1, 2]}, {"a": [], "c": {"b": "a"}}, {"kind": "one"}),
]


NODE = {
    "type": "object",
    "properties": {"a": {"anyOf": [{"$ref": "#/components/schemas/Node"}, {"type": "integer"}]}},
}


class Schemas:
    """Makes random schemas.

    Args:
        seed: Of the random numbers.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._named = ["Node"]

    def document(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return schemas that are referred to, and those that are tested."""
        names = [f"Named{number}" for number in range(6)]
        named: dict[str, Any] = {"Node": NODE}
        for name in names:
            # Each refers to those before it: in a circle, they would say nothing.
            named[name] = self.schema(2)
            self._named.append(name)
        return named, {f"Case{number}": self.schema(3) for number in range(SCHEMAS_EACH)}

    def schema(self, depth: int) -> dict[str, Any]:
        makers = [self._string, self._number, self._values]
        if depth:
            makers += [self._array, self._object, self._object, self._choice, self._all, self._ref]
            makers += [self._map, self._negated]
        return self._random.choice(makers)(depth - 1)

    def _maybe(self, schema: dict[str, Any], **more: Any) -> dict[str, Any]:
        return schema | {key: value for key, value in more.items() if self._random.random() < 0.3}

    def _string(self, _: int) -> dict[str, Any]:
        kind: Any = self._random.choice(["string", ["string", "null"], ["string", "integer"]])
        pattern = self._random.choice(["^a", "b", "^[a-z]+", "x-"])
        return self._maybe({"type": kind}, minLength=1, maxLength=2, pattern=pattern)

    def _number(self, _: int) -> dict[str, Any]:
        kind: Any = self._random.choice(["integer", "number", ["number", "null"]])
        step = self._random.choice([1, 2, 0.01, 0.5])
        low = self._random.choice([0, 0.5, 1])
        return self._maybe(
            {"type": kind}, minimum=low, exclusiveMaximum=10, multipleOf=step, maximum=2.5
        )

    def _values(self, _: int) -> dict[str, Any]:
        if self._random.random() < 0.3:
            return {"const": self._random.choice(VALUES)}
        values = self._random.sample(VALUES[:22], 4)
        return {"enum": values}

    def _array(self, depth: int) -> dict[str, Any]:
        schema = self._maybe({"type": "array"}, minItems=1, maxItems=1, uniqueItems=True)
        if self._random.random() < 0.8:
            schema["items"] = self.schema(depth)
        if self._random.random() < 0.15:
            schema["contains"] = self.schema(0)
        if self._random.random() < 0.15:
            schema["prefixItems"] = [self.schema(0)]
        return schema

    def _object(self, depth: int) -> dict[str, Any]:
        names = self._random.sample(["a", "b", "c", "kind"], self._random.randint(1, 3))
        schema: dict[str, Any] = {"type": "object"}
        schema["properties"] = {name: self.schema(depth) for name in names}
        return self._maybe(
            schema,
            required=[names[0]],
            additionalProperties=self._random.choice([False, True, {"type": "integer"}]),
            minProperties=1,
            dependentRequired={"a": ["b"]},
            dependentSchemas={"b": {"required": ["c"]}, "kind": self.schema(0)},
            patternProperties={"^x-": {"type": "string"}},
        )

    def _map(self, depth: int) -> dict[str, Any]:
        schema = {"type": "object", "additionalProperties": self.schema(depth)}
        return self._maybe(schema, minProperties=1, maxProperties=1, propertyNames={"maxLength": 1})

    def _choice(self, depth: int) -> dict[str, Any]:
        keyword = self._random.choice(["anyOf", "oneOf"])
        members = [self.schema(depth) for _ in range(self._random.randint(1, 3))]
        return {keyword: [*members, *self._random.choice([[], [{"type": "null"}]])]}

    def _all(self, depth: int) -> dict[str, Any]:
        return {"allOf": [self.schema(depth), self.schema(depth)]}

    def _ref(self, _: int) -> dict[str, Any]:
        reference = f"#/components/schemas/{self._random.choice(self._named)}"
        return self._maybe({"$ref": reference}, minLength=1, maximum=2)

    def _negated(self, depth: int) -> dict[str, Any]:
        schema = self.schema(depth)
        if self._random.random() < 0.5:
            return {**schema, "not": self.schema(1)} if "not" not in schema else schema
        if self._random.random() < 0.5:
            return {"if": self.schema(1), "then": self.schema(depth)}
        return {**self._object(depth), "if": self.schema(1), "then": self._object(depth)}


def is_kept(sent: Any, back: Any) -> bool:
    """Return whether what came back was sent; keys that no struct has may be left out."""
    if isinstance(sent, dict) and isinstance(back, dict):
        return all(key in sent and is_kept(sent[key], back[key]) for key in back)
    if isinstance(sent, list) and isinstance(back, list):
        return len(sent) == len(back) and all(map(is_kept, sent, back))
    return bool(sent == back) and isinstance(sent, bool) == isinstance(back, bool)


@pytest.mark.parametrize("seed", SEEDS)
def test_models_of_random_schemas(seed: int, tmp_path: Path) -> None:
    named, cases = Schemas(seed).document()
    holders = {
        name: {"type": "object", "required": ["v"], "properties": {"v": schema}}
        for name, schema in cases.items()
    }
    package = Package(document({**named, **holders}), tmp_path, skip=True)
    # Some random schemas allow nothing; they are refused, and what refers to them is passed over.
    refused = {line.split("/")[3].partition(":")[0] for line in package.left_out}
    if any(name.startswith("Named") for name in refused):
        refused |= {name for name, one in holders.items() if "/Named" in json.dumps(one)}
    assert len(refused) < SCHEMAS_EACH / 2
    wrong: list[str] = []
    for name, schema in holders.items():
        if name in refused:
            continue
        validator = jsonschema.Draft202012Validator({**schema, "components": {"schemas": named}})
        decoder = msgspec.json.Decoder(getattr(package.models, name))
        for value in VALUES:
            body = {"v": value}
            is_valid = validator.is_valid(body)
            try:
                decoded = decoder.decode(json.dumps(body).encode())
            except msgspec.ValidationError as error:
                if is_valid:
                    wrong.append(f"{schema['properties']['v']} refuses {value!r}: {error}")
                continue
            back = json.loads(msgspec.json.encode(decoded))
            if not is_valid:
                wrong.append(f"{schema['properties']['v']} takes {value!r}")
            elif not is_kept(body, back):
                wrong.append(f"{schema['properties']['v']} makes {back!r} of {value!r}")
    assert not wrong, "\n".join(wrong[:20])
