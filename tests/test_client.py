"""The clients: what they read from the environment, and how they end."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path
from typing import Any

import pytest
from nexus_operations import AsyncClient, Client, NotFoundError, WaitErrorGroup
from nexus_operations.simulator import Simulator

from tests.conftest import PROJECT, SECRET


@pytest.mark.parametrize("client", [Client, AsyncClient])
class TestTheEnvironment:
    def test_holds_the_secret_and_the_project(
        self, client: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("NEXUS_SECRET", SECRET)
        monkeypatch.setenv("NEXUS_PROJECT", PROJECT.removeprefix("proj_"))
        project = client().get_project()
        assert (project.id, project.project_id) == (PROJECT, PROJECT)

    @pytest.mark.parametrize("value", [None, ""])
    def test_that_lacks_them_is_named(
        self, client: Any, value: str | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("NEXUS_SECRET", "NEXUS_PROJECT"):
            monkeypatch.delenv(name, raising=False)
            if value is not None:
                monkeypatch.setenv(name, value)
        with pytest.raises(ValueError, match="secret_key must be given, or NEXUS_SECRET set"):
            client()
        with pytest.raises(ValueError, match="NEXUS_PROJECT"):
            client(SECRET).get_project()

    def test_with_a_bad_secret_is_named_and_shows_it_nowhere(
        self, client: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("NEXUS_SECRET", f"{SECRET}\x07")
        with pytest.raises(ValueError, match="from NEXUS_SECRET") as caught:
            client()
        frame = caught.value.__traceback__
        while frame is not None:
            if "nexus_operations" in frame.tb_frame.f_code.co_filename:
                found = {k: v for k, v in frame.tb_frame.f_locals.items() if k != "self"}
                assert SECRET not in repr(found)
            frame = frame.tb_next


def test_a_client_that_was_not_used_is_closed_whatever_its_certificate(tmp_path: Path) -> None:
    for name in ("certificate.pem", "key.pem"):
        (tmp_path / name).write_text("no PEM")
    client = Client(None, tmp_path / "certificate.pem", tmp_path / "key.pem")
    client.close()


def test_an_async_client_outside_asyncio_says_so() -> None:
    operations = AsyncClient(SECRET, endpoint="http://127.0.0.1:9").get_project(PROJECT).operations
    for call in (operations.get("op_1"), operations.wait_until_done("op_1")):
        with pytest.raises(RuntimeError, match="AsyncClient works in asyncio's event loop"):
            call.send(None)
        call.close()
    gc.collect()


def test_a_notebook_shows_the_callers_lines_of_a_group(nexus_simulator: Simulator) -> None:
    async def wait() -> None:
        async with AsyncClient(SECRET, endpoint=nexus_simulator.endpoint) as client:
            await client.get_project(PROJECT).operations.wait_all(["op_1", "op_2"])

    with pytest.raises(WaitErrorGroup, match="2 of 2 operations; op_1: ") as caught:
        asyncio.run(wait())
    assert [type(error) for error in caught.value.exceptions] == [NotFoundError] * 2
    lines = "\n".join(caught.value._render_traceback_())
    assert "test_client.py" in lines
    assert "_loops.py" not in lines
