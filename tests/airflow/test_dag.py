"""The example DAGs and the document's, run by `dag.test()`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import Connection
from nexus_operations.airflow._connection import ConnectionSettings
from nexus_operations.simulator import Simulator

from tests.airflow.conftest import EXAMPLES
from tests.airflow.support import PROJECT, SECRET

PAGE = EXAMPLES.parent / "docs/airflow.md"


@pytest.fixture(scope="module")
def database() -> None:
    """Airflow's database, of SQLite."""
    command = [sys.executable, "-m", "airflow", "db", "migrate"]
    subprocess.run(command, check=True, capture_output=True)


def loaded(path: Path) -> dict[str, Any]:
    """Return the DAGs of a file."""
    bag = DagBag(str(path))
    assert not bag.import_errors
    return dict(bag.dags)


def states(run: Any) -> dict[tuple[str, int], str]:
    """Return the state of each task instance of a run."""
    return {(ti.task_id, ti.map_index): str(ti.state) for ti in run.get_task_instances()}


def test_the_documents_dags_load(tmp_path: Path, simulator: Simulator) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    tasks: dict[str, list[str]] = {}
    for number, block in enumerate(blocks):
        path = tmp_path / f"dag_{number}.py"
        path.write_text(block)
        tasks.update((name, dag.task_ids) for name, dag in loaded(path).items())
    assert tasks == {
        "export_annotations": ["start_export", "wait", "use"],
        "export_and_wait": ["export", "use"],
    }


def test_the_documents_connections_are_understood() -> None:
    page = PAGE.read_text()
    (text,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    connection = Connection.from_json(text, conn_id="c")
    assert ConnectionSettings.from_connection(connection).max_rate == 20
    uris = re.findall(r"`(nexus://[^`]*)`", page)
    assert len(uris) >= 4
    for uri in uris:
        settings = ConnectionSettings.from_connection(Connection.from_uri(uri, conn_id="c"))
        assert settings.secret == "secret"
        assert str(settings.endpoint).startswith("http")


def test_operations_that_finish_error_and_are_cancelled(
    database: None, simulator: Simulator
) -> None:
    dag = loaded(EXAMPLES / "airflow_dag.py")["nexus_example"]
    lives = [
        {"duration": 3, "items": 10},
        {"duration": 2, "outcome": "Errored", "message": "Disk quota exceeded"},
        {"duration": 2, "outcome": "Cancelled"},
    ]
    found = states(dag.test(run_conf={"lives": lives}))
    assert found["wait", 0] == "success"
    assert found["wait", 1] == "failed"
    assert found["wait", 2] == "failed"
    assert len(simulator.service.operations()) == 3


def test_start_and_wait_in_one_task(database: None, simulator: Simulator) -> None:
    dag = loaded(EXAMPLES / "airflow_dag_start.py")["nexus_start_example"]
    lives = [{"duration": 3, "items": 10}, {"duration": 0}]
    found = states(dag.test(run_conf={"lives": lives}))
    assert (found["export", 0], found["export", 1]) == ("success", "success")
    assert len(simulator.service.operations()) == 2


def test_an_export_through_the_vendors_package(
    database: None, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def create_export(metadata: dict[str, Any], background: bool = False) -> Any:
        asked.append((metadata, background))
        return SimpleNamespace(id=simulator.start())

    def download_exported_file(op_id: str) -> Any:
        asked.append(op_id)
        return SimpleNamespace(download_path="local")

    annotations = SimpleNamespace(
        create_export=create_export, download_exported_file=download_exported_file
    )

    def client(secret: str) -> Any:
        assert secret == SECRET
        return SimpleNamespace(get_project=project)

    def project(project_id: str) -> Any:
        assert project_id == PROJECT
        return SimpleNamespace(annotations=annotations)

    vendor = ModuleType("datature.nexus")
    vendor.Client = client  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "datature", ModuleType("datature"))
    monkeypatch.setitem(sys.modules, "datature.nexus", vendor)
    dag = loaded(EXAMPLES / "airflow_dag_vendor.py")["nexus_vendor_example"]
    found = states(dag.test())
    assert found == {("export", -1): "success", ("download", -1): "success"}
    (operation,) = simulator.service.operations()
    assert asked == [({"format": "coco"}, True), operation["id"]]
