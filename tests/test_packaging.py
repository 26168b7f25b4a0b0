"""What is built and what builds it: the package's metadata, the Makefile's environments."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent
LOCAL_LINK = re.compile(r"\]\((?!https?:|#)")


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def hook() -> ModuleType:
    pytest.importorskip("hatchling")
    return load(ROOT / "hatch_build.py")


class TestLongDescription:
    """A package index shows README.md without the repository around it."""

    def test_links_are_absolute_once_the_repository_is_published(self, hook: ModuleType) -> None:
        readme = (ROOT / "README.md").read_text()
        text = hook.absolute(readme, "https://host.test/x/y", "v1.2.3")
        assert LOCAL_LINK.search(readme)
        assert not LOCAL_LINK.search(text)
        assert "(https://host.test/x/y/blob/v1.2.3/docs/waiting.md)" in text
        assert "](https://host.test/x/y/raw/v1.2.3/docs/board.png)" in text

    def test_links_are_plain_text_before(self, hook: ModuleType) -> None:
        text = hook.absolute((ROOT / "README.md").read_text(), "", "v1.2.3")
        assert not LOCAL_LINK.search(text)
        assert "![" not in text
        assert "(https://datature.io)" in text

    @pytest.mark.parametrize(
        ("url", "found"),
        [
            ("https://host.test/x/y.git", "https://host.test/x/y"),
            ("git@host.test:x/y.git", "https://host.test/x/y"),
            ("ssh://git@host.test/x/y", "https://host.test/x/y"),
            ("/srv/git/y", ""),
            ("https://user:password@host.test/x/y", ""),
        ],
    )
    def test_where_the_repository_is(
        self, hook: ModuleType, monkeypatch: pytest.MonkeyPatch, url: str, found: str
    ) -> None:
        monkeypatch.setenv("REPOSITORY_URL", url)
        assert hook.published_at(ROOT) == found


def test_the_matrix_is_that_of_the_classifiers() -> None:
    from tools.matrix import versions

    found = versions()
    assert found[0] == "3.11"
    assert f"{sys.version_info[0]}.{sys.version_info[1]}" in found


class TestEnvironments:
    """`make` creates its environments whole or not at all."""

    @pytest.fixture
    def clone(self, tmp_path: Path) -> Path:
        if shutil.which("make") is None:
            pytest.skip("make is not installed")
        for name in ("Makefile", "pyproject.toml"):
            shutil.copy(ROOT / name, tmp_path / name)
        shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
        return tmp_path

    def python(self, clone: Path, source: str) -> str:
        """Return the path of a shell script that stands for a Python."""
        script = clone / "python-that-is-none"
        script.write_text(f"#!/bin/sh\n{source}\n")
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        return str(script)

    def make(self, clone: Path, python: str) -> subprocess.CompletedProcess[str]:
        names = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")
        env = {name: value for name, value in os.environ.items() if name not in names}
        return subprocess.run(
            ["make", "-C", str(clone), "demo", f"PYTHON={python}"],
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )

    def test_an_old_python_is_named_before_anything_is_left_behind(self, clone: Path) -> None:
        old = self.python(clone, '[ "$1" = -V ] && echo Python 3.9.2; [ "$1" = -V ]')
        done = self.make(clone, old)
        assert done.returncode != 0
        said = [line for line in done.stderr.splitlines() if not line.startswith("make")]
        assert len(said) == 1
        assert "is Python 3.9.2, but Python 3.11 or newer is needed" in said[0]
        assert not (clone / ".venv-demo").exists()

    def test_a_python_that_is_not_installed(self, clone: Path) -> None:
        done = self.make(clone, "python3.99")
        assert "python3.99 is not installed" in done.stderr
        assert not (clone / ".venv-demo").exists()

    def test_an_environment_that_cannot_be_created_is_removed(self, clone: Path) -> None:
        python = self.python(clone, 'case "$2" in venv) mkdir -p "$3"; exit 1;; esac')
        done = self.make(clone, python)
        assert "python3-venv" in done.stderr
        assert not (clone / ".venv-demo").exists()

    def test_a_broken_one_is_built_again(self, clone: Path) -> None:
        broken = clone / ".venv-demo"
        broken.mkdir()
        (broken / ".ready").touch()
        python = self.python(clone, 'case "$2" in venv) echo again >&2; exit 1;; esac')
        assert "again" in self.make(clone, python).stderr
