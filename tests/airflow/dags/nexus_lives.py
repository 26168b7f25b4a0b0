"""Waits for operations whose ids and bounds come with the run; see tests/airflow/real.py."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import dag, task
from nexus_operations.airflow.operators import NexusWaitOperator


def waits(name: str, retries: int) -> Any:
    """Return a DAG that waits for the operations of its run's configuration."""

    @dag(dag_id=name, schedule=None, max_active_tasks=5000, params={"waits": []})
    def lives() -> None:
        @task
        def listed(params: dict[str, Any]) -> list[dict[str, Any]]:
            waits: list[dict[str, Any]] = params["waits"]
            return waits

        NexusWaitOperator.partial(
            task_id="wait", retries=retries, retry_delay=timedelta(seconds=1)
        ).expand_kwargs(listed())

    return lives()


retried = waits("nexus_lives", 1)
once = waits("nexus_once", 0)
