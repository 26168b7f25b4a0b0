"""Regular expressions: from ECMA-262, which JSON Schema speaks, to Python's `re`."""

from __future__ import annotations

import re
import warnings
from importlib import import_module
from typing import Any

SPACE = r"\t\n\v\f\r \xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
NO_SPACE = (
    r"\x00-\x08\x0e-\x1f!-\x9f\xa1-\u167f\u1681-\u1fff\u200b-\u2027\u202a-\u202e"
    r"\u2030-\u205e\u2060-\u2fff\u3001-\ufefe\uff00-\U0010ffff"
)
LINE_END = r"\n\r\u2028\u2029"
LITERAL_ESCAPES = {"t": r"\t", "n": r"\n", "v": r"\v", "f": r"\f", "r": r"\r"}

_DAY = r"(?:0[1-9]|1\d|2[0-8])"
_LEAP_YEAR = r"(?:\d\d(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)"
DATE = (
    rf"(?:\d{{4}}-(?:(?:0[1-9]|1[0-2])-{_DAY}|(?:0[13-9]|1[0-2])-(?:29|30)"
    rf"|(?:0[13578]|1[02])-31)|{_LEAP_YEAR}-02-29)"
)
TIME = r"(?:(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d|(?:[01]\d|2[0-3]):[0-5]\d:60)"
OFFSET = r"(?:[Zz]|[-+](?:[01]\d|2[0-3]):[0-5]\d)"
FORMATS = {
    "date": rf"(?a)^{DATE}\Z",
    "date-time": rf"(?a)^{DATE}[Tt]{TIME}(?:\.\d+)?{OFFSET}\Z",
    "duration": (
        r"(?a)^[-+]?P(?!\Z)(?:\d+W|(?:\d+Y)?(?:\d+M)?(?:\d+D)?"
        r"(?:T(?=\d)(?:\d+H)?(?:\d+M)?(?:\d+(?:\.\d+)?S)?)?)\Z"
    ),
    "time": rf"(?a)^{TIME}(?:\.\d+)?{OFFSET}?\Z",
    "uuid": r"^[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z",
}
"""The formats that are enforced, as patterns; the others are annotations, as JSON Schema has it.

Where services are known to be looser than the RFC, so are these: a time may lack its offset, a
duration may have a sign and a fraction.
"""


class PatternError(ValueError):
    """A pattern that Python's `re` cannot express; the text says which part of it."""


def translate(pattern: str) -> str:
    """Return the Python pattern, for `re.search`, that matches what an ECMA-262 pattern matches.

    Raises:
        PatternError: If there is none.
    """
    result = _Translator(pattern).run()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            re.compile(result)
        if _References(result).may_be_unset:
            result = _Translator(pattern, is_unset_empty=True).run()
            re.compile(result)
    except (re.error, Warning, OverflowError, RecursionError) as error:
        raise PatternError(f"no regular expression that Python knows ({error})") from error
    return result


def combine(patterns: list[str]) -> str | None:
    """Return one pattern that matches what all match, or `None` where there is none."""
    distinct = sorted(set(patterns), key=patterns.index)
    if len(distinct) == 1:
        return distinct[0]
    if any(re.search(r"\\[1-9]|\(\?P", pattern) for pattern in distinct):
        return None
    bodies = (pattern.removeprefix("(?a)") for pattern in distinct)
    return "(?a)" + "".join(rf"(?=(?s:.*?)(?:{body}))" for body in bodies).replace(
        "(?=", r"^(?=", 1
    )


class _References:
    """Finds references to groups that took no part in a match.

    To those, ECMA-262 matches nothing at all, and Python does not match. Where a group is repeated,
    ECMA-262 also forgets with each turn what the groups in it matched.

    Attributes:
        may_be_unset: Whether there are any.

    Raises:
        PatternError: If one is to a group that is forgotten.
    """

    def __init__(self, pattern: str) -> None:
        self.may_be_unset = False
        self._forgotten: set[int] = set()
        parser: Any = import_module("re._parser")
        self._walk(parser.parse(pattern), frozenset())

    def _walk(self, items: Any, known: frozenset[int]) -> frozenset[int]:
        """Return the groups that are set after some items, of which some are before."""
        for kind, value in items:
            match str(kind):
                case "GROUPREF":
                    if value not in known:
                        self.may_be_unset = True
                        if value in self._forgotten:
                            text = f"it refers to group {value}, of which a repetition has no value"
                            raise PatternError(text)
                case "SUBPATTERN":
                    known = self._walk(value[3], known) | ({value[0]} - {None})
                case "MAX_REPEAT" | "MIN_REPEAT":
                    least, most, body = value
                    if most > 1:
                        self._forgotten |= _groups(body)
                    after = self._walk(body, known - self._forgotten)
                    known = known | after if least else known
                case "BRANCH":
                    known = frozenset.intersection(*(self._walk(one, known) for one in value[1]))
                case "ASSERT":
                    known = self._walk(value[1], known)
                case "ASSERT_NOT":
                    self._walk(value[1], known)
                case _:
                    pass
        return known


def _groups(items: Any) -> set[int]:
    """Return the groups in a parsed pattern."""
    found = set[int]()
    for kind, value in items:
        match str(kind):
            case "SUBPATTERN":
                found |= _groups(value[3]) | ({value[0]} - {None})
            case "MAX_REPEAT" | "MIN_REPEAT":
                found |= _groups(value[2])
            case "BRANCH":
                found = found.union(*map(_groups, value[1]))
            case "ASSERT" | "ASSERT_NOT":
                found |= _groups(value[1])
            case _:
                pass
    return found


class _Translator:
    """Reads a pattern from left to right.

    Args:
        pattern: The pattern.
        is_unset_empty: Whether to write that a group that took no part is referred to as empty.
    """

    def __init__(self, pattern: str, *, is_unset_empty: bool = False) -> None:
        self._pattern = pattern
        self._at = 0
        self._is_unset_empty = is_unset_empty

    def run(self) -> str:
        parts: list[str] = []
        while self._at < len(self._pattern):
            parts.append(self._outside())
        body = "".join(parts)
        return f"(?a){body}" if re.search(r"\\[dDwWbB]", body) else body

    def _take(self, count: int = 1) -> str:
        taken = self._pattern[self._at : self._at + count]
        self._at += count
        return taken

    def _outside(self) -> str:
        """Return the translation of what stands next, outside of a character class."""
        rest = self._pattern[self._at :]
        if rest.startswith("(?<") and rest[3:4] not in ("=", "!", ""):
            self._take(3)
            return "(?P<"
        if rest.startswith("(?") and rest[2:3] not in (":", "=", "!", "<"):
            raise PatternError(f"the group `{rest[:4]}` is not in ECMA-262")
        if re.match(r"\{,\d+\}", rest):
            self._take()
            return r"\{"
        character = self._take()
        match character:
            case "\\":
                return self._escape(in_class=False)
            case "[":
                return self._class()
            case ".":
                return f"[^{LINE_END}]"
            case "$":
                return r"\Z"
        return character

    def _class(self) -> str:
        negated = self._pattern[self._at : self._at + 1] == "^"
        if negated:
            self._take()
        parts: list[str] = []
        while not self._pattern.startswith("]", self._at):
            first, is_set = self._of_class()
            parts.append(first)
            if not re.match(r"-[^]]", self._pattern[self._at :], re.DOTALL):
                continue
            self._take()
            last, is_other_set = self._of_class()
            # A hyphen beside a set of characters is only itself.
            parts.append(rf"\-{last}" if is_set or is_other_set else f"-{last}")
        self._take()
        if not parts:
            return r"(?s:.)" if negated else r"(?!)"
        return f"[{'^' if negated else ''}{''.join(parts)}]"

    def _of_class(self) -> tuple[str, bool]:
        """Return the next part of a character class, and whether it is more than a character."""
        character = self._take()
        if character == "":
            raise PatternError("a character class does not end")
        if character == "\\":
            is_set = self._pattern[self._at : self._at + 1] in tuple("dDwWsS")
            return self._escape(in_class=True), is_set
        return ("\\" + character if character in "[&~|-^" else character), False

    def _escape(self, *, in_class: bool) -> str:
        character = self._take()
        if character == "":
            raise PatternError("it ends with a backslash")
        if character in "dDwW":
            return "\\" + character
        if character in "sS":
            inside = SPACE if character == "s" else NO_SPACE
            return inside if in_class else f"[{inside}]"
        if character == "b":
            return r"\x08" if in_class else r"\b"
        if character == "B" and not in_class:
            # Python's own does not match in an empty text.
            return r"(?!\b)"
        if character in LITERAL_ESCAPES:
            return LITERAL_ESCAPES[character]
        if character in "xu":
            return self._code_point(character)
        if character == "c" and re.match("[A-Za-z]", self._pattern[self._at :]):
            return f"\\x{ord(self._take()) % 32:02x}"
        if character == "0" and not self._pattern[self._at : self._at + 1].isdigit():
            return r"\x00"
        if character in "123456789" and not in_class:
            digits = re.match(r"[0-9]*", self._pattern[self._at :])
            number = character + self._take(len(digits[0]) if digits else 0)
            if len(number) > 2:
                raise PatternError(f"`\\{number}` is no group in Python's `re`")
            return f"(?({number})\\{number})" if self._is_unset_empty else f"\\{number}"
        if character == "k" and (name := re.match(r"<(\w+)>", self._pattern[self._at :])):
            self._take(len(name[0]))
            reference = f"(?P={name[1]})"
            return f"(?({name[1]}){reference})" if self._is_unset_empty else reference
        # What PCRE and Python add has no other meaning in ECMA-262.
        if character in "AzZ" and not in_class:
            return r"^" if character == "A" else r"\Z"
        if character.isascii() and character.isalnum():
            raise PatternError(f"`\\{character}` has no equal in Python's `re`")
        return re.escape(character)

    def _code_point(self, kind: str) -> str:
        rest = self._pattern[self._at :]
        if kind == "x" and (digits := re.match("[0-9a-fA-F]{2}", rest)):
            return f"\\x{self._take(len(digits[0]))}"
        if kind == "u" and (braced := re.match(r"\{([0-9a-fA-F]{1,6})\}", rest)):
            self._take(len(braced[0]))
            return f"\\U{int(braced[1], 16):08x}"
        pair = re.match(r"(d[89ab]\w\w)\\u(d[c-f]\w\w)", rest, re.IGNORECASE)
        if kind == "u" and pair:
            self._take(len(pair[0]))
            high, low = int(pair[1], 16), int(pair[2], 16)
            return f"\\U{0x10000 + ((high & 0x3FF) << 10) + (low & 0x3FF):08x}"
        if kind == "u" and re.match("[0-9a-fA-F]{4}", rest):
            return f"\\u{self._take(4)}"
        raise PatternError(f"`\\{kind}` without its digits")
