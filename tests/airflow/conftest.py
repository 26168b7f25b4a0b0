"""An Airflow of the tests' own: its home, its database, a connection to the simulator."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import pytest

# Airflow reads its settings when it is first imported.
EXAMPLES = Path(__file__).parent.parent.parent / "examples"
HOME = tempfile.mkdtemp(prefix="nexus-airflow-")
atexit.register(shutil.rmtree, HOME, ignore_errors=True)
os.environ.update(
    AIRFLOW_HOME=HOME,
    AIRFLOW__CORE__DAGS_FOLDER=str(EXAMPLES),
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__UNIT_TEST_MODE="False",
    AIRFLOW__LOGGING__LOGGING_LEVEL="INFO",
)

from nexus_operations.simulator import Simulator  # noqa: E402

from tests.airflow.support import connection  # noqa: E402
from tests.support.signals import hear_ctrl_c  # noqa: E402

hear_ctrl_c()


@pytest.fixture
def simulator(nexus_simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Simulator:
    """A simulator, with the default connection to it."""
    monkeypatch.setenv("AIRFLOW_CONN_NEXUS_DEFAULT", connection(nexus_simulator.endpoint))
    return nexus_simulator
