"""Python programs in processes of their own: what signals do, what a fork or an import costs."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
from typing import Any

from tests.conftest import PROJECT, SECRET

HEAD = f"""
import json, os, signal, sys, threading, time
SECRET, PROJECT = {SECRET!r}, {PROJECT!r}

def tell(**values):
    print("TOLD " + json.dumps(values), flush=True)

"""


class Child:
    """A Python program; a context manager that ends it."""

    def __init__(self, source: str, *args: str, **env: str) -> None:
        values = {**os.environ, **env}
        self.process = subprocess.Popen(
            [sys.executable, "-c", HEAD + textwrap.dedent(source), *args],
            env=values,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def interrupt(self) -> None:
        """Send what Ctrl-C sends."""
        self.process.send_signal(signal.SIGINT)

    def told(self, seconds: float = 30.0) -> dict[str, Any]:
        """Return what the program told last; fail if it does not end in time."""
        try:
            output, errors = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the program had not ended after {seconds:g} s") from None
        lines = [line[5:] for line in output.splitlines() if line.startswith("TOLD ")]
        assert lines, f"exit {self.process.returncode}: {errors[-2000:]}"
        return dict(json.loads(lines[-1]))

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
