"""Tasks that wait: where, how long, and what each outcome becomes."""

from __future__ import annotations

import asyncio
import json
import pickle
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferralTimeout
from airflow.serialization.serialized_objects import BaseSerialization
from nexus_operations import (
    BadRequestError,
    InvalidResponseError,
    NexusError,
    NotFoundError,
    OperationFailedError,
    ServiceUnavailableError,
    UnauthorizedError,
)
from nexus_operations.airflow._events import (
    NexusOperationFailed,
    NexusOperationStillRunning,
    error_event,
    raise_or_return,
)
from nexus_operations.airflow.hooks import NexusHook
from nexus_operations.airflow.operators import NexusWaitOperator
from nexus_operations.simulator import Life, Simulator, Trouble

from tests.airflow.support import (
    CANCELLED,
    DONE,
    FAILS,
    STUCK,
    again,
    connection,
    deferred,
    fire,
    run_to_the_end,
)


def waiting(op_id: str, **options: Any) -> NexusWaitOperator:
    options = {"deferrable": True, "pace": 0.1, "first_poll_after": 0, **options}
    return NexusWaitOperator(task_id="wait", op_id=op_id, **options)


class TestDeferral:
    def test_an_operation_that_has_ended_is_not_deferred(self, simulator: Simulator) -> None:
        assert waiting(simulator.start(DONE)).execute({})["status"]["overview"] == "Finished"
        with pytest.raises(NexusOperationFailed, match="Disk quota exceeded"):
            waiting(simulator.start(FAILS)).execute({})
        with pytest.raises(NotFoundError):
            waiting("op_unknown").execute({})

    def test_another_is(self, simulator: Simulator) -> None:
        op_id = simulator.start(STUCK)
        task = waiting(op_id, max_wait=60, pace=0.5)
        wish = deferred(lambda: task.execute({}))
        arguments = wish.trigger.serialize()[1]
        state = arguments["state"]
        assert (state["op_id"], state["polls"], state["reached"]) == (op_id, 1, True)
        assert arguments["bounds"]["pace"] == 0.5
        assert wish.method_name == "execute_complete"
        with pytest.raises(NexusOperationStillRunning, match=f"{op_id} is still running"):
            task.execute_complete({}, {"operation": None})

    def test_the_triggerers_first_poll_waits_from_the_deferral_on(
        self, simulator: Simulator
    ) -> None:
        simulator.service.latency = 0.3
        task = NexusWaitOperator(task_id="wait", op_id=simulator.start(STUCK), deferrable=True)
        wish = deferred(lambda: task.execute({}))
        deferred_at = time.time()
        arguments = wish.trigger.serialize()[1]
        assert arguments["first_poll_at"] == pytest.approx(deferred_at + 8.0, abs=0.2)
        assert arguments["state"]["started_at"] <= deferred_at - 0.3

    @pytest.mark.parametrize(
        ("starting", "pause"), [(0.0, 8.0), (1.0, 8.0), (4.0, 20.0), (60.0, 40.0), (-5.0, 8.0)]
    )
    def test_it_waits_longer_where_the_worker_was_slow_to_start(
        self, starting: float, pause: float, simulator: Simulator
    ) -> None:
        started = datetime.now(UTC) - timedelta(seconds=starting)
        context = {"ti": SimpleNamespace(start_date=started)}

        def first_poll(**options: Any) -> float:
            task = NexusWaitOperator(
                task_id="wait", op_id=simulator.start(STUCK), deferrable=True, **options
            )
            return again(deferred(lambda: task.execute(context))).first_poll_at - time.time()

        assert first_poll() == pytest.approx(pause, abs=1.5)
        assert first_poll(first_poll_after=3) == pytest.approx(3, abs=1.5)

    def test_what_ends_before_the_first_poll_stays_in_the_worker(
        self, simulator: Simulator
    ) -> None:
        op_id = simulator.start(Life(duration=0.4))
        assert waiting(op_id, max_wait=5, first_poll_after=6).execute({})["id"] == op_id
        with pytest.raises(NexusOperationStillRunning):
            waiting(simulator.start(STUCK), max_wait=0.3, first_poll_after=6).execute({})

    def test_a_count_that_the_worker_has_used_up(self, simulator: Simulator) -> None:
        with pytest.raises(NexusOperationStillRunning):
            waiting(simulator.start(STUCK), max_polls=1).execute({})
        assert simulator.service.request_count == 1
        with pytest.raises(NexusOperationStillRunning):
            run_to_the_end(waiting(simulator.start(STUCK), max_polls=3))
        assert simulator.service.request_count == 4

    def test_trouble_that_may_pass_is_left_to_the_trigger(self, simulator: Simulator) -> None:
        op_id = simulator.start(STUCK)
        simulator.trouble(Trouble(kind="status"), op_id=op_id)
        deferred(lambda: waiting(op_id).execute({}))

    @pytest.mark.parametrize("reachable", [True, False])
    def test_whether_the_service_was_reached_goes_along(
        self, reachable: bool, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        op_id = simulator.start(STUCK)
        if not reachable:
            monkeypatch.setenv("AIRFLOW_CONN_NEXUS_DEFAULT", connection("http://127.0.0.1:9"))
        wish = deferred(lambda: waiting(op_id).execute({}))
        assert again(wish).state.reached is reachable

    def test_it_can_wait_in_its_worker(self, simulator: Simulator) -> None:
        op_id = simulator.start(Life(duration=0.5))
        assert waiting(op_id, deferrable=False).execute({})["id"] == op_id
        with pytest.raises(NexusOperationFailed):
            waiting(simulator.start(CANCELLED), deferrable=False).execute({})

    @pytest.mark.parametrize(
        ("said", "defers"), [(None, True), ("True", True), ("False", False), ("false", False)]
    )
    def test_where_it_waits_is_as_configured(
        self, said: str | None, defers: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        name = "AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE"
        monkeypatch.delenv(name, raising=False)
        if said is not None:
            monkeypatch.setenv(name, said)
        assert NexusWaitOperator(task_id="wait", op_id="op_1").deferrable is defers
        assert waiting("op_1", deferrable=True).deferrable
        assert not waiting("op_1", deferrable=False).deferrable


class TestBound:
    def test_a_deferral_ends_by_itself_a_margin_past_the_bound(self, simulator: Simulator) -> None:
        op_id = simulator.start(STUCK)

        def timeout(**options: Any) -> Any:
            return deferred(lambda: waiting(op_id, **options).execute({})).timeout

        assert timeout(max_wait=3600) == timedelta(seconds=3660)
        assert timeout(max_wait=None) is None
        assert timeout(max_wait=3600, execution_timeout=timedelta(60)) == timedelta(seconds=3660)
        short = timedelta(minutes=1)
        assert timeout(max_wait=3600, execution_timeout=short) == short
        assert timeout(max_wait=None, execution_timeout=short) == short

    @staticmethod
    def not_triggered(task: NexusWaitOperator) -> Any:
        """Go on with a task as the scheduler does whose deferral has timed out."""
        return task.resume_execution("__fail__", {"error": "Trigger timeout"}, {})

    def test_without_a_triggerer_the_task_ends_at_its_bound(self, simulator: Simulator) -> None:
        task = waiting(simulator.start(STUCK), max_wait=60)
        with pytest.raises(NexusOperationStillRunning):
            self.not_triggered(task)
        finished = self.not_triggered(waiting(simulator.start(DONE), max_wait=60))
        assert finished["status"]["overview"] == "Finished"
        simulator.trouble(Trouble(kind="status"), op_id=(op_id := simulator.start(DONE)))
        with pytest.raises(ServiceUnavailableError):
            self.not_triggered(waiting(op_id, max_wait=60))

    def test_an_execution_timeout_is_told_as_such(self, simulator: Simulator) -> None:
        task = waiting(simulator.start(DONE), execution_timeout=timedelta(minutes=1))
        with pytest.raises(TaskDeferralTimeout):
            self.not_triggered(task)
        assert simulator.service.request_count == 0

    def test_a_trigger_that_broke_is_told_as_such(self, simulator: Simulator) -> None:
        from airflow.sdk.exceptions import TaskDeferralError

        with pytest.raises(TaskDeferralError):
            waiting("op_1").resume_execution("__fail__", {"error": "Trigger failure"}, {})


def raised(error: Exception, *, retry: bool = False) -> Exception:
    """Return what a task raises for an error in its trigger."""
    event = json.loads(json.dumps(error_event(error)))
    with pytest.raises(Exception) as caught:
        raise_or_return(event, "op_1", retry_failed_operation=retry)
    return caught.value


class TestErrors:
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
        back = raised(error)
        assert type(back) is type(error)
        assert str(back) == str(error)
        assert vars(back) == vars(error)
        assert not isinstance(back, AirflowFailException)
        assert pickle.loads(pickle.dumps(back)).args == back.args

    @pytest.fixture
    def failed(self, simulator: Simulator) -> OperationFailedError:
        with NexusHook().operations() as operations:
            return OperationFailedError(operations.get(simulator.start(FAILS)))

    def test_a_failed_operation_fails_without_a_retry(self, failed: OperationFailedError) -> None:
        back = raised(failed)
        assert isinstance(back, NexusOperationFailed)
        assert isinstance(back, (BadRequestError, AirflowFailException))
        assert "Disk quota exceeded" in str(back)
        assert back.operation == failed.operation
        retried = raised(failed, retry=True)
        assert type(retried) is OperationFailedError
        assert retried.operation == failed.operation

    def test_errors_survive_airflows_round_trip(self, failed: OperationFailedError) -> None:
        error = NexusOperationFailed(failed.operation)
        back = BaseSerialization.deserialize(BaseSerialization.serialize(error))
        assert type(back) is NexusOperationFailed
        assert back.operation == failed.operation
        assert str(back) == str(error)
        pickled = pickle.loads(pickle.dumps(error))
        assert type(pickled) is NexusOperationFailed
        assert pickled.operation == failed.operation
        running = NexusOperationStillRunning("op_1 is still running")
        back = BaseSerialization.deserialize(BaseSerialization.serialize(running))
        assert (type(back), str(back)) == (NexusOperationStillRunning, str(running))

    def test_an_event_that_names_no_error_of_ours(self) -> None:
        event = error_event(NexusError("odd"))
        event["error"]["type"] = "Client"
        with pytest.raises(NexusError, match="odd"):
            raise_or_return(event, "op_1", retry_failed_operation=False)

    def test_a_setting_that_is_wrong_reaches_callbacks_in_its_own_words(
        self, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        task = waiting(simulator.start(STUCK))
        wish = deferred(lambda: task.execute({}))
        monkeypatch.setenv("AIRFLOW_CONN_NEXUS_DEFAULT", connection("ftp://nexus.test"))
        event = asyncio.run(fire(again(wish)))
        with pytest.raises(ValueError, match=r"'nexus_default'.*http or https URL"):
            task.resume_execution(wish.method_name, {"event": event}, {})


def test_a_link_will_do(simulator: Simulator) -> None:
    op_id = simulator.start(STUCK)
    link = f"https://nexus.test/projects/p/operations/annotationexports/{op_id[3:]}"
    wish = deferred(lambda: waiting(link).execute({}))
    assert wish.trigger.op_id == op_id
