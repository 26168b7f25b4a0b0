"""What operations of one kind that run side by side tell of each other.

Siblings that are still running tell something, too: they have not ended by their age. The hazard is
corrected as actuaries correct a table of mortality: by the ends that were seen around an age over
those that were expected of the siblings that lived through it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from . import hazard
from .hazard import STEPS, YOUNGEST, Expectation, Mode, log_age
from .kinds import Kind

EXPECTED = 1.0
"""Ends that are added to those seen and to those expected: below this many nothing is corrected."""

REACH = math.exp(-1.0)
"""What an observation still counts one step of age further on."""

BEYOND = 5
"""Steps beyond the oldest that are corrected, too."""

OLDEST = 120
"""Steps of age that are told apart: up to 19 days."""

FRESH = 1.03
"""Growth of the polls made after which the correction is computed anew."""


class Siblings:
    """Operations of one kind that a client waits for at a time.

    Attributes:
        running: How many have been seen and have not ended.
        met: How many have been seen at all.
        ended: The durations of those that have ended and are not yet in the memory.
        expectation: What is expected of the others, as far as anything is known.
    """

    __slots__ = ("_ends", "_fresh", "_lived", "_polls", "ended", "expectation", "met", "running")

    def __init__(self) -> None:
        self.running = 0
        self.met = 0
        self.ended = Kind(most=math.inf)
        self._lived = [0.0] * OLDEST
        self._ends = [0] * OLDEST
        self._polls = 0
        self._fresh = 0.0
        self.expectation: Expectation | None = None

    def survived(self, before: float, age: float) -> None:
        """Take in that one was running at an age, and at the poll before."""
        here = min(max((log_age(before) - YOUNGEST) * STEPS, 0.0), OLDEST - 1)
        there = min((log_age(age) - YOUNGEST) * STEPS, OLDEST)
        while here < there:
            step = int(here)
            until = min(step + 1.0, there)
            self._lived[step] += (until - here) / STEPS
            here = until

    def died(self, before: float, seconds: float) -> None:
        """Take in that one has ended, and when it was last seen running."""
        self.survived(before, seconds)
        self._ends[min(int((log_age(seconds) - YOUNGEST) * STEPS), OLDEST - 1)] += 1

    def due(self) -> bool:
        """Count a poll; return whether it is time for a new expectation."""
        self._polls += 1
        if self._polls < self._fresh:
            return False
        self._fresh = self._polls * FRESH
        return True

    def correct(self, modes: Sequence[Mode]) -> Expectation:
        """Return what to expect, given what is known of the kind but for those that live now."""
        return Expectation(modes, self._factors(modes))

    def _factors(self, modes: Sequence[Mode]) -> list[float]:
        """Return by how much to correct the hazard, by age."""
        known = next((n for n in range(OLDEST, 0, -1) if self._lived[n - 1]), 0) + BEYOND
        expected = [
            lived
            and lived
            * hazard.BASE_HAZARD
            * hazard.relative_hazards(modes, hazard.middle_of(step))[0]
            for step, lived in enumerate(self._lived[:known])
        ]
        seen, due = _smoothed(self._ends[:known]), _smoothed(expected)
        return [(EXPECTED + s) / (EXPECTED + d) for s, d in zip(seen, due, strict=True)]


def _smoothed(values: Sequence[float]) -> list[float]:
    """Return each value with its neighbours', which count less by distance."""
    result = [0.0] * len(values)
    carried = 0.0
    for step, value in enumerate(values):
        carried = carried * REACH + value
        result[step] = carried
    carried = 0.0
    for step in range(len(values) - 1, -1, -1):
        result[step] += carried
        carried = (carried + values[step]) * REACH
    return result
