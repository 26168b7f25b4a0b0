"""Many operations at once, sync and async, in virtual time and over a real socket."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import pairwise
from typing import Any

import httpx
import pytest
from nexus_operations import (
    AsyncClient,
    Client,
    Fixed,
    Interruption,
    NotFoundError,
    OperationFailedError,
    Outcome,
    Update,
    WaitErrorGroup,
)
from nexus_operations.simulator import Life, Simulator, Trouble
from nexus_operations.testing import VirtualClock, VirtualTransport

from tests.conftest import PROJECT, SECRET, Driver


class Fleet(Driver):
    """Calls `wait_all` and `as_completed`; the latter's outcomes come as a list."""

    def wait_all(self, op_ids: Any, **kwargs: Any) -> Any:
        return self.call("wait_all", op_ids, **kwargs)

    def as_completed(self, op_ids: Any, **kwargs: Any) -> list[Outcome]:
        return self.call_iterator("as_completed", op_ids, **kwargs)


@pytest.fixture(params=["sync", "async"])
def fleet(request: pytest.FixtureRequest) -> Fleet:
    return Fleet(request.param)


def ids(outcomes: list[Outcome]) -> list[str]:
    return [outcome.op_id for outcome in outcomes]


class TestOutcomes:
    def test_results_come_in_the_order_given(self, fleet: Fleet) -> None:
        given = [fleet.service.start(Life(duration=d)) for d in (300, 1, 50, 0, 120)]
        results = fleet.wait_all(given)
        assert [operation.id for operation in results] == given
        assert all(operation.status.overview == "Finished" for operation in results)
        assert fleet.elapsed < 330

    def test_outcomes_come_as_operations_end(self, fleet: Fleet) -> None:
        durations = (300, 1, 50, 0, 120)
        given = [fleet.service.start(Life(duration=d)) for d in durations]
        ended = fleet.as_completed(given)
        assert ids(ended) == [given[i] for i in (3, 1, 2, 4, 0)]
        assert all(outcome.result() is outcome.operation for outcome in ended)

    def test_nothing_to_wait_for(self, fleet: Fleet) -> None:
        assert fleet.wait_all([]) == []
        assert fleet.as_completed(iter(())) == []

    def test_an_operation_still_running_is_none(self, fleet: Fleet) -> None:
        stuck = fleet.service.start(Life(outcome="Running"))
        done = fleet.service.start()
        results = fleet.wait_all([stuck, done], max_wait=60)
        assert results[0] is None
        assert results[1].id == done
        assert fleet.elapsed == pytest.approx(60)

    def test_duplicates_are_polled_once(self, fleet: Fleet) -> None:
        op_id = fleet.service.start(Life(duration=0))
        other = fleet.service.start(Life(duration=0))
        results = fleet.wait_all([op_id, other, op_id, op_id])
        assert [operation.id for operation in results] == [op_id, other, op_id, op_id]
        assert fleet.service.request_count == 2
        assert len(fleet.as_completed([op_id, op_id])) == 1

    @pytest.mark.parametrize("outcome", ["Errored", "Cancelled"])
    def test_statuses_are_as_in_a_single_wait(self, fleet: Fleet, outcome: Any) -> None:
        op_id = fleet.service.start(Life(duration=0, outcome=outcome))
        (result,) = fleet.wait_all([op_id], raise_exception_if=None)
        assert result.status.overview == outcome
        (result,) = fleet.wait_all([op_id], raise_exception_if=outcome, on_error="return")
        assert isinstance(result, OperationFailedError)


class TestErrors:
    @pytest.fixture
    def given(self, fleet: Fleet) -> list[str]:
        good = fleet.service.start(Life(duration=100))
        bad = fleet.service.start(Life(duration=5, outcome="Errored"))
        return [good, bad, "op_absent"]

    def test_together_at_the_end(self, fleet: Fleet, given: list[str]) -> None:
        with pytest.raises(WaitErrorGroup, match="2 of 3 operations") as caught:
            fleet.wait_all(given)
        errors = {type(error) for error in caught.value.exceptions}
        assert errors == {OperationFailedError, NotFoundError}
        good, bad, absent = caught.value.outcomes
        assert good.result() is not None
        assert isinstance(bad.error, OperationFailedError)
        with pytest.raises(NotFoundError):
            absent.result()
        part = caught.value.subgroup(NotFoundError)
        assert isinstance(part, WaitErrorGroup)
        assert part.outcomes == caught.value.outcomes

    def test_the_first_at_once(self, fleet: Fleet, given: list[str]) -> None:
        with pytest.raises(NotFoundError):
            fleet.wait_all(given, on_error="first")
        assert fleet.elapsed < 5
        with pytest.raises(NotFoundError):
            fleet.as_completed(given, on_error="first")

    def test_returned(self, fleet: Fleet, given: list[str]) -> None:
        good, bad, absent = fleet.wait_all(given, on_error="return")
        assert good.status.overview == "Finished"
        assert isinstance(bad, OperationFailedError)
        assert isinstance(absent, NotFoundError)

    def test_as_completed_returns_them_by_default(self, fleet: Fleet, given: list[str]) -> None:
        assert ids(fleet.as_completed(given)) == ["op_absent", given[1], given[0]]
        with pytest.raises(WaitErrorGroup):
            fleet.as_completed(given, on_error="group")

    def test_transient_trouble_is_overcome(self, fleet: Fleet) -> None:
        given = [fleet.service.start(Life(duration=60)) for _ in range(5)]
        for op_id in given:
            fleet.service.trouble(Trouble(kind="status", status=502, times=4), op_id=op_id)
        assert all(fleet.wait_all(given))

    def test_a_lasting_outage_ends_each(self, fleet: Fleet) -> None:
        given = [fleet.service.start() for _ in range(3)]
        fleet.service.trouble(Trouble(kind="status", times=10_000))
        with pytest.raises(WaitErrorGroup, match="3 of 3"):
            fleet.wait_all(given, max_outage=60)


class TestIds:
    @pytest.mark.parametrize(
        ("op_ids", "error"),
        [
            ("op_1", TypeError),
            (b"op_1", TypeError),
            (None, TypeError),
            (7, TypeError),
            (["op_1", ""], ValueError),
            (["op_1", 7], TypeError),
            (("..",), ValueError),
        ],
    )
    def test_bad_ids_raise_before_any_request(
        self, fleet: Fleet, op_ids: Any, error: type[Exception]
    ) -> None:
        for call in (fleet.wait_all, fleet.as_completed):
            with pytest.raises(error, match="op_ids"):
                call(op_ids)
        assert fleet.service.request_count == 0

    @pytest.mark.parametrize(
        ("argument", "value"),
        [("on_error", "ignore"), ("max_waiting", 0), ("timeout", 0), ("max_wait", -1)],
    )
    def test_other_bad_arguments(self, fleet: Fleet, argument: str, value: Any) -> None:
        with pytest.raises(ValueError, match=argument):
            fleet.wait_all(["op_1"], **{argument: value})

    def test_a_generator_is_read_as_room_allows(self, fleet: Fleet) -> None:
        waiting: list[int] = []

        def generate() -> Iterator[str]:
            for _ in range(30):
                live = fleet.service.operations()
                waiting.append(sum(o["status"]["overview"] != "Finished" for o in live))
                yield fleet.service.start(Life(duration=20))

        results = fleet.wait_all(generate(), max_waiting=4)
        assert len(results) == 30
        assert all(result.status.overview == "Finished" for result in results)
        assert max(waiting) <= 4

    def test_a_bad_id_of_a_generator_is_an_outcome(self, fleet: Fleet) -> None:
        good = fleet.service.start()
        results = fleet.wait_all(iter([good, "", 7, ""]), on_error="return")
        assert results[0].id == good
        assert isinstance(results[1], ValueError)
        assert isinstance(results[2], TypeError)
        assert isinstance(results[3], ValueError)

    def test_a_generator_that_fails(self, fleet: Fleet) -> None:
        def generate() -> Iterator[str]:
            yield fleet.service.start(Life(outcome="Running"))
            raise RuntimeError("no more ids")

        with pytest.raises(RuntimeError, match="no more ids"):
            fleet.wait_all(generate())

    def test_an_async_iterator(self) -> None:
        fleet = Fleet("async")

        async def generate() -> AsyncIterator[str]:
            for _ in range(20):
                await asyncio.sleep(0)
                yield fleet.service.start(Life(duration=5))

        assert len(fleet.wait_all(generate(), max_waiting=3)) == 20
        assert len(fleet.as_completed(generate())) == 20

    def test_an_async_iterator_that_fails(self) -> None:
        fleet = Fleet("async")

        async def generate() -> AsyncIterator[str]:
            yield fleet.service.start()
            raise RuntimeError("no more ids")

        with pytest.raises(RuntimeError, match="no more ids"):
            fleet.wait_all(generate())


class TestBounds:
    def test_requests_in_flight(self) -> None:
        fleet = Fleet("async")
        in_flight = most = 0
        handle = fleet.transport.handle_async_request

        async def counted(request: httpx.Request) -> httpx.Response:
            nonlocal in_flight, most
            in_flight += 1
            most = max(most, in_flight)
            await asyncio.sleep(0)
            try:
                return await handle(request)
            finally:
                in_flight -= 1

        fleet.transport.handle_async_request = counted  # type: ignore[method-assign]
        fleet.options["max_concurrency"] = 5
        fleet.wait_all([fleet.service.start() for _ in range(50)])
        assert most == 5

    def test_the_rate_is_never_exceeded_and_nobody_starves(self, fleet: Fleet) -> None:
        rate, count = 20, 400
        fleet.options["max_rate"] = rate
        given = [fleet.service.start(Life(outcome="Running")) for _ in range(count)]
        fleet.wait_all(given, max_wait=100)
        times = [request.at for request in fleet.service.requests]
        assert len(times) > 1900
        for first, after in zip(times, times[rate:], strict=False):
            assert after - first >= 1.0
        gaps: dict[str, list[float]] = {}
        for request in fleet.service.requests:
            gaps.setdefault(request.op_id, []).append(request.at)
        fair = count / rate
        for polls in gaps.values():
            waits = [b - a for a, b in pairwise(polls)]
            assert max(waits) <= 1.2 * fair
        assert len(gaps) == count

    def test_the_rate_is_shared_by_single_waits_and_get(self, nexus: Driver) -> None:
        nexus.options["max_rate"] = 0.1
        op_id = nexus.service.start(Life(outcome="Running"))
        nexus.wait(op_id, timeout=4, schedule=Fixed(1))
        times = [request.at for request in nexus.service.requests]
        assert all(b - a >= 10 for a, b in pairwise(times))

    def test_the_rate_holds_for_get(self) -> None:
        clock = VirtualClock()
        service = clock.service()
        op_id = service.start()
        transport = VirtualTransport(service, clock)
        with Client(SECRET, transport=transport, clock=clock, max_rate=0.5) as client:
            operations = client.get_project(PROJECT).operations
            for _ in range(3):
                operations.get(op_id)
        assert clock.now - 1000 >= 4

        async def awaited() -> None:
            options: dict[str, Any] = {"transport": transport, "clock": clock, "max_rate": 0.5}
            async with AsyncClient(SECRET, **options) as client:
                for _ in range(3):
                    await client.get_project(PROJECT).operations.get(op_id)

        before = clock.now
        asyncio.run(awaited())
        assert clock.now - before >= 4

    def test_retry_after_slows_the_whole_client(self, fleet: Fleet) -> None:
        given = [fleet.service.start(Life(outcome="Running")) for _ in range(10)]
        fleet.options["max_concurrency"] = 1
        trouble = Trouble(kind="status", status=429, retry_after="90")
        fleet.service.trouble(trouble, op_id=given[3])
        fleet.wait_all(given, max_wait=100)
        times = [request.at - 1000 for request in fleet.service.requests]
        limited = next(r.at - 1000 for r in fleet.service.requests if r.status == 429)
        assert not [at for at in times if limited < at < limited + 90]

    @pytest.mark.parametrize("value", [0, -1, True, "5", float("nan"), float("inf")])
    def test_bad_rates(self, value: Any) -> None:
        with pytest.raises((TypeError, ValueError), match="max_rate"):
            Client(SECRET, max_rate=value)

    @pytest.mark.parametrize("value", [0, -1, True, "5", 1.5])
    def test_bad_concurrency(self, value: Any) -> None:
        with pytest.raises((TypeError, ValueError), match="max_concurrency"):
            AsyncClient(SECRET, max_concurrency=value)


def leftovers() -> list[str]:
    """Return the names of threads that a fleet should not leave behind."""
    return [t.name for t in threading.enumerate() if t.name == "nexus-operations"]


class TestOverASocket:
    def test_a_hundred_at_once(self, nexus_simulator: Simulator) -> None:
        given = [nexus_simulator.start(Life(duration=0.3)) for _ in range(100)]
        with Client(SECRET, endpoint=nexus_simulator.endpoint) as client:
            operations = client.get_project(PROJECT).operations
            results = operations.wait_all(given)
            assert [r.id for r in results if hasattr(r, "id")] == given
        assert not leftovers()

    def test_in_a_thread_that_runs_a_loop(self, nexus_simulator: Simulator) -> None:
        op_id = nexus_simulator.start(Life(duration=0))

        async def notebook() -> Any:
            with Client(SECRET, endpoint=nexus_simulator.endpoint) as client:
                return client.get_project(PROJECT).operations.wait_all([op_id])

        assert len(asyncio.run(notebook())) == 1

    def test_an_event_ends_it(self, nexus_simulator: Simulator) -> None:
        stuck = nexus_simulator.start(Life(outcome="Running"))
        done = nexus_simulator.start(Life(duration=0))
        event = threading.Event()
        with Client(SECRET, endpoint=nexus_simulator.endpoint) as client:
            operations = client.get_project(PROJECT).operations
            outcomes = operations.as_completed([stuck, done], abort_event=event)
            assert next(outcomes).op_id == done
            event.set()
            assert list(outcomes) == []
            assert operations.wait_all([stuck, stuck], abort_event=event) == [None, None]
        assert not leftovers()

    def test_ctrl_c_tells_what_had_ended(self, nexus_simulator: Simulator) -> None:
        stuck = nexus_simulator.start(Life(outcome="Running"))
        stalled = nexus_simulator.start()
        nexus_simulator.trouble(Trouble(kind="stall", seconds=30), op_id=stalled)
        done = nexus_simulator.start(Life(duration=0))
        timer = threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT))
        with Client(SECRET, endpoint=nexus_simulator.endpoint) as client:
            operations = client.get_project(PROJECT).operations
            timer.start()
            with pytest.raises(KeyboardInterrupt) as caught:
                operations.wait_all([stuck, stalled, done])
        interruption = Interruption.from_error(caught.value)
        assert interruption is not None
        assert [outcome.op_id for outcome in interruption.ended] == [done]
        assert interruption.pending == [stuck, stalled]
        assert not leftovers()

    @pytest.mark.parametrize("method", ["wait_all", "as_completed"])
    def test_cancellation_tells_what_had_ended(
        self, nexus_simulator: Simulator, method: str
    ) -> None:
        stuck = nexus_simulator.start(Life(outcome="Running"))
        done = nexus_simulator.start(Life(duration=0))

        async def run() -> Interruption | None:
            async with AsyncClient(SECRET, endpoint=nexus_simulator.endpoint) as client:
                operations = client.get_project(PROJECT).operations
                seen, polled = asyncio.Event(), set()

                def progress(update: Update) -> None:
                    polled.add(update.op_id)
                    if len(polled) == 2:
                        seen.set()

                async def collect() -> None:
                    if method == "wait_all":
                        await operations.wait_all([stuck, done], progress=progress)
                    else:
                        async for _ in operations.as_completed([stuck, done], progress=progress):
                            pass

                task = asyncio.ensure_future(collect())
                await asyncio.wait_for(seen.wait(), 20)
                await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError) as caught:
                    await task
                assert type(caught.value) is asyncio.CancelledError
                assert len(asyncio.all_tasks()) == 1
                return Interruption.from_error(caught.value)

        interruption = asyncio.run(run())
        assert interruption is not None
        assert [outcome.op_id for outcome in interruption.ended] == [done]
        assert interruption.pending == [stuck]

    def test_leaving_the_iteration_ends_it(self, nexus_simulator: Simulator) -> None:
        given = [nexus_simulator.start(Life(outcome="Running"))]
        given.append(nexus_simulator.start(Life(duration=0)))
        with Client(SECRET, endpoint=nexus_simulator.endpoint) as client:
            outcomes: Any = client.get_project(PROJECT).operations.as_completed(given)
            next(outcomes)
            outcomes.close()
        assert not leftovers()

    def test_ids_arrive_while_it_runs(self, nexus_simulator: Simulator) -> None:
        async def generate() -> AsyncIterator[str]:
            for _ in range(10):
                await asyncio.sleep(0.02)
                yield nexus_simulator.start(Life(duration=0.1))

        async def run() -> int:
            async with AsyncClient(SECRET, endpoint=nexus_simulator.endpoint) as client:
                operations = client.get_project(PROJECT).operations
                return len([o async for o in operations.as_completed(generate())])

        assert asyncio.run(run()) == 10


def test_the_thread_cannot_start(nexus_simulator: Simulator) -> None:
    with Client(SECRET, endpoint=nexus_simulator.endpoint) as client:
        operations = client.get_project(PROJECT).operations

        def broken() -> Callable[[], None]:
            raise RuntimeError("no transport")

        operations._connect = broken  # type: ignore[assignment]
        with pytest.raises(RuntimeError, match="no transport"):
            operations.wait_all(["op_1"])
    assert time.monotonic() > 0
