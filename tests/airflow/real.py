"""Runs of the provider in Airflow's real parts.

    python -m tests.airflow.real --check              operations of every kind, SQLite
    python -m tests.airflow.real --demo               the example DAG, told as it goes
    python -m tests.airflow.real --scale 500          many deferred at once in one triggerer
    python -m tests.airflow.real --kill 500           two triggerers; the one with the waits dies
    python -m tests.airflow.real --kill 500 --outage 300    the same, in an outage of the service
    python -m tests.airflow.real --slow 500           two minutes in which each answer takes 10 s
    python -m tests.airflow.real --soon 300           operations that end soon after the deferral
    python -m tests.airflow.real --rate 2000          the cost of waits at 20 requests a second

All but the first two need PostgreSQL (Debian's package `postgresql`). Each ends with its figures as
one JSON object, and fails if a task ended wrong.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from nexus_operations.simulator import Life, Simulator

from tests.airflow.parts import (
    POSTGRES,
    Airflow,
    cpu_seconds,
    orderly,
    peak_memory,
    running,
    until,
)

STUCK = Life(outcome="Running", items=100)
NOT_RUN = """
**********************************************************************
NOT RUN: tests.airflow.real {}
PostgreSQL is not installed (Debian: apt-get install postgresql), so
that waits survive a triggerer that is killed has NOT been tested.
**********************************************************************
"""
OUTCOMES = {"Finished": "success", "Errored": "failed", "Cancelled": "failed"}


def told(figures: dict[str, Any]) -> None:
    """Print figures as JSON."""
    print(json.dumps({k: round(v, 2) if isinstance(v, float) else v for k, v in figures.items()}))


def check() -> None:
    """Operations that finish, error, are cancelled, outlive their bound, or do not exist.

    An operation ends once its task is deferred, however long that takes on a slow machine.
    """
    with running(needs_postgres=False) as (airflow, simulator):
        names = ("finishes", "errored", "cancelled", "outlives")
        ids = {name: simulator.start(STUCK) for name in names}
        ids["unknown"] = "op_unknown"
        waits: list[dict[str, Any]] = [{"op_id": i, "max_wait": 36000.0} for i in ids.values()]
        # Deferred however slow the machine is: the first poll comes well before the bound.
        waits[names.index("outlives")].update(max_wait=30.0, first_poll_after=10.0)
        airflow.trigger("nexus_lives", {"waits": waits})
        deferred: set[int] = set()

        def all_deferred() -> bool:
            tasks = airflow.tasks("nexus_lives")
            deferred.update(index for index, (state, _) in tasks.items() if state == "deferred")
            return len(deferred) == len(names)

        until(all_deferred, "all operations that run are waited for in the triggerer", 300, 0.2)
        simulator.end(ids["finishes"])
        simulator.end(ids["errored"], "Errored", "Quota")
        simulator.end(ids["cancelled"], "Cancelled")
        until(lambda: airflow.have_ended("nexus_lives", len(ids)), "all tasks have ended", 300)
        found = airflow.tasks("nexus_lives")
        tasks = {name: found[number] for number, name in enumerate(ids)}
        told({"tasks": tasks, "deferred": [list(ids)[index] for index in sorted(deferred)]})
        assert tasks == {
            "finishes": ("success", 1),
            "errored": ("failed", 1),
            "cancelled": ("failed", 1),
            "outlives": ("failed", 2),  # retried: the second try waited on
            "unknown": ("failed", 2),
        }
        log = airflow.task_log("nexus_lives", "wait", 0)
        for line in (
            "waiting in the triggerer until",
            r"Running, \d+ of 100",
            "Finished, 100 of 100",
        ):
            assert re.search(f"{ids['finishes']}: {line}", log), (
                f"{line!r} is not in the log:\n{log}"
            )
    print(f"{len(ids)} passed, 0 failed")


def demo() -> None:
    """The example DAG, told as it goes."""
    print("Starting Airflow: api-server, scheduler, dag-processor, triggerer …", flush=True)
    with running(needs_postgres=False) as (airflow, simulator):
        airflow.trigger("nexus_example", {})
        print("The example DAG runs; its exports are waited for in the triggerer.", flush=True)
        shown: list[str] = []

        def ended() -> bool:
            tasks = airflow.tasks("nexus_example")
            line = ", ".join(
                f"wait[{index}] {state}" for index, (state, _) in sorted(tasks.items())
            )
            held = sum(airflow.holders().values())
            exports = ", ".join(
                f"{operation['status']['overview']}"
                f" {operation['status']['progress']['withStatus']['Finished']}"
                for operation in simulator.service.operations()
            )
            now = f"  {line or 'start_exports'}; held by the triggerer: {held}; exports: {exports}"
            if now not in shown:
                shown.append(now)
                print(now, flush=True)
            return bool(tasks) and airflow.have_ended("nexus_example", len(tasks))

        until(ended, "the exports have ended", 300)
        assert {state for state, _ in airflow.tasks("nexus_example").values()} == {"success"}
    print("Every export has finished.")


class Waits:
    """Operations that are deferred at once, each with the outcome that it is to have.

    Args:
        airflow: Where they are waited for.
        simulator: Where they live.
        count: How many there are.
    """

    def __init__(self, airflow: Airflow, simulator: Simulator, count: int) -> None:
        self.airflow = airflow
        self.simulator = simulator
        self.count = count
        luck = random.Random(1)
        self.outcomes = luck.choices(list(OUTCOMES), [90, 6, 4], k=count)
        self.ids = [simulator.start(STUCK) for _ in range(count)]
        self.figures: dict[str, Any] = {"operations": count}

    def defer(self, patience: float = 1200) -> None:
        """Start the tasks; return once all are deferred."""
        began = time.monotonic()
        waits = [{"op_id": op_id, "max_wait": 36000.0} for op_id in self.ids]
        self.airflow.trigger("nexus_lives", {"waits": waits})
        until(self.all_deferred, f"{self.count} are deferred", patience)
        self.figures["seconds_to_defer"] = time.monotonic() - began

    def all_deferred(self) -> bool:
        """Return whether all are held by a triggerer."""
        tasks = self.airflow.tasks("nexus_lives")
        deferred = sum(state == "deferred" for state, _ in tasks.values())
        return sum(self.airflow.holders().values()) == self.count == deferred

    def end(self, patience: float = 1200) -> None:
        """End all operations; return once the tasks have ended, and count those that are right."""
        for op_id, outcome in zip(self.ids, self.outcomes, strict=True):
            self.simulator.end(op_id, outcome)  # type: ignore[arg-type]
        began = time.monotonic()
        until(
            lambda: self.airflow.have_ended("nexus_lives", self.count),
            "all tasks have ended",
            patience,
        )
        self.figures["seconds_to_end"] = time.monotonic() - began
        self.figures["requests"] = self.simulator.service.request_count
        tasks = self.airflow.tasks("nexus_lives")
        expected = [OUTCOMES[outcome] for outcome in self.outcomes]
        self.figures["right"] = sum(tasks[n][0] == expected[n] for n in range(self.count))
        self.figures["tries"] = dict(Counter(tried for _, tried in tasks.values()))

    def conclude(self, part: str) -> None:
        """Print the figures; fail if a task ended wrong or needed a second try."""
        self.figures["triggerer_peak_mb"] = peak_memory(self.airflow.processes[part].pid)
        self.figures.update(blocks(self.airflow, part))
        told(self.figures)
        assert self.figures["right"] == self.count
        assert self.figures["tries"] == {1: self.count}


def blocks(airflow: Airflow, part: str) -> dict[str, Any]:
    """Return how often and how long a triggerer's event loop was blocked, as Airflow saw it."""
    lines = airflow.said(part, "async thread was blocked for")
    seconds = [float(re.search(r"blocked for ([\d.]+)", line)[1]) for line in lines]  # type: ignore[index]
    return {
        "blocks": len(seconds),
        "longest_block": max(seconds, default=0.0),
        "reassignments": len(airflow.said(part, "appears deadlocked")),
    }


def scale(count: int) -> None:
    """Many operations deferred at once in one triggerer."""
    with running(needs_postgres=True, max_rate=100) as (airflow, simulator):
        waits = Waits(airflow, simulator, count)
        waits.defer()
        waits.figures["requests_while_deferred"] = simulator.service.request_count
        waits.end()
        waits.conclude("triggerer")


def kill(count: int, outage: float) -> None:
    """Two triggerers, of which the one with the waits dies, in an outage of the service or not."""
    with running(needs_postgres=True, max_rate=100) as (airflow, simulator):
        waits = Waits(airflow, simulator, count)
        waits.defer()
        airflow.start("triggerer", "second")
        until(lambda: alive(airflow) == 2, "the second triggerer is up", 240)
        (holder,) = airflow.holders()
        began = time.monotonic()
        if outage:
            simulator.down()
            time.sleep(outage / 5)
        airflow.kill("triggerer")
        killed = time.monotonic()
        until(lambda: moved(airflow, holder, count), "all waits are on the other", 240)
        waits.figures["seconds_to_move"] = time.monotonic() - killed
        if outage:
            time.sleep(max(began + outage - time.monotonic(), 0))
            waits.figures["seconds_of_outage"] = time.monotonic() - began
            simulator.up()
            assert waits.all_deferred()
        waits.end()
        waits.conclude("second")


def alive(airflow: Airflow) -> int:
    """Return how many triggerers run."""
    query = "select id from job where job_type = 'TriggererJob' and state = 'running'"
    return len(airflow.rows(query))


def moved(airflow: Airflow, dead: int, count: int) -> bool:
    """Return whether another triggerer holds all waits."""
    holders = airflow.holders()
    return dead not in holders and sum(holders.values()) == count


def slow(count: int, latency: float = 10.0, seconds: float = 120.0) -> None:
    """Waits over the default connection, with no bound on their rate, while the service is slow."""
    with running(needs_postgres=True) as (airflow, simulator):
        waits = Waits(airflow, simulator, count)
        waits.defer()
        before = simulator.service.request_count
        simulator.service.latency = latency
        time.sleep(seconds)
        simulator.service.latency = 0.0
        waits.figures["requests_while_slow"] = simulator.service.request_count - before
        waits.end()
        waits.conclude("triggerer")
        assert waits.figures["longest_block"] < 1.0
        assert waits.figures["reassignments"] == 0


def soon(count: int, delays: Sequence[float] = (0.3, 3.0, 20.0)) -> None:
    """Operations that end within some seconds of their first poll, which is the worker's."""
    with running(needs_postgres=True) as (airflow, simulator):
        ids = [simulator.start(STUCK) for _ in range(count)]
        waiting = {op_id: delays[number % len(delays)] for number, op_id in enumerate(ids)}
        ends: dict[str, float] = {}
        waits = [{"op_id": op_id, "max_wait": 3600.0} for op_id in ids]
        began = time.monotonic()
        airflow.trigger("nexus_once", {"waits": waits})
        checked = 0.0

        def ended() -> bool:
            nonlocal checked
            for request in list(simulator.service.requests):
                if request.op_id in waiting:
                    ends[request.op_id] = request.at + waiting.pop(request.op_id)
            now = time.monotonic()
            for op_id in [op_id for op_id, instant in ends.items() if instant <= now]:
                del ends[op_id]
                simulator.end(op_id)
            if now < checked + 2:
                return False
            checked = now
            return airflow.have_ended("nexus_once", count)

        until(ended, "all tasks have ended", 1800, 0.05)
        tasks = airflow.tasks("nexus_once")
        by_delay = {
            delay: dict(Counter(tasks[n][0] for n in range(i, count, len(delays))))
            for i, delay in enumerate(delays)
        }
        mismatches = airflow.rows("select count(*) from log where event = 'state mismatch'")[0][0]
        told(
            {
                "operations": count,
                "seconds": time.monotonic() - began,
                "ended": by_delay,
                "state_mismatches": mismatches,
                "requests": simulator.service.request_count,
            }
        )
        assert by_delay == {delay: {"success": count // len(delays)} for delay in delays}


def rate(count: int, max_rate: float = 20.0, seconds: float = 120.0) -> None:
    """What many waits cost one triggerer where the connection bounds their requests."""
    options = {"max_rate": max_rate, "capacity": 2 * count}
    with running(needs_postgres=True, **options) as (airflow, simulator):
        waits = Waits(airflow, simulator, count)
        waits.defer(3600)
        pid = airflow.processes["triggerer"].pid
        time.sleep(30)
        cpu, requests, began = cpu_seconds(pid), simulator.service.request_count, time.monotonic()
        time.sleep(seconds)
        passed = time.monotonic() - began
        waits.figures["cores"] = (cpu_seconds(pid) - cpu) / passed
        waits.figures["requests_a_second"] = (simulator.service.request_count - requests) / passed
        told(waits.figures)
        assert waits.figures["requests_a_second"] >= 0.95 * max_rate


def main() -> None:
    """Run one of the scenarios."""
    parser = argparse.ArgumentParser(description="The provider in Airflow's real parts.")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--check", action="store_true")
    which.add_argument("--demo", action="store_true")
    for name in ("scale", "kill", "slow", "soon", "rate"):
        which.add_argument(f"--{name}", type=int, metavar="OPERATIONS")
    parser.add_argument("--outage", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument(
        "--or-say-so", action="store_true", help="without PostgreSQL, say so rather than fail"
    )
    arguments = parser.parse_args()
    orderly()
    if arguments.or_say_so and not POSTGRES:
        print(NOT_RUN.format(" ".join(sys.argv[1:])), file=sys.stderr)
        return
    if arguments.check:
        check()
    elif arguments.demo:
        demo()
    elif arguments.scale:
        scale(arguments.scale)
    elif arguments.kill:
        kill(arguments.kill, arguments.outage)
    elif arguments.slow:
        slow(arguments.slow)
    elif arguments.soon:
        soon(arguments.soon)
    else:
        rate(arguments.rate)


if __name__ == "__main__":
    main()
