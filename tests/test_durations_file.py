"""The memory in a file: written at once, and never worth an error; the command keeps one."""

from __future__ import annotations

import logging
import re
import stat
import sys
from pathlib import Path

import msgspec
import pytest
from nexus_operations import Durations, load_durations, save_durations
from nexus_operations.cli._options import default_durations
from nexus_operations.simulator import Life, Simulator

from tests.command import Command
from tests.conftest import SECRET

KEY = ("https://api.example.test", "proj_a", "kind")
DAY = 1_750_000_000.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "durations.json"


def knowing(*kinds: str, at: float = DAY) -> Durations:
    durations = Durations()
    for kind in kinds:
        durations.record((*KEY[:2], kind), 100.0, at)
    return durations


def test_what_is_saved_is_loaded(path: Path) -> None:
    durations = knowing("kind")
    assert save_durations(durations, path)
    expected, loaded = durations.expect(KEY), load_durations(path).expect(KEY)
    assert expected is not None
    assert loaded is not None
    assert loaded.modes[0] == pytest.approx(expected.modes[0], rel=1e-4)
    assert list(path.parent.iterdir()) == [path]


def test_no_file_is_an_empty_memory(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert len(load_durations(path)) == 0
    assert not caplog.records


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b'{"format": 1}',
        b'{"format": 1, "kinds": []}',
        b'{"format": "1", "kinds": {}}',
        b'{"format": 1, "kinds": {"1f": [1, 2]}}',
        b'{"format": 1, "kinds": {"zz": [1, 1, 1, 1, 1, 1, 0, 0, 0]}}',
        b'{"format": 1, "kinds": {"1f": [1, 1, 1, 1, 1e300, 1, 0, 0, 0]}}',
    ],
)
def test_a_broken_file_is_a_warning_and_is_replaced(
    path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    assert len(load_durations(path)) == 0
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert str(path) in caplog.text
    assert save_durations(knowing("kind"), path)
    assert len(load_durations(path)) == 1


def test_a_newer_file_is_a_warning_and_left_alone(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.parent.mkdir()
    content = b'{"format": 2, "kinds": {"anything": true}}'
    path.write_bytes(content)
    assert len(load_durations(path)) == 0
    assert not save_durations(knowing("kind"), path)
    assert "newer version (format 2)" in caplog.text
    assert path.read_bytes() == content


@pytest.mark.parametrize("where", ["a directory", "below a file"])
def test_a_file_that_cannot_be_written_is_a_warning(
    tmp_path: Path, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path
    if where == "below a file":
        (tmp_path / "file").write_text("")
        path = tmp_path / "file" / "durations.json"
    load_durations(path)
    assert not save_durations(knowing("kind"), path)
    assert {record.levelno for record in caplog.records} == {logging.WARNING}
    assert list(tmp_path.glob("*durations.json?*")) == []


def test_what_others_have_saved_meanwhile_stays(path: Path) -> None:
    assert save_durations(knowing("theirs", "both", at=DAY + 86400), path)
    ours = knowing("ours", "both")
    assert save_durations(ours, path)
    saved = load_durations(path)
    assert len(saved) == 3
    assert len(ours) == 3


def test_a_memory_of_ten_thousand_kinds_fits(path: Path) -> None:
    assert save_durations(knowing(*map(str, range(10_000))), path)
    assert len(load_durations(path)) == 10_000
    assert path.stat().st_size < 2_000_000


@pytest.mark.skipif(sys.platform != "linux", reason="the directories of Linux")
def test_the_default_is_in_the_cache_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert default_durations() == Path("/somewhere/nexus-operations/durations.json")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_durations() == Path.home() / ".cache/nexus-operations/durations.json"


class TestCommand:
    @pytest.fixture
    def command(self, nexus_simulator: Simulator) -> Command:
        return Command(nexus_simulator)

    def test_it_remembers(self, command: Command, path: Path) -> None:
        op_id = command.simulator.start(Life(duration=4))
        done = command("wait", op_id, "--durations", str(path))
        assert done.returncode == 0, done.stderr
        assert len(load_durations(path)) == 1
        text = path.read_text()
        assert not re.search(f"{op_id}|{SECRET}|proj_|{command.simulator.endpoint}", text)
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
        assert msgspec.json.decode(text)["format"] == 1

    def test_it_remembers_nothing_where_told_not_to(self, command: Command, path: Path) -> None:
        op_id = command.simulator.start(Life(duration=4))
        done = command("wait", op_id, "--no-durations", NEXUS_DURATIONS=str(path))
        assert done.returncode == 0, done.stderr
        assert not path.exists()

    def test_a_broken_memory_is_no_error(self, command: Command, path: Path) -> None:
        path.parent.mkdir()
        path.write_text("broken")
        op_id = command.simulator.start(Life(duration=4))
        done = command("wait", op_id, NEXUS_DURATIONS=str(path))
        assert done.returncode == 0, done.stderr
        assert str(path) in done.stderr
        assert len(load_durations(path)) == 1

    def test_the_help_says_so(self, command: Command) -> None:
        said = " ".join(command("wait", "--help").stdout.split())
        assert "--no-durations" in said
        assert "cache directory" in said
