"""Fields of generated structs: the schema of each, what it takes, and what it refuses."""

from __future__ import annotations

from typing import Any

TEXT = {"type": "string"}
WHOLE = {"type": "integer"}
PARCEL = {"$ref": "#/components/schemas/Parcel"}
LETTER = {"$ref": "#/components/schemas/Letter"}
CAT = {"$ref": "#/components/schemas/Cat"}

NAMED: dict[str, Any] = {
    "Parcel": {
        "type": "object",
        "description": 'A "parcel".',
        "required": ["kind", "weight"],
        "properties": {"kind": TEXT, "weight": {"type": "number", "exclusiveMinimum": 0}},
    },
    "Letter": {
        "type": "object",
        "required": ["kind", "stamp"],
        "properties": {"kind": TEXT, "stamp": {"$ref": "#/components/schemas/Stamp"}},
    },
    "Stamp": {"type": "string", "pattern": "^[A-Z]{2}$"},
    "Tags": {"type": "array", "items": TEXT, "minItems": 1},
    "Labels": {"type": "object", "additionalProperties": TEXT, "maxProperties": 2},
    "Node": {
        "type": "object",
        "properties": {
            "name": TEXT,
            "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Node"}},
        },
    },
    "Json": {
        "anyOf": [
            {"type": ["string", "number", "boolean", "null"]},
            {"type": "array", "items": {"$ref": "#/components/schemas/Json"}},
            {"type": "object", "additionalProperties": {"$ref": "#/components/schemas/Json"}},
        ]
    },
    "Closed": {"type": "object", "properties": {"a": WHOLE}, "additionalProperties": False},
    "Cat": {
        "type": "object",
        "required": ["kind"],
        "properties": {"kind": {"const": "cat"}, "lives": WHOLE},
    },
    "Dog": {
        "allOf": [
            {"$ref": "#/components/schemas/Barking"},
            {"type": "object", "properties": {"name": TEXT}},
        ]
    },
    "Barking": {
        "type": "object",
        "required": ["kind"],
        "properties": {"kind": {"enum": ["dog", "hound"]}},
    },
    "Post": {
        "oneOf": [PARCEL, LETTER],
        "discriminator": {
            "propertyName": "kind",
            "mapping": {"letter": "#/components/schemas/Letter"},
        },
    },
    "Tin": {
        "type": "object",
        "required": ["kind", "size"],
        "properties": {"kind": TEXT, "size": WHOLE},
    },
    "Up": {
        "type": "object",
        "properties": {"kind": {"enum": ["Up", "Down", "side"]}, "up": WHOLE, "down": TEXT},
    },
    "Down": {
        "type": "object",
        "properties": {"kind": {"enum": ["Up", "Down", "side"]}, "up": TEXT, "down": TEXT},
    },
    "First": {"type": "object", "required": ["kind"], "properties": {"kind": {"const": 1}}},
    "Second": {"type": "object", "required": ["kind"], "properties": {"kind": {"const": 2}}},
    "Secret": {"type": "string", "writeOnly": True},
    "Account": {
        "type": "object",
        "required": ["key"],
        "properties": {
            "name": TEXT,
            "password": {"type": "string", "writeOnly": True},
            "key": {"$ref": "#/components/schemas/Secret"},
        },
    },
    "Register": {"allOf": [PARCEL, {"required": ["number"], "properties": {"number": WHOLE}}]},
}

FIELDS: dict[str, tuple[Any, list[Any], list[Any]]] = {
    "text": (TEXT, ["", "é"], [1, None, []]),
    "short": (
        {"type": "string", "minLength": 1, "maxLength": 2},
        ["a", "é\U0001f600"],
        ["", "abc"],
    ),
    "nullable": ({"type": ["string", "null"], "pattern": "^a"}, [None, "a"], ["b", 1]),
    "int32": (
        {"type": "integer", "format": "int32"},
        [2**31 - 1, -(2**31)],
        [2**31, 1.5, "1", True],
    ),
    "int64": ({"type": "integer", "format": "int64"}, [2**63 - 1], [2**63, None]),
    "uint8": ({"type": "integer", "format": "uint8"}, [0, 255], [-1, 256]),
    "endless": (WHOLE, [10**30, -(10**30)], [0.5]),
    "ratio": ({"type": "number", "minimum": 0, "maximum": 1}, [0, 0.5, 1], [-0.1, 1.1, "x"]),
    "open": (
        {"type": "number", "minimum": 0, "exclusiveMinimum": 0, "maximum": 2},
        [0.1, 2],
        [0, 3],
    ),
    "cents": ({"type": "number", "multipleOf": 0.01}, [0.07, 4.35, 1, 1e20], [0.005, 1.001]),
    "even": ({"type": "integer", "multipleOf": 2}, [0, -4], [1]),
    "fraction": ({"type": "integer", "minimum": 1.5, "maximum": 3.5}, [2, 3], [1, 4]),
    "large": ({"type": "integer", "maximum": 2**70}, [2**70], [2**70 + 1]),
    "flag": ({"type": "boolean"}, [True, False], [0, "true", None]),
    "moment": (
        {"type": "string", "format": "date-time"},
        ["2026-01-02T03:04:05.123456789Z"],
        ["x", 1],
    ),
    "day": (
        {"type": "string", "format": "date"},
        ["2024-02-29"],
        ["2023-02-29", "2024-02-29T00:00:00Z"],
    ),
    "id": ({"type": "string", "format": "uuid"}, ["6F9619FF-8b86-4d01-b42d-00cf4fc964ff"], ["6f"]),
    "mail": ({"type": "string", "format": "email"}, ["a@b.c"], [1]),
    "word": ({"type": "string", "enum": ["a", 'b"\n']}, ["a", 'b"\n'], ["c", 1, None]),
    "level": ({"type": "integer", "enum": [1, 2]}, [1], [3, "1", True]),
    "mixed": ({"enum": ["a", 1, None]}, ["a", 1, None], ["b", 2, True]),
    "odd": ({"enum": [True, 1.5, {"a": 1}]}, [True, 1.5, {"a": 1}], [False, 1, {"a": 2}, "x"]),
    "constant": ({"const": "x"}, ["x"], ["y", None]),
    "yes": ({"type": "boolean", "const": True}, [True], [False, 1]),
    "word_or_null": ({"type": ["string", "null"], "enum": ["a", None]}, ["a", None], ["b"]),
    "several": ({"type": ["string", "integer"]}, ["a", 1], [1.5, [], None]),
    "either": ({"anyOf": [TEXT, WHOLE]}, ["a", 1], [0.5, {}]),
    "exactly_one": ({"oneOf": [WHOLE, {"type": "number", "minimum": 5}]}, [1, 5.5], [7, 1.5]),
    "both": (
        {"allOf": [{"$ref": "#/components/schemas/Stamp"}, {"enum": ["AB", "abc"]}]},
        ["AB"],
        ["abc"],
    ),
    "beside": (
        {"$ref": "#/components/schemas/Stamp", "maxLength": 2, "pattern": "^A"},
        ["AB"],
        ["BA", "A"],
    ),
    "wrapped": (
        {"allOf": [PARCEL], "description": "One."},
        [{"kind": "p", "weight": 1}],
        [{"kind": "p"}, 1],
    ),
    "list": ({"type": "array", "items": WHOLE, "maxItems": 2}, [[], [1, 2]], [[1, 2, 3], ["a"], 1]),
    "distinct": (
        {"type": "array", "uniqueItems": True},
        [[1, True, "1"], []],
        [[1, 1], [{"a": 1}, {"a": 1}]],
    ),
    "pair": (
        {"type": "array", "prefixItems": [TEXT, WHOLE], "items": False},
        [["a", 1]],
        [[1, 1], ["a", 1, 2]],
    ),
    "has": ({"type": "array", "contains": {"const": 1}, "maxContains": 1}, [[0, 1]], [[], [1, 1]]),
    "grid": (
        {"type": "array", "items": {"type": "array", "items": WHOLE}},
        [[[1], []]],
        [[1], [["a"]]],
    ),
    "tags": ({"$ref": "#/components/schemas/Tags"}, [["a"]], [[], [1]]),
    "labels": (
        {"$ref": "#/components/schemas/Labels"},
        [{"a": "b"}],
        [{"a": 1}, {"a": "", "b": "", "c": ""}],
    ),
    "free": ({"type": "object"}, [{"a": [1, {"b": None}]}], [1, []]),
    "counts": (
        {"type": "object", "additionalProperties": {"type": "integer", "minimum": 0}},
        [{"a": 0}],
        [{"a": -1}],
    ),
    "keys": ({"type": "object", "propertyNames": {"pattern": "^x"}}, [{"x": 1}], [{"y": 1}]),
    "record": (
        {"type": "object", "properties": {"name": TEXT}, "additionalProperties": WHOLE},
        [{"name": "n", "size": 1}],
        [{"name": 1}, {"size": "n"}],
    ),
    "by_pattern": (
        {"type": "object", "patternProperties": {"^x-": TEXT}},
        [{"x-a": "b", "c": 1}],
        [{"x-a": 1}],
    ),
    "owner": (
        {"type": "object", "required": ["name"], "properties": {"name": TEXT, "age": WHOLE}},
        [{"name": "n", "age": 1}, {"name": "n"}],
        [{"age": 1}, {"name": 1}],
    ),
    "together": (
        {
            "type": "object",
            "properties": {"a": WHOLE, "b": WHOLE},
            "dependentRequired": {"a": ["b"]},
        },
        [{"a": 1, "b": 1}, {"b": 1}],
        [{"a": 1}],
    ),
    "one_of_two": (
        {
            "type": "object",
            "properties": {"a": WHOLE, "b": WHOLE},
            "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
        },
        [{"a": 1}, {"b": 1}],
        [{}, {"a": 1, "b": 1}],
    ),
    "sized": (
        {
            "type": "object",
            "properties": {"a": WHOLE},
            "minProperties": 1,
            "additionalProperties": False,
        },
        [{"a": 1}],
        [{}, {"b": 1}],
    ),
    "closed": ({"$ref": "#/components/schemas/Closed"}, [{"a": 1}, {}], [{"b": 1}]),
    "maybe": (
        {"oneOf": [PARCEL, {"type": "null"}]},
        [None, {"kind": "p", "weight": 0.5}],
        [1, {"kind": "p"}],
    ),
    "text_or_parcel": (
        {"anyOf": [TEXT, PARCEL]},
        ["a", {"kind": "p", "weight": 1}],
        [1, {"kind": "p"}],
    ),
    "post": (
        {"oneOf": [PARCEL, LETTER]},
        [{"kind": "x", "weight": 1}, {"kind": "x", "stamp": "AB"}],
        [{"kind": "x"}, {"kind": "x", "stamp": "ab"}],
    ),
    "posts": (
        {"type": "array", "items": {"anyOf": [PARCEL, LETTER]}},
        [[{"kind": "x", "weight": 1}, {"kind": "x", "stamp": "AB"}]],
        [[{"kind": "x"}], [1]],
    ),
    "chosen": (
        {
            "oneOf": [PARCEL, LETTER],
            "discriminator": {
                "propertyName": "kind",
                "mapping": {"parcel": "#/components/schemas/Parcel", "letter": "Letter"},
            },
        },
        [{"kind": "parcel", "weight": 1}, {"kind": "letter", "stamp": "AB"}],
        [{"kind": "letter", "weight": 1}, {"kind": "other", "weight": 1}, {"weight": 1}],
    ),
    "chosen_by_its_own_values": (
        {
            "oneOf": [CAT, {"$ref": "#/components/schemas/Dog"}],
            "discriminator": {"propertyName": "kind"},
        },
        [{"kind": "cat", "lives": 9}, {"kind": "dog"}, {"kind": "hound"}],
        [{"kind": "Cat"}, {"kind": "dog", "name": 1}, {"kind": "bird"}],
    ),
    "chosen_through_another": (
        {
            "oneOf": [
                {"$ref": "#/components/schemas/Post"},
                {"$ref": "#/components/schemas/Tin"},
            ],
            "discriminator": {
                "propertyName": "kind",
                "mapping": {
                    "letter": "#/components/schemas/Letter",
                    "tin": "#/components/schemas/Tin",
                },
            },
        },
        [
            {"kind": "letter", "stamp": "AB"},
            {"kind": "Parcel", "weight": 1},
            {"kind": "tin", "size": 1},
            {"kind": "Tin", "size": 1},
        ],
        [{"kind": "letter", "weight": 1}, {"kind": "tin"}, {"kind": "Other", "size": 1}],
    ),
    "told_apart_in_part": (
        {
            "oneOf": [
                {"$ref": "#/components/schemas/Up"},
                {"$ref": "#/components/schemas/Down"},
            ],
            "discriminator": {"propertyName": "kind"},
        },
        [{"kind": "Up"}, {"kind": "Down"}, {"kind": "side", "up": 1, "down": "x"}],
        [{"kind": "side"}, {"kind": "side", "up": 1, "down": 1}, {"kind": "other"}],
    ),
    "chosen_by_a_number": (
        {
            "oneOf": [
                {"$ref": "#/components/schemas/First"},
                {"$ref": "#/components/schemas/Second"},
            ],
            "discriminator": {"propertyName": "kind"},
        },
        [{"kind": 1}, {"kind": 2}],
        [{"kind": 3}, {}],
    ),
    "only_sent": (
        {
            "allOf": [
                {"$ref": "#/components/schemas/Account"},
                {"required": ["name", "password", "key"]},
            ]
        },
        [{"name": "n"}, {"name": "n", "password": "p", "key": "k"}],
        [{}, {"name": "n", "password": 1}],
    ),
    "very_long": ({"type": "string", "maxLength": 2**63, "minLength": 1}, ["a"], [""]),
    "tree": (
        {"$ref": "#/components/schemas/Node"},
        [{"name": "a", "parts": [{"name": "b", "parts": []}]}],
        [{"parts": [{"name": 1}]}],
    ),
    "json": ({"$ref": "#/components/schemas/Json"}, [[{"a": [None, 1.5, "x"]}], None], []),
    "register": (
        {"$ref": "#/components/schemas/Register"},
        [{"kind": "r", "weight": 1, "number": 2}],
        [{"kind": "r", "weight": 1}],
    ),
    "value_of_its_kind": (
        {
            "type": "object",
            "properties": {"kind": TEXT},
            "if": {"properties": {"kind": {"const": "number"}}},
            "then": {"properties": {"value": WHOLE}},
        },
        [{"kind": "text", "value": "a"}, {"kind": "number", "value": 1}],
        [{"kind": "number", "value": "a"}],
    ),
    "not_legacy": (
        {
            "type": "object",
            "properties": {"a": TEXT},
            "not": {"required": ["legacy"], "properties": {"legacy": {"const": True}}},
        },
        [{"legacy": False}, {"a": "x"}],
        [{"legacy": True}],
    ),
    "x_or_another": (
        {
            "type": "object",
            "properties": {"a": TEXT},
            "oneOf": [
                {"required": ["k"], "properties": {"k": {"const": "x"}}},
                {"required": ["z"]},
            ],
        },
        [{"k": "other", "z": 1}, {"k": "x"}],
        [{"k": "other"}, {"k": "x", "z": 1}],
    ),
    "deep_in_alternatives": (
        {
            "type": "object",
            "properties": {"a": TEXT},
            "not": {"not": {"not": {"not": {"not": {"not": {"required": ["far"]}}}}}},
        },
        [{"far": 1}],
        [{}, {"a": "x"}],
    ),
    "gone": (
        {"type": "object", "properties": {"a": TEXT, "old": False}},
        [{"a": "x"}],
        [{"a": "x", "old": 1}],
    ),
    "card": (
        {
            "type": "object",
            "properties": {"a": TEXT},
            "dependentSchemas": {"card": {"required": ["code"]}},
        },
        [{"a": "x"}, {"card": 1, "code": 2}],
        [{"card": 1}],
    ),
    "closed_and_more": (
        {
            "allOf": [
                {
                    "type": "object",
                    "properties": {"a": TEXT},
                    "additionalProperties": False,
                    "not": {"required": ["y"]},
                },
                {"properties": {"b": TEXT}, "not": {"required": ["z"]}},
            ]
        },
        [{"a": "x"}, {}],
        [{"b": "x"}, {"a": "x", "b": "y"}],
    ),
    "headed": (
        {"type": "array", "prefixItems": [TEXT], "items": {"oneOf": [PARCEL, LETTER]}},
        [["head", {"kind": "x", "stamp": "AB"}], ["head"]],
        [[{"kind": "x", "stamp": "AB"}], ["head", {"kind": "x"}]],
    ),
    "headed_or_letter": (
        {
            "oneOf": [
                LETTER,
                {
                    "type": "array",
                    "prefixItems": [{"type": "object", "properties": {"x": WHOLE}}],
                    "items": PARCEL,
                },
            ]
        },
        [[{"x": 1}, {"kind": "x", "weight": 1}], {"kind": "x", "stamp": "AB"}],
        [[{"x": "a"}], [{"x": 1}, {"kind": "x"}]],
    ),
    "patterned_or_letter": (
        {
            "oneOf": [
                LETTER,
                {
                    "type": "object",
                    "required": ["x-a"],
                    "patternProperties": {"^x-": {"type": "object", "properties": {"x": WHOLE}}},
                    "additionalProperties": PARCEL,
                },
            ]
        },
        [{"x-a": {"x": 1}, "b": {"kind": "x", "weight": 1}}],
        [{"x-a": {"x": "a"}}, {"x-a": {}, "b": {"kind": "x"}}],
    ),
    "not_x": ({"type": "string", "not": {"const": "x"}}, ["y"], ["x", 1]),
    "if_then": (
        {"if": {"type": "string"}, "then": {"minLength": 2}, "else": {"type": "integer"}},
        ["ab", 1],
        ["a", 1.5],
    ),
    "anything": ({}, [None, 1, "a", [1], {"a": {}}], []),
    "true": (True, [None, {"a": 1}], []),
    "base64": ({"type": "string", "contentEncoding": "base64"}, ["aGk="], [1]),
}
"""By name: the schema, values that it takes, values that it refuses."""
