"""The installed command, as tests run it: in a pipe or in a pseudo-terminal."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from nexus_operations.simulator import Life, Simulator

from tests.conftest import PROJECT, SECRET
from tests.terminal import Terminal

COMMAND = str(Path(sys.executable).parent / "nexus-operations")
STEADY = Life(duration=30, items=1000, age=1, outcome="Running")
"""Runs until it is ended by hand, so that no test depends on how fast the command starts."""

SOON = Life(duration=0.3, items=10)
STUCK = Life(outcome="Running", items=10)
FAILS = Life(duration=0, items=10, outcome="Errored", message="Disk quota exceeded")
CANCELLED = Life(duration=0, outcome="Cancelled")
DURATIONS = str(Path(tempfile.mkdtemp(prefix="nexus-tests-")) / "durations.json")
"""Where the command remembers durations, not in the cache of whoever runs the tests."""

UNSET = ("CI", "NEXUS_SECRET", "NEXUS_SECRET_FILE", "NEXUS_PROJECT", "DATATURE_API_BASE_URL")


class Command:
    """Runs the command against the simulator."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.env = {key: value for key, value in os.environ.items() if key not in UNSET}
        self.env.update(
            NEXUS_SECRET=SECRET,
            NEXUS_PROJECT=PROJECT,
            DATATURE_API_BASE_URL=simulator.endpoint,
            NEXUS_DURATIONS=DURATIONS,
        )

    def __call__(
        self, *words: str, stdin: str = "", **env: str
    ) -> subprocess.CompletedProcess[str]:
        """Run it in a pipe."""
        return subprocess.run(
            [COMMAND, *words],
            env={**self.env, **env},
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def start(self, *words: str, **options: Any) -> subprocess.Popen[str]:
        """Start it in a pipe."""
        return subprocess.Popen(
            [COMMAND, *words],
            env=self.env,
            stderr=subprocess.PIPE,
            text=True,
            **{"stdout": subprocess.PIPE, **options},
        )

    def in_terminal(self, *words: str, columns: int = 130, **env: str) -> Terminal:
        """Run it in a pseudo-terminal."""
        return Terminal([COMMAND, *words], {**self.env, **env}, columns=columns)
