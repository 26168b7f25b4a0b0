"""`make contract`: a service of one's own is compared with the document, read-only and bounded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from nexus_operations.simulator import Life, Simulator, Trouble

if sys.version_info < (3, 11):
    pytest.skip("schemathesis 4 needs Python 3.11", allow_module_level=True)

UNKNOWN = "op_00000000-0000-0000-0000-000000000000"
SCRIPT = Path(__file__).parent / "contract_check.py"
SECRET = "canary-5aa41e8ba"


def check(simulator: Simulator, op_id: str, secret: str = SECRET) -> tuple[int, str]:
    """Run the check; return its exit code and all that it printed."""
    command = [sys.executable, str(SCRIPT), "--url", simulator.endpoint]
    command += ["--project", "proj_simulated", "--op", op_id]
    environment = {**os.environ, "NEXUS_SECRET": secret, "NO_COLOR": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def simulator() -> Simulator:
    return Simulator(secret=SECRET)


def test_a_service_that_keeps_the_contract(simulator: Simulator) -> None:
    with simulator:
        code, printed = check(simulator, simulator.start(Life(items=10)))
        statuses = {request.status for request in simulator.service.requests}
        asked = {request.op_id for request in simulator.service.requests}
        made = simulator.service.request_count
    assert code == 0, printed
    assert statuses >= {200, 404}
    assert UNKNOWN in asked
    assert made <= 100
    assert SECRET not in printed


def test_a_drift_is_shown_with_the_response_that_broke_it(simulator: Simulator) -> None:
    body = '{"id": "op_1", "kind": 7}'
    with simulator:
        op_id = simulator.start(Life(items=10))
        simulator.trouble(Trouble(kind="body", body=body, times=1000), op_id=op_id)
        code, printed = check(simulator, op_id)
    assert code == 1
    assert "Response violates schema" in printed
    assert '"kind": 7' in printed or '"kind":7' in printed
    assert SECRET not in printed


def test_the_secret_must_be_in_the_environment(simulator: Simulator) -> None:
    with simulator:
        code, printed = check(simulator, "op_1", secret="")
        assert simulator.service.request_count == 0
    assert code == 2
    assert "NEXUS_SECRET" in printed
