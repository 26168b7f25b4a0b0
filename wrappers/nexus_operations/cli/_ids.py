"""The ids of a command: arguments, and standard input in the place of `-`, as they come.

The state of a wait in JSON, as the line that resumes one has it, is accepted wherever an id is.
"""

from __future__ import annotations

import codecs
import json
import os
import sys
from collections.abc import Callable, Collection, Iterator

import typer

from nexus_operations import WaitState
from nexus_operations._core.text import escape_text

from ._output import complain

CHUNK = 65536
BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}


class Ids:
    """The ids to wait for, each once; an iterable.

    Args:
        words: The arguments; `-` stands for standard input.

    Attributes:
        taken: The ids so far, in order.
        complete: Whether standard input was read to its end.
        on_complete: Called with their number once there are no more to come.
        on_refused: Called with a word from standard input that is no state of a wait, and why.

    Raises:
        typer.BadParameter: If there are none and none can come, or an argument is no state.
    """

    def __init__(self, words: list[str] | None) -> None:
        self.complete = False
        if not words:
            raise typer.BadParameter(
                "no ids: give them as arguments, or - to read them from standard input"
            )
        if "-" in words and sys.stdin is None:
            raise typer.BadParameter("standard input is closed: no ids can be read from it")
        if "-" in words and sys.stdin.isatty():
            complain("Reading ids from the terminal; Ctrl-D on a line of its own ends them.")
            typed = list(_standard_input())
            words = [each for word in words for each in (typed if word == "-" else [word])]
        for word in words:
            try:
                _read(word)
            except ValueError as error:
                raise typer.BadParameter(f"{escape_text(word)} is {error}") from None
        self._words = words
        self.taken: dict[str, str | WaitState] = {}
        self.on_complete: Callable[[int], None] = lambda _: None
        self.on_refused: Callable[[str, ValueError], None] = lambda _, __: None

    @property
    def known(self) -> list[str | WaitState] | None:
        """All ids, if none comes from standard input."""
        if "-" in self._words:
            return None
        return list(dict(map(_read, self._words)).values())

    def pending(self, ended: Collection[str]) -> list[str | WaitState]:
        """Return those so far whose waits have not ended."""
        taken = self.taken if self.known is None else dict(map(_read, self._words))
        return [given for op_id, given in taken.items() if op_id not in ended]

    def __iter__(self) -> Iterator[str | WaitState]:
        for word in self._words:
            for each in _standard_input() if word == "-" else [word]:
                try:
                    op_id, given = _read(each)
                except ValueError as error:
                    if each not in self.taken:
                        self.taken[each] = each
                        self.on_refused(each, error)
                    continue
                if op_id not in self.taken:
                    self.taken[op_id] = given
                    yield given
        self.complete = True
        self.on_complete(len(self.taken))


def word_of(wait: str | WaitState) -> str:
    """Return a wait as a word that `_read` reads: JSON without blanks and control characters.

    Nor does it hold what begins a command to a CI system.
    """
    if isinstance(wait, str):
        return escape_text(wait)
    word = json.dumps(wait.to_json(), separators=(",", ":"))
    return word.replace(" ", "\\u0020").replace("##", "#\\u0023")


def _read(word: str) -> tuple[str, str | WaitState]:
    """Return the id in a word, and the word or the state that it is.

    Raises:
        ValueError: If it looks like a state and is none.
    """
    if word.startswith("{"):
        try:
            state = WaitState.from_json(json.loads(word))
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"no state of a wait: {error}") from None
        return state.op_id, state
    return word, word


def words_of(chunks: Iterator[bytes]) -> Iterator[str]:
    """Return words that blanks and line ends separate, as they come; a byte order mark is skipped.

    Bytes that are no text become lone surrogates, which no id may hold.
    """
    decoder: codecs.IncrementalDecoder | None = None
    started = rest = ""
    head = b""
    for chunk in chunks:
        if decoder is None:
            head += chunk
            if len(head) < 3 and any(mark.startswith(head) for mark in BYTE_ORDER_MARKS):
                continue
            encoding, head = _encoding_of(head)
            decoder = codecs.getincrementaldecoder(encoding)("surrogateescape")
            chunk = head
        started = rest + decoder.decode(chunk)
        words = started.split()
        rest = "" if not words or started[-1].isspace() else words.pop()
        yield from words
    last = decoder.decode(b"", final=True) if decoder else head.decode("utf-8", "surrogateescape")
    yield from (rest + last).split()


def text_of(content: bytes) -> str:
    """Return text without its byte order mark; raise `UnicodeDecodeError` if it is none."""
    encoding, rest = _encoding_of(content)
    return rest.decode(encoding)


def _encoding_of(head: bytes) -> tuple[str, bytes]:
    """Return the encoding that a byte order mark names, and the bytes after it."""
    for mark, encoding in BYTE_ORDER_MARKS.items():
        if head.startswith(mark):
            return encoding, head[len(mark) :]
    return "utf-8", head


def _standard_input() -> Iterator[str]:
    """Return words from standard input as they come; the caller's thread waits for them."""
    # Not through `sys.stdin`: Python could not end while another thread reads from it.
    try:
        yield from words_of(iter(lambda: os.read(0, CHUNK), b""))
    except OSError as error:
        why = f"standard input cannot be read: {error.strerror}"
        raise typer.BadParameter(why) from None
