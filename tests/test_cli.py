"""The command: exit codes, ids, secrets, help, the simulator."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from nexus_operations import WaitState, __version__
from nexus_operations.cli._ids import Ids, word_of
from nexus_operations.simulator import Life, Simulator, Trouble

from tests.command import CANCELLED, COMMAND, FAILS, SOON, STUCK, Command
from tests.conftest import PROJECT, SECRET

ROOT = Path(__file__).parent.parent


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
            (["wait", "op_1", "--max-polls", "0"], "0"),
            (["wait", "op_1", "--project", ""], "no project"),
            (["wait", ".."], "op_ids must not be a relative path segment"),
            (["wait", "op_1", "--endpoint", "ftp://x"], "endpoint must be an http or https URL"),
            (
                ["get", "op_1", "--certificate", "no-such-file"],
                "mtls_certificate_file_path must be a file",
            ),
            (["get", "op_1", "--nonsense"], "nonsense"),
            (["nonsense"], "nonsense"),
            (["wait"], "no ids"),
            (["wait", "op_1", "--heartbeat", "0"], "more than 0"),
            (["wait", "op_1", "--pace", "0"], "pace must be more than 0"),
            (["wait", "op_1", "--pace", "nan"], "pace must be more than 0"),
            (["wait", "op_1", "--max-rate", "nan"], "max_rate must be more than 0"),
            (["wait", "op_1", "--max-rate", "inf"], "max_rate must be more than 0"),
            (["wait", "op_1", "--max-rate", "0"], "max_rate must be more than 0"),
            (["wait", "op_1", "--max-wait", "999999999999999d"], "max_wait must be at most"),
            (["wait", "op_1", "--max-outage", "9" * 400], "max_outage must be 0 or more"),
            (["wait", "op_1", "--max-wait", "1e300"], "is no duration"),
            (["wait", "op_1", "--max-wait", ""], "is no duration"),
            (["wait", "op_1", "--max-wait", "1" * 40 + "x"], "is no duration"),
            (["wait", "op_1", "{", "-"], "{ is no state of a wait"),
            (["simulate", "--speed", "nan"], "speed must be more than 0 and finite"),
            (["simulate", "--speed", "inf"], "speed must be more than 0 and finite"),
            (["contract", "op_1", "--max-rate", "nan"], "--max-rate must be more than 0"),
            (["contract", "op_1", "--max-rate", "inf"], "--max-rate must be more than 0"),
            (["contract", "op_1", "--max-rate", "-1"], "-1.0 is not in the range"),
            (["contract", "op_1", "--max-latency", "nan"], "is no duration"),
            (["contract", "op_1", "--max-latency", "9" * 400], "--max-latency must be 0 or more"),
            (["contract", "op_1", "--max-latency", "9999999d"], "--max-latency must be at most"),
            (["contract", "op_1", "--private-key", "file"], "--private-key needs --certificate"),
            (["contract", ".."], "OP must not be a relative path segment"),
            (["contract", "\udcff"], "OP must have no control characters"),
            (["contract", "op_1", "-p", "\udcff"], "--project must have no control characters"),
        ],
        ids=lambda value: ascii(" ".join(value))[:60] if isinstance(value, list) else "",
    )
    def test_2_usage(self, command: Command, words: list[str], said: str) -> None:
        done = command(*words)
        assert done.returncode == 2
        assert said in " ".join(done.stderr.split())
        assert command.simulator.service.request_count == 0

    def test_3_still_running_at_a_bound(self, command: Command) -> None:
        op_id = command.simulator.start(STUCK)
        for bound in (["--max-polls", "1"], ["--max-wait", "0"]):
            done = command("wait", op_id, *bound)
            assert done.returncode == 3
            assert re.search(rf"{op_id} still Running \d+/10\n", done.stdout)
        assert command("get", op_id).returncode == 0  # it was retrieved

    def test_4_trouble_with_the_service(self, command: Command) -> None:
        finished = command.simulator.start(SOON)
        done = command("wait", finished, "op_unknown")
        assert done.returncode == 4
        assert "op_unknown failed: Operation not found (HTTP 404)" in done.stderr
        assert f"{finished} Finished 10/10" in done.stdout

    def test_4_a_service_that_answers_another_question(self, command: Command) -> None:
        other = command.simulator.start(Life(duration=0))
        (body,) = command.simulator.service.operations()
        op_id = command.simulator.start(STUCK)
        answer = Trouble(kind="body", body=json.dumps(body), times=3)
        command.simulator.trouble(answer, op_id=op_id)
        done = command("wait", op_id)
        assert done.returncode == 4
        assert "answers with another operation" in done.stderr
        assert other not in done.stdout

    def test_4_trouble_with_the_network(self, command: Command) -> None:
        nowhere = {"DATATURE_API_BASE_URL": "http://127.0.0.1:9"}
        done = command("wait", "op_1", "--max-outage", "0", **nowhere)
        assert done.returncode == 4
        assert "could not be reached" in done.stderr

    def test_130_interrupted_and_resumed(self, command: Command) -> None:
        finished = command.simulator.start(Life(duration=0))
        ids = [command.simulator.start(STUCK) for _ in range(2)]
        process = command.start("wait", finished, *ids, "--max-rate", "50", "-p", PROJECT)
        assert process.stdout is not None
        printed = [process.stdout.readline() for _ in range(3)]
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
        assert process.returncode == 130
        assert any(f"{finished} Finished" in line for line in printed)
        again = said.partition("To resume:\n  ")[2].strip()
        assert again.startswith(f"nexus-operations wait --max-rate 50 -p {PROJECT} ")
        assert all(op_id in again for op_id in ids)
        assert finished not in said

        for op_id in ids:
            command.simulator.end(op_id)
        done = command(*shlex.split(again)[1:])
        assert done.returncode == 0, done.stderr
        assert all(f"{op_id} Finished" in done.stdout for op_id in ids)

    @pytest.mark.parametrize("bound", ["--max-polls", "--max-wait"])
    def test_the_bounds_of_a_resumed_wait_count_on(self, command: Command, bound: str) -> None:
        op_id = command.simulator.start(STUCK)
        given = {"--max-polls": "3", "--max-wait": "1h"}[bound]
        process = command.start("watch", op_id, bound, given, "--pace", "0.1")
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
        words = shlex.split(said.partition("To resume:\n  ")[2])
        state = json.loads(words.pop())
        assert state["op_id"] == op_id
        assert state["polls"] >= 1
        assert state["reached"]
        state |= {"polls": 2, "started_at": state["started_at"] - 3600}
        before = len(command.simulator.service.requests)
        done = command(*words[1:], json.dumps(state))
        assert done.returncode == 3, done.stderr
        assert len(command.simulator.service.requests) == before + 1

    @pytest.mark.parametrize(
        "word",
        [
            "{",
            "{}",
            '{"op_id": "op_1", "started_at": -1}',
            '{"op_id": "op_1", "started_at": NaN}',
            '{"op_id": "op_1", "started_at": 1%s}' % ("0" * 5000),
            '{"": ' * 10_000,
        ],
        ids=lambda word: word[:60],
    )
    def test_2_what_is_no_state(self, command: Command, word: str) -> None:
        done = command("wait", word)
        assert done.returncode == 2
        assert "is no state of a wait" in done.stderr

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
        state = json.loads(shlex.split(said.partition("To resume:\n")[2])[-1])
        assert state["op_id"] == op_id
        assert state["polls"] >= 1
        assert "Traceback" not in said

    def test_130_with_many_ids(self, command: Command) -> None:
        ids = [command.simulator.start(STUCK) for _ in range(30)]
        with command.in_terminal("wait", *ids) as terminal:
            terminal.screen.resize(200, 130)
            terminal.until(lambda text: "0 of 30 ended" in text)
            terminal.interrupt()
            assert terminal.end() == 130
            shown = terminal.text
            assert not terminal.screen.cursor.hidden
        again = shown[shown.index("nexus-operations wait - <<'END'") :]
        for op_id in ids:
            command.simulator.end(op_id)
        path = f"{Path(COMMAND).parent}{os.pathsep}{os.environ['PATH']}"
        env = {**command.env, "PATH": path}
        done = subprocess.run(
            ["sh", "-c", again], env=env, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr
        assert sorted(line.split()[1] for line in done.stdout.splitlines()) == sorted(ids)


class TestIds:
    """Where ids come from, beside arguments."""

    def test_they_are_waited_for_as_they_come(self, command: Command) -> None:
        ids = [command.simulator.start(Life(duration=0)) for _ in range(2)]
        with command.start("wait", "-", stdin=subprocess.PIPE) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            for op_id in ids:
                process.stdin.write(f"{op_id}\n")
                process.stdin.flush()
                assert f"{op_id} Finished" in process.stdout.readline()
            process.stdin.close()
            assert process.wait(30) == 0

    def test_what_had_not_come_is_said_on_an_interruption(self, command: Command) -> None:
        op_id = command.simulator.start(STUCK)
        with command.start("wait", "-", stdin=subprocess.PIPE) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdin.write(f"{op_id}\n")
            process.stdin.flush()
            process.stdout.readline()
            process.send_signal(signal.SIGINT)
            said = process.stderr.read()
            assert process.wait(30) == 130
        assert "not yet been read from standard input" in said
        assert re.search(f"nexus-operations wait .*{op_id}", said)

    @pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
    def test_a_byte_order_mark_is_no_part_of_an_id(self, command: Command, encoding: str) -> None:
        ids = [command.simulator.start(Life(duration=0)) for _ in range(2)]
        done = subprocess.run(
            [COMMAND, "wait", "-"],
            env=command.env,
            input="\r\n".join(ids).encode(encoding),
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr

    @pytest.mark.parametrize("words", [["get"], ["wait"], ["wait", "--json"]])
    def test_what_is_no_state_is_an_error_of_its_own(
        self, command: Command, words: list[str]
    ) -> None:
        ids = [command.simulator.start(Life(duration=0)) for _ in range(2)]
        bad = '{"op_id":"op_z"}'
        read = [ids[0], bad, "{\x1b[2J", '{"":' * 100_000, bad, "..", ids[1]]
        done = command(*words, "-", stdin="\n".join(read))
        assert done.returncode == 4, done.stderr
        lines = (done.stdout + done.stderr).splitlines()
        assert len(lines) == 6
        assert all(any(op_id in line and "Finished" in line for line in lines) for op_id in ids)
        (about,) = (line for line in lines if "op_z" in line)
        assert "no state of a wait: state must be an object with op_id and started_at" in about
        assert "\x1b" not in done.stdout + done.stderr
        assert command.simulator.service.request_count == 2

    def test_a_state_is_a_word_that_steers_nothing(self) -> None:
        state = WaitState("op ##vso[x] \u00e9", 1.0)
        word = word_of(state)
        assert not re.search("##| |\u00e9", word)
        assert Ids([word]).known == [state]

    def test_standard_input_that_breaks_off_can_be_resumed(self, command: Command) -> None:
        op_id = command.simulator.start(STUCK)
        with socket.create_server(("127.0.0.1", 0)) as server:
            theirs = socket.create_connection(server.getsockname())
            ours = server.accept()[0]
        with theirs, command.start("wait", op_id, "-", stdin=theirs) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.readline()
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            ours.close()  # with a reset
            said = process.stderr.read()
            assert process.wait(30) == 2
        assert "standard input cannot be read" in said
        assert re.search(f"nexus-operations wait .*{op_id}", said)

    def test_an_empty_list_is_nothing_to_wait_for(self, command: Command) -> None:
        done = command("wait", "-", stdin="\n")
        assert (done.returncode, done.stdout) == (0, "")
        assert "nothing to wait for" in done.stderr

    def test_no_ids_leave_standard_input_to_others(self, command: Command) -> None:
        loop = f"while read -r line; do {COMMAND} wait $ids; echo $? $line; done"
        done = subprocess.run(
            ["sh", "-c", loop],
            env=command.env,
            input="one\ntwo\n",
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.stdout.splitlines() == ["2 one", "2 two"]

    def test_closed_standard_input(self, command: Command) -> None:
        op_id = command.simulator.start(Life(duration=0))
        for words, code in ((f"wait {op_id}", 0), ("wait -", 2)):
            done = subprocess.run(
                ["sh", "-c", f"{COMMAND} {words} <&-"], env=command.env, check=False, timeout=60
            )
            assert done.returncode == code


class TestSecret:
    def test_from_a_prompt_that_does_not_show_it(self, command: Command) -> None:
        del command.env["NEXUS_SECRET"]
        op_id = command.simulator.start(Life(duration=0))
        with command.in_terminal("wait", op_id) as terminal:
            terminal.until(lambda text: "Secret key" in text)
            terminal.type(f"{SECRET}\n")
            assert terminal.end() == 0
            assert SECRET not in terminal.text

    def test_ctrl_c_at_the_prompt(self, command: Command) -> None:
        del command.env["NEXUS_SECRET"]
        with command.in_terminal("wait", "op_1") as terminal:
            terminal.until(lambda text: "Secret key" in text)
            terminal.interrupt()
            assert terminal.end() == 130

    def test_a_file_goes_before_the_variable_if_it_is_given(
        self, command: Command, tmp_path: Path
    ) -> None:
        (tmp_path / "wrong").write_text("wrong\n")
        (tmp_path / "right").write_bytes(b"\xef\xbb\xbf" + SECRET.encode() + b"\r\n")
        with Simulator(secret=SECRET) as strict:
            env = {"DATATURE_API_BASE_URL": strict.endpoint}
            op_id = strict.start(Life(duration=0))
            wrong, right = str(tmp_path / "wrong"), str(tmp_path / "right")
            assert command("get", op_id, "--secret-file", wrong, **env).returncode == 4
            env["NEXUS_SECRET_FILE"] = wrong
            assert command("get", op_id, **env).returncode == 0  # the variable holds the right one
            env["NEXUS_SECRET"] = "wrong"
            assert command("get", op_id, "--secret-file", right, **env).returncode == 0

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
            known = ["0", "1", "2", "3", "4", "70", "74", "130", "143"]
            if verb == "get":
                known.remove("3")
            assert re.findall(r"\b\d+\b", codes[1]) == known

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
        assert sorted(offered.stdout.split()) == ["--max-rate"]


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

    def test_it_asks_for_a_secret_of_its_own(self, command: Command) -> None:
        with command.in_terminal("simulate", "--secret", "made up", "--no-samples") as terminal:
            text = terminal.until(lambda text: "NEXUS_PROJECT" in text)
            assert "NEXUS_SECRET='made up'" in text
            endpoint = re.search(r"http://[\d.:]+", text)
            assert endpoint is not None
            env = {"DATATURE_API_BASE_URL": endpoint[0]}
            assert "HTTP 401" in command("get", "op_1", **env).stderr
            assert "HTTP 404" in command("get", "op_1", **env, NEXUS_SECRET="made up").stderr
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
