"""Waits under random faults, over real sockets: is each outcome right?

    python benchmarks/faults.py [--waits 1000] [--seed 1] [--json]

Each operation has a scripted life and a random sequence of faults, which the simulator plays before
it answers properly; so what the wait must end in is known. Waits run on a clock `SPEED` times as
fast as the wall's, requests in real time. The vendor's client runs on the same sequences where it
is installed (`datature==1.12.2`), with its sleeps divided by `SPEED`.
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
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nexus_operations as nexus
from nexus_operations.simulator import Life, Simulator, Trouble

SPEED = 20.0
REQUEST_TIMEOUT = 0.5
MAX_WAIT = 200.0
"""Seconds on the waits' clock."""

TRANSIENT = [
    *(Trouble(kind="status", status=s, content_type="text/html") for s in (500, 502, 503, 504)),
    *(Trouble(kind="status", status=s, content_type="text/html") for s in range(520, 525)),
    Trouble(kind="status", status=429),
    Trouble(kind="status", status=429, retry_after="3"),
    Trouble(kind="status", status=429, retry_after="-7"),
    Trouble(kind="status", status=503, retry_after="soon"),
    Trouble(kind="status", status=503, retry_after="Wed, 21 Oct 1998 07:28:00 GMT"),
    Trouble(kind="reset"),
    Trouble(kind="reset", at="headers"),
    Trouble(kind="reset", at="body"),
    Trouble(kind="cut"),
    Trouble(kind="stall", seconds=1.0),
    Trouble(kind="drip", seconds=2.0),
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
    (Trouble(kind="oversized"), nexus.InvalidResponseError),
    (Trouble(kind="bomb"), nexus.InvalidResponseError),
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


@dataclass(frozen=True)
class Case:
    """One wait: its script, and what it must end in (a status, `running`, or an error's name)."""

    life: Life
    troubles: tuple[Trouble, ...]
    expected: str


def make_cases(count: int, seed: int, longest: float = 4.0) -> list[Case]:
    """Return random scripts of lives of up to `longest` real seconds."""
    luck = random.Random(seed)
    cases: list[Case] = []
    for _ in range(count):
        outcome: Any = luck.choices(["Finished", "Errored", "Cancelled", "Running"], [6, 2, 1, 1])[
            0
        ]
        life = Life(
            duration=luck.uniform(0, longest), items=luck.choice([1, 10, 100]), outcome=outcome
        )
        troubles = luck.choices(TRANSIENT, k=luck.randint(0, 4))
        expected = {"Errored": "OperationFailedError", "Running": "running"}.get(outcome, outcome)
        if luck.random() < 0.2:
            trouble, error = luck.choice(PERMANENT)
            troubles.append(trouble)
            expected = error.__name__
        cases.append(Case(life, tuple(troubles), expected))
    return cases


def start(simulator: Simulator, cases: list[Case]) -> list[str]:
    """Start every case's operation and queue its troubles."""
    ids: list[str] = []
    for case in cases:
        ids.append(simulator.start(case.life))
        simulator.trouble(*case.troubles, op_id=ids[-1])
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


def ours(cases: list[Case], kind: str, max_wait: float = MAX_WAIT) -> dict[str, Any]:
    """Run the cases with the sync fleet, the async one, or single sync waits in threads."""
    options: dict[str, Any] = {"clock": FastClock(), "request_timeout": REQUEST_TIMEOUT}
    waiting: dict[str, Any] = {"max_wait": max_wait, "schedule": nexus.Fixed(4)}
    with Simulator() as simulator:
        ids = start(simulator, cases)
        sockets, threads = open_sockets(), threading.active_count()
        began = time.monotonic()
        longest = 0.0

        def single(operations: nexus.Operations, op_id: str) -> object:
            nonlocal longest
            started = time.monotonic()
            try:
                return operations.wait_until_done(op_id, **waiting)
            except nexus.NexusError as error:
                return error
            finally:
                longest = max(longest, time.monotonic() - started)

        async def fleet() -> list[Any]:
            async with nexus.AsyncClient(
                "secret", endpoint=simulator.endpoint, **options
            ) as client:
                operations = client.get_project("proj_simulated").operations
                results = await operations.wait_all(ids, on_error="return", **waiting)
                assert len(asyncio.all_tasks()) == 1
                return results

        results: list[Any]
        if kind == "async":
            results = asyncio.run(fleet())
        else:
            with nexus.Client("secret", endpoint=simulator.endpoint, **options) as client:
                operations = client.get_project("proj_simulated").operations
                if kind == "sync":
                    results = operations.wait_all(ids, on_error="return", **waiting)
                else:
                    with ThreadPoolExecutor(64) as pool:
                        results = list(pool.map(lambda op_id: single(operations, op_id), ids))
        seconds = time.monotonic() - began
        deadline = max_wait / SPEED + REQUEST_TIMEOUT
        time.sleep(0.2)  # the server's ends of closed connections
        leaked = max(open_sockets() - sockets, 0)
        return {
            **judge(cases, [named(result) for result in results]),
            "past_deadline": int((longest or seconds) > deadline + 2),
            "seconds": round(seconds, 1),
            "leaked_sockets": leaked,
            "leaked_threads": max(threading.active_count() - threads, 0),
        }


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
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    logging.getLogger("nexus_operations").setLevel(logging.ERROR)
    cases = make_cases(arguments.waits, arguments.seed)
    results: dict[str, Any] = {kind: ours(cases, kind) for kind in ("single", "sync", "async")}
    results["vendor"] = vendor(cases)
    if arguments.json:
        print(json.dumps({"seed": arguments.seed, **results}))
    else:
        print(f"seed {arguments.seed}")
        for kind, figures in results.items():
            print(f"{kind:<8}{figures if figures is not None else 'not installed'}")
    good = all(
        results[kind]["right"] == arguments.waits
        and not results[kind]["past_deadline"] + results[kind]["leaked_sockets"]
        for kind in ("single", "sync", "async")
    )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
