"""What Airflow finds of the provider: its parts, its connection form, and what finding it costs."""

from __future__ import annotations

import importlib
import subprocess
import sys
from importlib.metadata import version

from airflow.providers_manager import ProvidersManager
from airflow.sdk.providers_manager_runtime import ProvidersManagerTaskRuntime
from packaging.requirements import Requirement


def test_airflow_finds_the_connection_type_and_its_form() -> None:
    manager = ProvidersManager()
    assert "nexus-operations" in manager.providers
    hook = ProvidersManagerTaskRuntime().hooks["nexus"]
    assert hook is not None
    assert hook.hook_name == "Datature Nexus"
    behaviour = manager.field_behaviours["nexus"]
    assert behaviour["relabeling"] == {
        "host": "Endpoint",
        "login": "Project id",
        "password": "Secret key",
    }
    assert {"port", "schema"} <= set(behaviour["hidden_fields"])
    widgets = {name for name in manager.connection_form_widgets if "__nexus__" in name}
    fields = ("max_rate", "max_concurrency", "certificate", "private_key")
    assert widgets == {f"extra__nexus__{field}" for field in fields}


def test_all_modules_that_are_named_exist() -> None:
    info = ProvidersManager().providers["nexus-operations"].data
    for kind in ("hooks", "triggers", "operators", "sensors"):
        for listed in info[kind]:
            for module in listed["python-modules"]:
                importlib.import_module(module)
    (decorator,) = info["task-decorators"]
    module, _, name = decorator["class-name"].rpartition(".")
    assert callable(getattr(importlib.import_module(module), name))


def test_airflow_finds_the_decorator() -> None:
    from airflow.sdk import task

    assert callable(task.nexus)


def test_reading_the_entry_point_loads_no_http_library() -> None:
    code = """
import sys
from importlib.metadata import distribution
(found,) = distribution("nexus-operations").entry_points.select(group="apache_airflow_provider")
assert found.load()()["package-name"] == "nexus-operations"
print(*(name for name in ("httpx", "aiohttp", "msgspec", "airflow") if name in sys.modules))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.split() == []


def test_the_declared_bound_admits_this_airflow() -> None:
    from importlib.metadata import requires

    (airflow,) = (
        requirement
        for requirement in map(Requirement, requires("nexus-operations") or ())
        if requirement.name == "apache-airflow"
    )
    assert airflow.specifier.contains(version("apache-airflow"))
    assert not airflow.specifier.contains("3.1.8")
