"""`progress=`: a function that gets each poll, or a board in a terminal or a notebook."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from nexus_operations import (
    Client,
    NotFoundError,
    ServiceUnavailableError,
    TooManyRequestsError,
    Update,
)
from nexus_operations._show.board import Board
from nexus_operations._show.notebook import MAX_ROWS, page_of
from nexus_operations._show.words import ends_in
from nexus_operations.simulator import Life, Simulator, Trouble

from tests.conftest import PROJECT, SECRET, Driver
from tests.terminal import Terminal

STEADY = Life(duration=30, items=1000, age=1, outcome="Running")
FLEETS = ["wait_all", "as_completed"]


def run_fleet(nexus: Driver, method: str, ids: list[str], **kwargs: Any) -> None:
    """Wait for many, in the driver's way, to the end."""
    if method == "wait_all":
        nexus.call("wait_all", ids, **kwargs)
    else:
        nexus.call_iterator("as_completed", ids, **kwargs)


class TestCallback:
    def test_it_gets_each_poll(self, nexus: Driver) -> None:
        updates: list[Update] = []
        op_id = nexus.service.start(Life(duration=60, items=100))
        nexus.service.trouble(Trouble(kind="status", status=503), op_id=op_id)
        nexus.wait(op_id, progress=updates.append)
        assert [update.polls for update in updates] == list(range(1, len(updates) + 1))
        assert len(updates) == nexus.service.request_count
        first, *_, last = updates
        assert isinstance(first.error, ServiceUnavailableError)
        assert first.operation is None
        assert first.next_poll == pytest.approx(1.0, rel=0.06)
        assert last.operation is not None
        assert last.operation.status.overview == "Finished"
        assert last.next_poll is None
        assert last.remaining is None
        assert last.elapsed == pytest.approx(nexus.elapsed)
        assert {update.op_id for update in updates} == {op_id}

    def test_it_gets_the_predicted_end(self, nexus: Driver) -> None:
        updates: list[Update] = []
        op_id = nexus.service.start(Life(duration=600, items=10_000))
        nexus.wait(op_id, progress=updates.append)
        predicted = [u.elapsed + u.remaining for u in updates if u.remaining is not None]
        assert len(predicted) > 3
        assert predicted[-1] == pytest.approx(600, rel=0.02)

    def test_no_end_is_predicted_without_progress(self, nexus: Driver) -> None:
        updates: list[Update] = []
        nexus.wait(nexus.service.start(Life(duration=60)), progress=updates.append)
        assert {update.remaining for update in updates} == {None}

    @pytest.mark.parametrize("method", FLEETS)
    def test_a_fleet_reports_on_all(self, nexus: Driver, method: str) -> None:
        updates: list[Update] = []
        ids = [nexus.service.start(Life(duration=n)) for n in range(5)]
        run_fleet(nexus, method, ids, progress=updates.append)
        over = [update.op_id for update in updates if update.next_poll is None]
        assert sorted(over) == sorted(ids)
        assert len(updates) == nexus.service.request_count

    def test_what_it_raises_ends_the_wait(self, nexus: Driver) -> None:
        def stop(update: Update) -> None:
            raise LookupError(update.op_id)

        op_id = nexus.service.start()
        with pytest.raises(LookupError, match=op_id):
            nexus.wait(op_id, progress=stop)
        for method in FLEETS:
            with pytest.raises(LookupError, match=op_id):
                run_fleet(nexus, method, [op_id], progress=stop)

    @pytest.mark.parametrize("value", [None, 1, "yes"])
    def test_a_bad_value_is_named(self, nexus: Driver, value: Any) -> None:
        with pytest.raises(TypeError, match=f"progress must be True, False.*{value!r}"):
            nexus.wait("op_1", progress=value)
        with pytest.raises(TypeError, match="progress must be"):
            nexus.call("wait_all", ["op_1"], progress=value)
        assert nexus.service.request_count == 0


PROGRAM = """
import os, sys
from nexus_operations import Client
with Client("secret") as client:
    operations = client.get_project("proj_simulated").operations
    ids = sys.argv[1:]
    if len(ids) == 1:
        operations.wait_until_done(ids[0], progress=True)
    else:
        operations.wait_all(iter(ids), progress=True, on_error="return")
print("ended")
"""


def environment(simulator: Simulator) -> dict[str, str]:
    return {**os.environ, "DATATURE_API_BASE_URL": simulator.endpoint}


class TestTerminal:
    def test_a_bar_for_one(self, nexus_simulator: Simulator) -> None:
        op_id = nexus_simulator.start(STEADY)
        command = [sys.executable, "-c", PROGRAM, op_id]
        with Terminal(command, environment(nexus_simulator)) as terminal:
            terminal.until(lambda text: re.search(rf"{op_id} +Running +.* \d+/1000", text))
            nexus_simulator.end(op_id)
            assert terminal.end() == 0
            assert re.search(rf"{op_id} +Finished .*1000/1000", terminal.text)
            assert terminal.text.endswith("ended")
            assert "of 1 ended" not in terminal.text

    def test_a_board_for_many(self, nexus_simulator: Simulator) -> None:
        lives = [Life(duration=1, items=100), Life(duration=0, outcome="Errored")]
        ids = [*map(nexus_simulator.start, lives), "op_unknown"]
        command = [sys.executable, "-c", PROGRAM, *ids]
        with Terminal(command, environment(nexus_simulator)) as terminal:
            assert terminal.end() == 0
            assert "3 of 3 ended" in terminal.text
            assert "1 Errored, 1 Finished, 1 failed" in terminal.text
            assert "HTTP 404" in terminal.text

    def test_a_narrow_terminal_shortens_ids_and_bars(self, nexus_simulator: Simulator) -> None:
        op_id = nexus_simulator.start(STEADY)
        command = [sys.executable, "-c", PROGRAM, op_id]
        with Terminal(command, environment(nexus_simulator), columns=80) as terminal:
            terminal.until(lambda text: "ends in" in text)
            nexus_simulator.end(op_id)
            assert terminal.end() == 0
            assert re.search(rf"{op_id[:12]}.*… Finished .*1000/1000 +0:00:", terminal.text)

    def test_nothing_unless_a_terminal_shows_it(self, nexus_simulator: Simulator) -> None:
        op_id = nexus_simulator.start(Life(duration=0))
        command = [sys.executable, "-c", PROGRAM, op_id]
        for extra in ({}, {"FORCE_COLOR": "1", "TTY_COMPATIBLE": "1"}):
            env = {**environment(nexus_simulator), **extra}
            done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
            assert (done.stdout, done.stderr) == ("ended\n", "")

    def test_what_the_program_prints_stays_on_its_standard_output(
        self, nexus_simulator: Simulator, tmp_path: Path
    ) -> None:
        op_id = nexus_simulator.start(Life(duration=1, items=100))
        command = f"{sys.executable} -c '{PROGRAM}' {op_id} > {tmp_path}/output"
        with Terminal(["sh", "-c", command], environment(nexus_simulator)) as terminal:
            assert terminal.end() == 0
            assert "Finished" in terminal.text
            assert "ended" not in terminal.text
        assert (tmp_path / "output").read_text() == "ended\n"

    def test_text_of_the_service_steers_no_terminal(self, nexus_simulator: Simulator) -> None:
        life = Life(duration=0, message="\x1b]0;owned\x07", unit="\x1b[2J")
        op_id = nexus_simulator.start(life)
        command = [sys.executable, "-c", PROGRAM, op_id]
        with Terminal(command, environment(nexus_simulator), columns=200) as terminal:
            assert terminal.end() == 0
            assert terminal.screen.title == ""
            assert r"\x1b]0;owned\x07" in terminal.text
            assert re.search(r"1/1 +\\x1b\[2J", terminal.text)

    def test_without_rich_it_says_what_to_install(
        self, nexus: Driver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delitem(sys.modules, "nexus_operations._show.terminal", raising=False)
        monkeypatch.setitem(sys.modules, "rich.console", None)
        with pytest.raises(ModuleNotFoundError, match=r"install nexus-operations\[progress\]"):
            nexus.wait("op_1", progress=True)
        assert nexus.service.request_count == 0


NOTEBOOK = """
from nexus_operations import Client
with Client("secret") as client:
    operation = client.get_project("proj_simulated").operations.wait_until_done("{}", progress=True)
operation
"""


def outputs_of(source: str, monkeypatch: pytest.MonkeyPatch, simulator: Simulator) -> list[Any]:
    """Return what a notebook's only cell puts out."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    monkeypatch.setenv("DATATURE_API_BASE_URL", simulator.endpoint)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    client = nbclient.NotebookClient(notebook, kernel_name="python3", timeout=60, allow_errors=True)
    client.execute()
    return list(notebook.cells[0].outputs)


def test_a_notebook_shows_the_bar_and_the_operation(
    nexus_simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    op_id = nexus_simulator.start(Life(duration=2, items=100))
    bar, shown = outputs_of(NOTEBOOK.format(op_id), monkeypatch, nexus_simulator)
    page = bar.data["text/html"]
    assert re.search(r"Finished.*100/100", re.sub("<[^>]+>", "", page))
    assert "width:100%" in page
    assert set(re.findall(r"[^-]color:([^;\"]+)", page)) == {"#fff"}  # else the theme's
    assert 'role="progressbar"' in shown.data["text/html"]
    assert shown.data["text/plain"].startswith(f"Operation(\n    id='{op_id}',")


def test_a_failed_wait_in_a_notebook_is_our_error_alone(
    nexus_simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    *_, error = outputs_of(NOTEBOOK.format("op_unknown"), monkeypatch, nexus_simulator)
    assert error.ename == "NotFoundError"
    shown = "\n".join(error.traceback)
    assert "Operation not found" in shown
    assert 'wait_until_done("op_unknown"' in shown  # the cell's line
    assert shown.count("nexus_operations/") == shown.count("httpx") == 0
    assert len(shown.splitlines()) < 12


def test_a_board_of_many_rows_is_cut_in_a_notebook() -> None:
    board = Board()
    for number in range(MAX_ROWS + 5):
        board.update(Update(f"op_<{number}>", None, TooManyRequestsError("x"), 1, 0.0, None, 1.0))
    page = page_of(board)
    assert page.count("<tr>") == MAX_ROWS
    assert "and 5 more" in page
    assert "op_&lt;1&gt;" in page


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        ((0, 0.5), "ends at any moment"),
        ((38, 44), "ends in about 40 s"),
        ((57, 59), "ends in about 1 min"),
        ((700, 800), "ends in about 12 min"),
        ((6500, 7600), "ends in about 2 h"),
        ((48_000, 52_000), "ends in about 14 h"),
        ((390_000, 410_000), "ends in about 5 days"),
        ((15, 40), "ends in 15 to 40 s"),
        ((50, 150), "ends in 50 s to 2 min"),
        (None, ""),
    ],
)
def test_estimates_say_as_much_as_is_known(seconds: tuple[float, float] | None, words: str) -> None:
    assert ends_in(seconds) == words


def test_an_unknown_operation_still_raises_with_a_bar(nexus_simulator: Simulator) -> None:
    with Client(SECRET, endpoint=nexus_simulator.endpoint) as client:
        operations = client.get_project(PROJECT).operations
        with pytest.raises(NotFoundError):
            operations.wait_until_done("op_unknown", progress=True)
