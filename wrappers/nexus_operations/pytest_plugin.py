"""What pytest finds where the package is installed: `nexus_simulator` and `nexus_contract`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from nexus_operations.contract._pytest import (
    nexus_contract as nexus_contract,
)
from nexus_operations.contract._pytest import (
    pytest_configure as pytest_configure,
)
from nexus_operations.contract._pytest import (
    pytest_runtest_call as pytest_runtest_call,
)

if TYPE_CHECKING:
    from nexus_operations.simulator import Simulator


@pytest.fixture(scope="session")
def _nexus_simulator_server() -> Iterator[Simulator]:
    """One server for the whole run: starting one takes some 50 ms."""
    from nexus_operations.simulator import Simulator

    with Simulator() as simulator:
        yield simulator


@pytest.fixture
def nexus_simulator(_nexus_simulator_server: Simulator) -> Iterator[Simulator]:
    """A simulated Nexus service on loopback, with no operations and no trouble.

    Needs the extra `simulator`. Give `nexus_simulator.endpoint` to a client.
    """
    _nexus_simulator_server.service.reset()
    yield _nexus_simulator_server
    _nexus_simulator_server.service.reset()
