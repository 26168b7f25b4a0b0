"""An example DAG: start exports on the simulator, wait for each in a triggerer, report.

It needs a connection `nexus_default` whose endpoint is a simulator (`nexus-operations simulate`);
`make airflow-demo` runs it with Airflow's real parts. With the real service, the first task would
start the exports through the vendor's SDK and return their ids.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import Param, dag, task
from nexus_operations.airflow.hooks import NexusHook
from nexus_operations.airflow.operators import NexusWaitOperator

LIVES: list[dict[str, Any]] = [
    {"duration": 8, "items": 200, "unit": "assets"},
    {"duration": 12, "items": 2000, "unit": "assets", "queued": 2},
]


@dag(schedule=None, params={"lives": Param(LIVES, type="array")}, tags=["nexus", "example"])
def nexus_example() -> None:
    """Start exports, wait for them, report."""

    @task
    def start_exports(params: dict[str, Any]) -> list[str]:
        import httpx

        endpoint = NexusHook().settings().endpoint
        with httpx.Client(base_url=str(endpoint)) as simulator:
            answers = [
                simulator.post("/_simulator/operations", json={"life": life})
                for life in params["lives"]
            ]
        return [answer.json()["id"] for answer in answers]

    @task(trigger_rule="all_done")
    def report(operations: Any) -> None:
        for operation in operations:
            print(operation["id"], operation["status"]["message"])

    wait = NexusWaitOperator.partial(
        task_id="wait",
        max_wait=timedelta(hours=10),
        retries=2,
        retry_delay=timedelta(seconds=5),
    ).expand(op_id=start_exports())
    report(wait.output)


nexus_example()
