"""Say a schema in one way: as the shapes that its values may have.

A schema can be written in many ways: `type: [string, "null"]` or an `anyOf` with `null`, inline or
behind a reference, an `allOf` of one, `nullable: true`, a boolean `exclusiveMinimum`. `Shapes.of`
returns the same list for all of them: one shape for each JSON type (and each branch of a union),
with the keywords that bind values of that type, those of `allOf` merged.

A schema here is a tuple of nodes, all of which hold at once. The nodes are those of the document
itself, never copies, so that a recursive schema meets its own nodes again and can be stopped.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from generator.document import canonical
from generator.schemas import INTEGER_FORMATS

from .document import CannotTellError, Document, listed, mapping

Schema = tuple[Any, ...]
Facts = dict[str, Any]

# A bound of a number is a pair, so that pairs compare as the bounds do: `low` is (5, False) for "at
# least 5", (5, True) for "more than 5"; `high` is (5, True) for "at most", (5, False) for "less".
UNION = ("oneOf", "anyOf")
LOWER = ("low", "minLength", "minItems", "minProperties")
UPPER = ("high", "maxLength", "maxItems", "maxProperties")
ONE_SCHEMA = (
    "items",
    "additionalProperties",
    "propertyNames",
    "contentSchema",
    "unevaluatedItems",
    "unevaluatedProperties",
)
NAMED_SCHEMAS = ("properties", "patternProperties", "dependentSchemas")
# Several of these may hold at once, so they are kept as lists.
EACH = ("pattern", "format", "multipleOf", "contentMediaType", "contentEncoding")
FLAGS = ("uniqueItems", "readOnly", "writeOnly", "deprecated")
FIRST = ("default", "discriminator", "x-extensible-enum")
BY_TYPE = {
    "string": {
        "minLength",
        "maxLength",
        "pattern",
        "format",
        "contentMediaType",
        "contentEncoding",
        "contentSchema",
    },
    "integer": {"low", "high", "multipleOf", "format"},
    "number": {"low", "high", "multipleOf", "format"},
    "array": {
        "items",
        "prefixItems",
        "minItems",
        "maxItems",
        "uniqueItems",
        "contains",
        "unevaluatedItems",
    },
    "object": {
        "properties",
        "patternProperties",
        "additionalProperties",
        "required",
        "minProperties",
        "maxProperties",
        "propertyNames",
        "dependentRequired",
        "dependentSchemas",
        "unevaluatedProperties",
    },
    "boolean": set(),
    "null": set(),
}
COMMON = {"enum", "not", "if", "external", "name", *FLAGS[1:], *FIRST}
STRUCTURE = {"properties", "additionalProperties", "patternProperties", "enum", "const", "items"}
MOST = 256  # shapes of one schema; a product of unions beyond this is not compared


@dataclass(eq=False)
class Shape:
    """Values of one JSON type, and what binds them; `any` is every type."""

    kind: str
    facts: Facts = field(default_factory=dict)

    @property
    def name(self) -> str | None:
        """The name of the generated class, if the document gives it one."""
        found: str | None = self.facts.get("name")
        return found

    def only(self, kind: str, *, named: bool = True) -> Shape:
        """Return this shape for the values of one type, with its name or without."""
        kept = {k: v for k, v in self.facts.items() if k in COMMON or k in BY_TYPE[kind]}
        if not named:
            kept.pop("name", None)
        return Shape(kind, kept)


class Tags(NamedTuple):
    """How a union tells its branches apart, by a property.

    Attributes:
        chosen: The branch of each tag, as the generated client reads it.
        allowed: The same, with the names of the branches: OpenAPI lets them stand as well.
        said: Whether nothing depends on it: there is one branch, or all say their tags themselves.
    """

    name: str
    chosen: dict[str, str]
    allowed: dict[str, str]
    said: bool


class Shapes:
    """The shapes of one document's schemas."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self._known: dict[tuple[int, ...], list[Shape]] = {}

    def of(self, schema: Schema, place: str) -> list[Shape]:
        """Return the shapes of a schema; none if no value can satisfy it.

        Raises:
            CannotTellError: If a reference leads nowhere, or the unions multiply beyond reason.
        """
        key = tuple(sorted({id(node) for node in schema}))
        if key not in self._known:
            found: list[Facts] = [{}]
            for node in schema:
                found = _both(found, self._expand(node, frozenset(), place), place)
            self._known[key] = _distinct(shape for facts in found for shape in self._split(facts))
        return self._known[key]

    def tags(self, schema: Schema, place: str) -> list[Tags]:
        """Return how the unions of a schema tell their branches apart, in their order."""
        found: list[Tags] = []
        seen: set[int] = set()
        waiting = list(schema)
        while waiting:
            node = mapping(self.document.resolve(waiting.pop(0), place))
            if id(node) in seen:
                continue
            seen.add(id(node))
            waiting += [one for key in ("allOf", *UNION) for one in listed(node.get(key))]
            discriminator = mapping(node.get("discriminator"))
            members = listed(node.get("oneOf")) or listed(node.get("anyOf"))
            members = [one for one in members if mapping(one).get("type") != "null"]
            references = [mapping(one).get("$ref") for one in members]
            if members and discriminator and all(isinstance(one, str) for one in references):
                found.append(self._tags(discriminator, [str(one) for one in references], place))
        return found

    def _tags(self, discriminator: dict[str, Any], references: list[str], place: str) -> Tags:
        name = str(discriminator.get("propertyName"))
        chosen: dict[str, str] = {}
        for tag, target in mapping(discriminator.get("mapping")).items():
            pointer = str(target) if "/" in str(target) else f"#/components/schemas/{target}"
            chosen[str(tag)] = canonical(pointer)
        implied = {one.rpartition("/")[2]: canonical(one) for one in references}
        chosen |= {tag: one for tag, one in implied.items() if one not in chosen.values()}
        said = len(references) == 1
        said = said or all(self._says(one, name, chosen, place) for one in chosen.values())
        return Tags(name, chosen, {**implied, **chosen}, said)

    def _says(self, pointer: str, name: str, chosen: dict[str, str], place: str) -> bool:
        """Tell whether a branch itself allows no tag but its own."""
        own = {tag for tag, target in chosen.items() if target == pointer}
        for shape in self.of((self.document.resolve({"$ref": pointer}, place),), place):
            schema = shape.facts.get("properties", {}).get(name)
            if schema is None or name not in shape.facts.get("required", ()):
                return False
            values = [one.facts.get("enum") for one in self.of(schema, place)]
            if not all(value is not None and {*map(str, value)} <= own for value in values):
                return False
        return True

    def travel(self, schema: Schema, hidden: str) -> bool:
        """Tell whether a property travels, which `readOnly` or `writeOnly` may deny."""
        return not any(shape.facts.get(hidden) for shape in self.of(schema, ""))

    def union(self, schema: Schema) -> str | None:
        """Return which keyword makes a schema a union of several, `null` apart."""
        node = mapping(self.document.resolve(schema[0])) if len(schema) == 1 else {}
        for key in UNION:
            if sum(mapping(one).get("type") != "null" for one in listed(node.get(key))) > 1:
                return key
        return None

    def repeats(self, schema: Schema, place: str) -> bool:
        """Tell whether two branches of a union have values of one type."""
        node = mapping(self.document.resolve(schema[0], place)) if len(schema) == 1 else {}
        kinds = [
            {shape.kind for shape in self.of((branch,), place)}
            for key in UNION
            for branch in listed(node.get(key))
        ]
        return any(
            one & other or "any" in one | other or {"integer", "number"} <= one | other
            for index, one in enumerate(kinds)
            for other in kinds[:index]
            if one and other
        )

    def overlap(self, one: Shape, other: Shape, place: str) -> bool:
        """Tell whether two shapes may have a value in common."""
        kinds = {one.kind, other.kind}
        if len(kinds) > 1 and kinds != {"integer", "number"} and "any" not in kinds:
            return False
        a, b = one.facts, other.facts
        if "enum" in a and "enum" in b:
            return any(value in b["enum"] for value in a["enum"])
        for left, right in ((a, b), (b, a)):
            if "low" in left and "high" in right and left["low"][0] > right["high"][0]:
                return False
            closed = (
                left.get("additionalProperties") == (False,) and "patternProperties" not in left
            )
            named = left.get("properties", {})
            if closed and any(name not in named for name in right.get("required", ())):
                return False
        shared = a.get("properties", {}).keys() & b.get("properties", {}).keys()
        return not any(
            self._apart(a["properties"][name], b["properties"][name], place)
            for name in shared & a.get("required", set()) & b.get("required", set())
        )

    def _apart(self, one: Schema, other: Schema, place: str) -> bool:
        return not any(
            "enum" not in left.facts
            or "enum" not in right.facts
            or any(value in right.facts["enum"] for value in left.facts["enum"])
            for left in self.of(one, place)
            for right in self.of(other, place)
            if left.kind == right.kind or "any" in (left.kind, right.kind)
        )

    def _expand(
        self, node: Any, seen: frozenset[int], place: str, name: str | None = None
    ) -> list[Facts] | None:
        """Return what a node says, an item for each branch; `None` if it only repeats itself."""
        if id(node) in seen:
            return None
        if not isinstance(node, dict):
            return [] if node is False else [{}]
        seen |= {id(node)}
        _check(node, place)
        if isinstance(reference := node.get("$ref", node.get("$dynamicRef")), str):
            return self._reference(node, reference, seen, place)
        own = _own(node)
        members = [("allOf", member) for member in listed(node.get("allOf"))]
        unions = [key for key in ("anyOf", "oneOf") if listed(node.get(key))]
        # A wrapper around one schema takes its name; so do the branches of a union theirs.
        wraps = len(members) + len(unions) == 1 and not STRUCTURE & node.keys()
        if not wraps:
            own["name"] = name
        found: list[Facts] = [own]
        for _, member in members:
            found = _both(found, self._expand(member, seen, place), place)
        for key in unions:
            branches = [self._expand(branch, seen, place) for branch in node[key]]
            if known := [branch for branch in branches if branch is not None]:
                found = _both(found, [facts for branch in known for facts in branch], place)
        if not wraps:
            for facts in found:
                facts["name"] = own["name"]
        if node.get("nullable") is True:
            _allow_null(found)
        return found

    def _reference(
        self, node: dict[str, Any], reference: str, seen: frozenset[int], place: str
    ) -> list[Facts] | None:
        if not reference.startswith("#"):
            return [{"external": [reference], **_own(node)}]
        try:
            target = self.document.target(reference)
        except CannotTellError as error:
            raise CannotTellError(place, str(error)) from None
        inner = self._expand(target, seen, place, reference.rpartition("/")[2])
        if inner is None or not self.document.siblings_count:
            return inner
        beside = {key: value for key, value in node.items() if key not in {"$ref", "$dynamicRef"}}
        found = self._expand(beside, seen, place)
        if found is None:
            return inner
        for facts in found:
            facts.pop("name", None)
        return _both(found, inner, place)

    def _split(self, facts: Facts) -> list[Shape]:
        """Return one shape for each type that the facts allow."""
        types = facts.get("types")
        if types is None and facts.get("properties") and "enum" not in facts:
            types = {"object"}  # the generator makes a class of it, whatever else it may be
        if types is None and "enum" in facts:
            types = {_type(value) for value in facts["enum"]}
        if types is None:
            kept = {key: value for key, value in facts.items() if key != "types"}
            return [Shape("any", self._plain("any", kept))]
        if "number" in types:
            types = types - {"integer"}
        order = ("object", "array", "string", "number", "integer", "boolean", "null")
        found = []
        for kind in [kind for kind in order if kind in types]:
            shape = Shape(kind, facts).only(kind)
            if "enum" in facts:
                values = [v for v in facts["enum"] if _type(v) in {kind, _narrower(kind)}]
                if not values:
                    continue
                shape.facts["enum"] = values
                if len(values) == {"null": 1, "boolean": 2}.get(kind):
                    del shape.facts["enum"]
            shape.facts = self._plain(kind, shape.facts)
            found.append(shape)
        return found

    def _plain(self, kind: str, facts: Facts) -> Facts:
        """Drop what says nothing, and say each bound in one way."""
        for key in ("minLength", "minItems", "minProperties"):
            if not facts.get(key):
                facts.pop(key, None)
        for key in ONE_SCHEMA:
            if key in facts and self._anything(facts[key]):
                del facts[key]
        if "pattern" in facts:
            facts["pattern"] = [p for p in facts["pattern"] if p not in MATCH_ALL]
        if kind == "integer":
            _bound_by_format(facts)
        if kind == "integer" and "low" in facts:
            value, exclusive = facts["low"]
            facts["low"] = (math.floor(value) + 1 if exclusive else math.ceil(value), False)
        if kind == "integer" and "high" in facts:
            value, inclusive = facts["high"]
            facts["high"] = (math.floor(value) if inclusive else math.ceil(value) - 1, True)
        return {k: v for k, v in facts.items() if v is not None and v is not False and v != []}

    def _anything(self, schema: Schema) -> bool:
        """Tell whether a schema allows every value."""
        return all(
            node is True or (isinstance(node, dict) and not _own(node) and not UNIONS & node.keys())
            for node in schema
        )


NOTES = ("description", "summary", "title", "example", "examples", "externalDocs", "$comment")
MATCH_ALL = {"", ".*", "^.*$", "^.*", ".*$", "^", "$"}
UNIONS = {"$ref", "$dynamicRef", "allOf", "anyOf", "oneOf"}


TEXTS = ("pattern", "format", "contentMediaType", "contentEncoding")
NUMBERS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")


def _check(node: dict[str, Any], place: str) -> None:
    """Refuse what cannot be compared.

    Raises:
        CannotTellError: If a keyword has a value that means nothing.
    """
    for key in TEXTS:
        if key in node and not isinstance(node[key], str):
            raise CannotTellError(place, f"{key} is no text")
    for key in (*NUMBERS, *LOWER[1:], *UPPER[1:]):
        if isinstance(value := node.get(key), float) and not math.isfinite(value):
            raise CannotTellError(place, f"{key} is no number that can be compared")
    if "multipleOf" in node and not _is_number(node["multipleOf"]):
        raise CannotTellError(place, "multipleOf is no number")


def _own(node: dict[str, Any]) -> Facts:
    """Return what a node itself says, without what it refers to."""
    facts: Facts = {}
    kind = node.get("type")
    if isinstance(kind, str):
        facts["types"] = {kind}
    elif isinstance(kind, list):
        facts["types"] = {str(one) for one in kind}
    if "types" in facts and node.get("nullable") is True:
        facts["types"] |= {"null"}
    if isinstance(node.get("enum"), list):
        facts["enum"] = list(node["enum"])
        if node.get("nullable") is True and None not in facts["enum"]:
            facts["enum"].append(None)
    if "const" in node:
        facts["enum"] = [node["const"]]
    _bounds(node, facts)
    for key in (*LOWER[1:], *UPPER[1:]):
        if _is_number(node.get(key)):
            facts[key] = node[key]
    for key in ONE_SCHEMA:
        if isinstance(node.get(key), dict | bool):
            facts[key] = (node[key],)
    for key in NAMED_SCHEMAS:
        if isinstance(node.get(key), dict):
            facts[key] = {str(name): (value,) for name, value in node[key].items()}
    if isinstance(node.get("prefixItems"), list):
        facts["prefixItems"] = [(value,) for value in node["prefixItems"]]
    if isinstance(node.get("required"), list):
        facts["required"] = {str(name) for name in node["required"]}
    if isinstance(node.get("dependentRequired"), dict):
        facts["dependentRequired"] = {
            str(name): set(map(str, listed(needed)))
            for name, needed in node["dependentRequired"].items()
        }
    if "contains" in node:
        counts = [node.get(key) for key in ("minContains", "maxContains")]
        counts = [n if _is_number(n) else d for n, d in zip(counts, (1, math.inf), strict=True)]
        facts["contains"] = [((node["contains"],), *counts)]
    if "if" in node:
        facts["if"] = [tuple((node.get(key, True),) for key in ("if", "then", "else"))]
    for key in EACH:
        if key in node:
            facts[key] = [node[key]]
    if "not" in node:
        facts["not"] = [(node["not"],)]
    facts |= {key: True for key in FLAGS if node.get(key) is True}
    facts |= {key: node[key] for key in FIRST[1:] if key in node}
    if "default" in node:
        facts["default"] = [node["default"]]  # `false`, `null` and none at all are three
    return facts


NAMED = {"properties", "patternProperties", "dependentSchemas", "$defs", "encoding", "headers"}
NAMED |= {"variables", "responses", "content", "schemas", "scopes", "mapping", "callbacks", "links"}
NAMED |= {"dependentRequired"}
DATA = {"const", "enum", "default"}


def bare(node: Any, *, named: bool = False) -> Any:
    """Return a node without its notes for people.

    Args:
        node: A node of the document.
        named: Whether its keys are names that the document gives, rather than keywords.
    """
    if isinstance(node, dict):
        return {
            key: value
            if key in DATA and not named
            else bare(value, named=key in NAMED and not named)
            for key, value in node.items()
            if named or key not in NOTES
        }
    return [bare(value) for value in node] if isinstance(node, list) else node


def _bounds(node: dict[str, Any], facts: Facts) -> None:
    """Add the bounds of a number, as 3.0 or as 3.1 says them."""
    minimum, maximum = node.get("minimum"), node.get("maximum")
    more, less = node.get("exclusiveMinimum"), node.get("exclusiveMaximum")
    low = [(minimum, more is True)] if _is_number(minimum) else []
    low += [(more, True)] if _is_number(more) else []
    high = [(maximum, less is not True)] if _is_number(maximum) else []
    high += [(less, False)] if _is_number(less) else []
    if low:
        facts["low"] = max(low)
    if high:
        facts["high"] = min(high)


def _bound_by_format(facts: Facts) -> None:
    """Say a format of integers as the bounds that it is."""
    for found in [one for one in facts.get("format", ()) if one in INTEGER_FORMATS]:
        low, high = INTEGER_FORMATS[found]
        facts["low"] = max((low, False), facts.get("low", (low, False)))
        facts["high"] = min((high, True), facts.get("high", (high, True)))
        facts["format"] = [one for one in facts["format"] if one != found]


def _both(left: list[Facts], right: list[Facts] | None, place: str) -> list[Facts]:
    """Return every pair of branches that can hold at once, merged."""
    if right is None:
        return left
    if len(left) * len(right) > MOST:
        raise CannotTellError(place, f"a union of more than {MOST} shapes is not compared")
    merged = [_merge(one, other) for one in left for other in right]
    return [facts for facts in merged if facts is not None]


def _merge(one: Facts, other: Facts) -> Facts | None:
    """Return what holds if both do; `None` if they exclude each other."""
    facts = {**one, **other}
    for key in one.keys() & other.keys():
        a, b = one[key], other[key]
        if key == "types":
            facts[key] = (a & b) | ({"integer"} if _integer(a, b) or _integer(b, a) else set())
            if not facts[key]:
                return None
        elif key == "enum":
            facts[key] = [value for value in a if value in b]
        elif key in LOWER:
            facts[key] = max(a, b)
        elif key in UPPER:
            facts[key] = min(a, b)
        elif key == "required":
            facts[key] = a | b
        elif key in ONE_SCHEMA:
            facts[key] = _and(a, b)
        elif key in NAMED_SCHEMAS:
            facts[key] = {
                n: _and(a.get(n, ()), b.get(n, ())) for n in [*a, *(n for n in b if n not in a)]
            }
        elif key == "dependentRequired":
            facts[key] = {n: a.get(n, set()) | b.get(n, set()) for n in [*a, *b]}
        elif key == "prefixItems":
            facts[key] = [
                _and(*(side[i] if i < len(side) else () for side in (a, b)))
                for i in range(max(len(a), len(b)))
            ]
        elif isinstance(a, list) and key not in FIRST:
            facts[key] = a + [value for value in b if value not in a]
        elif a is not None:
            facts[key] = a if key != "name" or b is None else b
    return facts


def _and(one: Schema, other: Schema) -> Schema:
    """Return the schema of two that hold at once, each node once."""
    return (*one, *(node for node in other if all(node is not known for known in one)))


def _allow_null(found: list[Facts]) -> None:
    """Let `null` be among the branches, as `nullable: true` does on a union."""
    if any("types" not in facts or "null" in facts["types"] for facts in found):
        return
    found.append({"types": {"null"}})


def _distinct(shapes: Iterable[Shape]) -> list[Shape]:
    """Drop shapes that are there twice."""
    found: list[Shape] = []
    for shape in shapes:
        if all((shape.kind, shape.facts) != (known.kind, known.facts) for known in found):
            found.append(shape)
    return found


def _integer(one: set[str], other: set[str]) -> bool:
    return "integer" in one and "number" in other


def _narrower(kind: str) -> str:
    return "integer" if kind == "number" else kind


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _type(value: Any) -> str:
    """Return the JSON type of a value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "integer" if isinstance(value, int) or value.is_integer() else "number"
    return {dict: "object", list: "array"}.get(type(value), "string")
