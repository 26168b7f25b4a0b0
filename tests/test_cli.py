"""The installed command, in a pipe and in a pseudo-terminal: output, exit codes, completion."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nexus_operations import Operation, __version__
from nexus_operations.cli._report import Line
from nexus_operations.simulator import Life, Simulator, Trouble

from tests.conftest import PROJECT, SECRET
from tests.terminal import Terminal

COMMAND = str(Path(sys.executable).parent / "nexus-operations")
ROOT = Path(__file__).parent.parent
STEADY = Life(duration=30, items=1000, age=1, outcome="Running")
"""Runs until it is ended by hand, so that no test depends on how fast the command starts."""

SOON = Life(duration=0.3, items=10)
STUCK = Life(outcome="Running", items=10)
FAILS = Life(duration=0, items=10, outcome="Errored", message="Disk quota exceeded")
CANCELLED = Life(duration=0, outcome="Cancelled")
UNSET = ("CI", "NEXUS_SECRET", "NEXUS_SECRET_FILE", "NEXUS_PROJECT", "DATATURE_API_BASE_URL")


class Command:
    """Runs the command against the simulator."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.env = {key: value for key, value in os.environ.items() if key not in UNSET}
        self.env.update(
            NEXUS_SECRET=SECRET, NEXUS_PROJECT=PROJECT, DATATURE_API_BASE_URL=simulator.endpoint
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

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start it in a pipe."""
        return subprocess.Popen(
            [COMMAND, *words],
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def in_terminal(self, *words: str, **env: str) -> Terminal:
        """Run it in a pseudo-terminal."""
        return Terminal([COMMAND, *words], {**self.env, **env})


@pytest.fixture
def command(nexus_simulator: Simulator) -> Command:
    return Command(nexus_simulator)


class TestExitCodes:
    @pytest.mark.parametrize("verb", ["wait", "watch"])
    def test_0_finished(self, command: Command, verb: str) -> None:
        ids = [command.simulator.start(SOON) for _ in range(2)]
        done = command(verb, *ids)
        assert done.returncode == 0, done.stderr

    @pytest.mark.parametrize("verb", ["get", "wait", "watch"])
    @pytest.mark.parametrize("life", [FAILS, CANCELLED])
    def test_1_errored_or_cancelled(self, command: Command, verb: str, life: Life) -> None:
        ids = [command.simulator.start(each) for each in (SOON, life, STUCK)]
        bounds = [] if verb == "get" else ["--max-wait", "1s"]
        assert command(verb, *ids, *bounds).returncode == 1

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["wait", "op_1", "--max-wait", "soon"], "'soon' is no duration"),
            (["wait", "op_1", "--max-rate", "-1"], "max_rate must be more than 0"),
            (["wait", "op_1", "--max-retrievals", "0"], "0"),
            (["wait", "op_1", "--project", ""], "no project"),
            (["wait", ".."], "op_ids must not be a relative path segment"),
            (["wait", "op_1", "--endpoint", "ftp://x"], "endpoint must be an http or https URL"),
            (
                ["get", "op_1", "--certificate", "no-such-file"],
                "mtls_certificate_file_path must be a file",
            ),
            (["get", "op_1", "--nonsense"], "nonsense"),
            (["nonsense"], "nonsense"),
            (["wait"], "standard input was empty"),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, list) else "",
    )
    def test_2_usage(self, command: Command, words: list[str], said: str) -> None:
        done = command(*words)
        assert done.returncode == 2
        assert said in " ".join(done.stderr.split())
        assert command.simulator.service.request_count == 0

    def test_3_still_running_at_a_bound(self, command: Command) -> None:
        op_id = command.simulator.start(STUCK)
        for bound in (["--max-retrievals", "1"], ["--max-wait", "0"]):
            done = command("wait", op_id, *bound)
            assert done.returncode == 3
            assert re.search(rf"{op_id} still Running \d+/10\n", done.stdout)
        assert command("get", op_id).returncode == 3

    def test_4_trouble_with_the_service(self, command: Command) -> None:
        finished = command.simulator.start(SOON)
        done = command("wait", finished, "op_unknown")
        assert done.returncode == 4
        assert "op_unknown failed: Operation not found (HTTP 404)" in done.stdout
        assert f"{finished} Finished 10/10" in done.stdout

    def test_4_trouble_with_the_network(self, command: Command) -> None:
        nowhere = {"DATATURE_API_BASE_URL": "http://127.0.0.1:9"}
        done = command("wait", "op_1", "--max-outage", "0", **nowhere)
        assert done.returncode == 4
        assert "could not be reached" in done.stdout

    def test_130_interrupted_and_taken_up_again(self, command: Command) -> None:
        finished = command.simulator.start(Life(duration=0))
        ids = [command.simulator.start(STUCK) for _ in range(2)]
        process = command.start("wait", finished, *ids, "--max-rate", "50", "-p", PROJECT)
        assert process.stdout is not None
        printed = [process.stdout.readline() for _ in range(3)]
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
        assert process.returncode == 130
        assert any(f"{finished} Finished" in line for line in printed)
        again = f"nexus-operations wait --project {PROJECT} --max-rate 50.0 {' '.join(ids)}"
        assert again in said
        assert finished not in said

        for op_id in ids:
            command.simulator.end(op_id)
        done = command(*again.split()[1:])
        assert done.returncode == 0, done.stderr

    def test_130_where_nobody_reads_on(self, command: Command) -> None:
        op_id = command.simulator.start(Life(duration=1000, items=10_000))
        process = command.start("watch", op_id)
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read()
        process.stderr.close()
        assert process.wait(30) == 130
        assert f"nexus-operations watch {op_id}" in said
        assert "Traceback" not in said

    def test_130_with_many_ids(self, command: Command) -> None:
        ids = [command.simulator.start(STUCK) for _ in range(30)]
        with command.in_terminal("wait", *ids) as terminal:
            terminal.screen.resize(200, 130)
            terminal.until(lambda text: "0 of 30 ended" in text)
            terminal.interrupt()
            assert terminal.end() == 130
            assert "nexus-operations wait -" in terminal.text
            assert all(op_id in terminal.text for op_id in ids)


class TestPipe:
    def test_a_line_whenever_the_status_changes(self, command: Command) -> None:
        op_id = command.simulator.start(STUCK)
        command.simulator.trouble(Trouble(kind="overview", overview="Queued"), op_id=op_id)
        with command.start("wait", op_id) as process:
            assert process.stdout is not None
            lines = [process.stdout.readline(), process.stdout.readline()]
            command.simulator.end(op_id)
            lines += process.stdout.read().splitlines()
        assert [line.split()[2] for line in lines] == ["Queued", "Running", "Finished"]
        assert all(re.match(rf"\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ {op_id} ", line) for line in lines)
        assert "\x1b" not in "".join(lines)

    def test_watch_has_a_line_for_every_change(self, command: Command) -> None:
        op_id = command.simulator.start(STEADY)
        with command.start("watch", op_id) as process:
            assert process.stdout is not None
            lines = [process.stdout.readline(), process.stdout.readline()]
            command.simulator.end(op_id)
            lines += process.stdout.read().splitlines()
            assert process.wait(30) == 0
        counts = re.findall(r" (\d+)/1000", "\n".join(lines))
        assert len(set(counts)) == len(counts) > 2

    def test_trouble_is_told_once(self, command: Command) -> None:
        op_id = command.simulator.start(SOON)
        command.simulator.trouble(Trouble(kind="status", status=503), op_id=op_id)
        done = command("wait", op_id)
        assert done.returncode == 0
        assert done.stdout.count("trouble: HTTP 503, retry in 0:00:01") == 1

    def test_ids_from_standard_input(self, command: Command) -> None:
        ids = [command.simulator.start(Life(duration=0)) for _ in range(3)]
        for words in (["wait"], ["wait", "-"], ["wait", ids[0], "-"]):
            done = command(*words, stdin="\n".join(ids))
            assert done.returncode == 0, done.stderr
            assert len(done.stdout.splitlines()) == 3

    def test_ci_gets_lines_even_in_a_terminal(self, command: Command) -> None:
        op_id = command.simulator.start(SOON)
        with command.in_terminal("wait", op_id, CI="true") as terminal:
            assert terminal.end() == 0
            assert re.search(rf"Z {op_id} Finished 10/10 Operation finished", terminal.text)

    def test_get_is_one_request_for_each(self, command: Command) -> None:
        ids = [command.simulator.start(FAILS), command.simulator.start(STUCK)]
        done = command("get", *ids)
        errored, running = sorted(done.stdout.splitlines(), key=lambda line: ids.index(line[:39]))
        assert errored == f"{ids[0]} Errored 9/10 1 errored Disk quota exceeded"
        assert re.fullmatch(rf"{ids[1]} still Running \d/10", running)
        assert command.simulator.service.request_count == 2


class TestJson:
    def lines(self, command: Command, *words: str) -> list[dict[str, Any]]:
        printed = command(*words, "--json").stdout.splitlines()
        for line in printed:
            msgspec.json.decode(line, type=Line)  # it has the documented shape, and types
        return [json.loads(line) for line in printed]

    def test_outcomes(self, command: Command) -> None:
        lives = [Life(duration=0), FAILS, CANCELLED, STUCK]
        ids = [command.simulator.start(life) for life in lives]
        lines = self.lines(command, "wait", *ids, "op_unknown", "--max-retrievals", "1")
        outcomes = {line["op_id"]: line for line in lines if line["event"] == "outcome"}
        words = [outcomes[op_id]["outcome"] for op_id in [*ids, "op_unknown"]]
        assert words == ["finished", "errored", "cancelled", "running", "failed"]
        assert outcomes["op_unknown"]["error"] == {
            "type": "NotFoundError",
            "message": "Operation not found (HTTP 404)."
            " Check the project id, the operation id and the endpoint.",
            "status_code": 404,
        }
        operation = outcomes[ids[1]]["operation"]
        assert operation["status"]["progress"]["withStatus"]["Errored"] == 1
        assert Operation.from_json(json.dumps(operation).encode()).status.overview == "Errored"

    def test_changes_and_trouble(self, command: Command) -> None:
        op_id = command.simulator.start(STEADY)
        command.simulator.trouble(Trouble(kind="status", status=502), op_id=op_id)
        with command.start("watch", op_id, "--json") as process:
            assert process.stdout is not None
            printed = [process.stdout.readline(), process.stdout.readline()]
            command.simulator.end(op_id)
            printed += process.stdout.read().splitlines()
            assert process.wait(30) == 0
        lines = [json.loads(line) for line in printed]
        assert [line["event"] for line in lines[:2]] == ["trouble", "change"]
        assert lines[-1]["event"] == "outcome"
        assert lines[0]["error"]["status_code"] == 502
        assert all(line["next_poll"] is not None for line in lines[:-1])
        assert 0 < lines[1]["remaining"] < 29
        assert lines[-1]["polls"] > len(lines) - 2
        assert set(lines[0]) == set(Line.__struct_fields__)

    def test_get(self, command: Command) -> None:
        op_id = command.simulator.start(STUCK)
        (line,) = self.lines(command, "get", op_id)
        assert (line["outcome"], line["operation"]["status"]["overview"]) == ("running", "Running")

    def test_the_shape_is_documented(self) -> None:
        page = (ROOT / "docs/command.md").read_text()
        rows = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
        assert set(Line.__struct_fields__) <= set(rows)


class TestTerminal:
    def test_a_live_board(self, command: Command) -> None:
        ids = [command.simulator.start(life) for life in (STEADY, FAILS)]
        with command.in_terminal("wait", *ids) as terminal:
            text = terminal.until(lambda text: "1 of 2 ended" in text and "ends in" in text)
            assert re.search(rf"{ids[0]} +Running +━+.* \d+/1000 +0:00:\d\d +ends in about", text)
            command.simulator.end(ids[0])
            assert terminal.end() == 1
            assert "2 of 2 ended" in terminal.text
            assert "1 Errored, 1 Finished" in terminal.text
            assert f"{ids[1]}: Errored: Disk quota exceeded" in terminal.text

    def test_more_operations_than_lines(self, command: Command) -> None:
        ids = [command.simulator.start(STUCK) for _ in range(40)]
        with command.in_terminal("wait", *ids, "--max-wait", "1") as terminal:
            terminal.until(lambda text: re.search(r"… and \d+ more", text))
            assert terminal.end() == 3

    def test_trouble_shows_in_its_row(self, command: Command) -> None:
        op_id = command.simulator.start(STUCK)
        command.simulator.trouble(Trouble(kind="status", status=503, times=5), op_id=op_id)
        with command.in_terminal("watch", op_id) as terminal:
            terminal.until(lambda text: "HTTP 503, retry in" in text)
            terminal.interrupt()
            assert terminal.end() == 130
            assert f"nexus-operations watch {op_id}" in terminal.text

    def test_a_failed_wait_is_told_below(self, command: Command) -> None:
        with command.in_terminal("wait", "op_unknown") as terminal:
            assert terminal.end() == 4
            assert "op_unknown: Operation not found (HTTP 404)" in terminal.text

    def test_ids_are_asked_for_where_there_is_no_pipe(self, command: Command) -> None:
        with command.in_terminal("wait") as terminal:
            assert terminal.end() == 2
            assert "no ids" in terminal.text


class TestSecret:
    def test_from_a_prompt_that_does_not_show_it(self, command: Command) -> None:
        del command.env["NEXUS_SECRET"]
        op_id = command.simulator.start(Life(duration=0))
        with command.in_terminal("wait", op_id) as terminal:
            terminal.until(lambda text: "Secret key" in text)
            terminal.type(f"{SECRET}\n")
            assert terminal.end() == 0
            assert SECRET not in terminal.text

    def test_from_a_file(self, command: Command, tmp_path: Path) -> None:
        del command.env["NEXUS_SECRET"]
        (tmp_path / "secret").write_text(f"{SECRET}\n")
        op_id = command.simulator.start(Life(duration=0))
        assert command("wait", op_id, "--secret-file", str(tmp_path / "secret")).returncode == 0
        done = command("wait", op_id, "--secret-file", str(tmp_path / "none"))
        assert done.returncode == 2
        assert "cannot be read" in " ".join(done.stderr.split())

    def test_none(self, command: Command) -> None:
        del command.env["NEXUS_SECRET"]
        done = command("wait", "op_1")
        assert done.returncode == 2
        assert "no secret key: set NEXUS_SECRET" in " ".join(done.stderr.split())

    def test_it_cannot_be_an_argument(self, command: Command) -> None:
        for verb in ("get", "wait", "watch"):
            options = re.findall(r"--[a-z-]+", command(verb, "--help").stdout)
            assert [name for name in options if "secret" in name] == ["--secret-file"]


class TestHelp:
    @pytest.mark.parametrize("verb", ["get", "wait", "watch", "simulate"])
    def test_it_has_examples(self, command: Command, verb: str) -> None:
        printed = command(verb, "--help").stdout
        assert (
            f"Examples:\n\n    {'export' if verb == 'get' else 'nexus-operations ' + verb}"
            in printed
        )
        if verb != "simulate":
            codes = re.search(r"Exit codes: (.*?)\n\n", printed, re.DOTALL)
            assert codes is not None
            assert re.findall(r"\b\d+\b", codes[1]) == ["0", "1", "2", "3", "4", "130"]

    def test_version(self, command: Command) -> None:
        assert command("--version").stdout.strip() == __version__

    def test_completion(self, command: Command) -> None:
        # The shell is looked for among the command's parents.
        shown = subprocess.run(
            ["bash", "-c", f"{COMMAND} --show-completion; true"],
            env=command.env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert "_NEXUS_OPERATIONS_COMPLETE=complete_bash" in shown.stdout
        asked = {"_NEXUS_OPERATIONS_COMPLETE": "complete_bash", "COMP_CWORD": "1"}
        offered = command(COMP_WORDS="nexus-operations wa", **asked)
        assert sorted(offered.stdout.split()) == ["wait", "watch"]
        asked["COMP_CWORD"] = "2"
        offered = command(COMP_WORDS="nexus-operations wait --max-r", **asked)
        assert sorted(offered.stdout.split()) == ["--max-rate", "--max-retrievals"]


class TestSimulate:
    def test_it_serves_until_ctrl_c(self, command: Command) -> None:
        with command.in_terminal("simulate", "--speed", "100") as terminal:
            text = terminal.until(lambda text: "nexus-operations wait" in text)
            exports = dict(re.findall(r"(\w+)=(\S+)", text))
            joined = text.replace("\n", "")
            ids = re.findall(r"op_[0-9a-f]{8}-[0-9a-f-]{27}", joined)
            assert len(ids) == 3
            done = command("wait", *ids, **exports)
            assert done.returncode == 1, done.stderr
            terminal.interrupt()
            assert terminal.end() == 0

    def test_a_port_that_is_taken(self, command: Command) -> None:
        port = command.simulator.endpoint.rpartition(":")[2]
        done = command("simulate", "--port", port)
        assert done.returncode == 2
        assert f"port {port} cannot be used" in " ".join(done.stderr.split())


BLOCK = "import sys; sys.modules[{!r}] = None; from nexus_operations.cli import main; {}main()"


def test_what_to_install_is_said_where_an_extra_is_missing(command: Command) -> None:
    words = {"typer": "", "uvicorn": "sys.argv = ['nexus-operations', 'simulate']; "}
    for module, setup in words.items():
        program = BLOCK.format(module, setup)
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=command.env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2
        assert "pip install 'nexus-operations[" in " ".join(done.stderr.split())
