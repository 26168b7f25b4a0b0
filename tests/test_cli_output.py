"""What the command prints: lines, JSON, the board; text from outside in all of them."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nexus_operations import Operation
from nexus_operations.cli._report import Line
from nexus_operations.simulator import Life, Simulator, Trouble

from tests.command import CANCELLED, COMMAND, FAILS, SOON, STEADY, STUCK, Command

ROOT = Path(__file__).parent.parent


@pytest.fixture
def command(nexus_simulator: Simulator) -> Command:
    return Command(nexus_simulator)


EVIL = "\x1b]0;owned\x07\x1b[2J\r2026-01-01T00:00:00Z op_forged Finished\n::error::forged\x9b\u202e"


class TestTextFromOutside:
    """What the service says is shown, and steers nothing."""

    @pytest.mark.parametrize("verb", ["get", "wait", "watch"])
    @pytest.mark.parametrize("where", ["message", "overview", "error", "unit", "kind"])
    def test_it_is_escaped_in_lines(self, command: Command, verb: str, where: str) -> None:
        life = Life(duration=0, message=EVIL if where == "message" else None, outcome="Errored")
        if where == "unit":
            life = Life(duration=0, unit=EVIL)
        kind = EVIL if where == "kind" else "nexus.annotations.export"
        op_id = command.simulator.start(life, kind=kind)
        if where == "error":
            body = json.dumps({"message": EVIL})
            command.simulator.trouble(Trouble(kind="status", status=400, body=body), op_id=op_id)
        elif where == "overview":
            command.simulator.trouble(Trouble(kind="overview", overview=EVIL), op_id=op_id)
        done = command(verb, op_id)
        for text in (done.stdout, done.stderr):
            assert not {c for c in text if c != "\n" and not c.isprintable()}
            assert not re.search(r"^(::error|2026-01-01)", text, re.MULTILINE)

    def test_it_is_escaped_on_the_board(self, command: Command) -> None:
        life = Life(duration=0, message=EVIL, outcome="Errored")
        op_id = command.simulator.start(life)
        with command.in_terminal("wait", op_id, columns=250) as terminal:
            assert terminal.end() == 1
            assert terminal.text.count(r"\x1b]0;owned\x07") == 2  # in its row, and below
            assert "op_forged" in terminal.text
            assert terminal.screen.title == ""


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

    def test_trouble_is_printed_once(self, command: Command) -> None:
        op_id = command.simulator.start(SOON)
        command.simulator.trouble(Trouble(kind="status", status=503), op_id=op_id)
        done = command("wait", op_id)
        assert done.returncode == 0
        assert done.stdout.count("trouble: HTTP 503, retry in 1 s") == 1

    def test_ids_from_standard_input(self, command: Command) -> None:
        ids = [command.simulator.start(Life(duration=0)) for _ in range(3)]
        for words in (["wait", "-"], ["wait", ids[0], "-"]):
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
        date = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"
        rest = rf"whole operation nexus.annotations.export created {date}, updated {date}"
        pattern = rf"{ids[0]} Errored 9/10 1 errored {rest} Disk quota exceeded"
        assert re.fullmatch(pattern, errored)
        assert re.fullmatch(rf"{ids[1]} Running \d/10 {rest} Operation running", running)
        assert command.simulator.service.request_count == 2

    def test_a_heartbeat_while_nothing_changes(self, command: Command) -> None:
        ids = [command.simulator.start(STUCK) for _ in range(2)]
        for words in ([ids[0]], ids):
            with command.start("wait", *words, "--heartbeat", "0.2s") as process:
                assert process.stdout is not None
                expected = "still Running" if len(words) == 1 else "waiting: 2 Running 0 ended"
                for _ in range(2):  # it comes, and comes again; the tests' limit ends them else
                    while expected not in process.stdout.readline():
                        assert process.poll() is None
                process.terminate()

    @pytest.mark.parametrize("heartbeat", ["300000000000", "999999999999999d", "9" * 400])
    def test_a_heartbeat_beyond_all_time(self, command: Command, heartbeat: str) -> None:
        op_id = command.simulator.start(STUCK)
        with command.start("wait", op_id, "--heartbeat", heartbeat) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            assert f"{op_id} Running" in process.stdout.readline()
            process.terminate()
            assert process.stderr.read().startswith("\nInterrupted.")

    def test_json_stays_json_between_heartbeats(self, command: Command) -> None:
        op_id = command.simulator.start(STUCK)
        with command.start("wait", op_id, "--json", "--heartbeat", "0.2s") as process:
            assert process.stdout is not None
            assert process.stderr is not None
            while f"{op_id} still Running" not in process.stderr.readline():
                assert process.poll() is None
            command.simulator.end(op_id)
            lines = [json.loads(line) for line in process.stdout]
        assert [line["event"] for line in lines] == ["change", "outcome"]


class TestJson:
    def lines(self, command: Command, *words: str) -> list[dict[str, Any]]:
        printed = command(*words, "--json").stdout.splitlines()
        for line in printed:
            msgspec.json.decode(line, type=Line)  # it has the documented shape, and types
        return [json.loads(line) for line in printed]

    def test_outcomes(self, command: Command) -> None:
        lives = [Life(duration=0), FAILS, CANCELLED, STUCK]
        ids = [command.simulator.start(life) for life in lives]
        lines = self.lines(command, "wait", *ids, "op_unknown", "--max-polls", "1")
        outcomes = {line["op_id"]: line for line in lines if line["event"] == "outcome"}
        words = [outcomes[op_id]["outcome"] for op_id in [*ids, "op_unknown"]]
        assert words == ["finished", "errored", "cancelled", "running", "failed"]
        error = outcomes["op_unknown"]["error"]
        assert (error["type"], error["status_code"]) == ("NotFoundError", 404)
        hint = "Operation not found (HTTP 404). Check the project id, the operation id"
        assert error["message"].startswith(hint)
        assert set(error) == {"type", "message", "status_code"}
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

    def test_what_is_unsafe_or_not_in_the_encoding_is_escaped(self, command: Command) -> None:
        message = "完了 ✓ \x9b31m \u202eodd ##vso[x] \U0001f600"
        op_id = command.simulator.start(Life(duration=0, message=message))
        for encoding in ("utf-8", "ascii", "cp1252"):
            done = subprocess.run(
                [COMMAND, "wait", "--json", op_id],
                env={**command.env, "PYTHONIOENCODING": encoding},
                capture_output=True,
                check=False,
                timeout=60,
            )
            assert done.returncode == 0
            text = done.stdout.decode(encoding)
            assert not set(text) & set("\x9b\u202e")
            assert "##" not in text
            assert json.loads(text)["operation"]["status"]["message"] == message

    def test_the_shape_is_documented(self) -> None:
        page = (ROOT / "docs/command.md").read_text()
        rows = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
        assert set(Line.__struct_fields__) <= set(rows)


class TestTerminal:
    def test_a_live_board(self, command: Command) -> None:
        ids = [command.simulator.start(life) for life in (STEADY, FAILS)]
        with command.in_terminal("wait", *ids) as terminal:
            text = terminal.until(lambda text: "1 of 2 ended" in text and "ends in" in text)
            assert re.search(rf"{ids[0]} +Running +━+.* \d+/1000 +0:00:\d\d +ends in ", text)
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
            assert "nexus-operations watch '{" in terminal.text

    def test_a_failed_wait_is_explained_below(self, command: Command) -> None:
        with command.in_terminal("wait", "op_unknown") as terminal:
            assert terminal.end() == 4
            assert "op_unknown: Operation not found (HTTP 404)" in terminal.text

    def test_ids_are_typed_only_if_asked_for(self, command: Command) -> None:
        with command.in_terminal("wait") as terminal:
            assert terminal.end() == 2
            assert "no ids" in terminal.text
        op_id = command.simulator.start(Life(duration=0))
        with command.in_terminal("wait", "-") as terminal:
            terminal.until(lambda text: "Ctrl-D" in text)
            terminal.type(f"{op_id}\n\x04")
            assert terminal.end() == 0

    @pytest.mark.parametrize("columns", [60, 100, 200])
    def test_a_board_of_any_width(self, command: Command, columns: int) -> None:
        ids = [command.simulator.start(life) for life in (STEADY, STUCK)]
        command.simulator.trouble(Trouble(kind="status", status=503, times=9), op_id=ids[1])
        with command.in_terminal("wait", *ids, columns=columns) as terminal:
            text = terminal.until(lambda text: "ends in" in text and "HTTP 503" in text)
            steady, stuck = text.splitlines()[1:3]
            assert re.match(rf"{ids[0][:10]}\S* Running .*\d+/1000.* 0:00:\d\d ends in", steady)
            assert stuck.startswith(ids[1][:10])
            assert ("━" in steady) is (columns >= 80)
            assert (ids[0] in steady) is (columns >= 110)
            assert ("whole operation" in steady and "Operation running" in steady) is (
                columns == 200
            )
            terminal.interrupt()
            assert terminal.end() == 130
            assert not terminal.screen.cursor.hidden
