"""What the provider's tests share: lives, a trigger run to its event, a task run to its end."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred
from airflow.triggers.base import TriggerEvent
from nexus_operations import WaitState
from nexus_operations.airflow.triggers import NexusOperationTrigger
from nexus_operations.simulator import Life

SECRET = "canary-5aa41e8ba"
PROJECT = "proj_simulated"

STUCK = Life(outcome="Running", items=10)
DONE = Life(duration=0)
FAILS = Life(duration=0, outcome="Errored", message="Disk quota exceeded")
CANCELLED = Life(duration=0, outcome="Cancelled")


def connection(endpoint: str, *, secret: str = SECRET, **extra: object) -> str:
    """Return a connection in Airflow's JSON."""
    fields = {"conn_type": "nexus", "host": endpoint, "password": secret, "login": PROJECT}
    return json.dumps({**fields, "extra": extra})


def trigger(op_id: str, *, began: float = 0.0, polls: int = 0, **bounds: Any) -> Any:
    """Return a trigger of a wait that began some seconds ago."""
    state = WaitState(op_id, time.time() - began, polls)
    return NexusOperationTrigger(state.to_json(), bounds={"pace": 0.1, **bounds})


async def fire(waiting: NexusOperationTrigger) -> dict[str, Any]:
    """Run a trigger to its event, as JSON has it."""
    events = [event async for event in waiting.run()]
    assert len(events) == 1
    assert isinstance(events[0], TriggerEvent)
    payload: dict[str, Any] = json.loads(json.dumps(events[0].payload))
    return payload


def deferred(call: Callable[[], Any]) -> TaskDeferred:
    """Return what a task deferred itself with."""
    with pytest.raises(TaskDeferred) as caught:
        call()
    return caught.value


def again(wish: TaskDeferred) -> NexusOperationTrigger:
    """Return the trigger of a deferral as another process makes it."""
    path, arguments = wish.trigger.serialize()
    assert path == "nexus_operations.airflow.triggers.NexusOperationTrigger"
    return NexusOperationTrigger(**json.loads(json.dumps(arguments)))


def run_to_the_end(task: Any, context: dict[str, Any] | None = None) -> Any:
    """Run a task as Airflow does, its deferral included; return its result or raise its error."""
    context = {} if context is None else context
    try:
        return task.execute(context)
    except TaskDeferred as wish:
        event = asyncio.run(fire(again(wish)))
        kwargs = {**(wish.kwargs or {}), "event": event}
        return task.resume_execution(wish.method_name, kwargs, context)
