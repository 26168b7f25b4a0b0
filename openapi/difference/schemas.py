"""Compare schemas, in the direction that their values travel."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator
from enum import Enum
from typing import Any, NamedTuple

from generator.endpoints import FRIENDLY
from generator.patterns import PatternError, translate

from .document import CannotTellError, mapping
from .rules import NARROWER, OTHER, RULES, SAME, WIDER, Relation, bound, say
from .shapes import Facts, Schema, Shape, Shapes


class Change(NamedTuple):
    """One difference between two documents."""

    breaking: bool
    where: str
    what: str


class Travels(Enum):
    """Which way values go: what a caller must accept, or what the service must."""

    ANSWER = "answer"
    REQUEST = "request"
    # In text (a path, a query, a header) a number and a word are written alike.
    PARAMETER = "parameter"

    @property
    def hidden(self) -> str:
        """The keyword of what does not travel this way."""
        return "writeOnly" if self is Travels.ANSWER else "readOnly"

    def breaks(self, relation: Relation) -> bool:
        """Tell whether a change of what is allowed breaks a caller."""
        worse = WIDER if self is Travels.ANSWER else NARROWER
        return relation in (worse, OTHER)


TEXT = {"integer", "number", "boolean"}
NO_SCHEMA: Schema = ()


class SchemaDiffer:
    """Compares schemas of two documents; a pair of nodes is compared once for each direction."""

    def __init__(self, old: Shapes, new: Shapes, seen: frozenset[Any] = frozenset()) -> None:
        self.old = old
        self.new = new
        self._seen: set[Any] = set(seen)

    def _aside(self) -> SchemaDiffer:
        """Return a differ whose comparisons do not count as told."""
        return SchemaDiffer(self.old, self.new, frozenset(self._seen))

    def compare(self, where: str, old: Schema, new: Schema, way: Travels) -> Iterator[Change]:
        """Yield the changes of a schema that are not told yet."""
        key = (frozenset(map(id, old)), frozenset(map(id, new)), way)
        if key in self._seen:
            return
        self._seen.add(key)
        before, after = self.old.of(old, where), self.new.of(new, where)
        yield from self._unions(where, old, new, way)
        yield from self._tags(where, old, new, way)
        yield from self._shapes(where, before, after, way)

    def _unions(self, where: str, old: Schema, new: Schema, way: Travels) -> Iterator[Change]:
        """`oneOf` refuses what two branches allow; `anyOf` takes it."""
        was, now = self.old.union(old), self.new.union(new)
        if was and now and was != now:
            sides = ((self.old, old), (self.new, new))
            if any(shapes.repeats(schema, where) for shapes, schema in sides):
                relation = WIDER if now == "anyOf" else NARROWER
                yield Change(way.breaks(relation), where, f"{was} became {now}")
        elif was == now == "oneOf":
            yield from self._overlaps(where, old, new, way)

    def _overlaps(self, where: str, old: Schema, new: Schema, way: Travels) -> Iterator[Change]:
        """What one branch allows beside another is refused: it may be more, the whole less."""
        before, after = self.old.of(old, where), self.new.of(new, where)
        pairs, gone, came = self._paired(before, after)
        if way is Travels.ANSWER:
            # Here a branch that allows less lets the whole allow more.
            shapes, whole, other_way, several = self.old, before, Travels.REQUEST, gone
            changed = [one for one, other in pairs if self._breaks(one, other, other_way)]
            words = "a branch allows less"
        else:
            shapes, whole, other_way, several = self.new, after, Travels.ANSWER, came
            changed = [other for one, other in pairs if self._breaks(one, other, other_way)]
            words = "a branch allows more"
        if self.new.tags(new, where) and self.old.tags(old, where):
            return  # no value has two tags
        for shape in [*changed, *several]:
            beside = [one for one in whole if one is not shape]
            if any(shapes.overlap(shape, one, where) for one in beside):
                yield Change(True, where, f"{words}, and oneOf refuses what two allow")
                return

    def _breaks(self, old: Shape, new: Shape, way: Travels) -> bool:
        return any(change.breaking for change in self._aside().shape("", old, new, way))

    def _tags(self, where: str, old: Schema, new: Schema, way: Travels) -> Iterator[Change]:
        """The client reads a branch by its tag, and refuses unknown tags."""
        sides = self.old.tags(old, where), self.new.tags(new, where)
        for was, now in itertools.zip_longest(*sides):
            if was is None or now is None:
                relation = NARROWER if was is None else WIDER
                word = "added" if was is None else "removed"
                for only in filter(None, (was, now)):
                    breaks = way.breaks(relation) and not only.said
                    yield Change(breaks, where, f"discriminator {say(only.name)} {word}")
            elif was.name != now.name:
                yield Change(True, where, f"told apart by {say(now.name)}, was {say(was.name)}")
            else:
                known, used = was.chosen, now.chosen
                if way is not Travels.ANSWER:
                    known, used = now.allowed, was.chosen
                for tag in [tag for tag in used if known.get(tag) != used[tag]]:
                    words = f"{was.name} {say(tag)}: {was.chosen.get(tag)} became "
                    yield Change(True, where, words + str(now.chosen.get(tag)))

    def _shapes(
        self, where: str, before: list[Shape], after: list[Shape], way: Travels
    ) -> Iterator[Change]:
        pairs, gone, new = self._paired(before, after)
        for one, other in pairs:
            yield from self.shape(where, one, other, way)
        texts = [shape for shape in after if shape.kind == "string"]
        if way is Travels.PARAMETER and len(texts) == 1 and not new:
            # In text, a string holds what any of these is written as.
            for shape in [shape for shape in gone if shape.kind in TEXT]:
                gone.remove(shape)
                yield Change(False, where, f"{shape.kind} is one of string now")
                yield from self.shape(where, Shape("string"), texts[0], way)
        if not gone and not new:
            return
        if len(gone) == 1 and len(new) == 1:
            yield from self._retyped(where, gone[0], new[0], way)
        elif [shape.kind for shape in gone] == ["any"]:
            yield Change(way.breaks(NARROWER), where, f"now only {_names(new)}")
            for shape in new:
                was, now = (one.only(shape.kind, named=False) for one in (gone[0], shape))
                yield from self.shape(where, was, now, way)
        elif [shape.kind for shape in new] == ["any"]:
            yield Change(way.breaks(WIDER), where, f"may be anything, was {_names(gone)}")
            for shape in gone:
                was, now = (one.only(shape.kind, named=False) for one in (shape, new[0]))
                yield from self.shape(where, was, now, way)
        else:
            for shape in gone:
                yield Change(way.breaks(NARROWER), where, f"no longer {_names([shape])}")
            for shape in new:
                yield Change(way.breaks(WIDER), where, f"may be {_names([shape])} now")

    def _retyped(self, where: str, old: Shape, new: Shape, way: Travels) -> Iterator[Change]:
        """Compare two shapes of different types, of which one may hold the other."""
        kinds = (old.kind, new.kind)
        words = f"type changed from {say(old.kind)} to {say(new.kind)}"
        if kinds == ("integer", "number") or new.kind == "any":
            yield Change(way.breaks(WIDER), where, words)
        elif kinds == ("number", "integer") or old.kind == "any":
            yield Change(way.breaks(NARROWER), where, words)
        elif way is Travels.PARAMETER and old.kind in TEXT and new.kind == "string":
            yield Change(False, where, words)
            yield from self.shape(where, Shape("string"), new, way)
            return
        else:
            yield Change(True, where, words)
            return
        if "any" in kinds:
            kind = new.kind if old.kind == "any" else old.kind
            # What could be anything had no class, so none is renamed.
            old, new = (shape.only(kind, named=False) for shape in (old, new))
        yield from self.shape(where, old, new, way)

    def _paired(
        self, before: list[Shape], after: list[Shape]
    ) -> tuple[list[tuple[Shape, Shape]], list[Shape], list[Shape]]:
        """Return which shape became which: by type, then by name, by equality, and by place."""
        gone, new = list(before), list(after)
        pairs: list[tuple[Shape, Shape]] = []

        for alike in (_same_name, self.same, None):
            for one in list(gone):
                like = (s for s in new if s.kind == one.kind and (not alike or alike(one, s)))
                if (other := next(like, None)) is not None:
                    pairs.append((one, other))
                    gone.remove(one)
                    new.remove(other)
        return pairs, gone, new

    def same(self, old: Shape, new: Shape) -> bool:
        """Tell whether two shapes allow the same, as far as is not told yet."""
        aside = self._aside()
        return not any(True for _ in aside.shape("", old, new, Travels.ANSWER))

    def shape(self, where: str, old: Shape, new: Shape, way: Travels) -> Iterator[Change]:
        """Compare what binds the values of one type."""
        before, after = old.facts, new.facts
        if before.get("external") != after.get("external"):
            raise CannotTellError(where, "a reference out of the document changed")
        yield from self._class(where, old, new)
        for key, rule in RULES.items():
            if key == "default" and way is Travels.PARAMETER:
                continue  # the caller's: operations.py
            for relation, words in rule(key, before.get(key), after.get(key)):
                yield Change(way.breaks(relation), where, words)
        lost = {*before.get("format", ())} - {*after.get("format", ())}
        if way is Travels.PARAMETER and lost & FRIENDLY.keys():
            yield Change(True, where, "the argument is of another type")
        yield from self._forbidden(where, before.get("not", []), after.get("not", []), way)
        yield from self._known_values(where, before, after, way)
        yield from self._object(where, before, after, way)
        yield from self._array(where, before, after, way)
        for key in ("propertyNames", "contentSchema", "unevaluatedItems", "unevaluatedProperties"):
            yield from self._bound_schema(where, key, before.get(key), after.get(key), way)
        yield from self._conditions(where, before.get("if", []), after.get("if", []), way)

    def _class(self, where: str, old: Shape, new: Shape) -> Iterator[Change]:
        """A class of the generated client is named by the component."""
        if old.name == new.name or not old.kind == new.kind == "object":
            return
        names = [say(shape.name) if shape.name else "one without a name" for shape in (old, new)]
        yield Change(True, where, f"the generated class {names[0]} becomes {names[1]}")

    def _forbidden(self, where: str, old: Any, new: Any, way: Travels) -> Iterator[Change]:
        """Compare what is forbidden; what changes there may be wider as well as narrower."""
        gone = [one for one in old if not any(self._same_schema(one, other) for other in new)]
        came = [one for one in new if not any(self._same_schema(other, one) for other in old)]
        if gone and came:
            yield Change(True, where, "not changed")
        elif gone or came:
            relation = NARROWER if came else WIDER
            yield Change(way.breaks(relation), where, f"not {'added' if came else 'removed'}")

    def _known_values(self, where: str, old: Any, new: Any, way: Travels) -> Iterator[Change]:
        """An open set binds answers to nothing; a request may send what is known."""
        before, after = (facts.get("x-extensible-enum") for facts in (old, new))
        if not isinstance(before, list) or not isinstance(after, list):
            if before != after:
                yield Change(False, where, f"x-extensible-enum {'added' if after else 'removed'}")
            return
        for value in [value for value in before if value not in after]:
            yield Change(way is not Travels.ANSWER, where, f"value {value} removed")
        for value in [value for value in after if value not in before]:
            yield Change(False, where, f"value {value} added")

    def _object(self, where: str, old: Any, new: Any, way: Travels) -> Iterator[Change]:
        before, after = old.get("properties", {}), new.get("properties", {})
        there = [
            {name for name, schema in properties.items() if shapes.travel(schema, way.hidden)}
            for shapes, properties in ((self.old, before), (self.new, after))
        ]
        listed = [facts.get("required", set()) for facts in (old, new)]
        # What does not travel is not asked for.
        required = [
            {name for name in names if name in here or name not in properties}
            for names, here, properties in zip(listed, there, (before, after), strict=True)
        ]
        for name in [*before, *(name for name in after if name not in before)]:
            at = f"{where}.{name}"
            if name not in after:
                yield Change(name in there[0], at, "removed")
            elif name not in before:
                needed = way is not Travels.ANSWER and name in required[1]
                bound = _covering(name, old, at)
                closed = way is Travels.ANSWER and bound == (False,) and name in there[1]
                words = "added, required" if needed else "added to a closed object" * closed
                yield Change(needed or closed, at, words or "added")
                if bound and bound != (False,) and name in there[1]:
                    yield from self.compare(at, bound, after[name], way)
            elif way is Travels.ANSWER:
                # What is never sent may be anything; what comes now is read as it was described.
                yield from self._property(at, before[name], after[name], way, name in there[1])
            else:
                both = name in there[0] and name in there[1]
                yield from self._property(at, before[name], after[name], way, both)
        for name in sorted(required[0] ^ required[1] | listed[0] ^ listed[1]):
            counts = (name in required[0]) != (name in required[1])
            at, now = f"{where}.{name}", name in (required if counts else listed)[1]
            came, went = name not in before and now, name not in after and not now
            if (came and name in after) or (went and name in before):
                continue  # with the property itself: said above
            words = "now always there" if now else "no longer always there"
            if way is not Travels.ANSWER:
                words = "became required" if now else "became optional"
            yield Change(counts and way.breaks(NARROWER if now else WIDER), at, words)
        yield from self._others(where, old, new, way)

    def _property(
        self, at: str, old: Schema, new: Schema, way: Travels, counts: bool
    ) -> Iterator[Change]:
        differ = self if counts else self._aside()
        for change in differ.compare(at, old, new, way):
            yield change._replace(breaking=change.breaking and counts)

    def _others(self, where: str, old: Any, new: Any, way: Travels) -> Iterator[Change]:
        """Compare what binds properties that have no name of their own."""
        key = "additionalProperties"
        yield from self._bound_schema(f"{where}.*", key, old.get(key), new.get(key), way)
        for key in ("patternProperties", "dependentSchemas"):
            before, after = old.get(key, {}), new.get(key, {})
            for name in [*before, *(name for name in after if name not in before)]:
                words = f"{key} {say(name)}"
                yield from self._bound_schema(where, words, before.get(name), after.get(name), way)

    def _bound_schema(
        self, where: str, key: str, old: Schema | None, new: Schema | None, way: Travels
    ) -> Iterator[Change]:
        """Compare a schema that narrows by being there."""
        if old is None and new is None:
            return
        if old is None:
            yield Change(way.breaks(NARROWER), where, f"{key} added")
        elif new is None:
            yield Change(way.breaks(WIDER), where, f"{key} removed")
        else:
            yield from self.compare(f"{where} ({key})", old, new, way)

    def _array(self, where: str, old: Any, new: Any, way: Travels) -> Iterator[Change]:
        yield from self._tuple(where, old.get("prefixItems", []), new.get("prefixItems", []), way)
        before, after = old.get("items"), new.get("items")
        if before is not None or after is not None:
            yield from self.compare(f"{where}[]", before or NO_SCHEMA, after or NO_SCHEMA, way)
        yield from self._contains(where, old.get("contains", []), new.get("contains", []), way)

    def _tuple(self, where: str, old: Any, new: Any, way: Travels) -> Iterator[Change]:
        """Compare the positions of a tuple.

        A position that is described stands for a value that may be there: for answers, one more is
        one more that callers meet; for requests, one less is one less that they may send.
        """
        for index in range(max(len(old), len(new))):
            at = f"{where}[{index}]"
            if index >= len(old):
                yield Change(way is Travels.ANSWER, at, "position added")
            elif index >= len(new):
                yield Change(way is not Travels.ANSWER, at, "position removed")
            else:
                yield from self.compare(at, old[index], new[index], way)

    def _contains(self, where: str, old: Any, new: Any, way: Travels) -> Iterator[Change]:
        if len(old) == 1 == len(new):
            (was, *was_counts), (now, *now_counts) = old[0], new[0]
            yield from self.compare(f"{where} (contains)", was, now, way)
            for key, a, b in zip(
                ("minContains", "maxContains"), was_counts, now_counts, strict=True
            ):
                a, b = (None if count == math.inf else count for count in (a, b))
                for relation, words in bound(key, a, b):
                    yield Change(way.breaks(relation), where, words)
        elif len(old) != len(new):
            relation = NARROWER if len(new) > len(old) else WIDER
            word = "added" if relation is NARROWER else "removed"
            yield Change(way.breaks(relation), where, f"contains {word}")
        elif len(old) > 1 and repr(old) != repr(new):
            yield Change(True, where, "contains changed")

    def _conditions(self, where: str, old: Any, new: Any, way: Travels) -> Iterator[Change]:
        """Compare `if`, `then`, `else`: a branch that comes narrows, one that goes widens."""
        if len(old) == 1 == len(new):
            condition = self._same_schema(old[0][0], new[0][0])
            if not condition:
                yield Change(True, where, "if changed")
                return
            for key, was, now in zip(("then", "else"), old[0][1:], new[0][1:], strict=True):
                before, after = (None if part == (True,) else part for part in (was, now))
                yield from self._bound_schema(where, key, before, after, way)
        elif len(old) != len(new):
            relation = NARROWER if len(new) > len(old) else WIDER
            word = "added" if relation is NARROWER else "removed"
            yield Change(way.breaks(relation), where, f"if {word}")
        elif len(old) > 1 and repr(old) != repr(new):
            yield Change(True, where, "if changed")

    def _same_schema(self, old: Schema, new: Schema) -> bool:
        return not any(True for _ in self._aside().compare("", old, new, Travels.ANSWER))


def _covering(name: str, facts: Facts, at: str) -> Schema:
    """Return what binds a property that an object does not name; nothing if it may be anything.

    Raises:
        CannotTellError: If it cannot tell whether a pattern covers the name.
    """
    found: Schema = ()
    for pattern, schema in facts.get("patternProperties", {}).items():
        try:
            found += schema if re.search(translate(pattern), name) else ()
        except PatternError as error:
            raise CannotTellError(at, f"pattern {pattern!r}: {error}") from None
    others: Schema = facts.get("additionalProperties", ())
    return found or others


def _same_name(old: Shape, new: Shape) -> bool:
    return old.name is not None and old.name == new.name


def _names(shapes: list[Shape]) -> str:
    """Return what shapes are called: their class or their type."""
    if not shapes:
        return "nothing"
    return ", ".join(shape.name or shape.kind for shape in shapes)


def nodes(holder: Any, key: str = "schema") -> Schema:
    """Return the schema that a parameter, a header or a media type holds; any if it has none."""
    found = mapping(holder).get(key)
    return NO_SCHEMA if found is None else (found,)


__all__ = ["SAME", "Change", "SchemaDiffer", "Travels", "nodes"]
