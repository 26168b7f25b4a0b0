"""The recipes of docs/engines.md, each run in its engine; Temporal's without a server."""

from __future__ import annotations

import asyncio
import inspect
import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from nexus_operations import OperationFailedError, WaitState, wire
from nexus_operations.simulator import Life, Simulator, Trouble

PAGE = Path(__file__).parent.parent.parent / "docs/engines.md"
OP_ID = "op_508fc5d1-e908-486d-9e7b-1dca99b80024"
PROJECT = "proj_b705a........"
FAILS = Life(duration=0, outcome="Errored", message="Disk quota exceeded")


@pytest.fixture
def simulator(nexus_simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Simulator:
    monkeypatch.setenv("DATATURE_API_BASE_URL", nexus_simulator.endpoint)
    monkeypatch.setenv("NEXUS_SECRET", "any")
    monkeypatch.setenv("NEXUS_PROJECT", PROJECT)
    return nexus_simulator


def begin(simulator: Simulator, life: Life) -> None:
    simulator.start(life, project_id=PROJECT, op_id=OP_ID)


def recipe(engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Import a recipe as a module of its own: the engines look for their functions' source."""
    section = PAGE.read_text().split(f"## {engine}\n")[1]
    found = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert found is not None
    name = f"recipe_{engine.lower()}"
    (tmp_path / f"{name}.py").write_text(found[1])
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, name, raising=False)
    return __import__(name)


@pytest.fixture(scope="module")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = str(tmp_path_factory.mktemp("prefect"))
    os.environ.update(PREFECT_HOME=folder, DO_NOT_TRACK="1", PREFECT_LOGGING_LEVEL="ERROR")
    os.environ.update(NO_PROXY="127.0.0.1,localhost", no_proxy="127.0.0.1,localhost")
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.mark.usefixtures("prefect_server")
class TestPrefect:
    @pytest.fixture
    def export(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
        module = recipe("Prefect", tmp_path, monkeypatch)
        module.wait.retry_delay_seconds = [0, 0, 0]
        return module.export

    def test_it_waits(self, simulator: Simulator, export: Any) -> None:
        begin(simulator, Life(duration=0.3))
        operation = wire.result_from_json(asyncio.run(export()))
        assert operation is not None
        assert (operation.id, operation.status.overview) == (OP_ID, "Finished")

    def test_a_failed_operation_is_not_waited_for_again(
        self, simulator: Simulator, export: Any
    ) -> None:
        begin(simulator, FAILS)
        with pytest.raises(OperationFailedError, match="Disk quota exceeded"):
            asyncio.run(export())
        assert simulator.service.request_count == 1

    def test_trouble_is(self, simulator: Simulator, export: Any) -> None:
        begin(simulator, Life(duration=0))
        simulator.trouble(Trouble(kind="status", status=403, times=2), op_id=OP_ID)
        assert asyncio.run(export())["operation"]["id"] == OP_ID
        assert simulator.service.request_count == 3


class TestDagster:
    @pytest.fixture
    def module(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
        monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
        return recipe("Dagster", tmp_path, monkeypatch)

    def test_it_waits(self, simulator: Simulator, module: ModuleType) -> None:
        begin(simulator, Life(duration=0.3))
        done = module.export.execute_in_process()
        operation = wire.result_from_json(done.output_for_node("wait"))
        assert operation is not None
        assert (operation.id, operation.status.overview) == (OP_ID, "Finished")

    def test_a_failed_operation_is_not_waited_for_again(
        self, simulator: Simulator, module: ModuleType
    ) -> None:
        from dagster import Failure

        begin(simulator, FAILS)
        with pytest.raises(Failure, match="Disk quota exceeded"):
            module.export.execute_in_process()
        assert simulator.service.request_count == 1

    def test_trouble_is(self, simulator: Simulator, module: ModuleType) -> None:
        from dagster import RetryPolicy, job

        assert module.wait.retry_policy.max_retries > 0

        @job
        def soon() -> None:
            module.wait.with_retry_policy(RetryPolicy(max_retries=1))(module.start())

        begin(simulator, Life(duration=0))
        simulator.trouble(Trouble(kind="status", status=403), op_id=OP_ID)
        assert soon.execute_in_process(raise_on_error=False).success
        assert simulator.service.request_count == 2


class TestTemporal:
    @pytest.fixture
    def module(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
        return recipe("Temporal", tmp_path, monkeypatch)

    @staticmethod
    def run(module: ModuleType, heartbeats: list[Any], *told: Any) -> Any:
        """Run the activity as a worker does, with what an earlier one told."""
        import dataclasses

        from temporalio.testing import ActivityEnvironment

        environment = ActivityEnvironment()
        environment.info = dataclasses.replace(environment.info, heartbeat_details=list(told))
        environment.on_heartbeat = heartbeats.append
        state = WaitState(OP_ID, started_at=time.time()).to_json()
        return asyncio.run(environment.run(module.wait, state))

    def test_it_waits_and_tells_how_far_it_is(
        self, simulator: Simulator, module: ModuleType
    ) -> None:
        begin(simulator, Life(duration=0.5))
        heartbeats: list[Any] = []
        operation = wire.result_from_json(self.run(module, heartbeats))
        assert operation is not None
        assert (operation.id, operation.status.overview) == (OP_ID, "Finished")
        assert [state["polls"] for state in heartbeats] == list(
            range(1, simulator.service.request_count + 1)
        )
        assert all(WaitState.from_json(state).reached for state in heartbeats)

    def test_another_worker_goes_on(self, simulator: Simulator, module: ModuleType) -> None:
        begin(simulator, Life(duration=0))
        heartbeats: list[Any] = []
        self.run(module, heartbeats, WaitState(OP_ID, time.time() - 60, 7, True).to_json())
        assert [state["polls"] for state in heartbeats] == [8]

    def test_a_failed_operation_is_an_error_that_is_not_retried(
        self, simulator: Simulator, module: ModuleType
    ) -> None:
        begin(simulator, FAILS)
        with pytest.raises(OperationFailedError, match="Disk quota exceeded"):
            self.run(module, [])
        assert OperationFailedError.__name__ in inspect.getsource(module.Export)

    def test_the_workflow_is_one(self, module: ModuleType) -> None:
        from temporalio import activity, workflow

        assert workflow._Definition.must_from_class(module.Export).name == "Export"
        assert activity._Definition.must_from_callable(module.wait).name == "wait"
