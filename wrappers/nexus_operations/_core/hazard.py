"""What is known of an operation's end, as one hazard; and the polls that a hazard is worth.

The hazard is the chance, per unit of time, that an operation that has reached an age ends now.
Requests and lag together cost least where the density of polls follows the square root of the
hazard (J. B. Keller, "Optimum checking schedules for systems subject to random failure", Management
Science 21, 1974; exactly: R. E. Barlow, L. C. Hunter and F. Proschan, "Optimum checking
procedures", 1963). So the rule is stated once, for any hazard:

    density of polls = density of the base rule * sqrt(hazard / hazard of the base rule)

and the next poll is due when the density, summed up since the last poll, reaches 1. Where nothing
is known but the age, the hazard is the base rule's, and polls are where the base rule has them.

Hazards are taken over the logarithm of the age: 0.4 means that of the operations that reach an age
40% of a share dx end while the age grows by that share.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import NamedTuple

BASE_DELAY = 0.85
"""Seconds between polls at an age of one second, where nothing is known but the age (pace 1)."""

GROWTH = 0.4
"""Power of the age with which these delays grow. The square root is best where the chance of ending
falls as 1/age; it falls more slowly over the first minutes of most jobs."""

AGE_OFFSET = 0.5
"""Seconds added to the age, so that the delay at age 0 is not 0."""

BASE_HAZARD = 0.4
"""The base rule's hazard. It sets how far a precise memory lowers the lag, how far the requests."""

NEGLIGIBLE = 0.004
"""Weight below which a mode is left out."""

GRID = (-4.0, -3.2, -2.6, -2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 2.6, 3.2, 4.0)
"""Where a mode is evaluated, in standard deviations from its mean."""

TENTH = 1.2816
"""Standard deviations from the mean beyond which a tenth of a normal distribution lies."""

LIKELY = (math.log(1 / 0.9), math.log(2), math.log(10))
"""What a hazard sums up to by the times when a tenth, half and nine tenths have ended."""

YOUNGEST = math.log(AGE_OFFSET)
"""The logarithm of the age, offset included, at age 0."""

OLDEST = 30.0
"""The same at an age that is never reached: beyond it nothing is computed."""

_POWER = 1.0 - GROWTH
_SCALE = _POWER * BASE_DELAY
_ROOT_2 = math.sqrt(2.0)
_ROOT_2_PI = math.sqrt(2.0 * math.pi)


def log_age(age: float) -> float:
    """Return the logarithm of an age in seconds, with the offset."""
    return math.log(age + AGE_OFFSET)


def base_polls(age: float) -> float:
    """Return the polls that the base rule makes up to an age, but for a constant."""
    return math.pow(age + AGE_OFFSET, _POWER) / _SCALE


def age_after(polls: float) -> float:
    """Return the age by which the base rule has made so many polls: the inverse of `base_polls`."""
    return math.pow(_SCALE * polls, 1.0 / _POWER) - AGE_OFFSET


def base_delay(age: float, pace: float) -> float:
    """Return the seconds to the next poll where nothing is known but the age."""
    return age_after(base_polls(age) + pace) - age


class Mode(NamedTuple):
    """Durations of one sort, log-normal.

    Attributes:
        weight: The share of operations that are of this sort.
        mean: The mean of `log_age` of their durations.
        deviation: Its standard deviation, more than 0.
    """

    weight: float
    mean: float
    deviation: float


class Estimate(NamedTuple):
    """Seconds until an operation's end: a tenth end before `low`, half before `median`, a tenth
    after `high`."""

    low: float
    median: float
    high: float

    @property
    def width(self) -> float:
        """How far it is from sure: the range over the median, 0 for a sure one."""
        return (self.high - self.low) / max(self.median, 1e-3)


def relative_hazards(modes: Sequence[Mode], x: float) -> tuple[float, float]:
    """Return two hazards at a `log_age`, over that of the base rule.

    What the modes leave of a weight of 1 is the base rule's.

    Returns:
        The hazard to poll by: far before the modes polls come at the base rule's weight, and once
        an operation has outlived them all it is as if there had been none. And the hazard to
        estimate by: as long as the modes are likely, the rest says nothing of when they end.
    """
    rest, ending, running = 1.0, 0.0, 0.0
    for weight, mean, deviation in modes:
        rest -= weight
        z = (x - mean) / deviation
        if z <= -6.0:
            running += weight
        elif z < 6.0:
            ending += weight * math.exp(-0.5 * z * z) / (_ROOT_2_PI * BASE_HAZARD * deviation)
            running += weight * 0.5 * math.erfc(z / _ROOT_2)
    all_running = rest + running
    return (rest + ending) / all_running, (ending + rest * rest / all_running) / all_running


class Expectation:
    """What is known of how long an operation takes; it does not change.

    Args:
        modes: What earlier operations of its kind took; the weights sum to less than 1.
        factors: What those that run now add: factors of the hazard, by age (see `Siblings`).
    """

    __slots__ = ("_base", "_ended", "_polls", "_x", "factors", "modes")

    def __init__(self, modes: Sequence[Mode], factors: Sequence[float] = ()) -> None:
        self.modes = tuple(mode for mode in modes if mode.weight > NEGLIGIBLE)
        self.factors = factors
        self._x: list[float] = []

    @property
    def weight(self) -> float:
        """How much of what is expected comes from the memory, 0 to 1."""
        return sum(mode.weight for mode in self.modes)

    def hazard(self, age: float) -> float:
        """Return the chance, per second, that an operation of this age ends now."""
        return BASE_HAZARD / (age + AGE_OFFSET) * self._relative(log_age(age))[0]

    def delay(self, age: float, pace: float = 1.0) -> float:
        """Return the seconds to the poll after one at this age."""
        base, polls = self._table()
        now = base_polls(age)
        last = len(base) - 1
        i = bisect_right(base, now) - 1
        if i >= last:
            return age_after(now + pace) - age
        share = (polls[i + 1] - polls[i]) / (base[i + 1] - base[i])
        due = polls[i] + (now - base[i]) * share + pace
        j = bisect_left(polls, due, i)
        if j > last:
            return age_after(base[last] + due - polls[last]) - age
        share = (base[j] - base[j - 1]) / (polls[j] - polls[j - 1])
        return age_after(base[j - 1] + (due - polls[j - 1]) * share) - age

    def remaining(self, age: float) -> Estimate:
        """Return when an operation of this age will have ended, in seconds from now."""
        self._table()
        now = log_age(age)
        ended = _interpolated(self._x, self._ended, now, BASE_HAZARD)
        low, median, high = (
            math.exp(_interpolated(self._ended, self._x, ended + more, 1 / BASE_HAZARD))
            - AGE_OFFSET
            - age
            for more in LIKELY
        )
        return Estimate(max(low, 0.0), max(median, 0.0), max(high, 0.0))

    def _relative(self, x: float) -> tuple[float, float]:
        poll, estimate = relative_hazards(self.modes, x)
        factor = factor_at(self.factors, x) if self.factors else 1.0
        return poll * factor, estimate * factor

    def _table(self) -> tuple[list[float], list[float]]:
        """Return polls of the base rule, and polls that are due, up to the same ages."""
        if not self._x:
            nodes = {m.mean + m.deviation * z for m in self.modes for z in GRID}
            nodes.update(map(middle_of, range(len(self.factors))))
            last = YOUNGEST
            hazard, estimate = self._relative(last)
            density = math.sqrt(hazard)
            base, polls, ended = [math.exp(_POWER * last) / _SCALE], [0.0], [0.0]
            ages = [last]
            for x in sorted(nodes):
                if not last + 1e-4 < x < OLDEST:
                    continue
                dense, before = density, estimate
                hazard, estimate = self._relative(x)
                density = math.sqrt(hazard)
                base.append(math.exp(_POWER * x) / _SCALE)
                polls.append(polls[-1] + (dense + density) / 2 * (base[-1] - base[-2]))
                ended.append(ended[-1] + (before + estimate) / 2 * BASE_HAZARD * (x - last))
                ages.append(x)
                last = x
            # Two threads may both do this, with the same result: `_x` is set last.
            self._base, self._polls, self._ended = base, polls, ended
            self._x = ages
        return self._base, self._polls


STEPS = 8
"""Steps of age per e-fold for which a factor is kept."""


def middle_of(step: int) -> float:
    """Return the `log_age` in the middle of a step."""
    return YOUNGEST + (step + 0.5) / STEPS


def factor_at(factors: Sequence[float], x: float) -> float:
    """Return the factor of the hazard at a `log_age`; 1 beyond those that are known."""
    step = int((x - YOUNGEST) * STEPS)
    return factors[step] if step < len(factors) else 1.0


def _interpolated(xs: Sequence[float], ys: Sequence[float], x: float, slope: float) -> float:
    """Return y at x between points that ascend, with this slope beyond the last."""
    i = bisect_right(xs, x) - 1
    if i >= len(xs) - 1:
        return ys[-1] + (x - xs[-1]) * slope
    return ys[i] + (ys[i + 1] - ys[i]) * (x - xs[i]) / (xs[i + 1] - xs[i])
