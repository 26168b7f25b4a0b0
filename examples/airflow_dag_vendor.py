"""An example DAG: export a project's annotations through the vendor's package and wait for it.

It needs the package `datature` on the workers, and a connection `nexus_default` with a secret key
and a project.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import dag, task
from nexus_operations.airflow.hooks import NexusHook


@dag(schedule=None, tags=["nexus", "example"])
def nexus_vendor_example() -> None:
    """Export the annotations, download them."""

    @task.nexus(max_wait=timedelta(hours=10), retries=2)
    def export() -> Any:
        from datature.nexus import Client

        settings = NexusHook().settings()
        project = Client(settings.secret).get_project(settings.project_id)
        # In the background: the vendor's package does not wait, this task does.
        return project.annotations.create_export({"format": "coco"}, background=True)

    @task
    def download(operation: dict[str, Any]) -> str:
        from datature.nexus import Client

        settings = NexusHook().settings()
        project = Client(settings.secret).get_project(settings.project_id)
        files = project.annotations.download_exported_file(operation["id"])
        return str(files.download_path)

    download(export())


nexus_vendor_example()
