"""Values, cells and tables of Markdown."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from markdown.extensions.toc import slugify

CODE = re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)", re.DOTALL)


def code(value: Any) -> str:
    """Return a value as code, as JSON unless it is plain text."""
    plain = isinstance(value, str) and value.strip() == value != "" and value.isprintable()
    text = value if plain and not _looks_like_json(value) else dumps(value)
    if re.search(r"[`|<>&\\]", text):
        # Backticks cannot hold these in a table's cell.
        return f"<code>{html.escape(text, quote=False).translate(ESCAPES)}</code>"
    return f"`{text}`"


ESCAPES = {ord(char): f"&#{ord(char)};" for char in "`|\\*_[]"}


def dumps(value: Any, indent: int | None = None) -> str:
    """Return a value as JSON; YAML has some, such as dates, that JSON writes as text."""
    return json.dumps(value, ensure_ascii=False, default=str, indent=indent)


def _looks_like_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def prose(text: Any) -> str:
    """Return text for people; what would be taken for HTML is shown as it is written."""
    shown, end = [], 0
    text = str(text).strip()
    for found in CODE.finditer(text):
        shown += [text[end : found.start()].replace("<", "&lt;"), found[0]]
        end = found.end()
    return "".join([*shown, text[end:].replace("<", "&lt;")])


def cell(text: Any) -> str:
    """Return text as a table's cell."""
    return " ".join(prose(text).split()).replace("|", "\\|")


def anchor(name: str) -> str:
    """Return the anchor that a heading gets."""
    return slugify(name, "-")


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """Yield a table, or nothing if it has no rows."""
    rows = list(rows)
    if not rows:
        return
    yield f"| {' | '.join(head)} |\n|{' --- |' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""


def details(node: dict[Any, Any], shown: Iterable[str]) -> list[str]:
    """Return what of a node is not shown elsewhere, each as its keyword and its value."""
    return [f"{cell(key)} {code(value)}" for key, value in node.items() if key not in set(shown)]
