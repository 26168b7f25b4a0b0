"""A run of the real parts that is stopped leaves no process and no folder behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.airflow import real
from tests.airflow.parts import PARTS, ROOT, until


def processes_of(folder: Path) -> list[int]:
    """Return the processes whose Airflow lives in a folder."""
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if f"AIRFLOW_HOME={folder}".encode() in environment.read_bytes():
                found.append(int(environment.parent.name))
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_run_leaves_nothing_behind(number: signal.Signals, tmp_path: Path) -> None:
    run = subprocess.Popen(
        [sys.executable, "-m", "tests.airflow.real", "--demo"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        logs = [f"nexus-airflow-*/{part}.log" for part in (*PARTS, "triggerer")]
        until(
            lambda: all(list(tmp_path.glob(log)) for log in logs),
            "all parts are started",
            240,
            0.1,
        )
        assert processes_of(tmp_path)
        run.send_signal(number)
        assert run.wait(120) != 0
    finally:
        run.kill()
        run.wait()
    assert processes_of(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_is_left_out_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(real, "POSTGRES", [])
    monkeypatch.setattr(real, "orderly", lambda: None)
    monkeypatch.setattr("sys.argv", ["real", "--kill", "12", "--or-say-so"])
    real.main()
    said = capsys.readouterr().err
    assert "NOT RUN: tests.airflow.real --kill 12" in said
    assert "apt-get install postgresql" in said
