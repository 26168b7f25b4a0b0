"""What is remembered of how long operations of one kind take: a few numbers, no samples.

A kind is remembered as one or two sorts of durations, each log-normal: how many there were, the
mean and the spread of their logarithms. Two sorts, since a kind may take a minute or an hour by
what it is given, and since a kind that changes overnight is, for a while, two.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from .hazard import Mode, log_age

MOST_SEEN = 40.0
"""Durations of one sort that count, at most: then a new one makes those before count less."""

HALF_LIFE = 30.0
"""Days after which what was seen counts half."""

LAST_DAY = 1e5
"""The latest day, since the Unix epoch, that can be true: in the year 2243."""

SPREAD = 0.4
"""Standard deviation of the logarithm within one sort, as far as nothing is seen of it."""

SPREAD_WEIGHT = 0.3
"""Durations that this first guess is worth."""

WIDE = 0.8
"""Standard deviation beyond which a sort says little more than the base rule: its weight falls with
the square."""

SURPRISE = 3.0
"""Standard deviations from a sort beyond which a duration does not belong to it."""

SHARE_STEP = 0.25
"""How far the share of a sort moves with each duration of it: within some five durations a kind
that has changed is expected to be as it is now."""

SHAKEN = 0.25
"""What is left of the trust in a kind after a surprise."""

UNLIKE = 0.0125
"""Weight that the base rule keeps however well a kind is known, so that an operation unlike all
before it is found soon: delays stretch by 1 / sqrt(UNLIKE) at most."""

DOUBT = 0.5
"""The weight of the base rule after n durations is DOUBT / (DOUBT + n)."""


@dataclass(slots=True)
class Sort:
    """Durations that are alike.

    Attributes:
        seen: How many count; fractions as older ones fade.
        mean: The mean of their `log_age`.
        spread: The sum of squared differences from the mean.
    """

    seen: float = 0.0
    mean: float = 0.0
    spread: float = 0.0

    @property
    def deviation(self) -> float:
        """The standard deviation for the next duration: the mean itself is known as well only."""
        variance = (SPREAD_WEIGHT * SPREAD**2 + self.spread) / (
            SPREAD_WEIGHT + max(self.seen - 1.0, 0.0)
        )
        return math.sqrt(variance * (1.0 + 1.0 / max(self.seen, 1.0)))

    @property
    def precision(self) -> float:
        """How much it says beside the base rule, 0 to 1."""
        return min(WIDE / self.deviation, 1.0) ** 2

    def add(self, other: Sort) -> None:
        """Take in the durations of another."""
        total = self.seen + other.seen
        apart = other.mean - self.mean
        self.mean += apart * other.seen / total
        self.spread += other.spread + apart**2 * self.seen * other.seen / total
        self.seen = total

    def fade(self, share: float) -> None:
        """Let what was seen count less."""
        self.seen *= share
        self.spread *= share


@dataclass(slots=True)
class Kind:
    """What is remembered of one kind.

    Attributes:
        first, second: Its sorts of durations; `seen` is 0 where there is none.
        share: The share of the first sort among the latest operations.
        known: Durations that were no surprise, as far as they count.
        day: The latest day of which it knows, in days since the Unix epoch.
        most: Durations of one sort that count, at most; if infinite, the latest do not count more.
    """

    first: Sort = field(default_factory=Sort)
    second: Sort = field(default_factory=Sort)
    share: float = 1.0
    known: float = 0.0
    day: float = 0.0
    most: float = MOST_SEEN

    def add(self, seconds: float, day: float) -> None:
        """Take in the duration of one operation, unless its day cannot be true."""
        if day > LAST_DAY:
            return
        self.age_to(day)
        sort = self._take(Sort(1.0, log_age(seconds)))
        self._shift(1.0, 1.0 if sort is self.first else 0.0)

    def merge(self, other: Kind) -> None:
        """Take in what another has seen since."""
        self.age_to(other.day)
        shares = [(other.share, other.first), (1.0 - other.share, other.second)]
        shares = sorted((pair for pair in shares if pair[1].seen), key=lambda pair: -pair[0])
        count, towards, taken = 0.0, 0.0, None
        for share, sort in shares:
            taken = self._take(Sort(sort.seen, sort.mean, sort.spread), keep=taken)
            towards += share if taken is self.first else 0.0
            count += sort.seen
        if count:
            self._shift(count, towards / sum(share for share, _ in shares))

    def age_to(self, day: float) -> None:
        """Let what was seen fade until a day."""
        if day > self.day:
            share = 0.5 ** ((day - self.day) / HALF_LIFE)
            self.first.fade(share)
            self.second.fade(share)
            self.known *= share
            self.day = day

    def modes(self) -> list[Mode]:
        """Return what is expected of the next operation."""
        trust = 1.0 - max(UNLIKE, DOUBT / (DOUBT + self.known))
        shares = ((self.share, self.first), (1.0 - self.share, self.second))
        return [
            Mode(trust * share * sort.precision, sort.mean, sort.deviation)
            for share, sort in shares
            if sort.seen
        ]

    def _take(self, new: Sort, keep: Sort | None = None) -> Sort:
        """Add durations to the sort they belong to, or put them in the place of the rarer one.

        Args:
            new: The durations.
            keep: A sort whose place is not given away.
        """
        sort = self._closest(new)
        if sort is None:
            rarer = self.first if self.share < 0.5 or not self.first.seen else self.second
            sort = rarer
            if rarer is keep:
                sort = self.second if rarer is self.first else self.first
            self.share = 0.0 if sort is self.first else 1.0
            sort.seen = sort.mean = sort.spread = 0.0
            self.known *= SHAKEN
        sort.add(new)
        sort.fade(min(self.most / sort.seen, 1.0))
        self.known = min(self.known + new.seen, MOST_SEEN)
        return sort

    def _shift(self, count: float, towards: float) -> None:
        """Move the share of the first sort towards that of the latest so many operations."""
        step = 1.0 / max(self.first.seen + self.second.seen, 1.0)
        if math.isfinite(self.most):
            step = max(step, SHARE_STEP)
        self.share += (1.0 - (1.0 - step) ** count) * (towards - self.share)

    def _closest(self, new: Sort) -> Sort | None:
        """Return the sort to which durations belong, if they belong to one."""
        width = math.sqrt(new.spread / new.seen)
        best, found = 0.0, None
        for share, sort in ((self.share, self.first), (1.0 - self.share, self.second)):
            if sort.seen:
                wide = math.hypot(sort.deviation, width)
                z = (new.mean - sort.mean) / wide
                likelihood = max(share, 1e-6) * math.exp(-0.5 * z * z) / wide
                if abs(z) < SURPRISE and likelihood > best:
                    best, found = likelihood, sort
        return found
