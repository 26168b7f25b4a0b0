"""A pseudo-terminal for tests and screenshots: a command runs in it, its screen is read."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping
from types import TracebackType

import pyte

PATIENCE = 30.0
"""Seconds that a command may take to show what is expected, or to end."""


class Terminal:
    """Runs a command in a pseudo-terminal; a context manager.

    Attributes:
        screen: What is on the screen, with its colours.
    """

    def __init__(
        self, command: list[str], env: Mapping[str, str], *, columns: int = 130, lines: int = 24
    ) -> None:
        self.screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self.screen)
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        # The size is the pseudo-terminal's, not that of the terminal where the tests run.
        env = {name: value for name, value in env.items() if name not in ("COLUMNS", "LINES")}
        self._process = subprocess.Popen(
            command,
            env={**env, "TERM": "xterm-256color"},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            preexec_fn=_take_terminal,
        )
        os.close(slave)

    @property
    def text(self) -> str:
        """What is on the screen, as text."""
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip()

    def _read(self, seconds: float) -> bool:
        """Take in what was printed; return False at the end."""
        ready, _, _ = select.select([self._master], [], [], seconds)
        if not ready:
            return True
        try:
            printed = os.read(self._master, 65536)
        except OSError:  # the other end is closed
            return False
        self._stream.feed(printed)
        return bool(printed)

    def until(self, seen: Callable[[str], object]) -> str:
        """Wait until the screen shows something; return its text."""
        give_up = time.monotonic() + PATIENCE
        while not seen(self.text):
            if time.monotonic() > give_up or not self._read(0.05):
                raise AssertionError(f"never shown; the screen has:\n{self.text}")
        return self.text

    def type(self, text: str) -> None:
        """Type on the keyboard."""
        os.write(self._master, text.encode())

    def interrupt(self) -> None:
        """Type Ctrl-C."""
        self.type("\x03")

    def signal(self, number: signal.Signals) -> None:
        """Send the command a signal."""
        self._process.send_signal(number)

    def end(self) -> int:
        """Wait for the end; return the exit code."""
        give_up = time.monotonic() + PATIENCE
        while self._read(0.05):
            if time.monotonic() > give_up:
                raise AssertionError(f"it did not end; the screen has:\n{self.text}")
        return self._process.wait(PATIENCE)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
        os.close(self._master)


def _take_terminal() -> None:
    """Make the pseudo-terminal the process's own, so that Ctrl-C reaches it."""
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
