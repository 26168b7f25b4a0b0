"""A wait in JSON: what one process writes, another reads."""

from __future__ import annotations

import json
from typing import Any

import pytest
from nexus_operations import (
    Client,
    Fixed,
    Interruption,
    InvalidResponseError,
    NexusError,
    NotFoundError,
    OperationFailedError,
    TooManyRequestsError,
    WaitState,
    wire,
)
from nexus_operations.simulator import Life
from nexus_operations.testing import VirtualClock, VirtualTransport

from tests.conftest import PROJECT, SECRET
from tests.test_polling import FINISHED, operation


def through_json(value: Any) -> Any:
    return json.loads(json.dumps(value))


class TestStates:
    def test_survive_json(self) -> None:
        state = WaitState("op_1", 1_700_000_000.5, 7, reached=True)
        assert WaitState.from_json(through_json(state.to_json())) == state

    def test_have_defaults_for_what_an_older_process_left_out(self) -> None:
        state = WaitState.from_json({"op_id": "op_1", "started_at": 5})
        assert state == WaitState("op_1", 5.0, 0, reached=False)

    @pytest.mark.parametrize(
        ("value", "named"),
        [
            ({}, "op_id and started_at"),
            ([], "state must be an object"),
            ("op_1", "state must be an object"),
            ({"op_id": "op_1"}, "started_at"),
            ({"op_id": 1, "started_at": 5}, "state.op_id"),
            ({"op_id": "..", "started_at": 5}, "state.op_id"),
            ({"op_id": "op_1", "started_at": "now"}, "state.started_at"),
            ({"op_id": "op_1", "started_at": -1}, "state.started_at"),
            ({"op_id": "op_1", "started_at": 5, "polls": -1}, "state.polls"),
            ({"op_id": "op_1", "started_at": 5, "polls": True}, "state.polls"),
            ({"op_id": "op_1", "started_at": 5, "polls": False}, "state.polls"),
            ({"op_id": "op_1", "started_at": 5, "reached": 1}, "state.reached"),
        ],
    )
    def test_that_are_none_are_refused_by_key(self, value: Any, named: str) -> None:
        with pytest.raises((TypeError, ValueError)) as caught:
            WaitState.from_json(value)
        assert named in str(caught.value)


class TestResults:
    def test_of_an_operation(self) -> None:
        value = through_json(wire.result_to_json(FINISHED))
        assert value["operation"]["createDate"] == FINISHED.create_date
        assert wire.result_from_json(value) == FINISHED

    def test_of_a_wait_at_its_bound(self) -> None:
        assert wire.result_from_json(through_json(wire.result_to_json(None))) is None

    def test_of_an_operation_that_failed(self) -> None:
        failed = operation("Errored")
        value = through_json(wire.result_to_json(None, OperationFailedError(failed)))
        with pytest.raises(OperationFailedError) as caught:
            wire.result_from_json(value)
        assert caught.value.operation == failed

    @pytest.mark.parametrize(
        "error",
        [
            NotFoundError("no", status_code=404),
            TooManyRequestsError("later", status_code=429, retry_after=7.5),
            InvalidResponseError("odd", path="$.status"),
            NexusError("other", transient=True, reached=False),
        ],
    )
    def test_of_trouble(self, error: NexusError) -> None:
        value = through_json(wire.result_to_json(None, error))
        with pytest.raises(type(error)) as caught:
            wire.result_from_json(value)
        found = caught.value
        assert type(found) is type(error)
        for name in ("message", "status_code", "retry_after", "transient", "reached"):
            assert getattr(found, name) == getattr(error, name)
        assert getattr(found, "path", None) == getattr(error, "path", None)

    @pytest.mark.parametrize("kind", ["Nonsense", "checks", "Any", None, "KeyboardInterrupt"])
    def test_of_trouble_of_a_newer_library(self, kind: Any) -> None:
        assert type(wire.error_from_json({"type": kind, "message": "m"})) is NexusError


class TestResuming:
    def test_polls_and_the_start_count_on(self) -> None:
        clock = VirtualClock()
        service = clock.service()
        op_id = service.start(Life(outcome="Running"))
        client = Client(SECRET, transport=VirtualTransport(service, clock), clock=clock)
        operations = client.get_project(PROJECT).operations
        state = WaitState(op_id, clock.time() - 50.0, polls=3, reached=True)
        began = clock.now
        assert operations.wait_until_done(state, max_wait=60, schedule=Fixed(4)) is None
        assert clock.now - began == pytest.approx(10.0, abs=0.01)
        before = service.request_count
        assert operations.wait_until_done(state, timeout=5, schedule=Fixed(1)) is None
        assert service.request_count - before == 2

    def test_an_interrupted_call_gives_the_states_of_all_that_had_not_ended(self) -> None:
        clock = VirtualClock()
        service = clock.service()
        done = service.start(Life(duration=1))
        running = [service.start(Life(outcome="Running")) for _ in range(3)]
        client = Client(SECRET, transport=VirtualTransport(service, clock), clock=clock)
        operations = client.get_project(PROJECT).operations

        def interrupt(update: Any) -> None:
            if update.elapsed > 5:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt) as caught:
            operations.wait_all([done, *running], max_waiting=3, progress=interrupt)
        interruption = Interruption.from_error(caught.value)
        assert interruption is not None
        assert [outcome.op_id for outcome in interruption.ended] == [done]
        assert sorted(interruption.pending) == sorted(running)
        states = [WaitState.from_json(through_json(s.to_json())) for s in interruption.states]
        assert [state.op_id for state in states] == interruption.pending
        later = operations.wait_all(states, timeout=200, max_wait=60, schedule=Fixed(5))
        assert later == [None] * 3
