"""Random sequences of trouble: every wait ends, in time, with what the service's script says."""

from __future__ import annotations

import logging
import os
from collections import Counter
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)
from nexus_operations import NexusError, Operation, OperationFailedError
from nexus_operations.simulator import Life, Trouble

from benchmarks import faults
from tests.conftest import PROJECT, Driver

DAY = 86400.0
LAST_POLL = 5.0
"""Seconds that the poll at the deadline may take."""

UNSEEN = Trouble(kind="refuse")
TRANSIENT = st.sampled_from(
    [
        *faults.TRANSIENT,
        UNSEEN,
        Trouble(kind="stall", seconds=3600),
        Trouble(kind="drip", seconds=3600),
        Trouble(kind="status", status=429, retry_after="31536000"),
        Trouble(kind="status", status=503, retry_after="Fri, 01 Jan 2100 00:00:00 GMT"),
        Trouble(kind="status", status=599),
    ]
)
PERMANENT = st.sampled_from([*faults.PERMANENT])
LIVES = st.builds(
    Life,
    duration=st.floats(0, DAY),
    items=st.integers(1, 1000),
    shape=st.sampled_from(["linear", "front", "back", "stall", "burst"]),
    outcome=st.sampled_from(["Finished", "Errored", "Cancelled", "Running"]),
)


class Waits(RuleBasedStateMachine):
    """Operations are started, spoilt and waited for, again and again; the wall clock jumps."""

    operations = Bundle("operations")

    @initialize(kind=st.sampled_from(["sync", "async"]))
    def begin(self, kind: str) -> None:
        self.nexus = Driver(kind)
        self.errors: dict[str, type[NexusError]] = {}

    @rule(target=operations, life=LIVES)
    def start(self, life: Life) -> str:
        return self.nexus.service.start(life)

    @rule(op_id=operations, troubles=st.lists(TRANSIENT, max_size=8))
    def spoil(self, op_id: str, troubles: list[Trouble]) -> None:
        self.nexus.service.trouble(*troubles, op_id=op_id)

    @rule(op_id=operations, permanent=PERMANENT)
    def spoil_for_good(self, op_id: str, permanent: tuple[Trouble, type[NexusError]]) -> None:
        trouble, error = permanent
        self.errors[repr(trouble)] = error
        self.nexus.service.trouble(trouble, op_id=op_id)

    @rule(seconds=st.floats(-DAY, DAY))
    def set_the_wall_clock(self, seconds: float) -> None:
        self.nexus.clock.wall_offset += seconds

    @rule(
        op_id=operations,
        max_wait=st.floats(0, 2 * DAY),
        polls=st.none() | st.integers(1, 30),
        named=st.sampled_from([None, "Errored", ("Cancelled", "Errored")]),
    )
    def wait(self, op_id: str, max_wait: float, polls: int | None, named: Any) -> None:
        service, before = self.nexus.service, self.nexus.elapsed
        record = service._records[PROJECT, op_id]
        queued, made = list(record.troubles), service.request_count
        result: Any
        try:
            result = self.nexus.wait(
                op_id, polls, raise_exception_if=named, max_wait=max_wait, max_outage=None
            )
        except NexusError as error:
            result = error
        elapsed = self.nexus.elapsed - before
        made = service.request_count - made
        life = record.life
        age = self.nexus.clock.now - record.started
        bounded = elapsed >= max_wait - 1e-3 or made == polls
        assert elapsed <= max_wait + LAST_POLL + 1e-3
        assert polls is None or made <= polls

        if isinstance(result, Operation):
            assert (result.id, result.status.overview) == (op_id, life.outcome)
            assert life.has_ended(age)
            assert life.outcome not in (named or ())
        elif isinstance(result, OperationFailedError):
            assert result.operation.status.overview == life.outcome
            assert life.has_ended(age)
            assert life.outcome in (named or ())
        elif result is None:
            assert bounded
        elif result.transient:
            assert bounded
            assert made <= len(queued)
        else:
            assert type(result) is self.errors[repr(queued[made - 1])]


def test_any_sequence_of_trouble() -> None:
    run_state_machine_as_test(
        Waits,
        settings=settings(max_examples=150, stateful_step_count=20, deadline=None, print_blob=True),
    )


SEED = int(os.environ.get("NEXUS_FAULTS_SEED", "1"))


@pytest.mark.parametrize("path", faults.PATHS)
def test_random_trouble_over_a_socket(
    path: str, plain_environment: None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, logger="nexus_operations")
    count = 40
    cases = faults.make_cases(count, SEED, longest=0.5)
    figures = faults.ours(cases, path, max_wait=150, seed=SEED)
    assert figures["wrong"] == {}, f"NEXUS_FAULTS_SEED={SEED}"
    assert figures["right"] == count
    assert figures["false_finished"] == 0
    assert figures["past_deadline"] == 0
    assert figures["leaked_sockets"] == 0
    assert figures["leaked_threads"] == 0


def test_every_kind_of_fault_is_in_the_sequences() -> None:
    """The default run plays each of them many times."""
    cases = faults.make_cases(1000, SEED)
    played = Counter(step for case in cases for step in case.steps)
    for step in (*faults.TRANSIENT, *(trouble for trouble, _ in faults.PERMANENT)):
        assert played[step] >= 10, step
    for name in (*faults.GOOD, *faults.BAD, *faults.SLOW):
        assert played[name] >= 20, name
    forgiven = [
        case
        for case in cases
        if any(step in case.steps for step, _ in faults.PERMANENT)
        and case.expected in ("Finished", "Cancelled", "running", "OperationFailedError")
    ]
    assert len(forgiven) >= 50


def test_the_same_seed_gives_the_same_sequences() -> None:
    assert faults.make_cases(50, 7) == faults.make_cases(50, 7)
    assert faults.make_cases(50, 7) != faults.make_cases(50, 8)
