"""The provider's parts, each by itself: what is registered, serialised, shared, raised."""

from __future__ import annotations

import asyncio
import json
import logging
import pickle
import time
from collections.abc import Callable
from typing import Any

import pytest
from airflow.providers_manager import ProvidersManager
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowSensorTimeout,
    TaskDeferred,
)
from airflow.sdk.providers_manager_runtime import ProvidersManagerTaskRuntime
from airflow.triggers.base import TriggerEvent
from nexus_operations import (
    BadRequestError,
    InvalidResponseError,
    NexusError,
    NotFoundError,
    OperationFailedError,
    ServiceUnavailableError,
    UnauthorizedError,
)
from nexus_operations.airflow import hooks
from nexus_operations.airflow._events import (
    NexusOperationFailed,
    NexusOperationStillRunning,
    conclude,
    failed,
)
from nexus_operations.airflow.hooks import ConnectionSettings, NexusHook
from nexus_operations.airflow.operators import NexusWaitOperator
from nexus_operations.airflow.sensors import NexusOperationSensor
from nexus_operations.airflow.triggers import NexusOperationTrigger
from nexus_operations.simulator import Life, Simulator, Trouble

from tests.airflow.conftest import PROJECT, SECRET, connection

STUCK = Life(outcome="Running", items=10)
DONE = Life(duration=0)
FAILS = Life(duration=0, outcome="Errored", message="Disk quota exceeded")
CANCELLED = Life(duration=0, outcome="Cancelled")


def trigger(op_id: str, *, began: float = 0.0, polls: int = 0, **policy: Any) -> Any:
    """Return a trigger of a wait that began some seconds ago."""
    policy = {"pace": 0.1, **policy}
    return NexusOperationTrigger(op_id, "nexus_default", None, policy, time.time() - began, polls)


async def fire(waiting: NexusOperationTrigger) -> dict[str, Any]:
    """Run a trigger to its event."""
    events = [event async for event in waiting.run()]
    assert len(events) == 1
    assert isinstance(events[0], TriggerEvent)
    payload: dict[str, Any] = json.loads(json.dumps(events[0].payload))
    return payload


def deferred(call: Callable[[], Any]) -> TaskDeferred:
    """Return what a task deferred itself with."""
    with pytest.raises(TaskDeferred) as caught:
        call()
    return caught.value


class TestRegistration:
    def test_airflow_finds_the_connection_type_and_its_form(self) -> None:
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
        fields = ("max_rate", "certificate", "private_key")
        assert widgets == {f"extra__nexus__{field}" for field in fields}

    def test_all_modules_that_are_named_exist(self) -> None:
        import importlib

        info = ProvidersManager().providers["nexus-operations"].data
        for kind in ("hooks", "triggers", "operators", "sensors"):
            for listed in info[kind]:
                for module in listed["python-modules"]:
                    importlib.import_module(module)


class TestHook:
    def test_a_client_of_the_connection(self, simulator: Simulator) -> None:
        op_id = simulator.start(DONE)
        with NexusHook().get_conn() as client:
            assert client.endpoint == simulator.endpoint
            assert client.get_project(PROJECT).operations.get(op_id).id == op_id

    def test_the_secret_shows_nowhere(self, simulator: Simulator) -> None:
        settings = NexusHook().settings()
        assert settings.secret == SECRET
        assert SECRET not in repr(settings)

    def test_extras(self, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_NEXUS_DEFAULT", connection("https://x.test", max_rate=5))
        assert NexusHook().settings().max_rate == 5.0
        monkeypatch.setenv(
            "AIRFLOW_CONN_NEXUS_DEFAULT", connection("", max_rate="", private_key="")
        )
        assert NexusHook().settings() == Settings(SECRET, None, PROJECT)

    def test_a_project_is_needed(self) -> None:
        with pytest.raises(ValueError, match="project_id must be given"):
            Settings(SECRET, None, None).project(None)
        assert Settings(SECRET, None, "proj_1").project("proj_2") == "proj_2"

    def test_the_connection_is_tested(
        self, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert NexusHook().test_connection() == (True, "The service knows the secret key")
        with Simulator(secret="another") as strict:
            monkeypatch.setenv("AIRFLOW_CONN_NEXUS_DEFAULT", connection(strict.endpoint))
            good, said = NexusHook().test_connection()
        assert not good
        assert "Invalid secret key (HTTP 401)" in said


class TestTrigger:
    def test_what_it_serialises_takes_the_wait_up_again(self) -> None:
        waiting = trigger("op_1", began=100, polls=7, max_wait=50.0, max_polls=9)
        path, arguments = waiting.serialize()
        assert path == "nexus_operations.airflow.triggers.NexusOperationTrigger"
        again = NexusOperationTrigger(**json.loads(json.dumps(arguments)))
        assert again.serialize() == (path, arguments)
        assert arguments["polls"] == 7
        assert arguments["started_at"] == pytest.approx(time.time() - 100, abs=5)
        assert arguments["policy"]["max_wait"] == 50.0
        assert "secret" not in json.dumps(arguments)

    def test_it_waits(self, simulator: Simulator) -> None:
        op_id = simulator.start(Life(duration=0.5, items=10))
        waiting = trigger(op_id)
        event = asyncio.run(fire(waiting))
        assert event["operation"]["status"]["overview"] == "Finished"
        assert event["operation"]["createDate"] > 0
        assert waiting.polls == simulator.service.request_count > 1

    def test_a_wait_that_began_long_ago_looks_once_more(self, simulator: Simulator) -> None:
        event = asyncio.run(fire(trigger(simulator.start(STUCK), began=100, max_wait=50.0)))
        assert event == {"operation": None}
        assert simulator.service.request_count == 1
        simulator.end(op_id := simulator.start(STUCK))
        event = asyncio.run(fire(trigger(op_id, began=100, max_wait=50.0)))
        assert event["operation"]["status"]["overview"] == "Finished"

    def test_polls_made_before_count(self, simulator: Simulator) -> None:
        waiting = trigger(simulator.start(STUCK), polls=7, max_polls=9)
        assert asyncio.run(fire(waiting)) == {"operation": None}
        assert simulator.service.request_count == 2
        assert waiting.serialize()[1]["polls"] == 9

    def test_an_epoch_that_lies_ahead_does_no_harm(self, simulator: Simulator) -> None:
        event = asyncio.run(fire(trigger(simulator.start(DONE), began=-1e6)))
        assert event["operation"]["status"]["overview"] == "Finished"

    @pytest.mark.parametrize("life", [FAILS, CANCELLED])
    def test_a_failed_operation_is_told_with_all_of_it(
        self, simulator: Simulator, life: Life
    ) -> None:
        event = asyncio.run(fire(trigger(simulator.start(life))))
        assert event["error"]["type"] == "OperationFailedError"
        assert event["operation"]["status"]["overview"] == life.outcome

    def test_trouble_that_passes_is_waited_out(
        self, simulator: Simulator, caplog: pytest.LogCaptureFixture
    ) -> None:
        op_id = simulator.start(DONE)
        simulator.trouble(Trouble(kind="status", retry_after="0", times=2), op_id=op_id)
        with caplog.at_level(logging.WARNING):
            event = asyncio.run(fire(trigger(op_id)))
        assert event["operation"]["status"]["overview"] == "Finished"

    def test_trouble_that_lasts_is_told(self, simulator: Simulator) -> None:
        op_id = simulator.start(DONE)
        simulator.trouble(Trouble(kind="status", times=9), op_id=op_id)
        event = asyncio.run(fire(trigger(op_id, max_outage=0.0)))
        assert event["error"]["type"] == "ServiceUnavailableError"
        assert event["error"]["transient"]
        assert SECRET not in json.dumps(event)

    def test_cancelling_it_leaves_nothing_behind(self, simulator: Simulator) -> None:
        async def main() -> None:
            task = asyncio.create_task(fire(trigger(simulator.start(STUCK))))
            while not simulator.service.request_count:
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert len(asyncio.all_tasks()) == 1
            assert not hooks._clients[asyncio.get_running_loop()]

        asyncio.run(main())


class TestSharing:
    def test_all_triggers_of_a_connection_share_a_client_and_its_rate(
        self, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        endpoint = simulator.endpoint
        monkeypatch.setenv("AIRFLOW_CONN_NEXUS_DEFAULT", connection(endpoint, max_rate=20))
        ids = [simulator.start(DONE) for _ in range(20)]

        async def main() -> int:
            tasks = [asyncio.create_task(fire(trigger(op_id))) for op_id in ids]
            clients = 0
            while not all(task.done() for task in tasks):
                clients = max(clients, len(hooks._clients.get(asyncio.get_running_loop(), {})))
                await asyncio.sleep(0.01)
            for task in tasks:
                assert (await task)["operation"]["status"]["overview"] == "Finished"
            assert not hooks._clients[asyncio.get_running_loop()]
            return clients

        assert asyncio.run(main()) == 1
        made = [request.at for request in simulator.service.requests]
        assert len(made) == 20
        assert made[-1] - made[0] >= 19 / 20

    def test_a_connection_that_was_changed_gets_a_client_of_its_own(
        self, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def main() -> None:
            async with hooks.shared_operations("nexus_default", None):
                changed = connection(simulator.endpoint, max_rate=1)
                monkeypatch.setenv("AIRFLOW_CONN_NEXUS_DEFAULT", changed)
                async with hooks.shared_operations("nexus_default", "proj_other"):
                    assert len(hooks._clients[asyncio.get_running_loop()]) == 2

        asyncio.run(main())


class TestConclusion:
    def raised(self, error: NexusError, **options: bool) -> Exception:
        event = json.loads(json.dumps(failed(error)))
        with pytest.raises(Exception) as caught:
            conclude(event, "op_1", retry_failed_operation=options.get("retry", False))
        return caught.value

    @pytest.mark.parametrize(
        "error",
        [
            ServiceUnavailableError("down", status_code=503, retry_after=5.0),
            UnauthorizedError("who?", status_code=401),
            NotFoundError("no", status_code=404),
            InvalidResponseError("broken", path="$.status"),
        ],
    )
    def test_trouble_comes_back_as_the_librarys_own(self, error: NexusError) -> None:
        raised = self.raised(error)
        assert type(raised) is type(error)
        assert str(raised) == str(error)
        assert vars(raised) == vars(error)
        assert not isinstance(raised, AirflowFailException)
        assert pickle.loads(pickle.dumps(raised)).args == raised.args

    def test_a_failed_operation_fails_without_a_retry(self, simulator: Simulator) -> None:
        with NexusHook().operations() as operations:
            operation = operations.get(simulator.start(FAILS))
        error = OperationFailedError(operation)
        raised = self.raised(error)
        assert isinstance(raised, NexusOperationFailed)
        assert isinstance(raised, (BadRequestError, AirflowFailException))
        assert "Disk quota exceeded" in str(raised)
        assert raised.operation == operation
        assert not isinstance(self.raised(error, retry=True), AirflowFailException)

    def test_an_event_that_names_no_error_of_ours(self) -> None:
        event = failed(NexusError("odd"))
        event["error"]["type"] = "Client"
        with pytest.raises(NexusError, match="odd"):
            conclude(event, "op_1", retry_failed_operation=False)


class TestOperator:
    def test_an_operation_that_has_ended_is_not_deferred(self, simulator: Simulator) -> None:
        task = NexusWaitOperator(task_id="wait", op_id=simulator.start(DONE))
        assert task.execute({})["status"]["overview"] == "Finished"
        failing = NexusWaitOperator(task_id="wait", op_id=simulator.start(FAILS))
        with pytest.raises(NexusOperationFailed, match="Disk quota exceeded"):
            failing.execute({})
        unknown = NexusWaitOperator(task_id="wait", op_id="op_unknown")
        with pytest.raises(NotFoundError):
            unknown.execute({})

    def test_another_is(self, simulator: Simulator) -> None:
        op_id = simulator.start(STUCK)
        task = NexusWaitOperator(task_id="wait", op_id=op_id, max_wait=60, pace=0.5)
        wish = deferred(lambda: task.execute({}))
        arguments = wish.trigger.serialize()[1]
        assert (arguments["op_id"], arguments["polls"]) == (op_id, 1)
        assert arguments["policy"]["pace"] == 0.5
        assert wish.method_name == "execute_complete"
        with pytest.raises(NexusOperationStillRunning, match=f"{op_id} is still running"):
            task.execute_complete({}, {"operation": None})

    def test_trouble_that_may_pass_is_left_to_the_trigger(self, simulator: Simulator) -> None:
        op_id = simulator.start(STUCK)
        simulator.trouble(Trouble(kind="status"), op_id=op_id)
        deferred(lambda: NexusWaitOperator(task_id="wait", op_id=op_id).execute({}))

    def test_it_can_wait_in_its_worker(self, simulator: Simulator) -> None:
        op_id = simulator.start(Life(duration=0.5))
        task = NexusWaitOperator(task_id="wait", op_id=op_id, deferrable=False, pace=0.1)
        assert task.execute({})["id"] == op_id
        failing = NexusWaitOperator(
            task_id="wait", op_id=simulator.start(CANCELLED), deferrable=False
        )
        with pytest.raises(NexusOperationFailed):
            failing.execute({})


class TestSensor:
    def test_its_timeout_is_the_bound(self, simulator: Simulator) -> None:
        task = NexusOperationSensor(task_id="sense", op_id=simulator.start(STUCK), timeout=77)
        wish = deferred(lambda: task.execute({}))
        assert wish.trigger.serialize()[1]["policy"]["max_wait"] == 77.0
        with pytest.raises(AirflowSensorTimeout, match="still running"):
            task.execute_complete({}, {"operation": None})

    def test_it_can_wait_in_its_worker(self, simulator: Simulator) -> None:
        op_id = simulator.start(STUCK)
        task = NexusOperationSensor(
            task_id="sense", op_id=op_id, deferrable=False, timeout=0.5, pace=0.1
        )
        with pytest.raises(AirflowSensorTimeout):
            task.execute({})

    def test_it_can_look_now_and_then(self, simulator: Simulator) -> None:
        op_id = simulator.start(STUCK)
        task = NexusOperationSensor(
            task_id="sense", op_id=op_id, deferrable=False, mode="reschedule"
        )
        assert task.poke({}) is False
        simulator.trouble(Trouble(kind="status"), op_id=op_id)
        assert task.poke({}) is False
        simulator.end(op_id)
        assert task.poke({}) is True
        failing = NexusOperationSensor(
            task_id="sense", op_id=simulator.start(FAILS), mode="reschedule"
        )
        with pytest.raises(NexusOperationFailed):
            failing.poke({})
