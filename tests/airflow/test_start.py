"""Start and wait in one task: when the function is called again, and when it is not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from airflow.sdk import DAG, Variable, task
from nexus_operations import NotFoundError, OperationFailedError, ServiceUnavailableError
from nexus_operations.airflow import _kept
from nexus_operations.airflow._events import NexusOperationFailed, NexusOperationStillRunning
from nexus_operations.airflow.operators import NexusOperationOperator
from nexus_operations.simulator import Life, Simulator, Trouble

from tests.airflow.support import CANCELLED, DONE, FAILS, STUCK, deferred, run_to_the_end


class Store(dict[str, Any]):
    """A task's store, as Airflow 3.3 has it in the context."""

    def set(self, key: str, value: Any) -> None:
        self[key] = value

    def delete(self, key: str) -> None:
        self.pop(key, None)


@dataclass
class Instance:
    dag_id: str = "d"
    run_id: str = "manual__2026-11-25T00:00:00+00:00"
    task_id: str = "export"
    map_index: int = -1


@pytest.fixture(params=["store", "variable"])
def context(request: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A task's context, in Airflow 3.3 and before; it lasts over the task's tries."""
    if request.param == "store":
        return {"task_state_store": Store(), "ti": Instance()}
    variables: dict[str, str] = {}

    def set_variable(key: str, value: str, description: str) -> None:
        assert description
        variables[key] = value

    monkeypatch.setattr(Variable, "get", lambda key, default: variables.get(key, default))
    monkeypatch.setattr(Variable, "set", set_variable)
    monkeypatch.setattr(Variable, "delete", lambda key: variables.pop(key, None))
    return {"ti": Instance()}


@dataclass
class Exports:
    """Starts operations, each with the next of some lives, and counts them."""

    simulator: Simulator
    lives: list[Life]
    started: list[str] = field(default_factory=list)

    def __call__(self) -> str:
        self.started.append(self.simulator.start(self.lives[len(self.started)]))
        return self.started[-1]


def exporting(exports: Exports, **options: Any) -> NexusOperationOperator:
    class Export(NexusOperationOperator):
        def start(self, context: Any) -> str:
            return exports()

    options = {"pace": 0.1, "first_poll_after": 0, "deferrable": True, **options}
    return Export(task_id="export", **options)


@pytest.mark.parametrize("deferrable", [True, False])
class TestTries:
    def test_one_is_enough(
        self, deferrable: bool, simulator: Simulator, context: dict[str, Any]
    ) -> None:
        exports = Exports(simulator, [Life(duration=0.3)] * 2)
        finished = run_to_the_end(exporting(exports, deferrable=deferrable), context)
        assert (finished["id"], finished["status"]["overview"]) == (exports.started[0], "Finished")
        again = run_to_the_end(exporting(exports, deferrable=deferrable), context)
        assert again["id"] == exports.started[1]  # a person has cleared the task

    @pytest.mark.parametrize("life", [FAILS, CANCELLED, Life(duration=0.3, outcome="Errored")])
    def test_a_retry_after_a_failed_operation_starts_another(
        self, life: Life, deferrable: bool, simulator: Simulator, context: dict[str, Any]
    ) -> None:
        exports = Exports(simulator, [life, DONE])
        with pytest.raises(OperationFailedError) as caught:
            run_to_the_end(exporting(exports, deferrable=deferrable), context)
        assert not isinstance(caught.value, NexusOperationFailed)  # Airflow may retry it
        assert caught.value.operation.id == exports.started[0]
        finished = run_to_the_end(exporting(exports, deferrable=deferrable), context)
        assert finished["id"] == exports.started[1]

    def test_a_retry_after_an_outage_waits_for_the_same(
        self, deferrable: bool, simulator: Simulator, context: dict[str, Any]
    ) -> None:
        exports = Exports(simulator, [Life(duration=0.2)])
        simulator.trouble(Trouble(kind="status", times=30))
        with pytest.raises(ServiceUnavailableError):
            run_to_the_end(exporting(exports, deferrable=deferrable, max_outage=0.3), context)
        simulator.service._troubles.clear()
        finished = run_to_the_end(exporting(exports, deferrable=deferrable), context)
        assert [finished["id"]] == exports.started

    def test_a_retry_after_the_bound_waits_for_the_same(
        self, deferrable: bool, simulator: Simulator, context: dict[str, Any]
    ) -> None:
        exports = Exports(simulator, [STUCK])
        with pytest.raises(NexusOperationStillRunning, match=r"op_.* is still running"):
            run_to_the_end(exporting(exports, deferrable=deferrable, max_wait=0.3), context)
        simulator.end(exports.started[0])
        finished = run_to_the_end(exporting(exports, deferrable=deferrable), context)
        assert [finished["id"]] == exports.started

    def test_an_operation_that_is_gone_is_let_go(
        self, deferrable: bool, simulator: Simulator, context: dict[str, Any]
    ) -> None:
        exports = Exports(simulator, [STUCK, DONE])
        simulator.trouble(Trouble(kind="status", status=404))
        with pytest.raises(NotFoundError):
            run_to_the_end(exporting(exports, deferrable=deferrable), context)
        finished = run_to_the_end(exporting(exports, deferrable=deferrable), context)
        assert finished["id"] == exports.started[1]


def test_a_worker_that_died_before_the_deferral(
    simulator: Simulator, context: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    exports = Exports(simulator, [Life(duration=0.2)])

    class Died(BaseException):
        pass

    def die(self: Any) -> None:
        raise Died

    with monkeypatch.context() as dying:
        dying.setattr(NexusOperationOperator, "poll_once", die)
        with pytest.raises(Died):
            exporting(exports).execute(context)
    finished = run_to_the_end(exporting(exports), context)
    assert [finished["id"]] == exports.started


def test_without_a_triggerer_the_kept_id_is_looked_at(
    simulator: Simulator, context: dict[str, Any]
) -> None:
    exports = Exports(simulator, [STUCK])
    deferred(lambda: exporting(exports, max_wait=60).execute(context))
    with pytest.raises(NexusOperationStillRunning):
        exporting(exports, max_wait=60).resume_execution(
            "__fail__", {"error": "Trigger timeout"}, context
        )
    simulator.end(exports.started[0])
    finished = exporting(exports, max_wait=60).resume_execution(
        "__fail__", {"error": "Trigger timeout"}, context
    )
    assert [finished["id"]] == exports.started


def test_where_nothing_can_be_kept_it_works_all_the_same(simulator: Simulator) -> None:
    exports = Exports(simulator, [Life(duration=0.2), Life(duration=0.2)])
    for number in range(2):
        assert run_to_the_end(exporting(exports), {})["id"] == exports.started[number]

    class Broken(Store):
        def set(self, key: str, value: Any) -> None:
            raise RuntimeError("no room")

    exports = Exports(simulator, [Life(duration=0.2)])
    finished = run_to_the_end(exporting(exports), {"task_state_store": Broken()})
    assert [finished["id"]] == exports.started


def test_task_instances_keep_apart() -> None:
    instances = [
        Instance(),
        Instance(map_index=1),
        Instance(task_id="other"),
        Instance(run_id="other"),
        Instance(dag_id="other"),
    ]
    names = {_kept._variable_name(instance) for instance in instances}
    assert len(names) == len(instances)
    assert all(name is not None and name.isidentifier() for name in names)


class VendorsOperation:
    """An operation as another package has it."""

    def __init__(self, op_id: str) -> None:
        self.id = op_id


@pytest.mark.parametrize(
    "returned",
    [
        lambda op_id: op_id,
        lambda op_id: f"https://nexus.test/projects/p/operations/annotationexports/{op_id[3:]}",
        lambda op_id: {"id": op_id, "kind": "nexus.annotations.export"},
        VendorsOperation,
    ],
)
def test_what_the_function_may_return(returned: Any, simulator: Simulator) -> None:
    op_id = simulator.start(DONE)
    with DAG("d", schedule=None):

        @task.nexus(deferrable=False)
        def export() -> Any:
            return returned(op_id)

        waiting = export().operator
    assert waiting.execute({})["id"] == op_id


@pytest.mark.parametrize("returned", [None, 5, "", {}, ["op_1"]])
def test_what_it_may_not(returned: Any, simulator: Simulator) -> None:
    with DAG("d", schedule=None):

        @task.nexus
        def export() -> Any:
            return returned

        waiting = export().operator
    with pytest.raises((TypeError, ValueError), match=r"what start\(\) returned must"):
        waiting.execute({})


class TestDecorator:
    def test_arguments_and_context_reach_the_function(self, simulator: Simulator) -> None:
        op_id = simulator.start(DONE)
        seen: list[Any] = []
        with DAG("d", schedule=None):

            @task.nexus(deferrable=False, max_wait=60, retries=2)
            def export(project: str, form: str = "coco", run_id: str | None = None) -> str:
                seen.append((project, form, run_id))
                return op_id

            waiting = export("p1", form="yolo").operator
        assert waiting.task_id == "export"
        assert waiting.retries == 2
        assert waiting.custom_operator_name == "@task.nexus"
        assert waiting.execute({"run_id": "run"})["id"] == op_id
        assert seen == [("p1", "yolo", "run")]

    def test_it_defers_and_goes_on(self, simulator: Simulator) -> None:
        op_id = simulator.start(Life(duration=0.3))
        with DAG("d", schedule=None):

            @task.nexus(first_poll_after=0, pace=0.1)
            def export() -> str:
                return op_id

            waiting = export().operator
        assert run_to_the_end(waiting)["status"]["overview"] == "Finished"

    def test_it_can_be_mapped(self, simulator: Simulator) -> None:
        with DAG("d", schedule=None):

            @task.nexus(deferrable=False)
            def export(life: str) -> str:
                return life

            mapped = export.expand(life=["op_1", "op_2"]).operator
        assert type(mapped).__name__ == "DecoratedMappedOperator"

    def test_a_base_class_has_to_be_told_how_to_start(self) -> None:
        with pytest.raises(NotImplementedError, match="how to start"):
            NexusOperationOperator(task_id="export").execute({})
