"""Documents as they are read: YAML 1.2 or JSON, references, and what is no document at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from generator.document import Document, DocumentError, Refusal, canonical, join, load, split

HEAD = "openapi: 3.1.0\n"


def read(tmp_path: Path, text: str) -> Document:
    path = tmp_path / "document.yaml"
    path.write_text(text)
    return load(path)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2020-01-01", "2020-01-01"),
        ("on", "on"),
        ("yes", "yes"),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("1:30", "1:30"),
        ("1e3", 1000.0),
        ("-.5", -0.5),
        ("true", True),
        ("~", None),
        ("", None),
        ("'1'", "1"),
        ("{<<: {x: 1, y: 2}, x: 3}", {"y": 2, "x": 3}),
        ("{<<: [{x: 1}, {x: 2, z: 3}]}", {"x": 1, "z": 3}),
        ("{200: a, true: b}", {"200": "a", "true": "b"}),
    ],
)
def test_yaml_is_that_of_its_version_1_2(tmp_path: Path, text: str, value: object) -> None:
    assert read(tmp_path, f"{HEAD}value: {text}\n").content["value"] == value


def test_json_and_a_byte_order_mark(tmp_path: Path) -> None:
    assert read(tmp_path, '\ufeff{"openapi": "3.0.3", "n": 1e2}').content["n"] == 100
    assert read(tmp_path, "{openapi: 3.1.0, flow: style}").content["flow"] == "style"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no OpenAPI document"),
        ("[]", "no OpenAPI document"),
        ("swagger: '2.0'", "no OpenAPI document"),
        ("openapi: 2.0.0", "OpenAPI 2.0.0 is not known"),
        ("openapi: [3]", "is not known"),
        (HEAD + "a: [1", "invalid YAML"),
        (HEAD + "a: 1\na: 2", "stands twice"),
        ('{"openapi": "3.1.0", "a": 1, "a": 2}', "stands twice"),
        ('{"openapi": "3.1.0", "a": NaN}', "NaN is no JSON"),
        ('{"openapi": "3.1.0", "info": {"a/b": [1e400]}}', r"#/info/a~1b/0: a number beyond"),
        ("openapi: 3.1.0\nx: 1e400", "#/x: a number beyond"),
        ('{"openapi": "3.1.0", "a": ]', "invalid JSON"),
        (HEAD + "? [a]\n: 1", "a key must be a string"),
        (HEAD + "a: !!python/object:os.system x", "invalid YAML"),
        (HEAD + "a: &a {b: *a}", "recursive"),
        (HEAD + "a: 1" + "0" * 5000, "digits"),
        (HEAD + "paths: []", "#/paths"),
        (HEAD + "components: {schemas: [1]}", "#/components/schemas"),
        ("\x00", "invalid YAML"),
    ],
)
def test_what_is_no_document_is_said_in_a_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(DocumentError, match=said) as caught:
        read(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="No such file"):
        load(tmp_path / "absent.yaml")
    with pytest.raises(DocumentError, match=r"directory"):
        load(tmp_path)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DocumentError, match="not UTF-8"):
        load(tmp_path / "binary")


class TestPointers:
    def test_they_have_one_spelling(self) -> None:
        assert canonical("#/a%20b/c~1d/%7Be%7D") == "#/a b/c~1d/{e}"
        assert split("#/a~1b/c~0d") == ["a/b", "c~d"]
        assert join("#/paths", "/x/{y}", 0) == "#/paths/~1x~1{y}/0"

    def test_they_are_followed(self) -> None:
        document = Document(
            {"openapi": "3.1.0", "a": [{"b/c": 1}], "r": {"$ref": "#/s"}, "s": {"t": 1}}
        )
        assert document.find("#/a/0/b~1c") == 1
        assert document.resolve({"$ref": "#/r"}, "") == ({"t": 1}, "#/s")
        for wrong in ("#/a/1", "#/a/x", "#/b", "other.yaml#/a", "#"):
            with pytest.raises(LookupError):
                document.find(wrong)

    def test_a_circle_of_references_ends(self) -> None:
        document = Document({"openapi": "3.1.0", "a": {"$ref": "#/b"}, "b": {"$ref": "#/a"}})
        with pytest.raises(LookupError):
            document.resolve({"$ref": "#/a"}, "")

    def test_a_refusal_is_one_printable_line(self) -> None:
        assert str(Refusal("#/a\nb", "k", "x\x1b")) == "#/a\\nb: k: x\\x1b"
