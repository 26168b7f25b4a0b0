"""Checks of JSON values that msgspec's types cannot express."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from functools import lru_cache
from importlib import import_module
from typing import Any

import msgspec

from .schemas import SCHEMAS as SCHEMAS

Schema = bool | Mapping[str, Any]


def settle(struct: msgspec.Struct, checks: Mapping[str, tuple[str, Schema, bool]]) -> None:
    """Check the fields of a struct that msgspec decoded loosely, and decode them fully.

    Args:
        struct: The struct, from its `__post_init__`.
        checks: By field: its JSON name, its schema, and whether it holds structs to be built. The
            field `""` stands for the whole struct.

    Raises:
        ValueError: If a value breaks its schema; the text ends with the JSON path.
    """
    for field, (name, schema, is_built) in checks.items():
        value = getattr(struct, field) if field else struct
        if value is msgspec.UNSET:
            continue
        plain = msgspec.to_builtins(value)
        check(schema, plain, f".{name}" if field else "")
        if is_built:
            msgspec.structs.force_setattr(struct, field, build(schema, plain))


def check(schema: Schema, value: Any, path: str = "$") -> None:
    """Check a JSON value; raise `ValueError` with the first fault and its path."""
    for fault, where in _faults(schema, value, path):
        raise ValueError(f"{fault} - at `{where}`")


def is_valid(schema: Schema, value: Any) -> bool:
    """Return whether a JSON value is what a schema allows."""
    return next(_faults(schema, value, ""), None) is None


def build(schema: Schema, value: Any) -> Any:
    """Return a valid JSON value with the structs that its schema names."""
    if isinstance(schema, bool):
        return value
    if name := schema.get("x-struct"):
        models = import_module(".models", __package__)
        return msgspec.convert(value, getattr(models, name)) if isinstance(value, dict) else value
    if "$ref" in schema:
        return build(SCHEMAS[schema["$ref"]], value)
    for keyword in ("oneOf", "anyOf"):
        if keyword in schema:
            members, _ = _members(schema, keyword, value)
            return build(next((one for one in members if is_valid(one, value)), True), value)
    value = _build_all(schema.get("allOf", ()), value)
    if isinstance(value, list):
        return [build(_of_item(schema, index), item) for index, item in enumerate(value)]
    if isinstance(value, dict):
        return {key: _build_all(_of_key(schema, key), item) for key, item in value.items()}
    return value


def _build_all(schemas: Iterable[Schema], value: Any) -> Any:
    for schema in schemas:
        value = build(schema, value)
    return value


def _of_item(schema: Mapping[str, Any], index: int) -> Schema:
    """Return what an array's schema says of an item."""
    first: list[Schema] = schema.get("prefixItems", [])
    inner: Schema = first[index] if index < len(first) else schema.get("items", True)
    return inner


def _of_key(schema: Mapping[str, Any], key: str) -> list[Schema]:
    """Return all that an object's schema says of the value under a key."""
    by_pattern: Mapping[str, Schema] = schema.get("patternProperties", {})
    properties: Mapping[str, Schema] = schema.get("properties", {})
    found = [properties[key]] if key in properties else []
    found += [inner for pattern, inner in by_pattern.items() if _compiled(pattern).search(key)]
    if not found and "additionalProperties" in schema:
        found.append(schema["additionalProperties"])
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


TYPES: dict[str, Callable[[Any], bool]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: _is_number(value) and value % 1 == 0,
    "number": _is_number,
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}


def key_of(value: Any) -> Any:
    """Return a hashable form in which JSON values that are equal are equal, and no others."""
    if isinstance(value, list):
        return ("array", *map(key_of, value))
    if isinstance(value, dict):
        return ("object", frozenset((key, key_of(item)) for key, item in value.items()))
    return (isinstance(value, bool), value)


def _faults(schema: Schema, value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a value, and where."""
    if isinstance(schema, bool):
        if not schema:
            yield "Unexpected value", path
        return
    if "$ref" in schema:
        yield from _faults(SCHEMAS[schema["$ref"]], value, path)
    types = schema.get("type")
    if types is not None and not any(TYPES[name](value) for name in types):
        yield f"Expected `{' | '.join(types)}`, got `{type(value).__name__}`", path
        return
    if "enum" in schema and key_of(value) not in map(key_of, schema["enum"]):
        yield "Invalid enum value", path
    if _is_number(value):
        yield from _number_faults(schema, value, path)
    elif isinstance(value, str):
        yield from _string_faults(schema, value, path)
    elif isinstance(value, list):
        yield from _array_faults(schema, value, path)
    elif isinstance(value, dict):
        yield from _object_faults(schema, value, path)
    yield from _combined_faults(schema, value, path)


def _number_faults(schema: Mapping[str, Any], value: Any, path: str) -> Iterator[tuple[str, str]]:
    if "minimum" in schema and value < schema["minimum"]:
        yield f"Expected a number >= {schema['minimum']}", path
    if "maximum" in schema and value > schema["maximum"]:
        yield f"Expected a number <= {schema['maximum']}", path
    if "exclusiveMinimum" in schema and value <= schema["exclusiveMinimum"]:
        yield f"Expected a number > {schema['exclusiveMinimum']}", path
    if "exclusiveMaximum" in schema and value >= schema["exclusiveMaximum"]:
        yield f"Expected a number < {schema['exclusiveMaximum']}", path
    # In decimal, as it is written: 0.07 is a multiple of 0.01, though not in binary.
    if (step := schema.get("multipleOf")) and not _is_multiple(str(value), str(step)):
        yield f"Expected a multiple of {step}", path


def _is_multiple(value: str, step: str) -> bool:
    (_, digits, exponent), (_, step_digits, step_exponent) = (
        Decimal(text).as_tuple() for text in (value, step)
    )
    assert isinstance(exponent, int)
    assert isinstance(step_exponent, int)
    low = min(exponent, step_exponent)
    number = int("".join(map(str, digits))) * 10 ** (exponent - low)
    return bool(number % (int("".join(map(str, step_digits))) * 10 ** (step_exponent - low)) == 0)


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _string_faults(schema: Mapping[str, Any], value: str, path: str) -> Iterator[tuple[str, str]]:
    if len(value) < schema.get("minLength", 0):
        yield f"Expected `str` of length >= {schema['minLength']}", path
    if len(value) > schema.get("maxLength", len(value)):
        yield f"Expected `str` of length <= {schema['maxLength']}", path
    for pattern in schema.get("x-patterns", ()):
        if not _compiled(pattern).search(value):
            yield f"Expected `str` matching regex {pattern!r}", path


def _array_faults(
    schema: Mapping[str, Any], value: list[Any], path: str
) -> Iterator[tuple[str, str]]:
    if len(value) < schema.get("minItems", 0):
        yield f"Expected `array` of length >= {schema['minItems']}", path
    if len(value) > schema.get("maxItems", len(value)):
        yield f"Expected `array` of length <= {schema['maxItems']}", path
    if schema.get("uniqueItems") and len(set(map(key_of, value))) < len(value):
        yield "Expected `array` of distinct items", path
    for index, item in enumerate(value):
        yield from _faults(_of_item(schema, index), item, f"{path}[{index}]")
    if "contains" in schema:
        count = sum(is_valid(schema["contains"], item) for item in value)
        if not schema.get("minContains", 1) <= count <= schema.get("maxContains", count):
            yield "Expected `array` with the items that `contains` asks for", path


def _object_faults(
    schema: Mapping[str, Any], value: dict[str, Any], path: str
) -> Iterator[tuple[str, str]]:
    if len(value) < schema.get("minProperties", 0):
        yield f"Expected `object` of length >= {schema['minProperties']}", path
    if len(value) > schema.get("maxProperties", len(value)):
        yield f"Expected `object` of length <= {schema['maxProperties']}", path
    for name in schema.get("required", ()):
        if name not in value:
            yield f"Object missing required field `{name}`", path
    for name, others in schema.get("dependentRequired", {}).items():
        missing = [other for other in others if name in value and other not in value]
        if missing:
            yield f"Object missing field `{missing[0]}`, which `{name}` requires", path
    for name, inner in schema.get("dependentSchemas", {}).items():
        if name in value:
            yield from _faults(inner, value, path)
    properties = schema.get("properties", {})
    for name, item in value.items():
        if "propertyNames" in schema:
            yield from _faults(schema["propertyNames"], name, path)
        matching = _of_key(schema, name)
        if matching == [False] and name not in properties:
            yield f"Object contains unknown field `{name}`", path
            continue
        for inner in matching:
            yield from _faults(
                inner, item, f"{path}.{name}" if name in properties else f"{path}[...]"
            )


def _combined_faults(schema: Mapping[str, Any], value: Any, path: str) -> Iterator[tuple[str, str]]:
    for member in schema.get("allOf", ()):
        yield from _faults(member, value, path)
    for keyword in ("anyOf", "oneOf"):
        if keyword not in schema:
            continue
        members, is_chosen = _members(schema, keyword, value)
        if is_chosen:
            yield from _faults(members[0], value, path)
            continue
        count = 0
        for member in members:
            count += is_valid(member, value)
            if count > (keyword == "oneOf"):
                break
        if count == 0:
            yield f"Expected one of the {len(members)} alternatives", path
        elif keyword == "oneOf" and count > 1:
            yield "Expected one of the alternatives, got a value of several", path
    if "not" in schema and is_valid(schema["not"], value):
        yield "Expected another value", path
    if "if" in schema:
        branch = "then" if is_valid(schema["if"], value) else "else"
        yield from _faults(schema.get(branch, True), value, path)


def _members(schema: Mapping[str, Any], keyword: str, value: Any) -> tuple[list[Schema], bool]:
    """Return the alternatives for a value, and whether its discriminator has chosen one."""
    members: list[Schema] = schema[keyword]
    discriminator = schema.get("discriminator")
    if discriminator is None or not isinstance(value, dict):
        return members, False
    tag = value.get(discriminator["propertyName"])
    mapping = discriminator["mapping"]
    if not isinstance(tag, str) or tag not in mapping:
        return [False], True
    return ([{"$ref": mapping[tag]}], True) if mapping[tag] else (members, False)


class Settler:
    """Checks a plain JSON value, and returns it with the structs that its schema names.

    Args:
        schema: The schema.
    """

    def __init__(self, schema: Schema) -> None:
        self._schema = schema

    def __call__(self, value: Any) -> Any:
        """Return the value, with its structs; raise `ValueError` if it breaks the schema."""
        check(self._schema, value, "$")
        return build(self._schema, value)
