"""Operations of kinds, one unit each: nothing to see until the end but how long they took before.

Used by `benchmarks/schedule.py --kinds N`. Durations are log-normal within a kind, and so are the
kinds' medians. Policies are compared by requests * lag, on the same operations, with the limit that
no schedule can pass, and with a policy that is told each kind's distribution.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from nexus_operations import Adaptive, History, Schedule
from nexus_operations._core.durations import Durations
from nexus_operations._core.hazard import Expectation, Mode, log_age
from nexus_operations._core.memory import Memory

SHORTEST, LONGEST = 1.0, 36000.0
JITTER = 0.05
VENDOR = 8.0
LEARNT = 20
"""Operations of a kind after which it counts as known."""

SURE = 0.998
"""Weight of a distribution that a policy is told."""

DAY = 1_750_000_000.0
"""When it all happens."""


class Cost(NamedTuple):
    """What waits cost in all."""

    requests: float = 0.0
    lag: float = 0.0

    def __add__(self, other: object) -> Cost:
        assert isinstance(other, Cost)
        return Cost(self.requests + other.requests, self.lag + other.lag)

    def over(self, other: Cost) -> tuple[float, float, float]:
        """Return requests, lag and their product, relative to another's."""
        requests, lag = self.requests / other.requests, self.lag / other.lag
        return requests, lag, requests * lag


@dataclass(frozen=True)
class Distribution:
    """Durations of one kind."""

    name: str
    median: float
    sigma: float

    def draw(self, luck: random.Random) -> float:
        """Return one duration."""
        duration = self.median * math.exp(self.sigma * luck.gauss(0, 1))
        return min(max(duration, SHORTEST), LONGEST)

    def expectation(self) -> Expectation:
        """Return what a policy knows that is told the distribution."""
        return Expectation([Mode(SURE, log_age(self.median), self.sigma)])


def kinds_of(
    count: int, within: float, between: float, median: float, seed: int
) -> list[Distribution]:
    luck = random.Random(seed)
    return [
        Distribution(f"kind {n}", median * math.exp(between * luck.gauss(0, 1)), within)
        for n in range(count)
    ]


def limit(kinds: Sequence[Distribution]) -> float:
    """Return the least requests * lag of any schedule, by that of a fixed interval.

    Keller's density for all kinds at one price of a request: (sum of the integrals of sqrt(S f))^2
    over the sum of the mean durations. Durations at a bound are left out of the integral.
    """
    roots = means = 0.0
    step = 0.01
    for kind in kinds:
        for n in range(-700, 701):
            z = n * step
            duration = kind.median * math.exp(kind.sigma * z)
            density = math.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
            means += min(max(duration, SHORTEST), LONGEST) * density * step
            if SHORTEST < duration < LONGEST:
                survival = 0.5 * math.erfc(z / math.sqrt(2))
                width = duration * kind.sigma
                roots += math.sqrt(survival * density / width) * width * step
    return roots * roots / (means * len(kinds))


def vendor(duration: float) -> Cost:
    """Return what a fixed interval of 8 s costs."""
    polls = math.ceil(duration / VENDOR)
    return Cost(polls + 1, polls * VENDOR - duration)


def next_poll(schedule: Schedule, history: History, luck: random.Random) -> float:
    """Return the age at the next poll, spread as the library spreads it."""
    return history.age + schedule.next_delay(history) * (1 + JITTER * (2 * luck.random() - 1))


def wait(
    duration: float,
    schedule: Schedule,
    luck: random.Random,
    memory: Memory | None = None,
    kind: str = "",
    told: Expectation | None = None,
) -> Cost:
    """Return what one wait costs; the memory learns from it."""
    history = History(0.0)
    age, before, polls = 0.0, None, 1
    while age < duration:
        history.add(age, 0, 1, queued=False)
        history.expected = told if memory is None else memory.running(kind, before, age)
        before, age = age, next_poll(schedule, history, luck)
        polls += 1
    if memory is not None and before is not None:
        memory.ended(kind, before, duration, DAY)
    return Cost(polls, age - duration)


class Costs(NamedTuple):
    """What a sequence cost each policy: in all, and once every kind was known."""

    whole: dict[str, Cost]
    known: dict[str, Cost]


def sequence(
    kinds: Sequence[Distribution], runs: int, seed: int, schedule: Schedule | None = None
) -> Costs:
    """Run every kind in turn, again and again, under each policy."""
    ours = schedule or Adaptive()
    luck = random.Random(seed)
    durations = Durations()
    policies: dict[str, Callable[[Distribution, float], Cost]] = {
        "vendor": lambda _, duration: vendor(duration),
        "no memory": lambda _, duration: wait(duration, ours, luck),
        "memory": lambda kind, duration: wait(duration, ours, luck, Memory(durations), kind.name),
        "told": lambda kind, duration: wait(duration, ours, luck, told=kind.expectation()),
    }
    costs = Costs(dict.fromkeys(policies, Cost()), dict.fromkeys(policies, Cost()))
    for run in range(runs):
        for kind in kinds:
            duration = kind.draw(luck)
            for name, policy in policies.items():
                cost = policy(kind, duration)
                costs.whole[name] += cost
                if run >= LEARNT:
                    costs.known[name] += cost
    return costs


def fleet(
    kind: Distribution,
    siblings: int,
    staggered: float,
    seed: int,
    durations: Durations | None,
    schedule: Schedule | None = None,
) -> Cost:
    """Wait for siblings at the same time, started together or over a while."""
    ours = schedule or Adaptive()
    luck = random.Random(seed)
    starts = [luck.uniform(0, staggered) for _ in range(siblings)]
    ends = [start + kind.draw(luck) for start in starts]
    histories = [History(0.0) for _ in starts]
    memory = None if durations is None else Memory(durations)
    due = [(start, n) for n, start in enumerate(starts)]
    heapq.heapify(due)
    cost = Cost()
    while due:
        now, n = heapq.heappop(due)
        history = histories[n]
        before = history.age if history.polls else None
        if now >= ends[n]:
            cost += Cost(1, now - ends[n])
            if memory is not None and before is not None:
                memory.ended(kind.name, before, ends[n] - starts[n], DAY)
            continue
        cost += Cost(1, 0.0)
        history.add(now - starts[n], 0, 1, queued=False)
        if memory is not None:
            history.expected = memory.running(kind.name, before, history.age)
        heapq.heappush(due, (starts[n] + next_poll(ours, history, luck), n))
    return cost


def shown(ratios: tuple[float, float, float]) -> str:
    return f"{ratios[0]:.2f} / {ratios[1]:.2f} = {ratios[2]:.2f}"


def report(
    kinds: Sequence[Distribution], runs: int, siblings: int, seed: int
) -> dict[str, dict[str, tuple[float, float, float] | float]]:
    """Return every figure: a sequence and two fleets, each by what it is compared with."""
    costs, least = sequence(kinds, runs, seed), limit(kinds)
    result: dict[str, dict[str, tuple[float, float, float] | float]] = {}
    for name in ("no memory", "memory", "told"):
        whole, known = (part[name].over(part["vendor"]) for part in costs)
        result[name] = {"whole": whole, "known": known, "known_by_limit": known[2] / least}
    result["limit"] = {"whole": least}
    middle = Distribution("middle", sorted(kind.median for kind in kinds)[len(kinds) // 2], 0.0)
    for name, staggered in (("together", 0.0), ("staggered", middle.median)):
        kind = Distribution("fleet", middle.median, kinds[0].sigma)
        durations = Durations()
        base, first, second = (
            fleet(kind, siblings, staggered, seed + n, memory)
            for n, memory in ((0, None), (0, durations), (1, durations))
        )
        result[name] = {"first": first.over(base), "second": second.over(base)}
    return result


def text(result: dict[str, dict[str, tuple[float, float, float] | float]], siblings: int) -> str:
    """Return the report for people."""
    after = f"after {LEARNT} of each kind"
    lines = [f"{'requests / lag, by the vendor':<30}{'whole sequence':<24}{after:<24}by the limit"]
    for name in ("no memory", "memory", "told"):
        row = result[name]
        whole, known, by_limit = row["whole"], row["known"], row["known_by_limit"]
        assert isinstance(whole, tuple)
        assert isinstance(known, tuple)
        lines.append(f"{name:<30}{shown(whole):<24}{shown(known):<24}{by_limit:.2f}")
    lines += [f"{'the limit':<30}{'':<16}{result['limit']['whole']:.2f}", ""]
    lines.append(f"{f'fleet of {siblings}, by no memory':<30}{'first':<24}the next")
    for name in ("together", "staggered"):
        first, second = result[name]["first"], result[name]["second"]
        assert isinstance(first, tuple)
        assert isinstance(second, tuple)
        lines.append(f"{name:<30}{shown(first):<24}{shown(second)}")
    return "\n".join(lines)


def poll_ages(expectation: Expectation | None, until: float) -> list[float]:
    """Return the ages at which an operation is polled that does not end."""
    history = History(0.0)
    ages = [0.0]
    while ages[-1] < until:
        history.add(ages[-1], 0, 1, queued=False)
        history.expected = expectation
        ages.append(ages[-1] + Adaptive().next_delay(history))
    return ages[:-1]


def draw_polls(path: Path) -> None:
    """Draw when an operation is polled of which ten minutes are expected, as PNG and SVG."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "nexus-operations"
    from matplotlib import pyplot

    durations = Durations()
    luck = random.Random(1)
    nightly = Distribution("nightly", 600.0, 0.15)
    for _ in range(30):
        durations.record(("nightly",), nightly.draw(luck), DAY)
    known = durations.expect(("nightly",))
    assert known is not None
    rows = {
        "with a memory": poll_ages(known, 1500.0),
        "by its age alone": poll_ages(None, 1500.0),
        "every 8 s": [8.0 * n for n in range(188)],
    }
    figure, (curve, ticks) = pyplot.subplots(
        2, 1, figsize=(8, 4), sharex=True, height_ratios=(1, 1.2), layout="constrained"
    )
    ages = [float(n) for n in range(1, 1501)]
    curve.plot(ages, [known.hazard(age) * 60 for age in ages], color="tab:green")
    curve.set(
        ylabel="chance of ending,\nper minute",
        title="When polls come, if operations of the kind take about ten minutes",
    )
    curve.yaxis.set_major_formatter(mpl.ticker.PercentFormatter(1.0))
    for n, polls in enumerate(rows.values()):
        ticks.vlines(polls, n - 0.3, n + 0.3, color="tab:green" if n == 0 else "tab:gray", lw=1)
    ticks.set_yticks(range(len(rows)), list(rows))
    ticks.set(xlabel="age in seconds; a line is a poll", xlim=(0, 1500))
    figure.savefig(path.with_suffix(".png"), dpi=110)
    figure.savefig(path.with_suffix(".svg"), metadata={"Date": None})
