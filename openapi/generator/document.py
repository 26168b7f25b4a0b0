"""Read an OpenAPI document, follow its references, and collect what cannot be expressed."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import yaml

NAMES = {dict: "object", list: "array"}
YAML_TAG = "tag:yaml.org,2002:"


class DocumentError(Exception):
    """The document cannot be read at all; the text is one line for people."""


@dataclass(frozen=True, order=True)
class Refusal:
    """A place of the document that cannot be expressed exactly.

    Attributes:
        pointer: The place, a JSON pointer that starts with `#/`.
        keyword: The keyword, or the name, that is in the way.
        advice: Why, and what to write instead.
    """

    pointer: str
    keyword: str
    advice: str

    def __str__(self) -> str:
        text = f"{self.pointer}: {self.keyword}: {self.advice}"
        return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


class Document:
    """A parsed document.

    Attributes:
        content: The root object.
        refusals: The places that were refused so far, in the order in which they were met.
    """

    def __init__(self, content: dict[str, Any]) -> None:
        self.content = content
        self.refusals: list[Refusal] = []

    @property
    def is_3_0(self) -> bool:
        """Whether the document has the schemas of OpenAPI 3.0, rather than JSON Schema's."""
        return str(self.content["openapi"]).startswith("3.0")

    def refuse(self, pointer: str, keyword: str, advice: str) -> None:
        """Note a place that cannot be expressed."""
        refusal = Refusal(pointer, keyword, advice)
        if refusal not in self.refusals:
            self.refusals.append(refusal)

    def find(self, pointer: str) -> Any:
        """Return what a pointer of this document leads to.

        Raises:
            LookupError: If it leads nowhere, or out of the document.
        """
        if not pointer.startswith("#/"):
            raise LookupError(pointer)
        node: Any = self.content
        for token in split(pointer):
            if isinstance(node, list):
                if not token.isdecimal() or int(token) >= len(node):
                    raise LookupError(pointer)
                node = node[int(token)]
            elif isinstance(node, dict) and token in node:
                node = node[token]
            else:
                raise LookupError(pointer)
        return node

    def resolve(self, node: Any, pointer: str) -> tuple[Any, str]:
        """Follow the references of a component that is no schema; return it and where it is.

        Raises:
            LookupError: If a reference leads nowhere, out of the document, or round in a circle.
        """
        seen = set[str]()
        while isinstance(node, dict) and isinstance(node.get("$ref"), str):
            pointer = canonical(node["$ref"])
            if pointer in seen:
                raise LookupError(pointer)
            seen.add(pointer)
            node = self.find(pointer)
        return node, pointer


def split(pointer: str) -> list[str]:
    """Return the tokens of a pointer."""
    tokens = pointer.removeprefix("#/").split("/")
    return [unquote(token).replace("~1", "/").replace("~0", "~") for token in tokens]


def canonical(pointer: str) -> str:
    """Return a pointer in its one spelling, so that two that are the same are equal."""
    return join("#", *split(pointer)) if pointer.startswith("#/") else pointer


def join(pointer: str, *tokens: str | int) -> str:
    """Return a pointer with further tokens."""
    escaped = (str(token).replace("~", "~0").replace("/", "~1") for token in tokens)
    return "/".join([pointer, *escaped])


def load(path: Path) -> Document:
    """Read a document, as JSON or as YAML 1.2.

    Raises:
        DocumentError: If it cannot be read, or is no OpenAPI 3 document.
    """
    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise DocumentError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise DocumentError(f"{path}: not UTF-8 at byte {error.start}") from error
    content = _parse(path, text)
    if _is_circular(content):
        raise DocumentError(f"{path}: an alias (`*`) stands within its own anchor (`&`)")
    if (pointer := _endless(content)) is not None:
        raise DocumentError(f"{path}: {pointer}: a number beyond 1.8e308: write one within")
    if not isinstance(content, dict) or "openapi" not in content:
        raise DocumentError(f"{path}: no OpenAPI document (the key `openapi` is missing)")
    if not re.match(r"3\.[012](\.|$)", str(content["openapi"])):
        raise DocumentError(
            f"{path}: OpenAPI {content['openapi']!s:.20} is not known; 3.0 to 3.2 are"
        )
    for key, kind in (("info", dict), ("paths", dict), ("components", dict), ("tags", list)):
        if not isinstance(content.get(key, kind()), kind | None):
            raise DocumentError(f"{path}: #/{key}: expected an {NAMES[kind]}")
    for name, part in (content.get("components") or {}).items():
        if not isinstance(part, dict | None):
            raise DocumentError(f"{path}: #/components/{name}: expected an object")
    return Document(content)


def _parse(path: Path, text: str) -> Any:
    try:
        if text.lstrip().startswith("{"):
            return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
        return yaml.load(text, Loader=_Loader)  # noqa: S506  (a safe loader)
    except json.JSONDecodeError as error:
        # YAML's flow style looks like JSON, but is not.
        try:
            return yaml.load(text, Loader=_Loader)  # noqa: S506  (a safe loader)
        except (yaml.YAMLError, ValueError, RecursionError):
            where = f"line {error.lineno}, column {error.colno}"
            raise DocumentError(f"{path}: invalid JSON: {error.msg} ({where})") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        problem = getattr(error, "problem", None) or str(error).split("\n", 1)[0]
        raise DocumentError(f"{path}: invalid YAML: {problem}{where}") from error
    except (ValueError, RecursionError) as error:
        raise DocumentError(f"{path}: {str(error) or 'nested too deeply'}") from error


def _is_circular(content: Any) -> bool:
    """Return whether a node contains itself."""
    done, under_way = set[int](), set[int]()
    stack: list[tuple[Any, bool]] = [(content, False)]
    while stack:
        node, leaving = stack.pop()
        if leaving:
            under_way.discard(id(node))
            done.add(id(node))
        elif id(node) in under_way:
            return True
        elif isinstance(node, dict | list) and id(node) not in done:
            under_way.add(id(node))
            stack.append((node, True))
            inner = node.values() if isinstance(node, dict) else node
            stack += [(value, False) for value in inner]
    return False


def _endless(content: Any) -> str | None:
    """Return where a number is that is too large for a double, if there is one."""
    stack = [(content, "#")]
    while stack:
        node, pointer = stack.pop()
        if isinstance(node, float) and not math.isfinite(node):
            return pointer
        if isinstance(node, dict | list):
            inner = node.items() if isinstance(node, dict) else enumerate(node)
            stack += [(value, join(pointer, key)) for key, value in inner]
    return None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        twice = next(key for i, (key, _) in enumerate(pairs) if key in dict(pairs[:i]))
        raise ValueError(f"the key {twice!r:.80} stands twice in one object")
    return result


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Reads YAML 1.2's core schema: dates, `on`, `yes` and sexagesimals stay text."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  # the base class's is shared

    def construct_mapping(self, node: Any, deep: bool = True) -> dict[Any, Any]:
        """Return a mapping whose keys are strings; refuse a key that stands twice."""
        self.flatten_mapping(node)
        result: dict[Any, Any] = {}
        merged = getattr(node, "merged", 0)
        for number, (key_node, value_node) in enumerate(node.value):
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key is None:
                raise yaml.constructor.ConstructorError(
                    None, None, "a key must be a string", key_node.start_mark
                )
            if key in result and number >= merged:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r:.80} stands twice", key_node.start_mark
                )
            result[key] = self.construct_object(value_node, deep=deep)
        return result

    def flatten_mapping(self, node: Any) -> None:
        """Put merged keys (`<<`) first, so that the mapping's own win."""
        own, merged = [], []
        for key_node, value_node in node.value:
            if key_node.tag != YAML_TAG + "merge":
                own.append((key_node, value_node))
                continue
            sources = (
                value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]
            )
            for source in sources:
                self.flatten_mapping(source)
                merged += source.value
        names = {str(key.value) for key, _ in own}
        kept = {str(key.value): (key, value) for key, value in reversed(merged)}
        node.value = [*(pair for name, pair in kept.items() if name not in names), *own]
        node.merged = len(node.value) - len(own)


def _construct_map(loader: Any, node: Any) -> Iterator[dict[Any, Any]]:
    result: dict[Any, Any] = {}
    yield result
    result.update(loader.construct_mapping(node))


def _construct_int(loader: Any, node: Any) -> int:
    return (
        int(loader.construct_scalar(node), 0)
        if "o" in node.value or "x" in node.value
        else int(node.value)
    )


for tag, pattern, first in (
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("int", r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$", "-+0123456789"),
    ("float", r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?)$", "-+0123456789."),
    ("null", r"^(?:~|null|Null|NULL|)$", "~nN\0"),
    ("merge", r"^(?:<<)$", "<"),
):
    _Loader.add_implicit_resolver(
        YAML_TAG + tag,
        re.compile(pattern),
        [*first.replace("\0", ""), *([""] if "\0" in first else [])],
    )
_Loader.add_constructor(YAML_TAG + "map", _construct_map)
_Loader.add_constructor(YAML_TAG + "int", _construct_int)
