"""Requests against lag: our schedule and those of other clients, on the same operations.

    python benchmarks/schedule.py [--json] [--picture docs/schedule] [--operations 10000] …
    python benchmarks/schedule.py --kinds 12 --within 0.3 --between 1.7 [--runs 60] …

Virtual time, no network, the same figures for the same arguments. A waiter pays twice: with
requests, and with lag, the time between an operation's end and the caller knowing. Each policy
waits for the same scripted operations without any bound on the wait, and the first poll of each is
at once, except replicate's, which sleeps first.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from nexus_operations import (
    Adaptive,
    Fixed,
    Operation,
    OperationProgress,
    OperationProgressWithStatus,
    OperationStatus,
    Schedule,
)
from nexus_operations._core.poller import Bounds, Poll, Poller
from nexus_operations.simulator import Life

if __name__ == "__main__":  # run as a script: its neighbour is found from the project's root
    sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.kinds import draw_polls, kinds_of, report, text

SHAPES = ("linear", "front", "back", "stall", "burst")
ITEMS = (1, 1, 10, 100, 1000)
SHORTEST, LONGEST = 1.0, 36000.0
PACES = (0.04, 0.08, 0.15, 0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0)

Delays = Callable[[random.Random], Iterator[float]]
"""A peer's schedule: the delays before each poll, the first one's included."""


def fixed(seconds: float, first: float = 0.0) -> Delays:
    def delays(_: random.Random) -> Iterator[float]:
        yield first
        while True:
            yield seconds

    return delays


def google(base: float, maximum: float) -> Delays:
    def delays(luck: random.Random) -> Iterator[float]:
        yield 0.0
        limit = 1.0
        while True:
            yield luck.uniform(0, limit)
            limit = min(limit * base, maximum)

    return delays


def databricks(luck: random.Random) -> Iterator[float]:
    yield 0.0
    for attempt in range(1, 1_000_000):
        yield min(attempt, 10) + luck.uniform(0, 1)


def exoscale(_: random.Random) -> Iterator[float]:
    yield 0.0
    elapsed, slope = 0.0, 57 / 870
    while True:
        delay = min(max(3.0, slope * elapsed + 3 - 30 * slope), 60.0)
        elapsed += delay
        yield delay


# Read from the published packages; the version and the place are in docs/schedule.md.
PEERS: dict[str, Delays] = {
    "vendor": fixed(8),
    "azure-core": fixed(30),
    "google-api-core": google(1.5, 20),
    "google-api-core-async": google(2, 60),
    "botocore": fixed(15),
    "hcloud": fixed(1),
    "databricks-sdk": databricks,
    "openai": fixed(1),
    "openai-files": fixed(5),
    "exoscale": exoscale,
    "replicate": fixed(0.5, first=0.5),
}


class Work:
    """One operation of the workload, and its age when the wait begins."""

    def __init__(self, life: Life, attached: float) -> None:
        self.life = life
        self.attached = attached


def workload(
    operations: int, seed: int, median: float, sigma: float, shapes: Sequence[Any]
) -> list[Work]:
    """Return log-normal durations with queues, item counts, shapes of progress and outcomes."""
    luck = random.Random(seed)
    works: list[Work] = []
    for _ in range(operations):
        duration = math.exp(math.log(median) + sigma * luck.gauss(0, 1))
        duration = min(max(duration, SHORTEST), LONGEST)
        queued = luck.uniform(0, 0.3) * duration
        items, shape = luck.choice(ITEMS), luck.choice(shapes)
        attached = duration / 2 if luck.random() < 0.1 else 0.0
        fate = luck.random()
        outcome: Any = "Errored" if fate < 0.05 else "Cancelled" if fate < 0.1 else "Finished"
        life = Life(duration=duration, queued=queued, items=items, shape=shape, outcome=outcome)
        works.append(Work(life, attached))
    return works


def snapshot(life: Life, age: float) -> Operation:
    """Return what a poll at an age gives; the operation was created at instant 0."""
    counts = OperationProgressWithStatus(**life.counts(age))
    progress = OperationProgress(unit="items", with_status=counts)
    status = OperationStatus(overview=life.status(age), message="", progress=progress)
    return Operation(id="op", kind="kind", status=status, create_date=0, update_date=0)


def wait_as_peer(work: Work, delays: Iterator[float]) -> tuple[int, float]:
    """Return the requests and the lag of a peer's wait."""
    age = work.attached
    for requests, delay in enumerate(delays, 1):
        age += delay
        if work.life.has_ended(age):
            return requests, age - work.life.duration
    raise AssertionError("a schedule ended before the operation")


def wait_as_we_do(work: Work, schedule: Schedule, luck: Callable[[], float]) -> tuple[int, float]:
    """Return the requests and the lag of our wait: the library's own poller decides."""
    age = work.attached
    poller = Poller(unbounded(schedule), age, random=luck)
    while isinstance(poller.step, Poll):
        age += poller.step.delay
        poller.received(snapshot(work.life, age), age, age)
    return poller.polls, age - work.life.duration


def unbounded(schedule: Schedule) -> Bounds:
    """Return bounds that end no wait."""
    return Bounds(max_polls=None, max_wait=None, raise_if=frozenset(), schedule=schedule)


def summary(works: Sequence[Work], results: Sequence[tuple[int, float]]) -> dict[str, float]:
    requests = sorted(request for request, _ in results)
    lags = sorted(lag for _, lag in results)
    relative = [lag / work.life.duration for work, (_, lag) in zip(works, results, strict=True)]
    p95 = int(0.95 * (len(works) - 1))
    return {
        "requests_mean": statistics.fmean(requests),
        "requests_median": statistics.median(requests),
        "requests_p95": requests[p95],
        "lag_mean_s": statistics.fmean(lags),
        "lag_median_s": statistics.median(lags),
        "lag_p95_s": lags[p95],
        "lag_relative_mean": statistics.fmean(relative),
    }


def run(works: Sequence[Work], schedule: Schedule, seed: int) -> dict[str, float]:
    luck = random.Random(seed).random
    return summary(works, [wait_as_we_do(work, schedule, luck) for work in works])


def run_peer(works: Sequence[Work], peer: Delays, seed: int) -> dict[str, float]:
    luck = random.Random(seed)
    return summary(works, [wait_as_peer(work, peer(luck)) for work in works])


def beating(curve: dict[float, dict[str, float]], peer: dict[str, float]) -> float | None:
    """Return a pace with fewer requests and less mean lag than a peer, if one was tried."""
    for pace, ours in curve.items():
        fewer = ours["requests_mean"] < peer["requests_mean"]
        if fewer and ours["lag_mean_s"] < peer["lag_mean_s"]:
            return pace
    return None


LABEL_PLACES = [(8, 4), (8, -12), (-8, 5), (-8, -12), (0, 12), (0, -20), (14, 14), (-14, -22)]
"""Where a label may be, in points from what it names; left of it if to the left."""


def write_labels(
    axes: Any, labels: dict[tuple[float, float], str], curve: dict[float, dict[str, float]]
) -> None:
    """Write each label in the first place where it covers neither a label nor a point."""
    axes.figure.canvas.draw()
    renderer = axes.figure.canvas.get_renderer()
    points = [*labels, *((point["requests_mean"], point["lag_mean_s"]) for point in curve.values())]
    dots = [axes.transData.transform(point) for point in points]
    written: list[Any] = [axes.get_legend().get_window_extent(renderer)]
    for here, label in labels.items():
        for x, y in LABEL_PLACES:
            align = "left" if x > 0 else "right" if x < 0 else "center"
            text = axes.annotate(
                label, here, textcoords="offset points", xytext=(x, y), fontsize=8, ha=align
            )
            box = text.get_window_extent(renderer)
            if not any(box.overlaps(other) for other in written) and not any(
                box.padded(3).contains(*dot) for dot in dots
            ):
                break
            text.remove()
        else:
            raise AssertionError(f"no place for the label {label}")
        written.append(box)


def draw(path: Path, policies: dict[str, Any], curve: dict[float, dict[str, float]]) -> None:
    """Draw the requests-lag plane as PNG and SVG."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "nexus-operations"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 5))
    axes.plot(
        [point["requests_mean"] for point in curve.values()],
        [point["lag_mean_s"] for point in curve.values()],
        "-o",
        color="tab:green",
        label="Adaptive(pace=…)",
        markersize=4,
    )
    names: dict[tuple[float, float], list[str]] = {}
    for name, point in policies.items():
        names.setdefault((point["requests_mean"], point["lag_mean_s"]), []).append(name)
    for here, named in names.items():
        ours = "default" in named
        style: dict[str, Any] = {"color": "tab:green", "markersize": 13} if ours else {}
        axes.plot(*here, "*" if ours else "s", **{"color": "tab:gray", **style})
    axes.set(xscale="log", yscale="log", xlabel="requests per operation (mean)")
    axes.set(ylabel="lag (mean, seconds)", title="Waiting: requests against lag")
    axes.grid(visible=True, which="both", alpha=0.2)
    axes.margins(0.12)
    axes.legend()
    write_labels(axes, {here: ", ".join(named) for here, named in names.items()}, curve)
    figure.savefig(path.with_suffix(".png"), dpi=110)
    figure.savefig(path.with_suffix(".svg"), metadata={"Date": None})


def table(policies: dict[str, Any], curve: dict[float, dict[str, float]]) -> str:
    vendor = policies["vendor"]
    head = (
        f"{'policy':<22}{'requests':>9}{'p95':>7}{'lag':>8}{'median':>8}{'p95':>8}{'relative':>9}"
    )
    lines = [f"{head}   against the vendor's, and the pace that beats it on both"]
    for name, point in policies.items():
        keys = ("requests_mean", "lag_mean_s", "lag_relative_mean")
        ratios = " ".join(f"{point[key] / vendor[key]:5.2f}" for key in keys)
        pace = beating(curve, point)
        note = "" if name == "default" else f"  pace {pace}" if pace else "  none"
        lines.append(
            f"{name:<22}{point['requests_mean']:>9.1f}{point['requests_p95']:>7.0f}"
            f"{point['lag_mean_s']:>8.2f}{point['lag_median_s']:>8.2f}{point['lag_p95_s']:>8.2f}"
            f"{point['lag_relative_mean']:>9.4f}   {ratios}{note}"
        )
    return "\n".join(lines)


def run_kinds(arguments: argparse.Namespace) -> None:
    """Print how a memory does for operations that tell nothing until they end."""
    within, between = arguments.within, arguments.between
    kinds = kinds_of(arguments.kinds, within, between, arguments.median, arguments.seed)
    result = report(kinds, arguments.runs, arguments.siblings, arguments.seed)
    print(json.dumps(result) if arguments.json else text(result, arguments.siblings))


def main() -> None:
    parser = argparse.ArgumentParser(description="Requests against lag, by policy.")
    parser.add_argument("--operations", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--median", type=float, default=120.0, help="of the durations, seconds")
    parser.add_argument("--sigma", type=float, default=1.8, help="of the durations' logarithm")
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=SHAPES)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--picture", type=Path, help="draw PATH.png and PATH.svg")
    kinds = parser.add_argument_group("operations of kinds, one unit each, instead")
    kinds.add_argument("--kinds", type=int, help="how many kinds")
    kinds.add_argument("--within", type=float, default=0.3, help="sigma within a kind")
    kinds.add_argument("--between", type=float, default=1.7, help="sigma of the kinds' medians")
    kinds.add_argument("--runs", type=int, default=60, help="operations of each kind")
    kinds.add_argument("--siblings", type=int, default=1000, help="operations of a fleet")
    arguments = parser.parse_args()
    if arguments.kinds:
        run_kinds(arguments)
        return

    works = workload(
        arguments.operations, arguments.seed, arguments.median, arguments.sigma, arguments.shapes
    )
    policies = {"default": run(works, Adaptive(), arguments.seed)}
    policies |= {name: run_peer(works, peer, arguments.seed) for name, peer in PEERS.items()}
    curve = {pace: run(works, Adaptive(pace=pace), arguments.seed) for pace in PACES}
    counted = [work for work in works if work.life.items >= 100]
    known = run(counted, Adaptive(), arguments.seed)
    check = run(works[:1000], Fixed(8), arguments.seed)
    if arguments.picture:
        draw(arguments.picture, policies, curve)
        draw_polls(arguments.picture.with_name(f"{arguments.picture.stem}-polls"))
    if arguments.json:
        result = {"policies": policies, "paces": {str(k): v for k, v in curve.items()}}
        beaten = {name: beating(curve, policies[name]) for name in PEERS}
        print(json.dumps({**result, "many_items": known, "beaten_by_pace": beaten}))
        return
    print(table(policies, curve))
    print(
        f"\n100 items or more: {known['requests_median']:.0f} requests at the median,"
        f" {known['lag_mean_s']:.2f} s mean lag"
        f"\nOur Fixed(8) through the poller: {check['requests_mean']:.1f} requests (first 1000)"
    )


if __name__ == "__main__":
    main()
