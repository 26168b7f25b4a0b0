"""Whatever ends the command, its exit code is true and the wait can be resumed."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys

import pytest
from nexus_operations.simulator import Simulator

from tests.command import COMMAND, FAILS, SOON, STUCK, Command
from tests.conftest import SECRET


@pytest.fixture
def command(nexus_simulator: Simulator) -> Command:
    return Command(nexus_simulator)


class TestTheEnd:
    """Whatever ends the command, its exit code is true."""

    @pytest.mark.parametrize(("stop", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
    def test_signals_end_it_as_ctrl_c_does(
        self, command: Command, stop: signal.Signals, code: int
    ) -> None:
        finished, running = command.simulator.start(SOON), command.simulator.start(STUCK)
        with command.start("wait", finished, running) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            while f"{finished} Finished" not in process.stdout.readline():
                pass
            process.send_signal(stop)
            assert re.search(f"nexus-operations wait .*{running}", process.stderr.read())
            assert process.wait(30) == code

    def test_sigterm_gives_the_cursor_back(self, command: Command) -> None:
        with command.in_terminal("wait", command.simulator.start(STUCK)) as terminal:
            terminal.until(lambda text: "Running" in text)
            assert terminal.screen.cursor.hidden
            terminal.signal(signal.SIGTERM)
            assert terminal.end() == 143
            assert not terminal.screen.cursor.hidden

    @pytest.mark.parametrize("shell", [">/dev/full", ">&-", ">&- 2>&-"])
    @pytest.mark.parametrize("json", ["", "--json"])
    def test_74_output_that_cannot_be_written(
        self, command: Command, shell: str, json: str
    ) -> None:
        op_id = command.simulator.start(FAILS)
        done = subprocess.run(
            ["sh", "-c", f"{COMMAND} wait {json} {op_id} {shell}"],
            env=command.env,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 74
        assert "Traceback" not in done.stderr
        if "2>" not in shell:
            assert "standard output cannot be written" in done.stderr

    def test_74_help_that_cannot_be_written(self, command: Command) -> None:
        line = f"{COMMAND} --help > /dev/full"
        assert subprocess.run(["sh", "-c", line], env=command.env, check=False).returncode == 74

    def test_74_where_only_heartbeats_are_written(self, command: Command) -> None:
        op_id = command.simulator.start(STUCK)
        read, write = os.pipe()
        with command.start("wait", op_id, "--heartbeat", "0.2s", stdout=write) as process:
            assert process.stderr is not None
            os.close(write)
            assert os.read(read, 10)
            os.close(read)
            said = process.stderr.read()
            assert re.search(f"nexus-operations wait --heartbeat 0.2s .*{op_id}", said)
            assert process.wait(30) == 130

    def test_70_a_defect(self, command: Command) -> None:
        op_id = command.simulator.start(SOON)
        for words in (["wait", op_id], ["wait", op_id, "--debug"], ["--debug", "wait", op_id]):
            done = broken(command, *words)
            assert done.returncode == 70
            last = done.stderr.splitlines()[-1]
            assert last.startswith("nexus-operations: internal error")
            assert "RuntimeError: of ours: [secret]\\n" in last
            assert ("Traceback" in done.stderr) is ("--debug" in words)
            assert SECRET not in done.stderr
            assert re.search(rf"nexus-operations .*{op_id}", done.stderr)  # how to resume

    def test_an_id_is_no_option_of_the_line_that_resumes(self, command: Command) -> None:
        command.simulator.start(SOON, op_id="-op")
        done = broken(command, "wait", "--pace", "0.5", "--", "-op")
        assert done.returncode == 70
        again = done.stderr.partition("To resume:\n  ")[2].splitlines()[0]
        assert again.startswith('nexus-operations wait --pace 0.5 \'{"op_id":"-op"')
        assert command(*shlex.split(again)[1:]).returncode == 0

    def test_python_m(self, command: Command) -> None:
        op_id = command.simulator.start(STUCK)
        with subprocess.Popen(
            [sys.executable, "-m", "nexus_operations", "wait", op_id],
            env=command.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.readline()
            process.send_signal(signal.SIGINT)
            said = process.stderr.read()
            assert process.wait(30) == 130
        assert re.search(f"{sys.executable} -m nexus_operations wait .*{op_id}", said)


def broken(command: Command, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command with a defect in it."""
    return subprocess.run(
        [sys.executable, "-c", BROKEN, *words],
        env=command.env,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


BROKEN = f"""
import sys
import nexus_operations.cli._report as report
from nexus_operations.cli import main

def broken(*arguments):
    secret = "canary"
    raise RuntimeError("of ours: {SECRET}\\n")

report.Lines.update = broken
sys.argv = ["nexus-operations", *sys.argv[1:]]
main()
"""
