"""Text of the service is text: what could steer a terminal, a log or a CI system is escaped."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["escape_text", "is_unsafe"]

JOINERS = "\u200c\u200d"
"""Invisible characters that scripts and emoji need."""

MARKER = re.compile(r"(?<=#)#|^(\s*):(?=:)")
"""What makes a line a command to a CI system: `##` anywhere, `::` at the start."""

LAST_ASCII = "\x7e"


def is_unsafe(character: str) -> bool:
    """Return whether a character is a control, a line break, invisible, or half a surrogate pair.

    Invisible ones include the overrides that reverse the direction of text.
    """
    if " " <= character <= LAST_ASCII or character in JOINERS:
        return False
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")


def escape_text(text: str) -> str:
    r"""Return text on one line for people: unsafe characters as `\n`, `\x1b`, `\u202e`.

    Use it for every piece of text from outside that goes to a terminal, a log or a CI system.
    """
    shown = text
    if not (text.isascii() and text.isprintable()):
        shown = "".join(_escaped(c) if is_unsafe(c) else c for c in text)
    return MARKER.sub(lambda match: f"{match[1] or ''}{_hex(match[0][-1])}", shown)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()


def _hex(character: str) -> str:
    return f"\\x{ord(character):02x}"
