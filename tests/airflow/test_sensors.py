"""The sensor: mode x moment x outcome x flag, the same answer in each row."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowRescheduleException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
)
from nexus_operations import NotFoundError, OperationFailedError, ServiceUnavailableError
from nexus_operations.airflow._events import NexusOperationFailed
from nexus_operations.airflow.sensors import NexusOperationSensor
from nexus_operations.simulator import Life, Simulator, Trouble

from tests.airflow.support import DONE, STUCK, deferred, run_to_the_end

MODES: dict[str, dict[str, Any]] = {
    "deferred": {"deferrable": True, "first_poll_after": 0},
    "poke": {"deferrable": False, "mode": "poke"},
    "reschedule": {"deferrable": False, "mode": "reschedule", "poke_interval": 0.1},
}
FLAGS: dict[str, dict[str, Any]] = {
    "none": {},
    "soft_fail": {"soft_fail": True},
    "never_fail": {"never_fail": True},
}
MOMENTS = {"at once": 0.0, "later": 0.3}
"""Seconds for which the operation still runs."""


class Instance:
    """A task instance that remembers when it was first rescheduled."""

    first: datetime | None = None

    def get_first_reschedule_date(self, context: Any) -> datetime | None:
        return self.first


def sense(op_id: str, **options: Any) -> Any:
    """Run a sensor to its end, all its reschedules included."""
    instance = Instance()
    began = datetime.now(UTC)
    for _ in range(100):
        task = NexusOperationSensor(
            task_id="sense", op_id=op_id, **{"pace": 0.1, "timeout": 60, **options}
        )
        try:
            return run_to_the_end(task, {"ti": instance})
        except AirflowRescheduleException as wish:
            instance.first = began
            time.sleep(max((wish.reschedule_date - datetime.now(UTC)).total_seconds(), 0))
    raise AssertionError("the sensor never ends")


Start = Callable[[Simulator, float], tuple[str, dict[str, Any]]]
"""Starts an operation that ends after some seconds; returns its id and the sensor's arguments."""


def ending(outcome: str, **arguments: Any) -> Start:
    def start(simulator: Simulator, after: float) -> tuple[str, dict[str, Any]]:
        life = Life(duration=after, outcome=outcome, message="Its words")  # type: ignore[arg-type]
        return simulator.start(life), arguments

    return start


def outlasting(simulator: Simulator, after: float) -> tuple[str, dict[str, Any]]:
    return simulator.start(STUCK), {"timeout": after}


def unknown(simulator: Simulator, after: float) -> tuple[str, dict[str, Any]]:
    return "op_unknown", {}


def outage(simulator: Simulator, after: float) -> tuple[str, dict[str, Any]]:
    op_id = simulator.start(DONE)
    simulator.trouble(Trouble(kind="status", times=1000), op_id=op_id)
    return op_id, {"max_outage": after, "timeout": 0.5}


def misconfigured(simulator: Simulator, after: float) -> tuple[str, dict[str, Any]]:
    return "op_1", {"nexus_conn_id": "broken"}


SKIPPED = AirflowSkipException
TABLE: dict[str, tuple[Start, type[BaseException] | None, type[BaseException] | None]] = {
    "finished": (ending("Finished"), None, None),
    "errored": (ending("Errored"), NexusOperationFailed, SKIPPED),
    "cancelled": (ending("Cancelled"), NexusOperationFailed, SKIPPED),
    "errored, may be retried": (
        ending("Errored", retry_failed_operation=True),
        OperationFailedError,
        SKIPPED,
    ),
    "outlasts the timeout": (outlasting, AirflowSensorTimeout, SKIPPED),
    "unknown": (unknown, NotFoundError, NotFoundError),
    "an outage": (outage, ServiceUnavailableError, ServiceUnavailableError),
    "a setting that is wrong": (misconfigured, ValueError, ValueError),
}
"""What each outcome becomes without a flag, and with `soft_fail`; `never_fail` skips them all."""


@pytest.mark.parametrize("flag", FLAGS)
@pytest.mark.parametrize("outcome", TABLE)
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("mode", MODES)
def test_the_same_answer_in_each_row(
    mode: str,
    moment: str,
    outcome: str,
    flag: str,
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_BROKEN", "nexus://proj:secret@nexus.test/v1")
    start, plain, soft = TABLE[outcome]
    expected = {"none": plain, "soft_fail": soft, "never_fail": plain and SKIPPED}[flag]
    op_id, arguments = start(simulator, MOMENTS[moment])
    options = {**arguments, **MODES[mode], **FLAGS[flag]}
    if expected is None:
        result = sense(op_id, **options)
        assert (result["id"], result["status"]["overview"]) == (op_id, "Finished")
        return
    with pytest.raises(expected) as caught:
        sense(op_id, **options)
    assert type(caught.value) is expected
    if outcome in ("errored", "cancelled"):
        assert "Its words" in str(caught.value)
    if outcome == "errored, may be retried":
        assert not isinstance(caught.value, AirflowFailException)


@pytest.mark.parametrize("flag", FLAGS)
def test_a_deferral_that_no_triggerer_ends(flag: str, simulator: Simulator) -> None:
    def resumed(op_id: str) -> Any:
        task = NexusOperationSensor(task_id="sense", op_id=op_id, timeout=60, **FLAGS[flag])
        return task.resume_execution("__fail__", {"error": "Trigger timeout"}, {})

    assert resumed(op_id := simulator.start(DONE))["id"] == op_id
    with pytest.raises(AirflowSensorTimeout if flag == "none" else SKIPPED):
        resumed(simulator.start(STUCK))


@pytest.mark.parametrize("flag", FLAGS)
def test_an_execution_timeout(flag: str, simulator: Simulator) -> None:
    task = NexusOperationSensor(
        task_id="sense", op_id="op_1", execution_timeout=timedelta(1), **FLAGS[flag]
    )
    with pytest.raises(AirflowTaskTimeout if flag == "none" else SKIPPED):
        task.resume_execution("__fail__", {"error": "Trigger timeout"}, {})


def test_its_timeout_is_the_bound(simulator: Simulator) -> None:
    task = NexusOperationSensor(
        task_id="sense", op_id=simulator.start(STUCK), timeout=timedelta(seconds=77)
    )
    wish = deferred(lambda: task.execute({}))
    assert wish.trigger.serialize()[1]["bounds"]["max_wait"] == 77.0
    assert wish.timeout == timedelta(seconds=137)


@pytest.mark.parametrize("name", ["max_wait", "max_polls", "silent_fail"])
def test_what_a_sensor_does_not_take(name: str) -> None:
    with pytest.raises(TypeError, match=f"takes no `{name}`: .*(timeout|max_outage)"):
        NexusOperationSensor(task_id="sense", op_id="op_1", **{name: 5})
    with pytest.raises(TypeError, match=f"takes no `{name}`"):
        NexusOperationSensor.partial(task_id="sense", **{name: 5})
