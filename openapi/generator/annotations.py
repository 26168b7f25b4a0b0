"""From schemas to Python annotations, and to the structs that they name.

The rule: what msgspec's own types say exactly becomes such a type. What they cannot say becomes the
narrowest type that lets every valid value pass, and its schema is checked by `validation` when the
struct that holds it is made. A value that holds structs msgspec cannot choose between is decoded as
plain JSON first, checked, and built then.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from . import patterns
from .annotated import (
    ANY,
    ANY_NAME,
    ANYTHING,
    INT64,
    KINDS,
    LOOSE,
    Type,
    annotated,
    as_integer,
    container,
    integer_bounds,
    kind_of,
    one_of,
)
from .document import join, split
from .merging import Merger
from .naming import ClassNames, field_name, mark
from .runtime import validation
from .schemas import Schema, Schemas, assertions, is_any, is_null

COMPONENT = "#/components/schemas/"
UNKNOWN_KEYS = (
    "additionalProperties",
    "patternProperties",
    "propertyNames",
    "minProperties",
    "maxProperties",
)
"""Keywords that concern keys which a struct of an open object does not keep."""
PLAIN = {"type", "properties", "required", "additionalProperties", "x-patterns", "items", "enum"}
PLAIN |= {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength"}
PLAIN |= {"maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "x-struct"}
"""Keywords that the type itself says, or says that it is not exact."""


@dataclass
class Field:
    """A field of a struct: its JSON key, its Python name, and what it holds."""

    key: str
    name: str
    type: Type
    is_required: bool
    description: str = ""
    schema: Schema = True


@dataclass
class Struct:
    """A struct to be generated, for an object with properties.

    Attributes:
        pointer: Where its schema stands.
        leftover: What the fields do not say, checked on the whole; `None` if there is nothing.
        schema: The schema to check before decoding, where the keys that are not kept matter.
    """

    name: str
    module: str
    pointer: str
    description: str
    is_closed: bool
    fields: list[Field] = field(default_factory=list[Field])
    leftover: dict[str, Any] | None = None
    schema: Schema | None = None


class Annotator:
    """Finds the annotation of each schema, and the structs that are needed for them."""

    def __init__(self, schemas: Schemas, names: ClassNames) -> None:
        self.structs: list[Struct] = []
        self._schemas = schemas
        self._names = names
        self._merger = Merger(schemas.named)
        self._named: dict[str, Type] = {}
        self._inline: dict[int, tuple[dict[str, Any], Type]] = {}
        self._under_way = set[str]()
        self._pending: deque[tuple[Struct, dict[str, Any]]] = deque()
        validation.SCHEMAS = schemas.named

    def annotate(self, schema: Schema, *words: str) -> Type:
        """Return the annotation of a schema.

        Args:
            schema: A schema as `Schemas.read` gives it.
            words: What an object in it is called that has no name of its own.
        """
        result = self._annotate(schema, words)
        while self._pending:
            self._fill(*self._pending.popleft())
        return result

    def component(self, pointer: str) -> Type:
        """Return the annotation of a schema that has a name."""
        result = self._reference(pointer)
        while self._pending:
            self._fill(*self._pending.popleft())
        return result

    def take_files(self, schema: Schema) -> None:
        """Let the binary parts of a multipart form be files, in the struct that is its body."""
        name = self._struct_name(schema)
        for struct in self.structs:
            if struct.name != name:
                continue
            for one in struct.fields:
                flat = self._merger.resolve(one.schema)
                shown = mark("types", "File")
                if flat.get("type") == ["array"]:
                    flat, shown = self._merger.resolve(flat.get("items", True)), f"list[{shown}]"
                if flat.get("x-binary"):
                    one.type = Type(ANY_NAME, KINDS, static=shown)

    def part(self, schema: Schema, key: str) -> dict[str, Any]:
        """Return what a form's field is, or each item of it if it is a list, flattened."""
        flat = self._merger.resolve(schema)
        other = flat.get("additionalProperties", True)
        inner = self._merger.resolve(flat.get("properties", {}).get(key, other))
        is_list = inner.get("type") == ["array"]
        return self._merger.resolve(inner.get("items", True)) if is_list else inner

    def _struct_name(self, schema: Schema) -> str | None:
        """Return the name of the struct that a schema, or what it refers to, became."""
        for _ in range(8):
            if isinstance(schema, bool):
                return None
            if "x-struct" in schema:
                return str(schema["x-struct"])
            flat = self._merger.flatten(schema)
            schema = self._schemas.named[flat["$ref"]] if "$ref" in flat else False
        return None

    def _refuse(self, schema: dict[str, Any], keyword: str, advice: str) -> Type:
        self._schemas.document.refuse(str(schema.get("x-at") or "#/"), keyword, advice)
        return ANY

    def _annotate(self, schema: Schema, words: tuple[str, ...]) -> Type:
        if isinstance(schema, bool):
            return ANY if schema else ANYTHING
        if id(schema) in self._inline:
            return self._inline[id(schema)][1]
        flat = self._merger.flatten(schema)
        if "$ref" in flat:
            return self._reference(flat["$ref"])
        result = self._flat(flat, schema, words)
        self._inline[id(schema)] = (schema, result)
        return result

    def _reference(self, pointer: str) -> Type:
        if pointer in self._named:
            return self._named[pointer]
        schema = self._schemas.named[pointer]
        if isinstance(schema, bool):
            return ANY if schema else ANYTHING
        if pointer in self._under_way:
            # It contains itself with no struct between: Python has no annotation for that.
            return ANYTHING
        self._under_way.add(pointer)
        flat = self._merger.flatten(schema)
        if "$ref" in flat and flat["$ref"] != pointer:
            result = self._reference(flat["$ref"])
        else:
            result = self._flat(flat, schema, words_of(pointer), pointer)
        self._under_way.discard(pointer)
        self._named[pointer] = result
        return result

    def _flat(
        self, flat: dict[str, Any], schema: dict[str, Any], words: tuple[str, ...], name: str = ""
    ) -> Type:
        """Return the annotation of a schema without references and `allOf`.

        Args:
            flat: The schema, flattened.
            schema: The schema as it stands, which is what is checked.
            words: What an object is called.
            name: The pointer, if the schema has a name.
        """
        if "$ref" in flat or is_any(flat):
            return ANYTHING if "$ref" in flat else ANY
        if flat.get("type") == [] or flat.get("enum") == []:
            return self._refuse(schema, "allOf", "no value is allowed by all of them: mend one")
        if "enum" in flat:
            return self._enum(flat)
        if self._is_struct(flat):
            return self._struct(flat, schema, words, name)
        for keyword in ("oneOf", "anyOf"):
            if keyword in flat:
                return self._union(flat, keyword, words, name)
        if "type" not in flat:
            return ANYTHING
        types = [t for t in flat["type"] if not (t == "integer" and "number" in flat["type"])]
        makers: dict[str, Callable[[dict[str, Any], tuple[str, ...]], Type]] = {
            "integer": self._integer,
            "number": self._number,
            "string": self._string,
            "array": self._array,
            "object": self._object,
        }
        found: list[Type] = []
        for one in types:
            single = {**flat, "type": [one]}
            if one == "object" and self._is_struct(single):
                found.append(self._struct(single, schema, words, name))
            else:
                found.append(makers[one](single, words) if one in makers else LOOSE[one])
        if assertions(flat).keys() - PLAIN:
            found = [replace(one, is_exact=False) for one in found]
        return one_of(found)

    def _is_struct(self, flat: dict[str, Any]) -> bool:
        """Return whether an object is one whose keys are known by name."""
        if flat.get("type") != ["object"] or flat.get("patternProperties"):
            return False
        other = flat.get("additionalProperties", True)
        if not isinstance(other, bool) and not is_any(other):
            return False
        return any(inner is not False for inner in self._properties(flat).values())

    def _properties(self, flat: dict[str, Any]) -> dict[str, Schema]:
        """Return the properties of an object, those of its alternatives included."""
        own: dict[str, Schema] = dict(flat.get("properties", {}))
        if not own:
            # An object that is nothing but alternatives is one of them, not a struct of its own.
            return own
        if flat.get("additionalProperties", True) is False:
            return {**dict.fromkeys(flat.get("required", ()), False), **own}
        for part in (flat, *self._conditional(flat)):
            dependent = part.get("dependentRequired", {})
            for name in (
                *part.get("required", ()),
                *dependent,
                *itertools.chain(*dependent.values()),
                *part.get("dependentSchemas", ()),
                *part.get("properties", ()),
            ):
                # What it must be depends on the rest, which is checked as a whole.
                own.setdefault(name, True)
        return own

    def _conditional(self, flat: dict[str, Any]) -> Iterable[dict[str, Any]]:
        """Yield the parts of a schema that hold under a condition."""
        parts: list[Schema] = [flat[key] for key in ("if", "then", "else") if key in flat]
        for key in ("anyOf", "oneOf", "allOf"):
            parts += flat.get(key, ())
        parts += [flat["not"]] if "not" in flat else []
        parts += flat.get("dependentSchemas", {}).values()
        for part in parts:
            if not isinstance(part, bool):
                inner = self._merger.resolve(part)
                yield inner
                yield from self._conditional(inner)

    def _struct(
        self, flat: dict[str, Any], schema: dict[str, Any], words: tuple[str, ...], name: str
    ) -> Type:
        is_component = name.startswith(COMPONENT) and len(split(name)) == 3
        taken = self._names.component(split(name)[2]) if is_component else self._names.take(*words)
        is_closed = flat.get("additionalProperties", True) is False
        described = str(flat.get("description") or flat.get("title") or "")
        struct = Struct(*taken, str(flat.get("x-at", "")), described, is_closed)
        own = {"type", "properties", "required", "additionalProperties", "x-at", "x-struct"}
        leftover = {key: value for key, value in assertions(flat).items() if key not in own}
        known = {
            key: value
            for key, value in leftover.items()
            if is_closed or not _concerns_unknown_keys({key: value}, self._schemas.named)
        }
        is_sensitive, leftover = known != leftover, known
        struct.leftover = leftover or None
        struct.schema = schema if is_sensitive else None
        schema["x-struct"] = struct.name
        self.structs.append(struct)
        self._pending.append((struct, flat))
        code = mark("models", struct.name)
        result = Type(code, LOOSE["object"].kinds)
        if is_sensitive:
            result = Type(ANY_NAME, result.kinds, is_exact=False, static=code, has_structs=True)
        if name:
            self._named[name] = result
        return result

    def _fill(self, struct: Struct, flat: dict[str, Any]) -> None:
        """Add the fields of a struct: the required ones first, as the document has them."""
        required = flat.get("required", [])
        taken = set[str]()
        for key, schema in self._properties(flat).items():
            if schema is False and key in required:
                what = "`additionalProperties`" if struct.is_closed else "its schema"
                self._refuse(flat, key, f"it is required, and {what} forbids it")
            if schema is False and struct.is_closed:
                continue
            if any(c in '\\"' or c < " " for c in key):
                at = join(struct.pointer, "properties", key)
                advice = "msgspec has no field for a name with a quote, backslash or line break"
                self._schemas.document.refuse(at, ascii(key), f"{advice}: use a map")
                continue
            name = field_name(key, taken)
            taken.add(name)
            found = self._annotate(schema, (struct.name, key))
            struct.fields.append(
                Field(
                    key, name, found, key in required, _description(schema, self._schemas), schema
                )
            )
        struct.fields.sort(key=lambda one: not one.is_required)

    def _enum(self, flat: dict[str, Any]) -> Type:
        """Return a type of some values."""
        rest = {key: value for key, value in flat.items() if key != "enum"}
        values = [value for value in flat["enum"] if validation.is_valid(rest, value)]
        values = [as_integer(value) for value in values]
        if not values:
            return self._refuse(
                flat, "enum", "none of the values is allowed by the rest of the schema"
            )
        literal = [v for v in values if isinstance(v, str) or (type(v) is int and v in INT64)]
        found: list[Type] = []
        if literal:
            kinds = {"string" if isinstance(value, str) else "integer" for value in literal}
            shown = ", ".join(map(repr, dict.fromkeys(literal)))
            found.append(Type(f"{mark('typing', 'Literal')}[{shown}]", frozenset(kinds)))
        seen = {
            kind_of(value) for value in values if value not in literal or isinstance(value, bool)
        }
        for kind in sorted(seen, key=list(LOOSE).index):
            if found and kind in ("integer", "number", "string"):
                return one_of([replace(LOOSE[kind_of(v)], is_exact=False) for v in values])
            both = kind == "boolean" and sum(isinstance(value, bool) for value in values) == 2
            found.append(replace(LOOSE[kind], is_exact=both or kind == "null"))
        return one_of(found)

    def _union(self, flat: dict[str, Any], keyword: str, words: tuple[str, ...], name: str) -> Type:
        """Return a type for one of some schemas, each of which also says what is beside them."""
        beside = {k: v for k, v in flat.items() if k not in (keyword, "discriminator", "x-struct")}
        members: list[Schema] = flat[keyword]
        objects = [m for m in members if not is_null(m)]
        found: list[Type] = []
        for number, member in enumerate(members):
            suffix = (f"Type{number}",) if len(objects) > 1 else ()
            whole: Schema = member
            if assertions(beside):
                whole = {"allOf": [beside, member], "x-at": flat.get("x-at")}
                whole |= {"x-at": member.get("x-at")} if isinstance(member, dict) else {}
            if isinstance(whole, dict):
                merged = self._merger.flatten(whole)
                if merged.get("type") == [] or merged.get("enum") == []:
                    # What is beside the alternatives rules this one out.
                    continue
                if name and len(objects) == 1 and not is_null(member) and "$ref" not in merged:
                    found.append(self._flat(merged, whole, words, name))
                    continue
            found.append(self._annotate(whole, (*words, *suffix)))
            if isinstance(whole, dict) and isinstance(member, dict) and "x-struct" in whole:
                member.setdefault("x-struct", whole["x-struct"])
        if not found:
            return self._refuse(flat, keyword, "none of them is allowed by what stands beside them")
        if keyword == "anyOf" and "discriminator" not in flat:
            # What another member lets pass anyway says nothing.
            wide = [one for one in found if one in LOOSE.values()]
            found = [
                one
                for one in found
                if one in wide or not any(one.kinds <= other.kinds for other in wide)
            ]
        distinct = list({one.code + one.shown: one for one in found}.values())
        is_exact = all(one.is_exact for one in found) and "discriminator" not in flat
        if is_exact and keyword == "anyOf" and any(one.code == ANY_NAME for one in found):
            return ANY
        if is_exact and len(distinct) == 1 and (keyword == "anyOf" or len(found) == 1):
            return distinct[0]
        union = one_of(distinct)
        is_disjoint = sum(len(one.kinds) for one in found) == len(union.kinds)
        return union if is_exact and is_disjoint else replace(union, is_exact=False)

    def _integer(self, flat: dict[str, Any], _: tuple[str, ...]) -> Type:
        metas, is_exact = integer_bounds(flat)
        return Type(annotated("int", metas), LOOSE["integer"].kinds, is_exact)

    def _number(self, flat: dict[str, Any], _: tuple[str, ...]) -> Type:
        metas, is_exact = integer_bounds(flat)
        floats: dict[str, float] = {}
        for names, tightest in ((("minimum", "ge", "gt"), max), (("maximum", "le", "lt"), min)):
            key, inclusive, exclusive = names
            other = "exclusiveM" + key[1:]
            found = [flat[one] for one in (key, other) if one in flat]
            if found:
                is_open = flat.get(other) == tightest(found)
                floats[exclusive if is_open else inclusive] = tightest(found)
        step = flat.get("multipleOf")
        if isinstance(step, int):
            floats["multiple_of"] = step
        elif step is not None:
            is_exact = False
        if any(abs(bound) > 2**53 for bound in floats.values()):
            return replace(LOOSE["number"], is_exact=False)
        floats = {key: float(value) for key, value in floats.items()}
        code = f"{annotated('int', metas)} | {annotated('float', floats)}"
        return Type(code, LOOSE["number"].kinds, is_exact)

    def _string(self, flat: dict[str, Any], _: tuple[str, ...]) -> Type:
        metas: dict[str, Any] = {}
        for key, meta in (("minLength", "min_length"), ("maxLength", "max_length")):
            if key in flat:
                metas[meta] = flat[key]
        is_exact = True
        if "x-patterns" in flat:
            pattern = patterns.combine(flat["x-patterns"])
            is_exact = pattern is not None
            if is_exact:
                metas["pattern"] = pattern
        return Type(annotated("str", metas), LOOSE["string"].kinds, is_exact)

    def _array(self, flat: dict[str, Any], words: tuple[str, ...]) -> Type:
        item = self._annotate(flat.get("items", True), (*words, "Item"))
        if flat.get("prefixItems"):
            item = ANYTHING
        metas = {
            meta: flat[key]
            for key, meta in (("minItems", "min_length"), ("maxItems", "max_length"))
            if key in flat
        }
        loose = bool(flat.get("uniqueItems")) or "contains" in flat
        return container("list[{}]", item, metas, "array", is_exact=not loose)

    def _object(self, flat: dict[str, Any], words: tuple[str, ...]) -> Type:
        """Return a type for an object whose keys are not known by name: a map."""
        metas = {
            meta: flat[key]
            for key, meta in (("minProperties", "min_length"), ("maxProperties", "max_length"))
            if key in flat
        }
        other = flat.get("additionalProperties", True)
        named = flat.get("properties") or flat.get("patternProperties") or flat.get("required")
        if named or flat.get("propertyNames", True) is not True:
            return container("dict[str, {}]", ANYTHING, metas, "object", is_exact=False)
        if other is False:
            return container(
                "dict[str, {}]", ANY, {**metas, "max_length": 0}, "object", is_exact=True
            )
        value = self._annotate(other, (*words, "AdditionalProperty"))
        return container("dict[str, {}]", value, metas, "object", is_exact=True)


STRUCTURE = {"components", "schemas", "properties", "content", "schema", "paths", "responses"}
STRUCTURE |= {"parameters", "requestBodies", "requestBody", "items", "application/json"}


def words_of(pointer: str) -> tuple[str, ...]:
    """Return what a schema is called that stands at a pointer."""
    words = tuple(token for token in split(pointer) if token not in STRUCTURE)
    return words or (split(pointer)[-1],)


def _description(schema: Schema, schemas: Schemas) -> str:
    """Return what the document says of a property, or of what it refers to."""
    for _ in range(8):
        if isinstance(schema, bool):
            return ""
        if schema.get("description"):
            return str(schema["description"])
        if "$ref" not in schema:
            return ""
        schema = schemas.named[schema["$ref"]]
    return ""


def _concerns_unknown_keys(schema: Any, named: dict[str, Schema]) -> bool:
    """Return whether a schema says something of keys that it does not name."""
    seen = set[str]()
    stack = [schema]
    while stack:
        node = stack.pop()
        if isinstance(node, list):
            stack += node
        elif isinstance(node, dict):
            if any(node.get(key, True) is not True for key in UNKNOWN_KEYS):
                return True
            reference = node.get("$ref")
            if isinstance(reference, str) and reference not in seen:
                seen.add(reference)
                stack.append(named[reference])
            stack += [value for key, value in node.items() if key != "enum"]
    return False
