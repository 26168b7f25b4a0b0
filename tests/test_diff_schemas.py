"""Schemas compared: each keyword in both directions, unions, recursion, ways to say one thing."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from difference.document import CannotTellError, Document
from difference.operations import Differ
from difference.schemas import Change

PART = {"type": "object", "required": ["size"], "properties": {"size": {"type": "integer"}}}
SHEET = {"type": "object", "properties": {"rows": {"type": "array", "items": {"type": "string"}}}}


def document(schema: Any, where: str, version: str = "3.1.1", **schemas: Any) -> Document:
    """Return a document whose one operation has the schema in one place."""
    operation: dict[str, Any] = {"operationId": "store", "responses": {"200": {"description": "."}}}
    body = {"content": {"application/json": {"schema": schema}}}
    if where == "answer":
        operation["responses"]["200"] |= body
    elif where == "request":
        operation["requestBody"] = {"required": True, **body}
    else:
        operation["parameters"] = [{"name": "q", "in": "query", "schema": schema}]
    return Document(
        {
            "openapi": version,
            "info": {"title": "Shop", "version": "1"},
            "paths": {"/store": {"put": operation}},
            "components": {"schemas": {"Part": PART, "Sheet": SHEET, **schemas}},
        }
    )


def changes(old: Any, new: Any, where: str, **schemas: Any) -> list[Change]:
    return list(Differ(document(old, where, **schemas), document(new, where, **schemas)).run())


def broken(found: list[Change]) -> bool:
    return any(change.breaking for change in found)


def without_classes(found: list[Change]) -> list[Change]:
    """Return the changes but those of classes: a schema may be one, or a map, as it is said."""
    return [change for change in found if not change.where.startswith("class ")]


def listing(**extra: Any) -> Any:
    return {"type": "array", "items": {"type": "string"}, **extra}


def thing(**extra: Any) -> Any:
    return {"type": "object", "properties": {"a": {"type": "string"}}, **extra}


def ref(name: str) -> Any:
    return {"$ref": f"#/components/schemas/{name}"}


def text(**extra: Any) -> Any:
    return {"type": "string", **extra}


def whole(**extra: Any) -> Any:
    return {"type": "integer", **extra}


def number(**extra: Any) -> Any:
    return {"type": "number", **extra}


# A schema, and a wider one: answers may not go from left to right, requests not back.
WIDER: dict[str, tuple[Any, Any]] = {
    "a larger maximum": ({"type": "integer", "maximum": 3}, {"type": "integer", "maximum": 4}),
    "no maximum": ({"type": "number", "maximum": 3}, number()),
    "an inclusive bound": (
        {"type": "number", "exclusiveMaximum": 3},
        {"type": "number", "maximum": 3},
    ),
    "a smaller minimum": ({"type": "integer", "minimum": 0}, {"type": "integer", "minimum": -2}),
    "no exclusive minimum": ({"type": "number", "exclusiveMinimum": 0}, number()),
    "a smaller multiple": (
        {"type": "integer", "multipleOf": 6},
        {"type": "integer", "multipleOf": 3},
    ),
    "no multiple": ({"type": "integer", "multipleOf": 6}, whole()),
    "shorter text": ({"type": "string", "minLength": 2}, text()),
    "longer text": ({"type": "string", "maxLength": 2}, {"type": "string", "maxLength": 9}),
    "no text at all": ({"type": "string", "maxLength": 0}, {"type": "string", "maxLength": 1}),
    "no pattern": ({"type": "string", "pattern": "^op_"}, text()),
    "a pattern for all": (
        {"type": "string", "pattern": "^op_"},
        {"type": "string", "pattern": ".*"},
    ),
    "a larger format": (
        {"type": "integer", "format": "int32"},
        {"type": "integer", "format": "int64"},
    ),
    "no format": (text(format="duration"), text()),
    "fewer bits": (whole(format="int8"), whole(format="int16")),
    "no bits": (whole(format="int64"), whole()),
    "another value": ({"enum": ["a"]}, {"enum": ["a", "b"]}),
    "no closed set": ({"type": "string", "enum": ["a"]}, text()),
    "a constant no more": ({"type": "string", "const": "a"}, text()),
    "null as well": (text(), {"type": ["string", "null"]}),
    "one more type": ({"type": ["null", "integer"]}, {"type": ["null", "integer", "boolean"]}),
    "any number": (whole(), number()),
    "anything": (text(), {}),
    "anything again": (False, True),
    "fewer items": (listing(minItems=2), listing(minItems=1)),
    "more items": (listing(maxItems=2), listing(maxItems=3)),
    "items twice": (listing(uniqueItems=True), listing()),
    "any items": (listing(), {"type": "array"}),
    "wider items": (listing(), {"type": "array", "items": {"type": ["string", "null"]}}),
    "nothing contained": (listing(contains={"const": "a"}), listing()),
    "less contained": (listing(contains={}, minContains=3), listing(contains={}, minContains=2)),
    "more contained": (listing(contains={}, maxContains=3), listing(contains={}, maxContains=4)),
    "any further items": (listing(unevaluatedItems=False), listing()),
    "optional": (thing(required=["a"]), thing()),
    "optional, undescribed": ({"type": "object", "required": ["z"]}, {"type": "object"}),
    "open": (thing(additionalProperties=False), thing()),
    "a wider map": (thing(additionalProperties=whole()), thing(additionalProperties={})),
    "fewer properties": (thing(minProperties=2), thing(minProperties=1)),
    "more properties": (thing(maxProperties=2), thing(maxProperties=3)),
    "any names": (thing(propertyNames={"maxLength": 3}), thing()),
    "longer names": (thing(propertyNames={"maxLength": 3}), thing(propertyNames={"maxLength": 4})),
    "no pattern of names": (thing(patternProperties={"^x": text()}), thing()),
    "any further properties": (thing(unevaluatedProperties=False), thing()),
    "no dependency": (thing(dependentRequired={"a": ["b"]}), thing()),
    "no dependent schema": (thing(dependentSchemas={"a": {"required": ["b"]}}), thing()),
    "no condition": (thing(**{"if": {"required": ["a"]}, "then": {"required": ["b"]}}), thing()),
    "one branch less": (
        thing(
            **{"if": {"required": ["a"]}, "then": {"required": ["b"]}, "else": {"minProperties": 2}}
        ),
        thing(**{"if": {"required": ["a"]}, "then": {"required": ["b"]}}),
    ),
    "allowed after all": ({"type": "string", "not": {"const": "a"}}, text()),
    "no content schema": (
        {"type": "string", "contentMediaType": "application/json", "contentSchema": PART},
        {"type": "string", "contentMediaType": "application/json"},
    ),
    "one more branch": ({"oneOf": [ref("Part")]}, {"oneOf": [ref("Part"), text()]}),
    "one more alternative": ({"anyOf": [text()]}, {"anyOf": [text(), {"type": "null"}]}),
    "one condition less": (
        {"allOf": [ref("Part"), {"maxProperties": 3}]},
        {"allOf": [ref("Part"), {}]},
    ),
    "any of them": (
        {"oneOf": [ref("Part"), ref("Sheet")]},
        {"anyOf": [ref("Part"), ref("Sheet")]},
    ),
}


@pytest.mark.parametrize("place", ["body", "property", "item", "value of a map"])
@pytest.mark.parametrize(("narrow", "wide"), WIDER.values(), ids=WIDER)
def test_a_wider_schema_breaks_answers_and_a_narrower_one_requests(
    narrow: Any, wide: Any, place: str
) -> None:
    holders = {
        "body": lambda schema: schema,
        "property": lambda schema: {"type": "object", "properties": {"p": schema}},
        "item": lambda schema: {"type": "array", "items": schema},
        "value of a map": lambda schema: {"type": "object", "additionalProperties": schema},
    }
    narrow, wide = holders[place](narrow), holders[place](wide)
    for where, breaks, harmless in (
        ("answer", (narrow, wide), (wide, narrow)),
        ("request", (wide, narrow), (narrow, wide)),
    ):
        assert broken(changes(*breaks, where)), where
        found = without_classes(changes(*harmless, where))
        assert found, where
        becomes_one_of_several = (
            place == "body" and "oneOf" in str(wide) and "anyOf" not in str(wide)
        )
        assert broken(found) == (where == "request" and becomes_one_of_several), found


@pytest.mark.parametrize(("narrow", "wide"), WIDER.values(), ids=WIDER)
def test_a_parameter_is_a_request(narrow: Any, wide: Any) -> None:
    assert broken(changes(wide, narrow, "parameter"))
    assert not broken(without_classes(changes(narrow, wide, "parameter")))


# Neither holds the other: a caller breaks both ways, in both directions.
OTHER: dict[str, tuple[Any, Any]] = {
    "another type": (text(), {"type": "array"}),
    "a range moved": (
        {"type": "integer", "minimum": 0, "maximum": 2},
        {"type": "integer", "minimum": 1, "maximum": 3},
    ),
    "another pattern": ({"type": "string", "pattern": "^a"}, {"type": "string", "pattern": "^b"}),
    "another constant": ({"const": "a"}, {"const": "b"}),
    "another multiple": (
        {"type": "integer", "multipleOf": 2},
        {"type": "integer", "multipleOf": 3},
    ),
    "another encoding": (
        {"type": "string", "contentEncoding": "base64"},
        {"type": "string", "contentEncoding": "base16"},
    ),
    "another content": ({"type": "string", "contentMediaType": "text/csv"}, text()),
    "another dependency": (
        thing(dependentRequired={"a": ["b"]}),
        thing(dependentRequired={"a": ["c"]}),
    ),
    "another condition": (
        thing(**{"if": {"required": ["a"]}, "then": {"minProperties": 2}}),
        thing(**{"if": {"required": ["b"]}, "then": {"minProperties": 2}}),
    ),
    "a file where text was": (text(), text(format="binary")),
    "another kind of time": (text(format="date-time"), text(format="date")),
    "another class": (ref("Part"), ref("Sheet")),
    "something else forbidden": (
        thing(**{"not": {"properties": {"title": {"const": "x"}}}}),
        thing(**{"not": {"properties": {"title": {"const": "y"}}}}),
    ),
}


@pytest.mark.parametrize("where", ["answer", "request"])
@pytest.mark.parametrize(("one", "other"), OTHER.values(), ids=OTHER)
def test_what_is_neither_wider_nor_narrower_breaks(one: Any, other: Any, where: str) -> None:
    assert broken(changes(one, other, where))
    assert broken(changes(other, one, where))


# Two ways to say one thing.
EQUAL: dict[str, tuple[Any, Any]] = {
    "a list of one type": (text(), {"type": ["string"]}),
    "null as a branch": ({"type": ["string", "null"]}, {"anyOf": [text(), {"type": "null"}]}),
    "null first": ({"type": ["null", "string"]}, {"oneOf": [text(), {"type": "null"}]}),
    "nullable": ({"type": ["string", "null"]}, {"type": "string", "nullable": True}),
    "types as branches": ({"type": ["string", "integer"]}, {"anyOf": [whole(), text()]}),
    "an allOf of one": (ref("Part"), {"allOf": [ref("Part")]}),
    "an anyOf of one": (ref("Part"), {"anyOf": [ref("Part")]}),
    "a described reference": (ref("Part"), {**ref("Part"), "description": "The part."}),
    "an allOf with a description": (
        ref("Part"),
        {"allOf": [ref("Part")], "description": "The part."},
    ),
    "bounds in two places": (
        {"type": "integer", "minimum": 1, "maximum": 5},
        {"allOf": [{"type": "integer", "minimum": 1}, {"maximum": 5}]},
    ),
    "a branch behind a reference": (
        {"type": ["string", "null"]},
        {"anyOf": [ref("Text"), {"type": "null"}]},
    ),
    "exclusive, of integers": (
        {"type": "integer", "minimum": 1},
        {"type": "integer", "exclusiveMinimum": 0},
    ),
    "exclusive, as 3.0 says it": (
        {"type": "number", "exclusiveMinimum": 0},
        {"type": "number", "minimum": 0, "exclusiveMinimum": True},
    ),
    "a constant": ({"const": "a"}, {"enum": ["a"]}),
    "order of values": ({"enum": ["a", "b"]}, {"enum": ["b", "a"]}),
    "order of branches": (
        {"oneOf": [ref("Part"), ref("Sheet")]},
        {"oneOf": [ref("Sheet"), ref("Part")]},
    ),
    "order of required": (thing(required=["a", "b"]), thing(required=["b", "a"])),
    "true": ({}, True),
    "open, said aloud": (thing(), thing(additionalProperties=True)),
    "open, with a note": (thing(), thing(additionalProperties={"description": "Whatever."})),
    "no lower bound": (text(), {"type": "string", "minLength": 0}),
    "not unique": (listing(), listing(uniqueItems=False)),
    "a format of integers": (whole(format="int8"), whole(minimum=-128, maximum=127)),
    "any pattern": (text(), {"type": "string", "pattern": ".*"}),
    "notes": (
        text(),
        {
            "type": "string",
            "title": "T",
            "example": "x",
            "examples": ["x"],
            "$comment": "c",
            "x-order": 1,
        },
    ),
    "a scalar behind a reference": (text(), ref("Text")),
    "nothing allowed": (False, {"allOf": [True, False]}),
}


@pytest.mark.parametrize("where", ["answer", "request", "parameter"])
@pytest.mark.parametrize(("one", "other"), EQUAL.values(), ids=EQUAL)
def test_an_equal_schema_said_in_another_way_is_nothing(one: Any, other: Any, where: str) -> None:
    assert changes(one, other, where, Text=text()) == []
    assert changes(other, one, where, Text=text()) == []


def test_beside_a_reference_3_0_ignores_what_3_1_reads() -> None:
    bounded = {**ref("Part"), "maxProperties": 2}
    for version, seen in (("3.0.3", False), ("3.1.0", True)):
        old, new = (document(schema, "answer", version) for schema in (ref("Part"), bounded))
        assert bool(list(Differ(old, new).run())) is seen


# Told, and no caller breaks.
TOLD: dict[str, tuple[Any, Any, str]] = {
    "deprecated": (text(), {"type": "string", "deprecated": True}, "deprecated added"),
    "another default": (
        {"type": "string", "default": "a"},
        {"type": "string", "default": "b"},
        "default changed from 'a' to 'b'",
    ),
    "a default of zero": (
        whole(),
        {"type": "integer", "default": 0},
        "default changed from none to 0",
    ),
    "a default of false": (
        {"type": "boolean"},
        {"type": "boolean", "default": False},
        "default changed from none to False",
    ),
    "read-only": (text(), {"type": "string", "readOnly": True}, "readOnly added"),
    "a format of integers that binds no text": (
        text(format="int32"),
        text(),
        "format 'int32' removed",
    ),
    "a format that the client does not check": (
        text(format="email"),
        text(),
        "format 'email' removed",
    ),
    "a known word": (
        {"type": "string", "x-extensible-enum": ["a"]},
        {"type": "string", "x-extensible-enum": ["a", "b"]},
        "value b added",
    ),
}


@pytest.mark.parametrize("where", ["answer", "request"])
@pytest.mark.parametrize(("old", "new", "words"), TOLD.values(), ids=TOLD)
def test_what_binds_nobody_is_told(old: Any, new: Any, words: str, where: str) -> None:
    found = changes(old, new, where)
    assert any(words in change.what for change in found), found
    assert not broken(found)


def test_a_word_that_goes_is_missed_by_who_sends_it() -> None:
    more, less = ({"type": "string", "x-extensible-enum": words} for words in (["a", "b"], ["a"]))
    assert broken(changes(more, less, "request"))
    assert not broken(changes(more, less, "answer"))


def test_properties_come_and_go() -> None:
    without, with_, required = thing(), thing(), thing(required=["b"])
    with_["properties"] = required["properties"] = {
        "a": text(),
        "b": text(),
    }
    assert changes(without, with_, "answer") == [(False, f"{ANSWER}.b", "added")]
    assert not broken(changes(without, required, "answer"))
    assert changes(with_, without, "answer") == [(True, f"{ANSWER}.b", "removed")]
    assert not broken(changes(without, with_, "request"))
    assert broken(changes(without, required, "request"))
    closed = {**without, "additionalProperties": False}
    assert broken(changes(closed, {**with_, "additionalProperties": False}, "answer"))


ANSWER = "PUT /store -> 200 content application/json $"


# Old, new, and whether that breaks answers, and requests.
TRAVEL: dict[str, tuple[Any, Any, bool, bool]] = {
    "what was sent is not any more": (
        thing(required=["a"]),
        thing(required=["a"], properties={"a": text(writeOnly=True)}),
        True,
        False,
    ),
    "what was not sent comes, as another type": (
        thing(properties={"a": text(writeOnly=True)}),
        thing(properties={"a": whole()}),
        True,
        True,
    ),
    "what was not to be sent is required": (
        thing(properties={"a": text(readOnly=True)}),
        thing(required=["a"]),
        False,
        True,
    ),
    "what was not to be sent is taken, as another type": (
        thing(properties={"a": text(readOnly=True)}),
        thing(properties={"a": whole()}),
        True,
        False,
    ),
    "what was required is not to be sent": (
        thing(required=["a"]),
        thing(required=["a"], properties={"a": text(readOnly=True)}),
        False,
        False,
    ),
}


@pytest.mark.parametrize(("old", "new", "answers", "requests"), TRAVEL.values(), ids=TRAVEL)
def test_what_begins_or_ends_to_travel(old: Any, new: Any, answers: bool, requests: bool) -> None:
    assert broken(changes(old, new, "answer")) == answers
    assert broken(changes(old, new, "request")) == requests


def tagged(value: Any) -> Any:
    return {"type": "object", "required": ["kind"], "properties": {"kind": value}}


PETS = {name: tagged(text()) for name in ("Cat", "Dog")}
TAGS = {"cat": "#/components/schemas/Cat", "dog": "Dog"}


def pets(mapping: Any = None, name: str = "kind", keyword: str = "oneOf") -> Any:
    discriminator = {"propertyName": name, **({"mapping": mapping} if mapping else {})}
    return {keyword: [ref("Cat"), ref("Dog")], "discriminator": discriminator}


PLAIN_PETS = {"oneOf": [ref("Cat"), ref("Dog")]}
# Old, new, and whether that breaks answers, and requests.
DISCRIMINATORS: dict[str, tuple[Any, Any, bool, bool]] = {
    "another tag": (pets(TAGS), pets({**TAGS, "cat": "Dog", "feline": "Cat"}), True, True),
    "a tag renamed": (pets(TAGS), pets({"feline": "Cat", "dog": "Dog"}), True, True),
    "tags swapped": (pets(TAGS), pets({"cat": "Dog", "dog": "Cat"}), True, True),
    "tags that are not said any more": (pets(TAGS), pets(), True, True),
    "tags that are said now": (pets(), pets(TAGS), True, False),
    "one more tag": (pets(TAGS), pets({**TAGS, "puppy": "Dog"}), True, False),
    "one tag less": (pets({**TAGS, "puppy": "Dog"}), pets(TAGS), False, True),
    "another property": (pets(TAGS), pets(TAGS, "sort"), True, True),
    "none": (pets(TAGS), PLAIN_PETS, True, False),
    "one where none was": (PLAIN_PETS, pets(TAGS), False, True),
    "a tag spelt otherwise": (pets(TAGS), pets({"cat": "Cat", "dog": "Dog"}), False, False),
}


@pytest.mark.parametrize("nest", [False, True])
@pytest.mark.parametrize(
    ("old", "new", "answers", "requests"), DISCRIMINATORS.values(), ids=DISCRIMINATORS
)
def test_discriminators(old: Any, new: Any, answers: bool, requests: bool, nest: bool) -> None:
    if nest:
        old, new = ({"type": "array", "items": {"allOf": [one]}} for one in (old, new))
    for where, breaks in (("answer", answers), ("request", requests)):
        found = changes(old, new, where, **PETS)
        assert found
        assert broken(found) == breaks, where


def test_a_discriminator_adds_nothing_to_branches_that_say_their_tags() -> None:
    says = {"Cat": tagged({"const": "cat"}), "Dog": tagged({"const": "dog"})}
    for where in ("answer", "request"):
        for old, new in ((PLAIN_PETS, pets(TAGS)), (pets(TAGS), PLAIN_PETS)):
            found = changes(old, new, where, **says)
            assert found
            assert not broken(found)


def either(*branches: Any, keyword: str = "oneOf") -> Any:
    return thing(properties={"p": {keyword: [*branches]}})


OVERLAPS: dict[str, tuple[Any, Any, bool, bool]] = {
    "a branch that allows more": (
        either(text(maxLength=2), text(minLength=5)),
        either(text(maxLength=6), text(minLength=5)),
        True,
        True,
    ),
    "a branch that allows less": (
        either(text(maxLength=6), text(minLength=5)),
        either(text(maxLength=2), text(minLength=5)),
        True,
        True,
    ),
    "a branch more": (
        either(text(maxLength=2), whole()),
        either(text(maxLength=2), whole(), text()),
        True,
        True,
    ),
    "branches of different types": (
        either(text(maxLength=2), whole()),
        either(text(maxLength=6), whole()),
        True,
        False,
    ),
    "branches of different ranges": (
        either(whole(maximum=2), whole(minimum=9)),
        either(whole(maximum=4), whole(minimum=9)),
        True,
        False,
    ),
    "branches that say their kind": (
        either(*(tagged({"const": kind}) for kind in "ab")),
        either(tagged({"const": "a"}), {**tagged({"const": "b"}), "maxProperties": 3}),
        False,
        True,
    ),
    "the same branch twice, and only one may hold": (
        either(text(), text(), keyword="anyOf"),
        either(text(), text()),
        False,
        True,
    ),
    "only one may hold, of different types": (
        either(text(), whole(), keyword="anyOf"),
        either(text(), whole()),
        False,
        False,
    ),
}


@pytest.mark.parametrize(("old", "new", "answers", "requests"), OVERLAPS.values(), ids=OVERLAPS)
def test_one_of_refuses_what_two_branches_allow(
    old: Any, new: Any, answers: bool, requests: bool
) -> None:
    assert broken(changes(old, new, "answer")) == answers
    assert broken(changes(old, new, "request")) == requests


MEANINGLESS: dict[str, Any] = {
    "a pattern that is a list": text(pattern=["a"]),
    "a format that is a number": text(format=1),
    "a bound without end": number(maximum=float("inf")),
    "a bound that is none": whole(minimum=float("nan")),
    "a multiple of text": number(multipleOf="2"),
}


@pytest.mark.parametrize("schema", MEANINGLESS.values(), ids=MEANINGLESS)
def test_what_means_nothing_is_said_with_its_place(schema: Any) -> None:
    with pytest.raises(CannotTellError, match=r"PUT /store"):
        changes(number(), schema, "answer")


def test_numbers_beyond_those_of_machines_are_compared() -> None:
    large, larger = ({"enum": [10**400 + n]} for n in (0, 1))
    assert broken(changes(large, larger, "answer"))
    assert changes(large, copy.deepcopy(large), "answer") == []


def mapped(schema: Any, **extra: Any) -> Any:
    return {"type": "object", "additionalProperties": schema, "properties": extra}


@pytest.mark.parametrize("where", ["answer", "request"])
@pytest.mark.parametrize(
    ("old", "new", "breaks"),
    [
        (mapped(text()), mapped(text(), count=whole()), True),
        (mapped(text(), a=text()), mapped(text(), a=text(), count=whole()), True),
        (mapped(text()), mapped(text(), name=text()), False),
        (
            thing(patternProperties={"^x_": text()}),
            thing(patternProperties={"^x_": text()}, properties={"a": text(), "y": whole()}),
            False,
        ),
        (
            thing(patternProperties={"^x_": text()}),
            thing(patternProperties={"^x_": text()}, properties={"a": text(), "x_y": whole()}),
            True,
        ),
    ],
)
def test_a_named_property_was_one_of_a_map_before(
    old: Any, new: Any, breaks: bool, where: str
) -> None:
    assert broken(changes(old, new, where)) == breaks


def test_what_is_forbidden_is_followed_through_references() -> None:
    schema = {"type": "object", "properties": {"a": text(**{"not": ref("Bad")})}}
    for where in ("answer", "request"):
        one, other, same = (
            document(schema, where, Bad={"enum": values, "description": note})
            for values, note in ((["a", "b"], ""), (["a"], ""), (["a"], "Bad."))
        )
        assert broken(list(Differ(one, other).run()))
        assert list(Differ(other, same).run()) == []


@pytest.mark.parametrize(("where", "flag"), [("answer", "writeOnly"), ("request", "readOnly")])
def test_what_does_not_travel_breaks_nobody(where: str, flag: str) -> None:
    def item(schema: Any, **extra: Any) -> Any:
        return thing(properties={"a": {**schema, flag: True}, "b": text()}, **extra)

    words, numbers = item(text()), item(whole())
    for old, new in (
        (words, numbers),
        (numbers, words),
        (words, item(text(), required=["a"])),
        (item(text(), required=["a"]), words),
        (words, thing(properties={"b": text()})),
    ):
        assert changes(old, new, where)
        assert not broken(changes(old, new, where))


def test_what_does_not_travel_here_still_counts_elsewhere() -> None:
    def holder(size: str) -> tuple[Any, Any]:
        hidden = {"allOf": [ref("Box")], "writeOnly": True}
        schema = {"type": "object", "properties": {"hidden": hidden, "shown": ref("Box")}}
        return schema, {"type": "object", "properties": {"size": {"type": size}}}

    old, new = (
        document(schema, "answer", Box=box) for schema, box in map(holder, ("integer", "string"))
    )
    assert [change.where for change in Differ(old, new).run() if change.breaking] == [
        f"{ANSWER}.shown.size"
    ]


@pytest.mark.parametrize(
    "holder",
    [
        {"anyOf": [ref("Part"), text()]},
        {"oneOf": [{"type": "null"}, ref("Part")]},
        {"allOf": [ref("Part"), ref("Sheet")]},
        {"type": "object", "additionalProperties": ref("Part")},
        {"type": "array", "prefixItems": [text(), ref("Part")]},
        {"type": "object", "patternProperties": {"^x": ref("Part")}},
        {"type": "object", "properties": {"deep": {"type": "array", "items": ref("Part")}}},
    ],
    ids=lambda holder: next(iter(holder.keys() - {"type"})),
)
def test_a_change_behind_a_reference_is_found(holder: Any) -> None:
    other = copy.deepcopy(PART)
    other["properties"]["size"]["type"] = "string"
    old, new = document(holder, "answer"), document(holder, "answer", Part=other)
    found = list(Differ(old, new).run())
    assert [change.what for change in found] == ["type changed from 'integer' to 'string'"]
    assert broken(found)


NODE = {
    "type": "object",
    "properties": {
        "name": text(),
        "children": {"type": "array", "items": ref("Node")},
        "parent": {"anyOf": [ref("Node"), {"type": "null"}]},
    },
}
CIRCLES: dict[str, dict[str, Any]] = {
    "a tree": {"Node": NODE},
    "an allOf of itself": {"Node": {"allOf": [NODE, {"properties": {"next": ref("Node")}}]}},
    "a union of itself": {"Node": {"oneOf": [text(), {"type": "array", "items": ref("Node")}]}},
    "only itself": {"Node": ref("Node")},
    "only each other": {"Node": ref("Other"), "Other": {"allOf": [ref("Node")]}},
    "two of a kind": {
        "Node": {
            "anyOf": [
                {"type": "object", "properties": {"a": ref("Node")}},
                {"type": "object", "properties": {"b": ref("Node")}},
            ]
        }
    },
}


@pytest.mark.parametrize("schemas", CIRCLES.values(), ids=CIRCLES)
def test_recursion_ends(schemas: Any) -> None:
    old = document(ref("Node"), "answer", **schemas)
    assert list(Differ(old, document(ref("Node"), "answer", **copy.deepcopy(schemas))).run()) == []
    list(Differ(old, document(ref("Part"), "answer", **schemas)).run())


def test_a_change_in_a_recursive_schema_is_told_once() -> None:
    other = copy.deepcopy(NODE)
    other["properties"]["name"] = whole()
    old, new = (document(ref("Node"), "answer", Node=node) for node in (NODE, other))
    (change,) = Differ(old, new).run()
    assert change == (True, f"{ANSWER}.name", "type changed from 'string' to 'integer'")


def test_a_text_parameter_takes_what_numbers_are_written_as() -> None:
    assert not broken(changes(whole(), text(), "parameter"))
    assert broken(changes(text(), whole(), "parameter"))
    assert broken(changes(whole(), {"type": "string", "pattern": "^a"}, "parameter"))
    either = {"type": ["integer", "string"]}
    assert not broken(changes(either, text(), "parameter"))
    assert broken(changes(either, whole(), "parameter"))
    assert broken(changes({**either, "pattern": "^a"}, text(pattern="^a"), "parameter"))


def test_a_parameter_may_be_a_date_no_more() -> None:
    assert broken(changes(text(format="date"), text(), "parameter"))
    assert not broken(changes(text(format="email"), text(), "parameter"))
    assert not broken(changes(text(), text(format="date-time"), "answer"))


def test_positions_of_a_tuple() -> None:
    one, two = ({"type": "array", "prefixItems": [text()] * n} for n in (1, 2))
    assert broken(changes(one, two, "answer"))
    assert not broken(changes(two, one, "answer"))
    assert broken(changes(two, one, "request"))
    assert not broken(changes(one, two, "request"))
    (change,) = changes(two, {"type": "array", "prefixItems": [text(), {}]}, "answer")
    assert change == (True, f"{ANSWER}[1]", "type changed from 'string' to 'any'")


def test_names_of_classes() -> None:
    old, new = document(ref("Part"), "answer"), document(ref("Piece"), "answer", Piece=PART)
    assert "the generated class 'Part' becomes 'Piece'" in [
        change.what for change in Differ(old, new).run()
    ]
    assert broken(changes(PART, ref("Part"), "answer"))
    # Titles name nothing.
    same = document(ref("Part"), "answer", Part={**PART, "title": "Piece"})
    assert list(Differ(old, same).run()) == []
    for schema in (text(), text(enum=["a"]), PART):
        assert changes({**schema, "title": "A"}, {**schema, "title": "B"}, "answer") == []


def test_a_reference_that_cannot_be_followed_is_said_with_its_place() -> None:
    for reference in ("#/components/schemas/Gone", "#gone"):
        with pytest.raises(CannotTellError, match=r"PUT /store -> 200 .*: nothing is there"):
            changes(text(), {"$ref": reference}, "answer")
    outside = {"$ref": "https://example.org/part.yaml"}
    assert changes(outside, copy.deepcopy(outside), "answer") == []
    with pytest.raises(CannotTellError, match="out of the document"):
        changes(outside, ref("Part"), "answer")


def test_a_named_anchor_is_a_reference_too() -> None:
    anchored = {"Part": {**PART, "$anchor": "part"}}
    assert changes(ref("Part"), {"$ref": "#part"}, "parameter", **anchored) != []
    words = {"Text": {"type": "string", "$anchor": "text"}}
    assert changes(text(), {"$ref": "#text"}, "answer", **words) == []


def test_unions_that_multiply_beyond_reason_are_not_guessed_at() -> None:
    branches = {"anyOf": [{"minLength": n} for n in range(20)]}
    with pytest.raises(CannotTellError, match="more than 256 shapes"):
        changes(text(), {"allOf": [branches, branches, branches]}, "answer")
