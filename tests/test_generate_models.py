"""Generated models: they enforce what a schema says, and what they take comes back whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from tests.support.fields import FIELDS, NAMED, PARCEL, TEXT
from tests.support.generating import Package, document

NAMES = [
    *(
        "class",
        "from",
        "self",
        "import",
        "str",
        "list",
        "None",
        "True",
        "msgspec",
        "Annotated",
        "Any",
    ),
    *("Literal", "decoding", "validation", "UNSET", "from_json", "_decoder", "_CHECKS", "__init__"),
    *("__struct_fields__", "__post_init__", "foo-bar", "foo.bar", "foo bar", "fooBar", "foo_bar"),
    *(
        "FooBar",
        "$ref",
        "@type",
        "",
        " ",
        "1st",
        "名前",
        "ﬁ",
        "é",
        "a{b}",
        "it's",
        "Thing",
        "Names",
    ),
    *("datetime", "TYPE_CHECKING", "match", "type", "id", "x" * 300, "\u2028", "😀"),
]
TEXTS = [
    'ends with "',
    "ends with \\",
    '"""triple""" and \\"""',
    "{{ 7 * 7 }} {% raw %} {# no #} {x} %s",
    "\\d \\N{DASH} \\x \\u12",
    "one\n\n  two\n```json\n{}\n```",
    "'''",
    "\x00\x07\x1b[31m",
    "\u202e\u2028 é 😀",
    "x" * 500,
    " ",
]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    """One package with a struct for each field, one for the names, and one for the texts."""
    holders = {
        f"Holder{number}": {"type": "object", "properties": {name: schema}}
        for number, (name, (schema, _, _)) in enumerate(FIELDS.items())
    }
    names = {
        "Names": {
            "type": "object",
            "properties": {name: {"type": "string", "minLength": 1} for name in NAMES},
        }
    }
    texts = {
        "Texts": {
            "type": "object",
            "description": TEXTS[2],
            "properties": {
                f"text{number}": {
                    "type": "string",
                    "description": text,
                    "default": text,
                    "enum": [text, "other"],
                }
                for number, text in enumerate(TEXTS)
            },
        },
        **{f"Text{number}": {**TEXT, "description": text} for number, text in enumerate(TEXTS)},
    }
    folder = tmp_path_factory.mktemp("models")
    return Package(document({**NAMED, **holders, **names, **texts, "Thing": PARCEL}), folder)


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize("name", FIELDS)
class TestFields:
    def test_what_is_valid_is_kept(self, package: Package, name: str) -> None:
        model = getattr(package.models, f"Holder{list(FIELDS).index(name)}")
        for decode in (msgspec.json.Decoder(model).decode, model.from_json):
            for value in FIELDS[name][1]:
                decoded = decode(encoded({name: value}))
                assert json.loads(msgspec.json.encode(decoded)) == {name: value}
            absent = decode(b"{}")
            assert msgspec.json.encode(absent) == b"{}"
            assert repr(absent) == f"{model.__name__}()"

    def test_what_is_invalid_is_refused(self, package: Package, name: str) -> None:
        model = getattr(package.models, f"Holder{list(FIELDS).index(name)}")
        for decode in (msgspec.json.Decoder(model).decode, model.from_json):
            for value in FIELDS[name][2]:
                body = encoded({name: value})
                with pytest.raises(msgspec.ValidationError, match=rf" - at `\$?\.{name}"):
                    decode(body)


class TestWhatIsMade:
    def test_alternatives_become_their_own_structs(self, package: Package) -> None:
        number = list(FIELDS).index("posts")
        holder = getattr(package.models, f"Holder{number}")
        value = [{"kind": "x", "weight": 1}, {"kind": "x", "stamp": "AB"}]
        posts = holder.from_json(encoded({"posts": value})).posts
        assert [type(one).__name__ for one in posts] == ["Parcel", "Letter"]
        assert holder(posts=posts).posts == posts

    def test_a_map_is_a_dict_and_a_list_a_list(self, package: Package) -> None:
        number = list(FIELDS).index("counts")
        holder = getattr(package.models, f"Holder{number}")
        assert holder.from_json(b'{"counts": {"a": 1}}').counts == {"a": 1}

    def test_schemas_that_are_no_objects_are_aliases(self, package: Package) -> None:
        decode = msgspec.json.Decoder(package.models.Tags).decode
        assert decode(b'["a"]') == ["a"]
        with pytest.raises(msgspec.ValidationError):
            decode(b"[]")
        assert package.models.Thing is package.models.Parcel

    def test_integers_may_be_written_with_a_fraction_of_nothing(self, package: Package) -> None:
        for text in ("2.0", "2e0", "0.2e1"):
            register = package.models.Register.from_json(
                b'{"kind": "r", "weight": 1, "number": %s}' % text.encode()
            )
            assert register.number == 2
            assert type(register.number) is int
        with pytest.raises(msgspec.ValidationError, match=r"at `\$\.number`"):
            package.models.Register.from_json(b'{"kind": "r", "weight": 1, "number": 2.5}')

    def test_harmless_dress_is_passed_over(self, package: Package) -> None:
        parcel = package.models.Parcel.from_json(b'\xef\xbb\xbf{"kind": "\\ud800", "weight": 1}')
        assert parcel.kind == "\ufffd"
        with pytest.raises(msgspec.DecodeError):
            package.models.Parcel.from_json(b"<html>")
        with pytest.raises(msgspec.DecodeError):
            package.models.Parcel.from_json(b'{"kind": "p", "weight": NaN}')

    def test_the_path_leads_through_structs_that_are_checked(self, package: Package) -> None:
        number = list(FIELDS).index("distinct")
        holder = getattr(package.models, f"Holder{number}")
        with pytest.raises(msgspec.ValidationError, match=r" - at `\$\.distinct`$"):
            holder.from_json(b'{"distinct": [1, 1]}')

    def test_they_are_frozen(self, package: Package) -> None:
        with pytest.raises(AttributeError):
            package.models.Closed(a=1).a = 2


class TestNames:
    def test_every_name_is_kept(self, package: Package) -> None:
        value = {name: name or "-" for name in NAMES}
        model = package.models.Names
        assert json.loads(msgspec.json.encode(model.from_json(encoded(value)))) == value
        assert len(set(model.__struct_fields__)) == len(NAMES)
        for name in NAMES:
            with pytest.raises(msgspec.ValidationError):
                model.from_json(encoded({**value, name: ""}))

    def test_a_capital_is_kept_and_others_go_to_snake_case(self, package: Package) -> None:
        fields = dict(
            zip(
                package.models.Names.__struct_encode_fields__,
                package.models.Names.__struct_fields__,
                strict=True,
            )
        )
        assert fields["FooBar"] == "FooBar"
        assert fields["foo-bar"] == "foo_bar"
        assert fields["class"] == "class_"
        assert package.models.Names.from_json(b"{}").foo_bar is UNSET


class TestTexts:
    def test_no_text_of_the_document_becomes_code(self, package: Package) -> None:
        model = package.models.Texts
        for number, text in enumerate(TEXTS):
            body = encoded({f"text{number}": text})
            assert json.loads(msgspec.json.encode(model.from_json(body))) == {f"text{number}": text}
        source = (package.folder / "models/texts.py").read_text("utf-8")
        assert "{{ 7 * 7 }} {% raw %}" in source
        assert "\x1b" not in source

    def test_a_description_is_the_docstring(self, package: Package) -> None:
        assert package.models.Parcel.__doc__ == 'A "parcel".'


class TestOpenApi30:
    def test_its_own_spellings(self, tmp_path: Path) -> None:
        schemas = {
            "Pin": {
                "type": "object",
                "properties": {
                    "note": {"type": "string", "nullable": True},
                    "kind": {"type": "string", "enum": ["a"], "nullable": True},
                    "above": {"type": "integer", "minimum": 0, "exclusiveMinimum": True},
                    "next": {"nullable": True, "allOf": [{"$ref": "#/components/schemas/Pin"}]},
                    "plain": {
                        "$ref": "#/components/schemas/Pin",
                        "description": "Ignored.",
                        "maxLength": 1,
                    },
                },
            }
        }
        package = Package(document(schemas, version="3.0.3"), tmp_path)
        for value in (
            {"note": None},
            {"kind": None},
            {"above": 1},
            {"next": None},
            {"next": {"note": "x"}},
            {"plain": {}},
        ):
            body = encoded(value)
            assert json.loads(msgspec.json.encode(package.models.Pin.from_json(body))) == value
        for value in ({"kind": "b"}, {"above": 0}, {"next": 1}, {"plain": None}):
            with pytest.raises(msgspec.ValidationError):
                package.models.Pin.from_json(encoded(value))
