"""Standard output and standard error: whatever they are, no line is lost in silence or crashes.

Text from outside is escaped by whoever builds a line; here the stream's encoding is respected.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from typing import Any, TextIO

from nexus_operations._core.text import is_unsafe

secrets: set[str] = set()
"""Secret keys in use; they are cut out of everything that goes to standard error."""

LAST_STANDARD = 2
"""The descriptor of standard error."""

SHORTEST_SECRET = 8
"""Characters; a shorter key is none, and would be cut out of ordinary words."""

HIDDEN = "[secret]"


class OutputError(Exception):
    """Standard output cannot be written.

    Attributes:
        abandoned: Whether nobody reads it any more (`| head`).
    """

    def __init__(self, error: OSError | ValueError) -> None:
        super().__init__(getattr(error, "strerror", None) or "it is closed")
        self.abandoned = isinstance(error, BrokenPipeError)


def prepare_streams() -> None:
    """Make the standard streams safe to use, before anything else opens a file."""
    while os.open(os.devnull, os.O_RDWR) <= LAST_STANDARD:
        pass  # a closed descriptor is filled: the next socket would take its number
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def write_line(line: str) -> None:
    """Write a line to standard output at once.

    Raises:
        OutputError: If it cannot be written.
    """
    stream: TextIO | None = sys.stdout
    try:
        if stream is None:
            raise OSError(errno.EBADF, "it is closed")
        stream.write(f"{line}\n")
        stream.flush()
    except (OSError, ValueError) as error:
        discard_output()
        raise OutputError(error) from None


def write_json(value: Any) -> None:
    """Write a value as a line of JSON; what is unsafe or lacks an encoding is written as `\\u…`."""
    line = json.dumps(value, ensure_ascii=False)
    if not (line.isascii() and line.isprintable()) or "##" in line:
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        line = "".join(c if _passes(c, encoding) else json.dumps(c)[1:-1] for c in line)
        line = line.replace("##", "#\\u0023")  # commands to some CI systems; only in strings
    write_line(line)


def _passes(character: str, encoding: str) -> bool:
    """Return whether a character may be written as it is."""
    if character.isascii() and character.isprintable():
        return True
    try:
        character.encode(encoding)
    except UnicodeEncodeError:
        return False
    return not is_unsafe(character)


def flush_output() -> None:
    """Write what is still buffered.

    Raises:
        OutputError: If it cannot be written.
    """
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except (OSError, ValueError) as error:
        discard_output()
        raise OutputError(error) from None


def discard_output() -> None:
    """Let what Python still flushes at its end go nowhere."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    except OSError:
        return


def complain(text: str) -> None:
    """Write lines to standard error without secrets, if it can be written."""
    for secret in secrets:
        text = text.replace(secret, HIDDEN) if len(secret) >= SHORTEST_SECRET else text
    try:
        if sys.stderr is not None:
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()
    except (OSError, ValueError):
        return
