"""Waits for operations whose ids and bounds come with the run; see tests/airflow/real.py."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import dag, task
from nexus_operations.airflow.operators import NexusWaitOperator


@dag(schedule=None, max_active_tasks=1000, params={"waits": []})
def nexus_lives() -> None:
    """Wait for the run's operations."""

    @task
    def listed(params: dict[str, Any]) -> list[dict[str, Any]]:
        waits: list[dict[str, Any]] = params["waits"]
        return waits

    NexusWaitOperator.partial(
        task_id="wait", retries=1, retry_delay=timedelta(seconds=1)
    ).expand_kwargs(listed())


nexus_lives()
