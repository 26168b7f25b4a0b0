"""An Airflow provider: thousands of waits across many pipelines, in triggerers.

    hooks.py      the connection type `nexus`, and clients made from a connection
    triggers.py   the wait itself, in a triggerer
    operators.py  `NexusWaitOperator`, and `NexusOperationOperator`, which starts what it waits for
    decorators.py `@task.nexus`, the same of a function
    sensors.py    `NexusOperationSensor`, the wait with a sensor's arguments
    _waiting.py   what the operators and the sensor do alike
    _events.py    what a trigger tells its task, and what the task makes of it

Needs the extra `airflow` (Airflow 3.2 or newer). This module is what Airflow loads at every start:
it imports none of the others.
"""

from __future__ import annotations

from typing import Any

__all__ = ["get_provider_info"]

HOOK = "nexus_operations.airflow.hooks.NexusHook"
INTEGRATION = "Datature Nexus"


def _modules(kind: str) -> list[dict[str, Any]]:
    module = f"nexus_operations.airflow.{kind}"
    return [{"integration-name": INTEGRATION, "python-modules": [module]}]


def _field(label: str, description: str, **schema: Any) -> dict[str, Any]:
    return {"label": label, "description": description, "schema": schema}


def get_provider_info() -> dict[str, Any]:
    """Return what Airflow wants to know of the provider (entry point `apache_airflow_provider`)."""
    path = ["string", "null"]
    return {
        "package-name": "nexus-operations",
        "name": INTEGRATION,
        "description": "Wait for long-running operations of Datature Nexus.",
        "integrations": [
            {
                "integration-name": INTEGRATION,
                "external-doc-url": "https://developers.datature.io",
                "tags": ["service"],
            }
        ],
        "hooks": _modules("hooks"),
        "triggers": _modules("triggers"),
        "operators": _modules("operators"),
        "sensors": _modules("sensors"),
        "task-decorators": [
            {"class-name": "nexus_operations.airflow.decorators.nexus_task", "name": "nexus"}
        ],
        "connection-types": [
            {
                "connection-type": "nexus",
                "hook-class-name": HOOK,
                "hook-name": INTEGRATION,
                "ui-field-behaviour": {
                    "hidden-fields": ["port", "schema"],
                    "relabeling": {
                        "host": "Endpoint",
                        "login": "Project id",
                        "password": "Secret key",
                    },
                    "placeholders": {
                        "host": "https://api.datature.io",
                        "login": "proj_…",
                    },
                },
                "conn-fields": {
                    "max_rate": _field(
                        "Requests per second",
                        "The most that each triggerer makes; empty for no bound.",
                        type=["number", "null"],
                    ),
                    "max_concurrency": _field(
                        "Requests in flight",
                        "The most that each triggerer has open; empty for the default.",
                        type=["integer", "null"],
                    ),
                    "certificate": _field(
                        "Client certificate", "A PEM file on the workers and triggerers.", type=path
                    ),
                    "private_key": _field(
                        "Its private key", "A PEM file on the workers and triggerers.", type=path
                    ),
                },
            }
        ],
    }
