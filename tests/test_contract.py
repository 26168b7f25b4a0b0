"""Contract tests from the document: schemathesis drives the simulator."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from nexus_operations.simulator import Life, Service
from nexus_operations.simulator._app import build_app

if sys.version_info < (3, 11):
    pytest.skip("schemathesis 4 needs Python 3.11", allow_module_level=True)

import schemathesis
from schemathesis.config import SchemathesisConfig

DOCUMENT = Path(__file__).parent.parent / "openapi/operations.yaml"
CONFIG = SchemathesisConfig.from_dict(
    {"auth": {"openapi": {"SecretKey": {"api_key": "secret"}}}, "generation": {"max-examples": 100}}
)

service = Service(secret="secret")
schema = schemathesis.openapi.from_path(str(DOCUMENT), config=CONFIG)
schema.app = build_app(service, lambda scope, sent: None)
EXAMPLE = {
    "project_id": "proj_b705a30ae26671657f1fd51eb2d4739d",
    "op_id": "op_508fc5d1-e908-486d-9e7b-1dca99b80024",
}


@pytest.fixture(autouse=True)
def operation() -> Any:
    service.reset()
    service.start(Life(items=10), **EXAMPLE)


@schema.parametrize()
def test_the_simulator_keeps_the_contract(case: Any) -> None:
    case.call_and_validate()
