"""The trigger: what it serialises, when it polls, what it tells its task and its log."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from dataclasses import replace
from typing import Any

import pytest
from nexus_operations import AsyncOperations, WaitState
from nexus_operations.airflow import hooks
from nexus_operations.airflow.triggers import NexusOperationTrigger
from nexus_operations.simulator import Life, Simulator, Trouble

from tests.airflow.support import CANCELLED, DONE, FAILS, SECRET, STUCK, fire, trigger


class TestState:
    def test_what_it_serialises_takes_the_wait_up_again(self) -> None:
        waiting = trigger("op_1", began=100, polls=7, max_wait=50.0, max_polls=9)
        waiting.state = replace(waiting.state, reached=True)
        path, arguments = waiting.serialize()
        assert path == "nexus_operations.airflow.triggers.NexusOperationTrigger"
        again = NexusOperationTrigger(**json.loads(json.dumps(arguments)))
        assert again.serialize() == (path, arguments)
        assert arguments["state"] == {
            "op_id": "op_1",
            "started_at": pytest.approx(time.time() - 100, abs=5),
            "polls": 7,
            "reached": True,
        }
        assert arguments["bounds"]["max_wait"] == 50.0
        assert "secret" not in json.dumps(arguments)

    def test_an_operator_of_ones_own_may_leave_most_out(self, simulator: Simulator) -> None:
        event = asyncio.run(fire(NexusOperationTrigger(simulator.start(DONE))))
        assert event["operation"]["status"]["overview"] == "Finished"

    def test_bounds_are_checked(self) -> None:
        with pytest.raises(ValueError, match="pace must be more than 0"):
            NexusOperationTrigger("op_1", bounds={"pace": 0})


class TestWait:
    def test_it_waits(self, simulator: Simulator) -> None:
        op_id = simulator.start(Life(duration=0.5, items=10))
        waiting = trigger(op_id)
        event = asyncio.run(fire(waiting))
        assert event["operation"]["status"]["overview"] == "Finished"
        assert event["operation"]["createDate"] > 0
        assert waiting.state.polls == simulator.service.request_count > 1

    def test_the_first_poll_waits(self, simulator: Simulator) -> None:
        waiting = trigger(simulator.start(DONE))
        waiting.first_poll_at = time.time() + 0.5
        began = time.monotonic()
        event = asyncio.run(fire(waiting))
        assert event["operation"]["status"]["overview"] == "Finished"
        assert time.monotonic() - began >= 0.5
        assert simulator.service.request_count == 1

    def test_a_wait_that_began_long_ago_looks_once_more(self, simulator: Simulator) -> None:
        event = asyncio.run(fire(trigger(simulator.start(STUCK), began=100, max_wait=50.0)))
        assert event == {"operation": None}
        assert simulator.service.request_count == 1
        simulator.end(op_id := simulator.start(STUCK))
        event = asyncio.run(fire(trigger(op_id, began=100, max_wait=50.0)))
        assert event["operation"]["status"]["overview"] == "Finished"

    @pytest.mark.parametrize(
        ("began", "reached", "goes_on_as"),
        [(10, False, False), (10, True, True), (150, False, True)],
    )
    def test_that_the_service_was_reached_is_part_of_the_state(
        self,
        began: float,
        reached: bool,
        goes_on_as: bool,
        simulator: Simulator,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        waiting = trigger(simulator.start(DONE), began=began)
        waiting.state = replace(waiting.state, reached=reached)
        seen: list[WaitState] = []
        wait = AsyncOperations.wait_until_done

        async def spied(operations: Any, state: Any, **options: Any) -> Any:
            seen.append(state)
            return await wait(operations, state, **options)

        monkeypatch.setattr(AsyncOperations, "wait_until_done", spied)
        asyncio.run(fire(waiting))
        assert [state.reached for state in seen] == [goes_on_as]
        assert seen[0].started_at == pytest.approx(time.time() - began, abs=5)

    def test_polls_made_before_count(self, simulator: Simulator) -> None:
        waiting = trigger(simulator.start(STUCK), polls=7, max_polls=9)
        assert asyncio.run(fire(waiting)) == {"operation": None}
        assert simulator.service.request_count == 2
        assert waiting.serialize()[1]["state"]["polls"] == 9

    def test_an_epoch_that_lies_ahead_does_no_harm(self, simulator: Simulator) -> None:
        event = asyncio.run(fire(trigger(simulator.start(DONE), began=-1e6)))
        assert event["operation"]["status"]["overview"] == "Finished"

    @pytest.mark.parametrize("life", [FAILS, CANCELLED])
    def test_a_failed_operation_is_told_with_all_of_it_and_once(
        self, simulator: Simulator, life: Life
    ) -> None:
        event = asyncio.run(fire(trigger(simulator.start(life))))
        assert event["error"] == {"type": "OperationFailedError"}
        assert event["operation"]["status"]["overview"] == life.outcome
        message = event["operation"]["status"]["message"]
        assert json.dumps(event).count(message) == 1

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


class TestLog:
    @pytest.fixture
    def lines(self, caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
        caplog.set_level(logging.INFO)
        return caplog

    @staticmethod
    def logged(op_id: str, **options: Any) -> NexusOperationTrigger:
        """Return a trigger whose task log is the standard library's, as the library's own is."""
        waiting = trigger(op_id, **options)
        waiting._log = logging.getLogger("tests.task")
        return waiting

    def test_the_operation_and_its_bound(
        self, simulator: Simulator, lines: pytest.LogCaptureFixture
    ) -> None:
        op_id = simulator.start(DONE)
        waiting = self.logged(op_id, max_wait=60.0)
        waiting.state = replace(waiting.state, started_at=1_700_000_000.0)
        asyncio.run(fire(waiting))
        first = lines.messages[0]
        assert op_id in first
        assert "2023-11-14 22:14:20 UTC" in first
        lines.clear()
        asyncio.run(fire(self.logged(op_id, max_wait=None)))
        assert "until it has ended" in lines.messages[0]

    def test_each_change_of_status_and_progress_once(
        self, simulator: Simulator, lines: pytest.LogCaptureFixture
    ) -> None:
        op_id = simulator.start(Life(duration=0.9, queued=0.3, items=2))
        asyncio.run(fire(self.logged(op_id, pace=0.02)))
        changes = [line.removeprefix(f"{op_id}: ") for line in lines.messages[1:]]
        assert changes == [
            "Queued, 0 of 2 (whole operation)",
            "Running, 0 of 2 (whole operation)",
            "Running, 1 of 2 (whole operation)",
            "Finished, 2 of 2 (whole operation): Operation finished",
        ]

    def test_each_failed_poll_once(
        self, simulator: Simulator, lines: pytest.LogCaptureFixture
    ) -> None:
        op_id = simulator.start(DONE)
        simulator.trouble(Trouble(kind="status", retry_after="0", times=2), op_id=op_id)
        event = asyncio.run(fire(self.logged(op_id)))
        assert event["operation"]["status"]["overview"] == "Finished"
        failed = [line for line in lines.messages if "503" in line]
        assert len(failed) == 2
        assert all(op_id in line for line in failed)


def test_a_setting_that_is_wrong_is_told_in_its_own_words(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told(uri: str) -> dict[str, Any]:
        monkeypatch.setenv("AIRFLOW_CONN_NEXUS_DEFAULT", uri)
        event = asyncio.run(fire(trigger("op_1")))
        assert event["operation"] is None
        assert event["error"]["type"] == "ValueError"
        return event["error"]["message"]

    assert "project_id must be given" in told("nexus://:secret@nexus.test")
    assert "'nexus_default': schema must be" in told("nexus://proj:secret@nexus.test/v1")
    assert "'nexus_default': secret_key must be given" in told("nexus://proj:@nexus.test")
