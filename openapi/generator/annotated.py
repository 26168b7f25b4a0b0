"""Python annotations, and how they are put together."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from .naming import mark

INT64 = range(-(2**63), 2**63)
LIMITS: dict[Any, str] = {2**63 - 1: "2**63 - 1", -(2**63): "-(2**63)"}
"""How the bounds of `int64` are written."""
KINDS = frozenset({"null", "boolean", "integer", "fraction", "string", "array", "object"})
ANY_NAME = mark("typing", "Any")


@dataclass(frozen=True)
class Type:
    """A Python annotation.

    Attributes:
        code: What msgspec decodes with; names are marked.
        kinds: The JSON types it lets pass, as in `KINDS`.
        is_exact: Whether decoding enforces all that the schema says.
        static: What type checkers are told, where `code` is `Any` for want of a better.
        has_structs: Whether structs are to be built after the check.
    """

    code: str
    kinds: frozenset[str]
    is_exact: bool = True
    static: str | None = None
    has_structs: bool = False

    @property
    def shown(self) -> str:
        """What type checkers are told."""
        return self.code if self.static is None else self.static


ANY = Type(ANY_NAME, KINDS)
ANYTHING = replace(ANY, is_exact=False)
LOOSE = {
    "null": Type("None", frozenset({"null"})),
    "boolean": Type("bool", frozenset({"boolean"})),
    "integer": Type("int", frozenset({"integer"})),
    "number": Type("int | float", frozenset({"integer", "fraction"})),
    "string": Type("str", frozenset({"string"})),
    "array": Type(f"list[{ANY_NAME}]", frozenset({"array"})),
    "object": Type(f"dict[str, {ANY_NAME}]", frozenset({"object"})),
}


def container(shape: str, inner: Type, metas: dict[str, Any], kind: str, *, is_exact: bool) -> Type:
    """Return the type of a list or a map of something."""
    kinds = frozenset({kind})
    shown = annotated(shape.format(inner.shown), metas)
    is_exact = is_exact and inner.is_exact
    if inner.has_structs or (not is_exact and "\x02models:" in shown):
        return Type(ANY_NAME, kinds, is_exact=False, static=shown, has_structs=True)
    return Type(annotated(shape.format(inner.code), metas), kinds, is_exact)


def one_of(types: list[Type]) -> Type:
    """Return the union of types, loose where msgspec knows no such union."""
    if len(types) == 1:
        return types[0]
    kinds = frozenset().union(*(one.kinds for one in types))
    is_exact = all(one.is_exact for one in types)
    shown = joined(one.shown for one in types)
    if any(one.has_structs for one in types):
        return Type(ANY_NAME, kinds, is_exact=False, static=shown, has_structs=True)
    if any(one.code == ANY_NAME for one in types):
        return ANYTHING
    if sum(len(one.kinds) for one in types) == len(kinds):
        has_structs = not is_exact and "\x02models:" in shown
        if has_structs:
            return Type(ANY_NAME, kinds, is_exact=False, static=shown, has_structs=True)
        return Type(shown, kinds, is_exact)
    if "\x02models:" in shown:
        return Type(ANY_NAME, kinds, is_exact=False, static=shown, has_structs=True)
    names = [name for name in LOOSE if LOOSE[name].kinds <= kinds]
    names = [name for name in names if not (name == "integer" and "number" in names)]
    return Type(joined(LOOSE[name].code for name in names), kinds, is_exact=False)


def joined(codes: Iterable[str]) -> str:
    """Return a union, `None` last."""
    distinct = dict.fromkeys(codes)
    return " | ".join(sorted(distinct, key=lambda code: code == "None"))


def annotated(base: str, metas: dict[str, Any]) -> str:
    """Return a type with msgspec's bounds."""
    if not metas:
        return base
    shown = ", ".join(f"{key}={LIMITS.get(value, repr(value))}" for key, value in metas.items())
    return f"{mark('typing', 'Annotated')}[{base}, {mark('', 'msgspec')}.Meta({shown})]"


def integer_bounds(flat: dict[str, Any]) -> tuple[dict[str, int], bool]:
    """Return msgspec's bounds of an integer, and whether they are all there is."""
    low = [math.ceil(flat["minimum"])] if "minimum" in flat else []
    high = [math.floor(flat["maximum"])] if "maximum" in flat else []
    if "exclusiveMinimum" in flat:
        low.append(math.floor(flat["exclusiveMinimum"]) + 1)
    if "exclusiveMaximum" in flat:
        high.append(math.ceil(flat["exclusiveMaximum"]) - 1)
    found = {"ge": max(low)} if low else {}
    found |= {"le": min(high)} if high else {}
    step = flat.get("multipleOf")
    if isinstance(step, int) and step != 1:
        found["multiple_of"] = step
    kept = {key: value for key, value in found.items() if value in INT64}
    is_exact = kept == found and (step is None or isinstance(step, int))
    return kept, is_exact


def as_integer(value: Any) -> Any:
    """Return a whole number as an integer, anything else as it is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def kind_of(value: Any) -> str:
    """Return the JSON type of a value, as `LOOSE` names them."""
    if isinstance(value, float):
        return "number"
    names = {bool: "boolean", int: "integer", str: "string", list: "array", dict: "object"}
    return names.get(type(value), "null")
