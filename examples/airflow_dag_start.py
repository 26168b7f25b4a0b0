"""An example DAG: start exports on the simulator and wait for each, in one task.

Because start and wait are one task, a retry after an export failed starts a new one. It needs a
connection `nexus_default` whose endpoint is a simulator (`nexus-operations simulate`); for the real
service see examples/airflow_dag_vendor.py.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import Param, dag, task
from nexus_operations.airflow.hooks import NexusHook

LIVES: list[dict[str, Any]] = [
    {"duration": 20, "items": 200, "unit": "assets"},
    {"duration": 30, "items": 2000, "unit": "assets", "queued": 2},
]


@dag(schedule=None, params={"lives": Param(LIVES, type="array")}, tags=["nexus", "example"])
def nexus_start_example() -> None:
    """Start exports and wait for them, report."""

    @task
    def lives(params: dict[str, Any]) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = params["lives"]
        return listed

    @task.nexus(max_wait=timedelta(hours=10), retries=2, retry_delay=timedelta(seconds=5))
    def export(life: dict[str, Any]) -> str:
        import httpx

        endpoint = str(NexusHook().settings().endpoint)
        answer = httpx.post(f"{endpoint}/_simulator/operations", json={"life": life})
        op_id: str = answer.raise_for_status().json()["id"]
        return op_id

    @task(trigger_rule="all_done")
    def report(operations: Any) -> None:
        for operation in operations:
            print(operation["id"], operation["status"]["message"])

    report(export.expand(life=lives()))


nexus_start_example()
