"""The document's schemas in one spelling, with what cannot be expressed refused.

A schema of OpenAPI 3.0 or 3.1 becomes a `dict` of JSON Schema 2020-12 with these differences:
`type` is a list, `$ref` is the canonical pointer of a schema in `Schemas.named`, patterns (those of
the formats included) stand in `x-patterns` as Python's, bounds of integer formats are `minimum` and
`maximum`, `const` is an `enum`, and `x-at` says where the schema stands.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from typing import Any

from . import patterns
from .document import Document, canonical, join, split

Schema = bool | dict[str, Any]

JSON_TYPES = ("null", "boolean", "integer", "number", "string", "array", "object")
ANNOTATIONS = frozenset({"title", "description", "default", "example", "examples", "deprecated"})
ANNOTATIONS |= {"xml", "externalDocs", "$comment", "$schema", "contentEncoding", "contentSchema"}
ANNOTATIONS |= {"$defs", "definitions"}
KEPT_ANNOTATIONS = ("title", "description", "readOnly", "writeOnly", "format", "contentMediaType")
NUMBERS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
COUNTS = (
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "minContains",
    "maxContains",
)
LONGEST = 2**63 - 1
SCHEMAS = (
    "items",
    "not",
    "if",
    "then",
    "else",
    "contains",
    "propertyNames",
    "additionalProperties",
)
SCHEMA_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
SCHEMA_MAPS = ("properties", "patternProperties", "dependentSchemas")
ARRAY_WORDS = frozenset({"items", "prefixItems"})
OBJECT_WORDS = frozenset({"properties", "additionalProperties", "patternProperties"})
OTHERS = {"type", "enum", "const", "required", "dependentRequired", "uniqueItems", "pattern"}
OTHERS |= {"discriminator", "nullable", "$ref"}
IMPOSSIBLE = {
    "unevaluatedProperties": "say it with `additionalProperties` on an object that lists all",
    "unevaluatedItems": "say it with `prefixItems` and `items`",
    "$dynamicRef": "refer with `$ref`",
    "$recursiveRef": "refer with `$ref`",
    "$id": "refer to schemas by their place in the document",
    "dependencies": "write `dependentRequired` or `dependentSchemas`",
    "additionalItems": "write `prefixItems` and `items`",
}
KNOWN = {*ANNOTATIONS, *KEPT_ANNOTATIONS, *NUMBERS, *COUNTS, *SCHEMAS, *SCHEMA_LISTS, *SCHEMA_MAPS}
KNOWN |= {*OTHERS, *IMPOSSIBLE, "$anchor", "$dynamicAnchor", "$vocabulary"}
INTEGER_FORMATS = {
    **{f"int{bits}": (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": (0, 2**bits - 1) for bits in (8, 16, 32, 64)},
}


def is_any(schema: Schema) -> bool:
    """Return whether a schema allows every value."""
    return schema is True or (isinstance(schema, dict) and not assertions(schema))


def is_null(schema: Schema) -> bool:
    """Return whether a schema allows `null` and nothing else."""
    return isinstance(schema, dict) and schema.get("type") == ["null"]


def assertions(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the part of a schema that a value can break."""
    return {
        key: value
        for key, value in schema.items()
        if key not in KEPT_ANNOTATIONS and key not in ("x-at", "x-binary")
    }


class Schemas:
    """Reads schemas of a document into one spelling.

    Attributes:
        named: The schemas that others refer to, by canonical pointer.
    """

    def __init__(self, document: Document) -> None:
        self.document = document
        self.named: dict[str, Schema] = {}
        self._depth = 0
        self._begun: list[str] = []
        self._unfinished: list[dict[str, Any]] = []

    def read(self, node: Any, pointer: str) -> Schema:
        """Return a schema in the one spelling; note what it has that cannot be expressed."""
        self._depth += 1
        result = self._read(node, pointer)
        self._depth -= 1
        self._finish()
        return result

    def _finish(self) -> None:
        """Do what needs the schemas that are referred to, once they are all read."""
        if self._depth:
            return
        self._refuse_circles(self._begun)
        for schema in self._unfinished:
            self._choose(schema)
        for schema in self._unfinished:
            # A response leaves out what is only written.
            self._relax(schema, self._write_only(schema))
        self._begun, self._unfinished = [], []

    def _read(self, node: Any, pointer: str) -> Schema:
        if isinstance(node, bool):
            return node
        if not isinstance(node, dict):
            return self._refuse(pointer, type(node).__name__, "a schema is an object or a boolean")
        if "$ref" in node and self.document.is_3_0:
            node = {"$ref": node["$ref"]}
        if impossible := [key for key in IMPOSSIBLE if key in node]:
            for key in impossible:
                self._refuse(join(pointer, key), key, IMPOSSIBLE[key])
            return True
        if misspelt := self._misspelt(node, pointer):
            return misspelt
        result: dict[str, Any] = {"x-at": pointer}
        for key in KEPT_ANNOTATIONS:
            if key in node:
                result[key] = node[key]
        for read in (self._reference, self._type, self._values, self._numbers, self._counts):
            if not read(node, result, pointer):
                return True
        for read in (self._strings, self._inner, self._objects, self._discriminator):
            if not read(node, result, pointer):
                return True
        self._unfinished.append(result)
        if node.get("nullable") is True and "type" in result:
            result["type"] = [name for name in JSON_TYPES if name in (*result["type"], "null")]
        elif node.get("nullable") is True:
            return {"anyOf": [result, {"type": ["null"]}], "x-at": pointer} | _labels(result)
        return result

    def reference(self, target: str, pointer: str) -> str | None:
        """Return the canonical pointer of a schema, which is read if it was not yet."""
        target = canonical(target)
        if target not in self.named:
            try:
                node = self.document.find(target)
            except LookupError:
                advice = "no such place in this document"
                if not target.startswith("#"):
                    advice = "it leads out of this document: copy the schema into it"
                self._refuse(pointer, "$ref", f"{advice} ({target:.120})")
                return None
            self.named[target] = True
            self._begun.append(target)
            self._depth += 1
            self.named[target] = self.read(node, target)
            self._depth -= 1
            self._finish()
        return target

    def _refuse_circles(self, targets: Iterable[str]) -> None:
        """Refuse schemas that need themselves to say what they allow."""
        under_way, done = dict[str, None](), set[str]()

        def visit(pointer: str) -> None:
            under_way[pointer] = None
            for inner in _references_in_place(self.named[pointer]):
                if inner in under_way:
                    self._refuse(
                        inner, "$ref", "it is defined by itself: give it a value of its own"
                    )
                    self.named[inner] = True
                elif inner not in done:
                    visit(inner)
            del under_way[pointer]
            done.add(pointer)

        for target in targets:
            if target not in done:
                visit(target)

    def _refuse(self, pointer: str, keyword: str, advice: str) -> bool:
        self.document.refuse(pointer, keyword, advice)
        return True

    def _misspelt(self, node: dict[str, Any], pointer: str) -> bool:
        """Refuse a keyword that is nearly one; others that are not known are annotations."""
        found = False
        for key in node:
            if key in KNOWN or key.startswith("x-"):
                continue
            known = {name.lower(): name for name in KNOWN}
            for close in difflib.get_close_matches(key.lower(), known, 1, cutoff=0.9):
                advice = f"no keyword of JSON Schema; is it `{known[close]}`?"
                found = self._refuse(join(pointer, key), key, advice)
        return found

    def _reference(self, node: dict[str, Any], result: dict[str, Any], pointer: str) -> bool:
        if "$ref" not in node:
            return True
        if not isinstance(node["$ref"], str):
            self._refuse(pointer, "$ref", "expected a string")
            return False
        target = self.reference(node["$ref"], pointer)
        if target is not None:
            result["$ref"] = target
        return target is not None

    def _type(self, node: dict[str, Any], result: dict[str, Any], pointer: str) -> bool:
        types = node.get("type")
        if types is None:
            # Without `type`, these keywords would let every other type pass: nobody means that.
            if "properties" in node or "additionalProperties" in node:
                result["type"] = ["object"]
            elif ARRAY_WORDS & node.keys():
                result["type"] = ["array"]
            return True
        names = types if isinstance(types, list) else [types]
        if not names or not all(isinstance(name, str) and name in JSON_TYPES for name in names):
            self._refuse(join(pointer, "type"), "type", f"one of {', '.join(JSON_TYPES)}")
            return False
        result["type"] = [name for name in JSON_TYPES if name in names]
        return True

    def _values(self, node: dict[str, Any], result: dict[str, Any], pointer: str) -> bool:
        values = node.get("enum", [node["const"]] if "const" in node else None)
        if values is None:
            return True
        if not isinstance(values, list) or not values:
            self._refuse(join(pointer, "enum"), "enum", "expected a list of values")
            return False
        if "const" in node and "enum" in node:
            values = [value for value in values if value == node["const"]]
        if node.get("nullable") is True and None not in values:
            values = [*values, None]
        result["enum"] = values
        return True

    def _numbers(self, node: dict[str, Any], result: dict[str, Any], pointer: str) -> bool:
        for key in NUMBERS:
            value = node.get(key)
            if key.startswith("exclusive") and isinstance(value, bool):
                # OpenAPI 3.0 has the bound in `minimum`, and here whether it is excluded.
                bound = "m" + key.removeprefix("exclusiveM")
                if value and bound in result:
                    result[key] = result.pop(bound)
            elif isinstance(value, int | float) and not isinstance(value, bool):
                if key == "multipleOf" and value <= 0:
                    self._refuse(join(pointer, key), key, "expected a number above 0")
                    return False
                is_whole = isinstance(value, float) and value.is_integer()
                result[key] = int(value) if is_whole else value
            elif key in node:
                self._refuse(join(pointer, key), key, "expected a number")
                return False
        bounds = INTEGER_FORMATS.get(str(node.get("format")))
        if bounds and "integer" in result.get("type", ()):
            result["minimum"] = max(bounds[0], result.get("minimum", bounds[0]))
            result["maximum"] = min(bounds[1], result.get("maximum", bounds[1]))
        return True

    def _counts(self, node: dict[str, Any], result: dict[str, Any], pointer: str) -> bool:
        for key in COUNTS:
            if key not in node:
                continue
            value = node[key]
            if isinstance(value, float) and value.is_integer():
                value = int(value)
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                self._refuse(join(pointer, key), key, "expected a whole number, 0 or more")
                return False
            if key.startswith("min") and value > LONGEST:
                self._refuse(join(pointer, key), key, f"nothing is so long: at most {LONGEST}")
                return False
            # More than there can be is no bound.
            if value <= LONGEST and (
                value or key not in ("minLength", "minItems", "minProperties")
            ):
                result[key] = value
        if node.get("uniqueItems") is True:
            result["uniqueItems"] = True
        return True

    def _strings(self, node: dict[str, Any], result: dict[str, Any], pointer: str) -> bool:
        name = str(node.get("format"))
        found = [patterns.FORMATS[name]] if name in patterns.FORMATS else []
        if "pattern" in node:
            translated = self._pattern(node["pattern"], join(pointer, "pattern"))
            if translated is None:
                return False
            found.append(translated)
        if found:
            result["x-patterns"] = found
        binary = node.get("format") == "binary" or _is_binary(node.get("contentMediaType"))
        if binary and "contentEncoding" not in node:
            result["x-binary"] = True
        return True

    def _pattern(self, pattern: Any, pointer: str) -> str | None:
        if not isinstance(pattern, str):
            self._refuse(pointer, "pattern", "expected a string")
            return None
        try:
            return patterns.translate(pattern)
        except patterns.PatternError as error:
            self._refuse(pointer, "pattern", f"{error}: write it in what ECMA-262 and Python share")
            return None

    def _inner(self, node: dict[str, Any], result: dict[str, Any], pointer: str) -> bool:
        for key in SCHEMAS:
            if key in node:
                if key == "items" and isinstance(node[key], list):
                    self._refuse(join(pointer, key), key, "a list of schemas: write `prefixItems`")
                    return False
                result[key] = self.read(node[key], join(pointer, key))
        for key in SCHEMA_LISTS:
            if key in node:
                if not isinstance(node[key], list) or not node[key]:
                    self._refuse(join(pointer, key), key, "expected a list of schemas")
                    return False
                at = join(pointer, key)
                result[key] = [self.read(inner, join(at, i)) for i, inner in enumerate(node[key])]
        for key in SCHEMA_MAPS:
            if key in node:
                if not isinstance(node[key], dict):
                    self._refuse(join(pointer, key), key, "expected an object of schemas")
                    return False
                at = join(pointer, key)
                result[key] = {
                    str(name): self.read(inner, join(at, name)) for name, inner in node[key].items()
                }
        return True

    def _objects(self, node: dict[str, Any], result: dict[str, Any], pointer: str) -> bool:
        if "patternProperties" in result:
            at = join(pointer, "patternProperties")
            translated = {
                self._pattern(pattern, join(at, pattern)): inner
                for pattern, inner in result["patternProperties"].items()
            }
            if None in translated:
                return False
            result["patternProperties"] = translated
        required = node.get("required", [])
        # Some documents of OpenAPI 3.0 have draft 3's boolean here, which says nothing.
        if isinstance(required, bool):
            required = []
        if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
            self._refuse(join(pointer, "required"), "required", "expected a list of names")
            return False
        if required:
            result["required"] = list(dict.fromkeys(required))
        dependent = node.get("dependentRequired", {})
        if not isinstance(dependent, dict) or not all(
            isinstance(v, list) for v in dependent.values()
        ):
            self._refuse(join(pointer, "dependentRequired"), "dependentRequired", "expected lists")
            return False
        if dependent:
            result["dependentRequired"] = dependent
        return True

    def _discriminator(self, node: dict[str, Any], result: dict[str, Any], pointer: str) -> bool:
        discriminator = node.get("discriminator")
        members = result.get("oneOf") or result.get("anyOf")
        if not isinstance(discriminator, dict) or not members:
            return True
        at = join(pointer, "discriminator")
        name, mapping = discriminator.get("propertyName"), discriminator.get("mapping") or {}
        if not isinstance(name, str) or not isinstance(mapping, dict):
            self._refuse(at, "discriminator", "expected a `propertyName`, and a `mapping` of names")
            return False
        references = [m["$ref"] for m in members if isinstance(m, dict) and "$ref" in m]
        if len(references) < sum(not is_null(member) for member in members):
            # Members without a name cannot be chosen by it; it is a hint then.
            references = []
        named: dict[str, str] = {}
        for tag, target in mapping.items():
            place = target if "/" in str(target) else join("#/components/schemas", target)
            reference = self.reference(str(place), join(at, "mapping", tag))
            if reference is None:
                return False
            named[str(tag)] = reference
        if references:
            result["discriminator"] = {"propertyName": name, "mapping": named}
        return True

    def _choose(self, schema: dict[str, Any]) -> None:
        """Complete the mapping of a discriminator, or drop one that cannot choose."""
        if "discriminator" not in schema:
            return
        name, named = schema["discriminator"]["propertyName"], schema["discriminator"]["mapping"]
        members: list[Schema] = schema.get("oneOf") or schema["anyOf"]
        references = [m["$ref"] for m in members if isinstance(m, dict) and "$ref" in m]
        chosen: dict[Any, str | None] = {}
        for tag, target in named.items():
            through = [one for one in references if target in self._alternatives(one)]
            if not through:
                at = join(str(schema["x-at"]), "discriminator", "mapping", tag)
                advice = "it is none of the alternatives: list it in `oneOf`, or leave it out here"
                self._refuse(at, tag, advice)
            else:
                chosen[tag] = target if target in through else through[0]
        tags = {reference: self._tags(reference, name) for reference in references}
        for reference in references:
            own = split(reference)[-1]
            if own in tags[reference]:
                chosen.setdefault(own, reference)
        sure = set(chosen)
        for reference in references:
            for tag in tags[reference]:
                if tag not in sure and chosen.setdefault(tag, reference) != reference:
                    # It does not tell these apart: they are tried one by one.
                    chosen[tag] = None
        if all(isinstance(tag, str) for tag in chosen):
            schema["discriminator"] = {"propertyName": name, "mapping": chosen}
        else:
            del schema["discriminator"]

    def _alternatives(self, pointer: str) -> dict[str, None]:
        """Return the pointers of a schema, and of what it is an alternative of."""
        found: dict[str, None] = {}
        stack: list[Schema] = [{"$ref": pointer}]
        while stack:
            schema = stack.pop()
            if isinstance(schema, bool):
                continue
            if "$ref" in schema and schema["$ref"] not in found:
                found[schema["$ref"]] = None
                stack.append(self.named[schema["$ref"]])
            stack += [*schema.get("oneOf", ()), *schema.get("anyOf", ())]
        return found

    def _tags(self, pointer: str, name: str) -> list[Any]:
        """Return the values of a property that choose a schema: its own ones, else its name."""
        allowed = self._allowed({"$ref": pointer}, name)
        if allowed is not None:
            return allowed
        found: list[Any] = []
        for one in self._alternatives(pointer):
            own = self._allowed({"$ref": one}, name)
            found += [split(one)[-1]] if own is None else own
            schema = self.named[one]
            discriminator = schema.get("discriminator", {}) if isinstance(schema, dict) else {}
            if discriminator.get("propertyName") == name:
                found += discriminator["mapping"]
        return list(dict.fromkeys(found))

    def _allowed(self, schema: Schema, name: str) -> list[Any] | None:
        """Return the values that an object's schema lists for a property, if it does."""
        if isinstance(schema, bool):
            return None
        found = [_enumerated(schema.get("properties", {}).get(name, True), self.named)]
        found += [self._allowed(self.named[schema["$ref"]], name)] if "$ref" in schema else []
        found += [self._allowed(inner, name) for inner in schema.get("allOf", ())]
        for keyword in ("oneOf", "anyOf"):
            several = [self._allowed(m, name) for m in schema.get(keyword, ()) if not is_null(m)]
            known = [values for values in several if values is not None]
            if known and len(known) == len(several):
                found.append([value for values in known for value in values])
        return next((values for values in found if values is not None), None)

    def _write_only(self, schema: Schema) -> set[str]:
        """Return the properties that only requests have."""
        if isinstance(schema, bool):
            return set()
        inner = schema.get("properties", {}).items()
        found = {name for name, one in inner if _is_write_only(one, self.named)}
        if "$ref" in schema:
            found |= self._write_only(self.named[schema["$ref"]])
        return found.union(*map(self._write_only, schema.get("allOf", ())))

    def _relax(self, schema: Schema, names: set[str]) -> None:
        """Leave some names out of what a schema requires."""
        if isinstance(schema, bool) or not names:
            return
        left = [name for name in schema.pop("required", ()) if name not in names]
        if left:
            schema["required"] = left
        for inner in (*schema.get("allOf", ()), *schema.get("anyOf", ())):
            self._relax(inner, names)
        for key in ("then", "else"):
            self._relax(schema.get(key, True), names)


def _references_in_place(schema: Schema) -> Iterator[str]:
    """Yield the schemas that a value is checked against together with this one."""
    if isinstance(schema, bool):
        return
    if "$ref" in schema:
        yield schema["$ref"]
    for key in ("not", "if", "then", "else"):
        yield from _references_in_place(schema.get(key, True))
    for key in ("allOf", "anyOf", "oneOf"):
        for inner in schema.get(key, ()):
            yield from _references_in_place(inner)
    for inner in schema.get("dependentSchemas", {}).values():
        yield from _references_in_place(inner)


def _labels(schema: dict[str, Any]) -> dict[str, Any]:
    return {key: schema[key] for key in ("title", "description") if key in schema}


def _is_binary(media_type: Any) -> bool:
    return isinstance(media_type, str) and media_type.startswith(
        ("application/octet-stream", "image/", "audio/", "video/", "application/zip")
    )


def _is_write_only(schema: Schema, named: dict[str, Schema]) -> bool:
    if isinstance(schema, bool):
        return False
    inner: list[Schema] = [*schema.get("allOf", ())]
    inner += [named[schema["$ref"]]] if "$ref" in schema else []
    return schema.get("writeOnly") is True or any(_is_write_only(one, named) for one in inner)


def _enumerated(schema: Schema, named: dict[str, Schema]) -> list[Any] | None:
    """Return the values that a schema lists, or `None`."""
    if isinstance(schema, bool):
        return None
    if "enum" in schema:
        return list(schema["enum"])
    inner: list[Schema] = [*schema.get("allOf", ())]
    inner += [named[schema["$ref"]]] if "$ref" in schema else []
    found = (_enumerated(one, named) for one in inner)
    return next((values for values in found if values is not None), None)
