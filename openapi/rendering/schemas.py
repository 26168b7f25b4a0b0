"""A schema in words, and the rows of what is nested in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from difference.document import listed, mapping

from .text import anchor, cell, code, details

UNIONS = ("allOf", "anyOf", "oneOf")
# Said in the column for text, or by the table itself.
NOTES = ("description", "title", "example", "examples", "externalDocs", "deprecated")
SHAPE = ("$ref", "type", "properties", "required", "items", "prefixItems", "patternProperties")
ROOT = "components/schemas/"


def link(reference: str) -> str:
    """Return a reference as a link to the schema's heading, or as it is written."""
    name = reference.removeprefix(f"#/{ROOT}")
    if name == reference or "/" in name:
        return code(reference)
    return f"[{cell(name)}](#{anchor(name)})"


def words(node: Any) -> str:
    """Return a schema's type and bounds in words; what is nested in it has rows of its own."""
    if not isinstance(node, dict):
        return "nothing" if node is False else "any"
    parts = [kind] if (kind := _kind(node)) else []
    for key in [key for key in UNIONS if listed(node.get(key))]:
        parts += [f"{key}: {', '.join(_branch(branch) for branch in node[key])}"]
    values = node.get("enum")
    if isinstance(values, list):
        parts.append("enum " + ", ".join(code(value) for value in values))
    if isinstance(known := node.get("x-extensible-enum"), list):
        parts.append("x-extensible-enum " + ", ".join(code(value) for value in known))
    extra = node.get("additionalProperties")
    if isinstance(extra, bool):
        parts.append(f"additionalProperties {code(extra)}")
    shown = {*NOTES, *SHAPE, *UNIONS, "additionalProperties"}
    shown |= {key for key in ("enum", "x-extensible-enum") if isinstance(node.get(key), list)}
    parts += details(node, shown)
    return ", ".join(parts) or "any"


def _kind(node: dict[str, Any]) -> str:
    """Return the type, with what an array holds."""
    found = node.get("type")
    kinds = [str(kind) for kind in (found if isinstance(found, list) else [found]) if kind]
    if isinstance(reference := node.get("$ref"), str):
        kinds.insert(0, link(reference))
    if "items" in node:
        of = f"array of {_branch(node['items'])}"
        kinds = [of if kind == "array" else kind for kind in kinds]
        kinds += [] if of in kinds else [of]
    if not kinds and "properties" in node:
        kinds = ["any, or an object"]
    return " or ".join(cell(kind) if kind == found else kind for kind in kinds)


def _branch(node: Any) -> str:
    """Return a nested schema in the words of the one that holds it."""
    text = words(node)
    return f"({text})" if ", " in text else text


def note(node: Any) -> str:
    """Return what a schema says for people."""
    node = mapping(node)
    parts = [cell(node["description"])] if node.get("description") else []
    if node.get("title"):
        parts.insert(0, f"*{cell(node['title'])}.*")
    if node.get("deprecated"):
        parts.append("**Deprecated.**")
    if "example" in node:
        parts.append(f"Example: {code(node['example'])}")
    if examples := node.get("examples"):
        listing = examples if isinstance(examples, list) else [examples]
        parts.append("Examples: " + ", ".join(code(example) for example in listing))
    if "externalDocs" in node:
        parts.append(f"externalDocs {code(node['externalDocs'])}")
    return " ".join(parts)


def rows(node: Any, path: str = "") -> Iterator[tuple[str, str, str, str]]:
    """Yield a row for each schema nested in one: key, type, required, text.

    A key is written as a path: `owner.name`, `tags[]` for the items of an array, `labels.*` for the
    values of a map, `result (oneOf 2)` for a branch. References end it; they are links.
    """
    if not isinstance(node, dict):
        return
    required = [str(name) for name in listed(node.get("required"))]
    properties = mapping(node.get("properties"))
    for name, value in properties.items():
        yield from _row(value, f"{path}.{name}" if path else str(name), str(name) in required)
    for name in [name for name in required if name not in map(str, properties)]:
        yield code(f"{path}.{name}" if path else name), "any", "yes", ""
    for pattern, value in mapping(node.get("patternProperties")).items():
        yield from _row(value, f"{path}.{pattern} (patternProperties)".lstrip("."))
    if isinstance(extra := node.get("additionalProperties"), dict):
        yield from _row(extra, f"{path}.*".lstrip("."))
    for index, value in enumerate(listed(node.get("prefixItems"))):
        yield from _row(value, f"{path}[{index}]")
    yield from _nested(node.get("items"), f"{path}[]")
    for key in UNIONS:
        for index, branch in enumerate(listed(node.get(key)), 1):
            yield from _nested(branch, f"{path} ({key} {index})".strip())


def _row(node: Any, path: str, required: bool = False) -> Iterator[tuple[str, str, str, str]]:
    yield code(path), words(node), "yes" if required else "", note(node)
    yield from rows(node, path)


def _nested(node: Any, path: str) -> Iterator[tuple[str, str, str, str]]:
    """Yield rows for a schema whose own words stand with what holds it."""
    if note(node):
        yield code(path), words(node), "", note(node)
    yield from rows(node, path)
