"""`allOf` and references with siblings: schemas that all hold, as one where that is exact."""

from __future__ import annotations

import json
import math
from typing import Any

from .runtime.validation import key_of
from .schemas import JSON_TYPES, KEPT_ANNOTATIONS, Schema, assertions

LARGER = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
SMALLER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
GROUPS = (
    ("anyOf", "discriminator"),
    ("oneOf", "discriminator"),
    ("not",),
    ("if", "then", "else"),
    ("contains", "minContains", "maxContains"),
    ("propertyNames",),
    ("dependentSchemas",),
)
"""Keywords that are merged only where one of the two schemas has them."""


UNMERGED = ("patternProperties", "prefixItems", "$ref")
"""Keywords that say what others beside them mean: a schema that has one is kept as it is."""


class Merger:
    """Makes one schema of those that must all hold.

    Args:
        named: The schemas that are referred to.
    """

    def __init__(self, named: dict[str, Schema]) -> None:
        self._named = named

    def flatten(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return a schema without `$ref` and `allOf`, or one that is nothing but a `$ref`.

        What cannot be merged exactly stays in `allOf`.
        """
        parts = self._parts(schema, frozenset())
        references = [part for part in parts if "$ref" in part]
        if not references and "allOf" not in schema:
            return schema
        merged: dict[str, Any] = {}
        for part in parts:
            merged = self._merge(merged, self._resolved(part))
        # A reference that is only described, or repeated, keeps its name.
        for part in references:
            if _same(merged, self._resolved(part)):
                labels = {key: schema[key] for key in KEPT_ANNOTATIONS if key in schema}
                return {"$ref": part["$ref"], "x-at": schema.get("x-at"), **labels}
        for key in (*KEPT_ANNOTATIONS, "x-at"):
            if key in schema:
                merged[key] = schema[key]
        return merged

    def resolve(self, schema: Schema) -> dict[str, Any]:
        """Return a schema with its references followed, too."""
        flat = self.flatten(schema) if isinstance(schema, dict) else {}
        return self._resolved(flat)

    def _parts(self, schema: Schema, seen: frozenset[str]) -> list[dict[str, Any]]:
        """Return the schemas that must hold, references last resolved one by one."""
        if isinstance(schema, bool):
            return [] if schema else [{"not": {}}]
        own = {key: value for key, value in schema.items() if key not in ("$ref", "allOf")}
        parts = []
        if "$ref" in schema:
            parts.append({"$ref": schema["$ref"]})
        for inner in schema.get("allOf", ()):
            parts += self._parts(inner, seen)
        if assertions(own):
            parts.append(own)
        return parts

    def _resolved(self, part: dict[str, Any], seen: frozenset[str] = frozenset()) -> dict[str, Any]:
        """Return a part with its reference, and the references behind it, followed."""
        if "$ref" not in part:
            return part
        pointer = part["$ref"]
        if pointer in seen:
            return part
        target = self._named[pointer]
        merged: dict[str, Any] = {}
        for inner in self._parts(target, seen):
            merged = self._merge(merged, self._resolved(inner, seen | {pointer}))
        if isinstance(target, dict):
            labels = {key: target[key] for key in KEPT_ANNOTATIONS if key in target}
            merged = {**merged, **labels, "x-at": target.get("x-at", pointer)}
        return merged

    def _merge(self, one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
        """Return one schema that allows what both allow."""
        if not assertions(one):
            return {**one, **other}
        if not assertions(other):
            return one
        if any(key in part for part in (one, other) for key in UNMERGED):
            return self._beside(one, other)
        for group in GROUPS:
            theirs = [key for key in group if key in other]
            if theirs and any(key in one for key in group) and not _same(one, other):
                return self._beside(one, other)
        result = {**other, **one}
        for key in one.keys() & other.keys():
            result[key] = self._both(key, one[key], other[key])
        if result.get("multipleOf") is None and "multipleOf" in result:
            return self._beside(one, other)
        if "properties" in result or "additionalProperties" in result:
            self._merge_objects(one, other, result)
        return result

    def _beside(self, one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
        """Return the first with what is simple of the second, which is to be checked as a whole."""
        result = dict(one)
        if "type" in other:
            result["type"] = _types(one.get("type", other["type"]), other["type"])
        if "properties" in other and "patternProperties" not in one:
            mine, rest = one.get("properties", {}), one.get("additionalProperties", True)
            result["properties"] = {
                **{name: _and(rest, inner) for name, inner in other["properties"].items()},
                **mine,
            }
        result["allOf"] = [*one.get("allOf", ()), other]
        return result

    def _both(self, key: str, one: Any, other: Any) -> Any:
        if one == other or key in KEPT_ANNOTATIONS or key.startswith("x-at"):
            return one
        if key in LARGER:
            return max(one, other)
        if key in SMALLER:
            return min(one, other)
        match key:
            case "type":
                return _types(one, other)
            case "enum":
                allowed = set(map(key_of, other))
                return [value for value in one if key_of(value) in allowed]
            case "x-patterns":
                return list(dict.fromkeys([*one, *other]))
            case "required":
                return list(dict.fromkeys([*one, *other]))
            case "dependentRequired":
                return {k: [*one.get(k, ()), *other.get(k, ())] for k in {**one, **other}}
            case "multipleOf":
                whole = isinstance(one, int) and isinstance(other, int)
                return math.lcm(one, other) if whole else None
            case "items":
                return _and(one, other)
            case "allOf":
                return [*one, *other]
        return one

    def _merge_objects(
        self, one: dict[str, Any], other: dict[str, Any], result: dict[str, Any]
    ) -> None:
        """Merge properties; what one schema closes or types, it does for the other's names, too."""
        mine, theirs = one.get("properties", {}), other.get("properties", {})
        rest = one.get("additionalProperties", True), other.get("additionalProperties", True)
        if mine or theirs:
            result["properties"] = {
                name: _and(mine.get(name, rest[0]), theirs.get(name, rest[1]))
                for name in {**mine, **theirs}
            }
        if "additionalProperties" in result:
            result["additionalProperties"] = _and(*rest)


def _types(one: list[str], other: list[str]) -> list[str]:
    """Return the types that both lists allow; an integer is a number."""
    both = [name for name in JSON_TYPES if name in one and name in other]
    if "number" not in both and "integer" not in both:
        pairs = ((one, other), (other, one))
        both += ["integer" for a, b in pairs if "integer" in a and "number" in b]
    return both


def _and(one: Schema, other: Schema) -> Schema:
    """Return a schema that allows what both allow."""
    if one is False or other is False:
        return False
    if one is True or one == other or (isinstance(one, dict) and not assertions(one)):
        return other
    if other is True or (isinstance(other, dict) and not assertions(other)):
        return one
    assert isinstance(one, dict)
    at = one.get("x-at") or (isinstance(other, dict) and other.get("x-at"))
    return {"allOf": [one, other], "x-at": at}


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Return whether two schemas allow the same values for the same reasons."""
    return _essence(one) == _essence(other)


def _essence(schema: Any) -> str:
    return json.dumps(_bare(schema), sort_keys=True, default=str)


def _bare(schema: Any) -> Any:
    """Return a schema without what only describes it."""
    if isinstance(schema, list):
        return [_bare(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: {name: _bare(inner) for name, inner in value.items()}
        if key in ("properties", "patternProperties", "dependentSchemas")
        else _bare(value)
        for key, value in assertions(schema).items()
    }
