"""Waits under random faults, over real sockets: is each outcome right?

    python benchmarks/faults.py [--waits 1000] [--seed 1] [--paths wait,fleet] [--json]

Each operation has a scripted life and a random sequence of faults, which the simulator, or a front
before it that spoils what goes over the wire, plays before it is answered properly; so what the
wait must end in is known. Waits run on a clock `SPEED` times as fast as the wall's, requests in
real time; the name of the service resolves slowly, now and then too slowly. The vendor's client
runs on the simulator's part of the sequences where it is installed (`datature==1.12.2`), with its
sleeps divided by `SPEED`.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import json
import logging
import random
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nexus_operations as nexus
from nexus_operations.simulator import Life, Simulator, Trouble

sys.path.insert(0, str(Path(__file__).parent.parent))  # where this is run as a script

from benchmarks import front
from benchmarks.front import BAD, GOOD, SLOW, Front, SlowNames

SPEED = 10.0
REQUEST_TIMEOUT = 2.5
MAX_WAIT = 260.0
"""Seconds on the waits' clock."""

BURST = 400
IDLE_RATE = 400.0
"""Requests a second that two idle cores make, the simulator's side included, at least."""

AT_ONCE = 200
"""Requests in flight, and threads of single waits: a request that stalls holds up no other."""

SLACK = 3.0
"""Seconds of the wall's that a call may take beyond its deadline on a busy machine."""

TRANSIENT = [
    *(Trouble(kind="status", status=s, content_type="text/html") for s in (500, 502, 503, 504)),
    *(Trouble(kind="status", status=s, content_type="text/html") for s in range(520, 525)),
    Trouble(kind="status", status=429),
    Trouble(kind="status", status=429, retry_after="3"),
    Trouble(kind="status", status=429, retry_after="-7"),
    Trouble(kind="status", status=429, retry_after="0"),
    Trouble(kind="status", status=503, retry_after="0"),
    Trouble(kind="status", status=503, retry_after="soon"),
    Trouble(kind="status", status=503, retry_after="Wed, 21 Oct 1998 07:28:00 GMT"),
    Trouble(kind="reset"),
    Trouble(kind="reset", at="headers"),
    Trouble(kind="reset", at="body"),
    Trouble(kind="cut"),
    Trouble(kind="stall", seconds=5.0),
    Trouble(kind="drip", seconds=6.0),
    Trouble(kind="overview", overview="Paused"),
]
PERMANENT = [
    (Trouble(kind="status", status=400), nexus.BadRequestError),
    (Trouble(kind="status", status=401), nexus.UnauthorizedError),
    (Trouble(kind="status", status=403), nexus.ForbiddenError),
    (Trouble(kind="status", status=404), nexus.NotFoundError),
    (
        Trouble(kind="status", status=302, location="http://127.0.0.1:9/"),
        nexus.UnexpectedStatusError,
    ),
    (Trouble(kind="oversized", size=(1 << 20) + 4096), nexus.InvalidResponseError),
    (Trouble(kind="bomb", size=2 << 20), nexus.InvalidResponseError),
    (Trouble(kind="body", body="<html>Sign in</html>"), nexus.InvalidResponseError),
    (Trouble(kind="body", body='{"id": "op_1", "kind"'), nexus.InvalidResponseError),
]


class FastClock(nexus.SystemClock):
    """The machine's clock, sped up."""

    def monotonic(self) -> float:
        """Return sped-up seconds."""
        return time.monotonic() * SPEED

    def sleep(self, seconds: float, abort_event: threading.Event | None = None) -> bool:
        """Sleep for less."""
        return super().sleep(seconds / SPEED, abort_event)

    async def async_sleep(self, seconds: float | None, wake: asyncio.Event | None = None) -> None:
        """Sleep for less."""
        await super().async_sleep(None if seconds is None else seconds / SPEED, wake)


Step = Trouble | str
"""One spoilt answer: of the simulator's, or of the front's by its name."""

RUNNING = Trouble(kind="overview", overview="Running")


def is_good(step: Step) -> bool:
    """Whether an answer is one of a running operation, however it looks."""
    return step in GOOD if isinstance(step, str) else step.kind == "overview"


def is_slow(step: Step) -> bool:
    """Whether an answer comes too late."""
    return step in SLOW if isinstance(step, str) else step.kind in ("stall", "drip")


@dataclass(frozen=True)
class Case:
    """One wait: its script, and what it must end in (a status, `running`, or an error's name)."""

    life: Life
    steps: tuple[Step, ...]
    expected: str

    @property
    def troubles(self) -> tuple[Trouble, ...]:
        """The steps that the simulator plays."""
        return tuple(step for step in self.steps if isinstance(step, Trouble))


def make_cases(
    count: int, seed: int, longest: float = 1.5, *, on_the_wire: bool = True
) -> list[Case]:
    """Return random scripts of lives of up to `longest` real seconds."""
    luck = random.Random(seed)
    wire = [*GOOD, *BAD, *SLOW] if on_the_wire else []
    cases: list[Case] = []
    for _ in range(count):
        outcome: Any = luck.choices(["Finished", "Errored", "Cancelled", "Running"], [6, 2, 1, 1])[
            0
        ]
        life = Life(
            duration=luck.uniform(0, longest), items=luck.choice([1, 10, 100]), outcome=outcome
        )
        steps: list[Step] = [
            luck.choice(wire if wire and luck.random() < 0.4 else TRANSIENT)
            for _ in range(luck.randint(0, 4))
        ]
        expected = {"Errored": "OperationFailedError", "Running": "running"}.get(outcome, outcome)
        if luck.random() < 0.3:
            expected = spoil_for_good(luck, steps, expected)
        cases.append(Case(life, tuple(steps), expected))
    return cases


def spoil_for_good(luck: random.Random, steps: list[Step], expected: str) -> str:
    """Add an answer that would be final; return what the wait must end in then.

    After a good answer it is looked at again: once it is forgiven, twice it is final.
    """
    trouble, error = luck.choice(PERMANENT)
    if luck.random() < 0.5:
        steps.append(RUNNING)
    forgiven = any(map(is_good, steps)) and luck.random() < 0.5
    again = any(map(is_good, steps)) and not forgiven
    steps += [trouble] * (2 if again else 1)
    return expected if forgiven else error.__name__


def start(simulator: Simulator, cases: list[Case], stands: Front | None = None) -> list[str]:
    """Start every case's operation and queue its steps."""
    ids: list[str] = []
    for case in cases:
        ids.append(simulator.start(case.life))
        simulator.trouble(*case.troubles, op_id=ids[-1])
        if stands is not None:
            stands.script(ids[-1], [s if isinstance(s, str) else None for s in case.steps])
    return ids


def judge(cases: list[Case], ended: list[str]) -> dict[str, Any]:
    """Compare what waits ended in with what they must."""
    pairs = list(zip((case.expected for case in cases), ended, strict=True))
    wrong = collections.Counter(f"{e} -> {got}" for e, got in pairs if e != got)
    return {
        "waits": len(pairs),
        "right": sum(e == got for e, got in pairs),
        "false_finished": sum(got == "Finished" != e for e, got in pairs),
        "wrong": dict(wrong),
    }


def named(result: object) -> str:
    """Return an outcome in one word."""
    if isinstance(result, Exception):
        return type(result).__name__
    return "running" if result is None else str(getattr(result, "status").overview)  # noqa: B009


def open_sockets() -> int:
    """Return how many sockets this process has open."""
    sockets = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            sockets += "socket" in str(descriptor.readlink())
    return sockets


def pace_of_the_machine() -> float:
    """Return how many requests this machine makes at the moment, as a share of an idle one's."""

    async def burst(endpoint: str, op_id: str) -> float:
        async with nexus.AsyncClient("secret", endpoint=endpoint) as client:
            operations = client.get_project("proj_simulated").operations
            began = time.monotonic()
            await asyncio.gather(*(operations.get(op_id) for _ in range(BURST)))
            return BURST / (time.monotonic() - began)

    with Simulator() as simulator:
        rate = asyncio.run(burst(simulator.endpoint, simulator.start()))
    return min(max(rate / IDLE_RATE, 0.2), 1.0)


def keep_pace(pace: float) -> None:
    """Let everything take its time on a machine that is busy."""
    global SPEED, REQUEST_TIMEOUT
    SPEED *= pace
    REQUEST_TIMEOUT /= pace
    front.LATE /= pace
    front.AT_FIRST /= pace


NAME = "simulator.test"
PATHS = ("wait", "watch", "fleet", "await wait", "await fleet")
"""Single sync waits in threads, the same as snapshots, the sync fleet, and both awaited."""


def ours(
    cases: list[Case], path: str, max_wait: float = MAX_WAIT, *, seed: int = 1
) -> dict[str, Any]:
    """Run the cases on one path; those that the machine disturbed are run once more.

    A busy machine can hold up an answer until its request is given up: then the script of that
    operation has moved on unseen, and says nothing of the library.
    """
    figures, ended, disturbed = attempt(cases, path, max_wait, seed)
    again = [n for n in disturbed if ended[n] != cases[n].expected]
    if again:
        more, ended_again, _ = attempt([cases[n] for n in again], path, max_wait, seed)
        for number, result in zip(again, ended_again, strict=True):
            ended[number] = result
        for name in ("past_deadline", "leaked_sockets", "leaked_threads", "seconds"):
            figures[name] += more[name]
    return {**judge(cases, ended), **figures, "run_again": len(again)}


class Timeouts(logging.Handler):
    """Counts the polls of each operation that ended in a timeout of their request."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: collections.Counter[str] = collections.Counter()

    def emit(self, record: logging.LogRecord) -> None:
        """Count a poll that failed."""
        if isinstance(record.args, tuple) and len(record.args) == 4:
            op_id, _, _, error = record.args
            self.counts[str(op_id)] += isinstance(error, nexus.RequestTimeoutError)


def attempt(
    cases: list[Case], path: str, max_wait: float, seed: int
) -> tuple[dict[str, Any], list[str], list[int]]:
    """Run the cases once; return figures, what each ended in, and which were disturbed."""
    client: dict[str, Any] = {
        "clock": FastClock(),
        "request_timeout": REQUEST_TIMEOUT,
        "max_concurrency": AT_ONCE,
    }
    waiting: dict[str, Any] = {"max_wait": max_wait, "schedule": nexus.Fixed(10)}
    took: list[float] = []

    def single(operations: nexus.Operations, op_id: str) -> object:
        began = time.monotonic()
        try:
            if path == "watch":
                for operation in operations.watch(op_id, raise_exception_if="Errored", **waiting):
                    last = operation
                return last if last.status.overview in nexus.TERMINAL_STATUSES else None
            return operations.wait_until_done(op_id, **waiting)
        except nexus.NexusError as error:
            return error
        finally:
            took.append(time.monotonic() - began)

    async def awaited(endpoint: str, ids: list[str]) -> list[Any]:
        async with nexus.AsyncClient("secret", endpoint=endpoint, **client) as made:
            operations = made.get_project("proj_simulated").operations
            if path == "await wait":
                calls = [operations.wait_until_done(op_id, **waiting) for op_id in ids]
                return await asyncio.gather(*calls, return_exceptions=True)
            results = await operations.wait_all(ids, on_error="return", **waiting)
            assert len(asyncio.all_tasks()) == 1
            return results

    def run(endpoint: str, ids: list[str]) -> list[Any]:
        if path.startswith("await"):
            return asyncio.run(awaited(endpoint, ids))
        with nexus.Client("secret", endpoint=endpoint, **client) as made:
            operations = made.get_project("proj_simulated").operations
            if path == "fleet":
                return operations.wait_all(ids, on_error="return", **waiting)
            with ThreadPoolExecutor(AT_ONCE) as pool:
                return list(pool.map(lambda op_id: single(operations, op_id), ids))

    timeouts, logger = Timeouts(), logging.getLogger("nexus_operations")
    level, logger.propagate = logger.level, False
    logger.setLevel(logging.INFO)
    logger.addHandler(timeouts)
    with Simulator() as simulator, Front(simulator.endpoint) as stands, SlowNames(NAME, seed):
        ids = start(simulator, cases, stands)
        sockets, threads = open_sockets(), threading.active_count()
        began = time.monotonic()
        results = run(f"http://{NAME}:{stands.port}", ids)
        seconds = time.monotonic() - began
        deadline = max_wait / SPEED + REQUEST_TIMEOUT
        settle(lambda: open_sockets() <= sockets and threading.active_count() <= threads)
        figures = {
            "past_deadline": int(max(took, default=seconds) > deadline + SLACK),
            "seconds": round(seconds, 1),
            "leaked_sockets": max(open_sockets() - sockets, 0),
            "leaked_threads": max(threading.active_count() - threads, 0),
        }
    logger.removeHandler(timeouts)
    logger.propagate = True
    logger.setLevel(level)
    disturbed = [
        number
        for number, (case, op_id) in enumerate(zip(cases, ids, strict=True))
        if timeouts.counts[op_id] + isinstance(results[number], nexus.RequestTimeoutError)
        > sum(map(is_slow, case.steps))
    ]
    return figures, [named(result) for result in results], disturbed


def settle(quiet: Callable[[], bool]) -> None:
    """Give the server's ends of closed connections, and names left behind, time to go."""
    end = time.monotonic() + 5
    while not quiet() and time.monotonic() < end:
        time.sleep(0.05)


def vendor(cases: list[Case]) -> dict[str, Any] | None:
    """Run the cases with the vendor's client, or return `None` where it is not installed."""
    try:
        from datature.nexus import Client  # type: ignore[import-not-found]
    except ImportError:
        return None
    sleep = time.sleep
    time.sleep = lambda seconds: sleep(seconds / SPEED)  # type: ignore[assignment]
    try:
        with Simulator() as simulator:
            ids = start(simulator, cases)

            def wait(op_id: str) -> str:
                project = Client("secret", endpoint=simulator.endpoint).get_project(
                    "proj_simulated"
                )
                try:
                    result = project.operations.wait_until_done(
                        op_id, timeout=int(MAX_WAIT / SPEED)
                    )
                except Exception as error:  # noqa: BLE001
                    name = type(error).__name__
                    return (
                        "OperationFailedError" if "Operation Errored" in str(error.args) else name
                    )
                overview = result.status.overview if result is not None else "running"
                return "running" if overview in ("Running", "Queued") else overview

            with ThreadPoolExecutor(32) as pool:
                return judge(cases, list(pool.map(wait, ids)))
    finally:
        time.sleep = sleep


def main() -> int:
    parser = argparse.ArgumentParser(description="Waits under random faults.")
    parser.add_argument("--waits", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--paths", default=",".join(PATHS), help=f"of {', '.join(PATHS)}")
    parser.add_argument("--pace", type=float, help="0.2 to 1, 1 on an idle machine: measured")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    logging.getLogger("nexus_operations").setLevel(logging.ERROR)
    cases = make_cases(arguments.waits, arguments.seed)
    pace = arguments.pace or pace_of_the_machine()
    keep_pace(pace)
    paths = arguments.paths.split(",")
    results: dict[str, Any] = {
        path: ours(cases, path, seed=arguments.seed) for path in paths if path in PATHS
    }
    results["vendor"] = vendor(make_cases(arguments.waits, arguments.seed, on_the_wire=False))
    if arguments.json:
        print(json.dumps({"seed": arguments.seed, "pace": pace, **results}))
    else:
        print(f"seed {arguments.seed}, at {pace:.0%} of an idle machine's pace")
        for kind, figures in results.items():
            print(f"{kind:<12}{figures if figures is not None else 'not installed'}")
    good = len(results) > 1 and all(
        figures["right"] == arguments.waits
        and not figures["past_deadline"] + figures["leaked_sockets"] + figures["leaked_threads"]
        for path, figures in results.items()
        if path != "vendor"
    )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
