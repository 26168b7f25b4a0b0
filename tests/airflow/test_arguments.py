"""Arguments are checked when the DAG is parsed: on its own, mapped, decorated, from defaults."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import DAG, TaskGroup, task
from nexus_operations.airflow.operators import NexusOperationOperator, NexusWaitOperator
from nexus_operations.airflow.sensors import NexusOperationSensor

BAD: list[tuple[str, Any]] = [
    ("raise_exception_if", 5),
    ("raise_exception_if", ["Errored", 5]),
    ("max_outage", "10h"),
    ("max_outage", -1),
    ("max_outage", float("nan")),
    ("max_outage", True),
    ("pace", 0),
    ("pace", -1),
    ("pace", "fast"),
    ("pace", None),
    ("first_poll_after", -1),
    ("first_poll_after", "soon"),
    ("deferrable", "yes"),
    ("retry_failed_operation", 1),
    ("project_id", ""),
    ("project_id", 7),
    ("nexus_conn_id", None),
    ("nexus_conn_id", ""),
]
BAD_BOUNDS: list[tuple[str, Any]] = [
    ("max_wait", "10h"),
    ("max_wait", -1),
    ("max_wait", "{{ params.hours }}"),
    ("max_wait", float("inf")),
    ("max_polls", 1.5),
    ("max_polls", 0),
    ("max_polls", True),
    ("max_polls", "3"),
]
BAD_IDS: list[tuple[str, Any]] = [
    ("op_id", None),
    ("op_id", ""),
    ("op_id", "  "),
    ("op_id", 5),
    ("op_id", ["op_1"]),
    ("op_id", {"kind": "export"}),
]
GOOD: list[tuple[str, Any]] = [
    ("raise_exception_if", "Errored"),
    ("raise_exception_if", None),
    ("raise_exception_if", {"Errored", "Cancelled"}),
    ("max_outage", None),
    ("max_outage", timedelta(minutes=5)),
    ("pace", 1),
    ("first_poll_after", timedelta(seconds=3)),
    ("first_poll_after", 0),
    ("first_poll_after", None),
    ("project_id", "{{ params.project }}"),
    ("project_id", None),
    ("deferrable", None),
]


def kinds(cases: list[tuple[str, Any]]) -> list[Any]:
    return [pytest.param(name, value, id=f"{name}={value!r}") for name, value in cases]


@pytest.mark.parametrize(("name", "value"), kinds([*BAD, *BAD_BOUNDS, *BAD_IDS]))
class TestBadForAnOperator:
    def test_alone(self, name: str, value: Any) -> None:
        with pytest.raises((ValueError, TypeError), match=f"^{name} "):
            NexusWaitOperator(**{"task_id": "wait", "op_id": "op_1", name: value})

    def test_mapped(self, name: str, value: Any) -> None:
        with pytest.raises((ValueError, TypeError), match=f"^{name} "):
            NexusWaitOperator.partial(**{"task_id": "wait", name: value})


@pytest.mark.parametrize(("name", "value"), kinds([*BAD, *BAD_BOUNDS]))
class TestBadForAFunction:
    def test_decorated(self, name: str, value: Any) -> None:
        with pytest.raises((ValueError, TypeError), match=f"^{name} "):

            @task.nexus(**{name: value})
            def export() -> str:
                return "op_1"

    def test_as_a_default_of_the_dag(self, name: str, value: Any) -> None:
        with (
            DAG("d", schedule=None, default_args={name: value}),
            pytest.raises((ValueError, TypeError), match=f"^{name} "),
        ):
            NexusOperationOperator(task_id="wait")

    def test_mapped_as_a_default(self, name: str, value: Any) -> None:
        with (
            DAG("d", schedule=None),
            TaskGroup("g", default_args={name: value}),
            pytest.raises((ValueError, TypeError), match=f"^{name} "),
        ):
            NexusOperationOperator.partial(task_id="wait")


@pytest.mark.parametrize(
    ("name", "value"),
    kinds(
        [
            *BAD,
            *BAD_IDS,
            ("timeout", "10h"),
            ("timeout", -1),
            ("poke_interval", "soon"),
            ("mode", "often"),
        ]
    ),
)
class TestBadForASensor:
    def test_alone(self, name: str, value: Any) -> None:
        with pytest.raises((ValueError, TypeError), match=name):
            NexusOperationSensor(**{"task_id": "sense", "op_id": "op_1", name: value})

    def test_mapped(self, name: str, value: Any) -> None:
        with pytest.raises((ValueError, TypeError), match=f"^{name} "):
            NexusOperationSensor.partial(**{"task_id": "sense", name: value})


@pytest.mark.parametrize(("name", "value"), kinds(GOOD))
def test_good(name: str, value: Any) -> None:
    options = {"task_id": "wait", "op_id": "op_1", name: value}
    NexusWaitOperator(**options)
    NexusOperationSensor(**options)
    NexusWaitOperator.partial(**{"task_id": "wait", name: value})


def test_a_misspelt_status() -> None:
    with pytest.raises(ValueError, match=r"^raise_exception_if .*Erored"):
        NexusWaitOperator(task_id="wait", op_id="op_1", raise_exception_if="Erored")
    with pytest.raises(ValueError, match=r"^raise_exception_if .*Erored"):
        NexusWaitOperator.partial(task_id="wait", raise_exception_if=["Finished", "Erored"])


def test_a_string_is_one_status() -> None:
    waiting = NexusWaitOperator(task_id="wait", op_id="op_1", raise_exception_if="Errored")
    assert waiting.bounds.raise_exception_if == ("Errored",)


def test_another_tasks_result_is_an_id() -> None:
    with DAG("d", schedule=None):

        @task
        def started() -> str:
            return "op_1"

        alone = NexusWaitOperator(task_id="alone", op_id=started())
        mapped = NexusOperationSensor.partial(task_id="mapped").expand(op_id=started())
    assert alone.upstream_task_ids == {"started"}
    assert mapped.upstream_task_ids == {"started__1"}


def test_what_a_task_is_mapped_over_is_checked_where_it_is_written_down() -> None:
    with DAG("d", schedule=None):
        waits = [{"op_id": "op_1", "max_wait": 5}, {"op_id": "op_2"}]
        NexusWaitOperator.partial(task_id="good").expand_kwargs(waits)
        NexusWaitOperator.partial(task_id="fine").expand(op_id=["op_1"], max_wait=[1, None])
        with pytest.raises(TypeError, match=r"^max_wait "):
            NexusWaitOperator.partial(task_id="wait").expand_kwargs(
                [*waits, {"op_id": "op_3", "max_wait": "10h"}]
            )
        with pytest.raises(ValueError, match=r"^pace "):
            NexusWaitOperator.partial(task_id="wait").expand(op_id=["op_1"], pace=[1, 0])


def test_what_comes_at_run_time_is_checked_then() -> None:
    with DAG("d", schedule=None):

        @task
        def waits() -> list[dict[str, Any]]:
            return []

        mapped = NexusWaitOperator.partial(task_id="wait").expand_kwargs(waits())
    assert mapped.unmap({"op_id": "op_1", "max_wait": 5}).bounds.max_wait == 5.0
    with pytest.raises(TypeError, match=r"^max_wait "):
        mapped.unmap({"op_id": "op_2", "max_wait": "10h"})
