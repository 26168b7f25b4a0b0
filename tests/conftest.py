"""Fixtures: a virtual service, and one driver for the sync and the async client."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import settings
from nexus_operations import AsyncClient, Client, Operation
from nexus_operations.simulator import Service
from nexus_operations.testing import VirtualClock, VirtualTransport

from tests.support.signals import hear_ctrl_c

pytest_plugins = ["pytester", "tests.support.fixtures"]

hear_ctrl_c()

settings.register_profile("any machine", deadline=None)  # a busy one is slow
settings.load_profile("any machine")

SECRET = "canary-5aa41e8ba"
PROJECT = "proj_simulated"


class Driver:
    """Calls the sync or the async client by the same words, in virtual time."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.clock = VirtualClock()
        self.service: Service = self.clock.service()
        self.transport = VirtualTransport(self.service, self.clock)
        self.options: dict[str, Any] = {"transport": self.transport, "clock": self.clock}

    def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Call a method of `operations` that returns."""
        if self.kind == "sync":
            with Client(SECRET, **self.options) as client:
                return getattr(client.get_project(PROJECT).operations, method)(*args, **kwargs)

        async def run() -> Any:
            async with AsyncClient(SECRET, **self.options) as client:
                operations = client.get_project(PROJECT).operations
                return await getattr(operations, method)(*args, **kwargs)

        return asyncio.run(run())

    def call_iterator(self, method: str, *args: Any, **kwargs: Any) -> list[Any]:
        """Call a method of `operations` that iterates; return its items."""
        if self.kind == "sync":
            with Client(SECRET, **self.options) as client:
                operations = client.get_project(PROJECT).operations
                return list(getattr(operations, method)(*args, **kwargs))

        async def run() -> list[Any]:
            async with AsyncClient(SECRET, **self.options) as client:
                operations = client.get_project(PROJECT).operations
                return [item async for item in getattr(operations, method)(*args, **kwargs)]

        return asyncio.run(run())

    def get(self, op_id: str) -> Operation:
        return self.call("get", op_id)

    def wait(self, *args: Any, **kwargs: Any) -> Operation | None:
        return self.call("wait_until_done", *args, **kwargs)

    def watch(self, *args: Any, **kwargs: Any) -> list[Operation]:
        return self.call_iterator("watch", *args, **kwargs)

    @property
    def elapsed(self) -> float:
        """Virtual seconds since the start."""
        return self.clock.now - VirtualClock().now


@pytest.fixture(params=["sync", "async"])
def nexus(request: pytest.FixtureRequest) -> Driver:
    return Driver(request.param)
