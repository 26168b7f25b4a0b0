"""The memory in a file: written at once, and never worth an error; the command keeps one."""

from __future__ import annotations

import logging
import math
import os
import re
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from nexus_operations import Durations, load_durations, save_durations
from nexus_operations._durations_file import LARGEST
from nexus_operations.cli._options import default_durations
from nexus_operations.simulator import Life, Simulator

from tests.command import Command
from tests.conftest import SECRET

KEY = ("https://api.example.test", "proj_a", "kind")
DAY = 1_750_000_000.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "durations.json"


DEEP = b"[" * 100_000 + b"]" * 100_000


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
        b'{"format": 0, "kinds": {}}',
        b'{"format": 1e400, "kinds": {}}',
        b'{"format": 1, "kinds": {"1f": NaN}}',
        b'{"format": 1, "kinds": {"1f": {}}}',
        b'{"format": 1, "kinds": {"1f": [1, 1, 1, 1, 1%s, 0, 0, 0, 0]}}' % (b"0" * 5000),
        b'{"format": 1, "kinds": {"1f": %s}}' % DEEP,
        b'{"format": 1, "kinds": %s}' % DEEP,
        b'{"x": %s, "format": 1, "kinds": {}}' % DEEP,
        DEEP,
        b"format: 1",
        b"\0" * 1000,
        b" " * (LARGEST + 1),
        "format".encode("utf-16"),
        b'{"format": 1, "kinds": {"1f\xff": []}}',
    ],
    ids=lambda content: repr(content[:60]),
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


@pytest.mark.parametrize(
    "odd",
    [
        '"zz": [1]',
        '"": []',
        '"2": null',
        '"2": ["1"]',
        '"2": [1e400]',
        '"2": [1, 1, 2e7, 1, 1, 0, 0, 0, 0]',
    ],
)
def test_an_odd_kind_costs_itself_alone(
    path: Path, odd: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert save_durations(knowing("a", "b"), path)
    path.write_text(path.read_text().replace('"kinds":{', f'"kinds":{{{odd},'))
    loaded = load_durations(path)
    assert len(loaded) == 2
    assert loaded.expect((*KEY[:2], "b")) is not None
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert str(path) in caplog.text


def test_of_a_kind_that_is_twice_in_a_file_the_last_counts(path: Path) -> None:
    path.parent.mkdir()
    twice = [f'"1f": [1, 1, {day}, 1, 1, 0, 0, 0, 0]' for day in (20_001, 20_000)]
    path.write_text(f'{{"format": 1, "kinds": {{{", ".join(twice)}}}}}')
    assert load_durations(path).to_dict()["000000000000001f"][2] == 20_000


@pytest.mark.parametrize("at", [-1e300, 1.75e12, 1.75e15, 1.75e18, math.inf, math.nan])
def test_what_is_saved_of_an_odd_date_is_loaded(path: Path, at: float) -> None:
    durations = knowing("kind")
    durations.record((*KEY[:2], "odd"), 100.0, at)
    durations.record(KEY, 100.0, at)
    before = durations.to_dict()
    assert save_durations(durations, path)
    assert load_durations(path).to_dict() == before
    assert durations.expect(KEY) is not None


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


@pytest.mark.skipif(sys.platform == "win32", reason="files of Unix")
class TestWhatIsNoRegularFile:
    @pytest.fixture(params=["terminal", "fifo", "socket", "directory", "link to a fifo"])
    def path(self, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
        path = tmp_path / "durations.json"
        if request.param == "terminal":  # a device in whose place nothing can be put
            ends = os.openpty()
            yield Path(os.ttyname(ends[1]))
            for end in ends:
                os.close(end)
            return
        if request.param == "socket":
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(str(path))
        elif request.param == "directory":
            path.mkdir()
        elif request.param == "fifo":
            os.mkfifo(path)
        else:
            os.mkfifo(tmp_path / "fifo")
            path.symlink_to("fifo")
        yield path

    def test_it_is_left_alone(
        self, tmp_path: Path, path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        before = path.lstat()
        assert len(load_durations(path)) == 0
        assert not save_durations(knowing("kind"), path)
        after = path.lstat()
        assert (after.st_mode, after.st_ino) == (before.st_mode, before.st_ino)
        assert {each.name for each in tmp_path.iterdir()} <= {"durations.json", "fifo"}
        assert {record.levelno for record in caplog.records} == {logging.WARNING}
        assert caplog.text.count("no regular file") == 2


@pytest.mark.skipif(sys.platform == "win32", reason="files of Unix")
class TestWhatIsKept:
    @pytest.mark.parametrize("there", [True, False])
    def test_a_link_stays_one(self, tmp_path: Path, there: bool) -> None:
        link, path = tmp_path / "link", tmp_path / "there" / "durations.json"
        link.symlink_to("there/durations.json")
        if there:
            assert save_durations(knowing("theirs"), path)
        assert save_durations(knowing("kind"), link)
        assert link.is_symlink()
        assert len(load_durations(link)) == len(load_durations(path)) == 1 + there
        assert list(path.parent.iterdir()) == [path]

    def test_a_link_to_itself_is_a_warning(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        link = tmp_path / "link"
        link.symlink_to("link")
        assert len(load_durations(link)) == 0
        assert not save_durations(knowing("kind"), link)
        assert link.is_symlink()
        assert {record.levelno for record in caplog.records} == {logging.WARNING}

    def test_permissions_and_the_owner_are_kept(self, path: Path) -> None:
        assert save_durations(knowing("kind"), path)
        path.chmod(0o640)
        if os.geteuid() == 0:
            os.chown(path, 54321, 54322)
        before = path.stat()
        assert save_durations(knowing("other"), path)
        after = path.stat()
        assert after.st_ino != before.st_ino
        assert [after.st_mode, after.st_uid, after.st_gid] == [
            before.st_mode,
            before.st_uid,
            before.st_gid,
        ]

    @pytest.mark.skipif(getattr(os, "geteuid", int)() == 0, reason="root may read everything")
    def test_a_file_that_may_not_be_read_is_left_alone(
        self, path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert save_durations(knowing("kind"), path)
        path.chmod(0)
        assert len(load_durations(path)) == 0
        assert not save_durations(knowing("kind"), path)
        assert {record.levelno for record in caplog.records} == {logging.WARNING}


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


NO_HOME = """
from pathlib import Path
from nexus_operations.cli import main

def home():
    raise RuntimeError("Could not determine home directory.")

Path.home = home
main()
"""

UNREADABLE = """
import os
from nexus_operations.cli import main

os.access = lambda *_, **__: False  # as for all but root
main()
"""


class TestCommand:
    @pytest.fixture
    def command(self, nexus_simulator: Simulator) -> Command:
        return Command(nexus_simulator)

    def test_it_remembers(self, command: Command, path: Path) -> None:
        op_id = command.simulator.start(Life(duration=10_000, items=10_000))
        with command.start("watch", op_id, "--durations", str(path)) as process:
            assert process.stdout is not None
            process.stdout.readline()  # it was seen running
            command.simulator.end(op_id)
            process.communicate(timeout=60)
        assert process.returncode == 0
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

    def test_one_that_may_not_be_read_is_no_error(self, command: Command, path: Path) -> None:
        assert save_durations(knowing("kind"), path)
        op_id = command.simulator.start(Life(duration=0))
        done = subprocess.run(
            [sys.executable, "-c", UNREADABLE, "wait", op_id, "--durations", str(path)],
            env=command.env,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr

    def test_without_a_home_directory_there_is_none(self, command: Command) -> None:
        op_id = command.simulator.start(Life(duration=0))
        unset = ("NEXUS_DURATIONS", "XDG_CACHE_HOME", "LOCALAPPDATA")
        done = subprocess.run(
            [sys.executable, "-c", NO_HOME, "wait", op_id],
            env={name: value for name, value in command.env.items() if name not in unset},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr.startswith("durations are not remembered: there is no home directory")
        assert len(done.stderr.splitlines()) == 1

    def test_the_help_says_so(self, command: Command) -> None:
        said = " ".join(command("wait", "--help").stdout.split())
        assert "--no-durations" in said
        assert "cache directory" in said
