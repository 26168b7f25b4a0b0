"""Many waits in one process: CPU per poll, memory, fairness under a rate.

    python benchmarks/fleet.py [--json] [--long] [--operations 3000] [--speed 30] [--skip-fleet]

By default it ends within three minutes on two busy cores; `--long` waits for 100,000 operations,
and measures the rest at length.

The service runs in a process of its own: a bare asyncio server whose operations live on a clock
`--speed` times as fast as the wall's. It answers after `--latency` seconds where CPU is measured
awaited, so that as many requests are in flight as are said to be. CPU is the process time of this
process, so it counts every thread of ours and nothing of the server's. All ratios are of figures
measured in the same run, in turn.

The vendor's `operations.get`, for comparison, is measured by hand: install `datature==1.12.2` into
an environment of its own and time `Client("secret", endpoint=…).get_project("proj_bench")` there.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import multiprocessing
import random
import resource
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from itertools import count, pairwise
from typing import Any, ClassVar

import httpx
from nexus_operations import Adaptive, AsyncClient, Client, History
from nexus_operations._http.network import Limits
from nexus_operations_api.api.operations import get_operation

PROJECT = "proj_bench"
KNOWN = "op_known"
ANSWERS = ("Finished", "Errored", "Cancelled")


class Operations(asyncio.Protocol):
    """Answers retrievals; an operation's life is in its id: `op_<number>_<seconds>_<outcome>`."""

    started: ClassVar[dict[str, float]] = {}
    requests: ClassVar[deque[float]] = deque(maxlen=200_000)
    speed = 1.0
    latency = 0.0

    def connection_made(self, transport: Any) -> None:
        """Remember where to answer."""
        self.transport = transport
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        """Answer each request, after the latency."""
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            path = self.buffer[: self.buffer.find(b"\r\n")].split(b" ")[1].decode()
            self.buffer = self.buffer[end + 4 :]
            body = self.answer(path.rsplit("/", 1)[1])
            head = (
                f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
            )
            loop = asyncio.get_running_loop()
            loop.call_later(self.latency, self.transport.write, f"{head}\r\n\r\n{body}".encode())

    def answer(self, op_id: str) -> str:
        """Return the operation as it is now."""
        if op_id == "requests":
            return json.dumps(list(self.requests))
        now = time.monotonic()
        self.requests.append(now)
        started = self.started.setdefault(op_id, now)
        created = int((time.time() - (now - started)) * 1000)
        overview = "Running"
        parts = op_id.split("_")
        if len(parts) == 4:
            age = (now - started) * self.speed
            overview = parts[3] if age >= float(parts[2]) else "Running"
        done = int(overview != "Running")
        return (
            f'{{"id":"{op_id}","kind":"nexus.annotations.export","status":{{"overview":"{overview}",'
            f'"message":"Operation {overview.lower()}","progress":{{"unit":"whole operation",'
            f'"withStatus":{{"Queued":0,"Running":{1 - done},"Finished":{done},"Cancelled":0,'
            f'"Errored":0}}}}}},"createDate":{created},"updateDate":{created}}}'
        )


WIDTH = 64
"""Requests in flight where many are."""

RATIOS = [
    ("sync_get_over_bare", "ours_sync_get_ms", "bare_sync_ms"),
    ("async_get_over_engine", "ours_async_get_ms", "bare_engine_64_ms"),
    ("async_fleet_over_engine", "ours_async_fleet_ms", "bare_engine_64_ms"),
    ("sync_fleet_over_async", "ours_sync_fleet_ms", "ours_async_fleet_ms"),
    ("httpx_8_over_async", "bare_httpx_8_ms", "ours_async_fleet_ms"),
    ("httpx_64_over_async", "bare_httpx_64_ms", "ours_async_fleet_ms"),
]
"""Figures of CPU, one over the other."""


def serve(pipe: Any, speed: float, latency: float) -> None:
    async def main() -> None:
        Operations.speed, Operations.latency = speed, latency
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Operations, "127.0.0.1", 0, backlog=1024)
        pipe.send(server.sockets[0].getsockname()[1])
        await loop.run_in_executor(None, pipe.recv)

    asyncio.run(main())


class Server:
    """The service in a process of its own; a context manager that gives its endpoint."""

    def __init__(self, speed: float = 1.0, latency: float = 0.0) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, child = context.Pipe()
        self.process = context.Process(target=serve, args=(child, speed, latency), daemon=True)

    def __enter__(self) -> str:
        self.process.start()
        return f"http://127.0.0.1:{self.pipe.recv()}"

    def __exit__(self, *_: object) -> None:
        self.pipe.send(None)
        self.process.join(10)


def cpu_per(calls: int, work: Callable[[], object]) -> float:
    """Return milliseconds of CPU per call."""
    gc.collect()
    before = time.process_time()
    work()
    return (time.process_time() - before) / calls * 1000


async def in_flight(calls: int, width: int, call: Callable[[], Awaitable[Any]]) -> float:
    """Make calls, `width` at a time; return milliseconds of CPU per call."""
    numbers = iter(range(calls))

    async def worker() -> None:
        for _ in numbers:
            await call()

    await call()
    gc.collect()
    before = time.process_time()
    await asyncio.gather(*(worker() for _ in range(width)))
    return (time.process_time() - before) / calls * 1000


def best_of(rounds: int, measures: dict[str, Callable[[], float]]) -> dict[str, float]:
    """Return the best of some rounds for each figure, all measured in turn."""
    figures = [{name: measure() for name, measure in measures.items()} for _ in range(rounds)]
    return {name: min(found[name] for found in figures) for name in measures}


class Polled:
    """A schedule that polls as often as the bounds allow, to measure a poll's cost."""

    def next_delay(self, _: History) -> float:
        """Return no delay."""
        return 0.0


def measure_cpu(endpoint: str, at_once: str, calls: int, rounds: int) -> dict[str, float]:
    """Return CPU per poll, ours beside the engine below and httpx bare, sync and awaited."""
    path = f"/projects/{PROJECT}/operations/{KNOWN}"
    headers = {"Secret-Key": "secret"}
    ids = [f"op_many{number}" for number in range(WIDTH)]

    async def bare_httpx(width: int) -> float:
        async with httpx.AsyncClient(headers=headers) as client:

            async def get() -> None:
                (await client.get(endpoint + path)).json()

            return await in_flight(calls, width, get)

    async def bare_engine() -> float:
        """A request built, sent with the engine alone, its JSON decoded."""
        async with AsyncClient("secret", endpoint=endpoint) as client:
            transport: Any = client._transport
            engine = transport._transport
            arguments = (PROJECT, KNOWN)

            async def get() -> None:
                request = transport._exchange.build(Limits(30.0), get_operation, arguments, {})
                response = await engine.handle_async_request(request)
                json.loads(await response.aread())

            return await in_flight(calls, WIDTH, get)

    async def ours() -> float:
        async with AsyncClient("secret", endpoint=endpoint) as client:
            operations = client.get_project(PROJECT).operations
            await operations.wait_all(ids, 1)
            gc.collect()
            before = time.process_time()
            await operations.wait_all(ids, calls // WIDTH, schedule=Polled())
            return (time.process_time() - before) / (calls // WIDTH * WIDTH) * 1000

    async def get_only() -> float:
        async with AsyncClient("secret", endpoint=endpoint) as client:
            operations = client.get_project(PROJECT).operations
            return await in_flight(calls, WIDTH, lambda: operations.get(KNOWN))

    def ours_sync_fleet() -> float:
        with Client("secret", endpoint=endpoint) as client:
            operations = client.get_project(PROJECT).operations
            polls = calls // WIDTH

            def work() -> None:
                operations.wait_all(ids, polls, schedule=Polled())

            return cpu_per(polls * WIDTH, work)

    def bare_sync() -> float:
        with httpx.Client(headers=headers) as client:
            client.get(at_once + path).json()
            return cpu_per(calls, lambda: [client.get(at_once + path).json() for _ in range(calls)])

    def ours_sync() -> float:
        with Client("secret", endpoint=at_once) as client:
            operations = client.get_project(PROJECT).operations
            operations.get(KNOWN)
            return cpu_per(calls, lambda: [operations.get(KNOWN) for _ in range(calls)])

    figures = best_of(
        rounds,
        {
            "bare_sync_ms": bare_sync,
            "ours_sync_get_ms": ours_sync,
            "bare_engine_64_ms": lambda: asyncio.run(bare_engine()),
            "ours_async_get_ms": lambda: asyncio.run(get_only()),
            "ours_async_fleet_ms": lambda: asyncio.run(ours()),
            "ours_sync_fleet_ms": ours_sync_fleet,
            "bare_httpx_8_ms": lambda: asyncio.run(bare_httpx(8)),
            "bare_httpx_64_ms": lambda: asyncio.run(bare_httpx(WIDTH)),
        },
    )
    for name, over, under in RATIOS:
        figures[name] = figures[over] / figures[under]
    return figures


def measure_fleet(endpoint: str, operations: int, speed: float) -> dict[str, float]:
    """Wait for many operations; return the peak memory above the start, and what they ended in."""
    luck = random.Random(1)
    numbers = count()

    def generate() -> Iterator[str]:
        for _ in range(operations):
            fate = luck.random()
            outcome = ANSWERS[1] if fate < 0.05 else ANSWERS[2] if fate < 0.1 else ANSWERS[0]
            yield f"op_{next(numbers)}_{luck.uniform(10, 600):.1f}_{outcome}"

    async def wait() -> tuple[int, int]:
        wrong = right = 0
        # The schedule is told virtual seconds: its delays pass `speed` times as fast.
        schedule = Sped(speed)
        async with AsyncClient("secret", endpoint=endpoint) as client:
            project = client.get_project(PROJECT).operations
            outcomes = await project.wait_all(
                generate(), raise_exception_if=None, schedule=schedule, on_error="return"
            )
            for outcome in outcomes:
                expected = getattr(outcome, "id", "").rpartition("_")[2]
                status = getattr(outcome, "status", None)
                right += status is not None and status.overview == expected
                wrong += status is None or status.overview != expected
        return right, wrong

    gc.collect()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started, cpu = time.monotonic(), time.process_time()
    right, wrong = asyncio.run(wait())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {
        "operations": operations,
        "speed": speed,
        "right": right,
        "wrong": wrong,
        "peak_mb": peak / 1024,
        "peak_kb_per_operation": peak / operations,
        "seconds": time.monotonic() - started,
        "cpu_seconds": time.process_time() - cpu,
    }


class Sped:
    """The default schedule on an accelerated clock."""

    def __init__(self, speed: float) -> None:
        self.speed = speed

    def next_delay(self, history: History) -> float:
        """Return the default delay, sped up."""
        faster = History(history.age_at_start * self.speed)
        faster.add(history.age * self.speed, history.done, history.total, history.queued)
        return Adaptive().next_delay(faster) / self.speed


def measure_rate(endpoint: str, rate: float, operations: int, seconds: float) -> dict[str, float]:
    """Wait for more operations than a rate can serve; return what the server saw."""

    async def wait() -> tuple[list[float], dict[str, list[float]]]:
        ids = [f"op_rate{number}" for number in range(operations)]
        polls: dict[str, list[float]] = {}
        async with AsyncClient("secret", endpoint=endpoint, max_rate=rate) as client:
            transport = client._transport
            retrieve = transport.retrieve

            async def recorded(project_id: str, op_id: str, timeout: float) -> Any:
                polls.setdefault(op_id, []).append(time.monotonic())
                return await retrieve(project_id, op_id, timeout)

            transport.retrieve = recorded  # type: ignore[method-assign]
            await client.get_project(PROJECT).operations.wait_all(ids, max_wait=seconds)
        times = httpx.get(f"{endpoint}/projects/x/operations/requests").json()
        return times, polls

    times, polls = asyncio.run(wait())
    times = times[-sum(len(made) for made in polls.values()) :]
    window: deque[float] = deque()
    fullest = 0
    for at in times:
        window.append(at)
        while at - window[0] >= 1.0:
            window.popleft()
        fullest = max(fullest, len(window))
    fair = operations / rate
    waits = [b - a for made in polls.values() for a, b in pairwise(made)]
    return {
        "rate": rate,
        "operations": operations,
        "fullest_second": fullest,
        "fair_share_s": fair,
        "longest_wait_over_fair_share": max(waits) / fair,
        "never_polled": operations - len(polls),
    }


SIZES = {
    "operations": (3000, 100_000),
    "speed": (30.0, 5.0),
    "calls": (1600, 6400),
    "rate_operations": (500, 5000),
}
"""What a short and a long run measure."""


SIZES = {
    "operations": (3000, 100_000),
    "speed": (30.0, 5.0),
    "calls": (1600, 6400),
    "rate_operations": (500, 5000),
}
"""What a short and a long run measure."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Many waits in one process.")
    parser.add_argument("--long", action="store_true", help="100,000 operations; half an hour")
    parser.add_argument("--operations", type=int, help="3000, or 100000 with --long")
    parser.add_argument("--speed", type=float, help="of the operations' clock: 30, or 5")
    parser.add_argument("--latency", type=float, default=0.02, help="of each answer, seconds")
    parser.add_argument("--calls", type=int, help="per CPU figure: 1600, or 6400")
    parser.add_argument("--rate", type=float, default=50.0)
    parser.add_argument("--rate-operations", type=int, help="500, or 5000")
    parser.add_argument("--skip-fleet", action="store_true", help="CPU figures only")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    for name, (short, long) in SIZES.items():
        if getattr(arguments, name) is None:
            setattr(arguments, name, long if arguments.long else short)
    results: dict[str, dict[str, float]] = {}
    if not arguments.skip_fleet:
        with Server(arguments.speed) as endpoint:
            results["fleet"] = measure_fleet(endpoint, arguments.operations, arguments.speed)
    with Server(latency=arguments.latency) as endpoint, Server() as at_once:
        rounds = 3 if arguments.long else 2
        results["cpu"] = measure_cpu(endpoint, at_once, arguments.calls, rounds)
    if not arguments.skip_fleet:
        cycles = 3 * arguments.rate_operations / arguments.rate
        with Server() as endpoint:
            results["rate"] = measure_rate(
                endpoint, arguments.rate, arguments.rate_operations, cycles
            )
    if arguments.json:
        print(json.dumps(results))
        return
    for name, figures in results.items():
        print(name)
        for key, value in figures.items():
            print(f"  {key:<36}{value:>12.3f}")


if __name__ == "__main__":
    main()
