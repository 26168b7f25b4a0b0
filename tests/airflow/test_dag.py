"""The example DAG, run by `dag.test()`: operations that finish, error, and are cancelled."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import Connection
from nexus_operations.airflow.hooks import Settings
from nexus_operations.simulator import Simulator

from tests.airflow.conftest import EXAMPLES


@pytest.fixture(scope="module")
def database() -> None:
    """Airflow's database, of SQLite."""
    command = [sys.executable, "-m", "airflow", "db", "migrate"]
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture
def dag(database: None, simulator: Simulator) -> Any:
    bag = DagBag(str(EXAMPLES / "airflow_dag.py"))
    assert not bag.import_errors
    return bag.dags["nexus_example"]


def test_the_documents_dag_loads(simulator: Simulator) -> None:
    page = (EXAMPLES.parent / "docs/airflow.md").read_text()
    (block,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    namespace: dict[str, Any] = {}
    exec(compile(block, "airflow.md", "exec"), namespace)
    dag = namespace["export_annotations"]()
    assert dag.task_ids == ["start_export", "wait", "use"]
    (settings,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    assert Settings.of(Connection.from_json(settings)).max_rate == 20


def test_the_example(dag: Any, simulator: Simulator, capfd: pytest.CaptureFixture[str]) -> None:
    lives = [
        {"duration": 3, "items": 10},
        {"duration": 2, "outcome": "Errored", "message": "Disk quota exceeded"},
        {"duration": 2, "outcome": "Cancelled"},
    ]
    run = dag.test(run_conf={"lives": lives})
    states = {(ti.task_id, ti.map_index): str(ti.state) for ti in run.get_task_instances()}
    assert states[("wait", 0)] == "success"
    assert states[("wait", 1)] == "failed"
    assert states[("wait", 2)] == "failed"
    assert len(simulator.service.operations()) == 3
