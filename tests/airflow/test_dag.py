"""The example DAG, run by `dag.test()`: operations that finish, error, and are cancelled."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
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
