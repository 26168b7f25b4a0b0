"""A memory of how long operations of each kind take: small, bounded, without I/O."""

from __future__ import annotations

import struct
import threading
from collections.abc import Mapping, Sequence
from hashlib import blake2b

from . import checks
from .forks import renew_in_children
from .hazard import Expectation
from .kinds import LAST_DAY, Kind, Sort
from .siblings import Siblings

Key = tuple[str, ...]
"""What tells kinds apart: by convention the endpoint, the project's id and the kind's name."""

MOST_KINDS = 10_000
"""Kinds remembered by default, at most."""

CACHED = 64
"""Expectations kept at hand, at most."""

SECONDS_A_DAY = 86400.0

LONGEST = 1e9
"""Seconds, at most, of a duration that is remembered: 32 years."""

SORT_BOUNDS = (1e6, 21.0, 1e6)
"""The largest numbers of a sort that can be true: how many, mean, spread."""

MEANS = (4, 7)
"""The places of the numbers that may be negative."""

_NUMBERS = struct.Struct("<9f")


class Durations:
    """A memory of how long operations of a kind take; safe to share between threads.

    It holds nine numbers a kind, under a hash of the kind's key: no ids, no names, no samples.

    Args:
        most_kinds: Kinds to remember, at most; the one recorded least recently is forgotten.

    Attributes:
        lock: Held while it changes.
        siblings: The operations that are waited for, by kind.
    """

    def __init__(self, most_kinds: int = MOST_KINDS) -> None:
        self._most_kinds = checks.positive_int("most_kinds", most_kinds)
        self._kinds: dict[int, bytes] = {}
        self._cache: dict[int, Expectation] = {}
        self.renew()
        renew_in_children(self)

    def renew(self) -> None:
        """Take a new lock; the operations that are waited for are the parent's, not a child's."""
        self.lock = threading.RLock()
        self.siblings: dict[Key, Siblings] = {}

    def __len__(self) -> int:
        return len(self._kinds)

    def __repr__(self) -> str:
        return f"Durations({len(self)} kinds)"

    def record(self, key: Key, seconds: float, at: float) -> None:
        """Remember how long an operation took.

        Args:
            key: Which kind it was of.
            seconds: Its duration.
            at: When it ended, in seconds since the Unix epoch.
        """
        if 0.0 <= seconds <= LONGEST:
            seen = Kind()
            seen.add(seconds, at / SECONDS_A_DAY)
            self.learn(key, seen)

    def expect(self, key: Key) -> Expectation | None:
        """Return what to expect of the next operation of a kind; `None` if nothing is known."""
        name = _name(key)
        with self.lock:
            expectation = self._cache.get(name)
            if expectation is None and (kind := self._get(name)) is not None:
                expectation = Expectation(kind.modes())
                if len(self._cache) >= CACHED:
                    self._cache.pop(next(iter(self._cache)))
                self._cache[name] = expectation
        return expectation

    def kind(self, key: Key) -> Kind | None:
        """Return a copy of what is remembered of a kind."""
        with self.lock:
            return self._get(_name(key))

    def learn(self, key: Key, kind: Kind) -> None:
        """Take in what was seen of a kind elsewhere, unless its day cannot be true."""
        if kind.first.seen and kind.day <= LAST_DAY:
            with self.lock:
                self._learn(_name(key), kind)

    def merge(self, other: Durations) -> None:
        """Take in all that another has seen; what both have seen counts twice."""
        for name, kind in other._all():
            with self.lock:
                self._learn(name, kind)

    def adopt(self, other: Durations) -> None:
        """Take over the kinds of which another has seen more lately, as they are there."""
        for name, kind in other._all():
            with self.lock:
                own = self._get(name)
                if own is None or own.day < kind.day:
                    self._put(name, kind)

    def to_dict(self) -> dict[str, list[float]]:
        """Return all kinds as plain values for JSON."""
        return {
            f"{name:016x}": [float(f"{number:.5g}") for number in _numbers(kind)]
            for name, kind in self._all()
        }

    @classmethod
    def from_dict(
        cls, kinds: Mapping[str, Sequence[float]], most_kinds: int = MOST_KINDS
    ) -> Durations:
        """Return what `to_dict` gave.

        Raises:
            ValueError, TypeError: If it is something else.
        """
        durations = cls(most_kinds)
        for name, numbers in kinds.items():
            durations._put(int(name, 16) % 2**64, _kind_of(_checked(numbers)))
        return durations

    def _all(self) -> list[tuple[int, Kind]]:
        with self.lock:
            return [
                (name, _kind_of(_NUMBERS.unpack(packed))) for name, packed in self._kinds.items()
            ]

    def _learn(self, name: int, kind: Kind) -> None:
        known = self._get(name) or Kind()
        known.merge(kind)
        self._put(name, known)

    def _get(self, name: int) -> Kind | None:
        packed = self._kinds.get(name)
        return None if packed is None else _kind_of(_NUMBERS.unpack(packed))

    def _put(self, name: int, kind: Kind) -> None:
        self._kinds.pop(name, None)
        self._cache.pop(name, None)
        if len(self._kinds) >= self._most_kinds:
            oldest = next(iter(self._kinds))
            del self._kinds[oldest]
            self._cache.pop(oldest, None)
        self._kinds[name] = _NUMBERS.pack(*_numbers(kind))


def _name(key: Key) -> int:
    """Return what a key is kept under."""
    digest = blake2b("\0".join(key).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def _numbers(kind: Kind) -> list[float]:
    sorts = (kind.first, kind.second)
    numbers = [number for sort in sorts for number in (sort.seen, sort.mean, sort.spread)]
    return [kind.share, kind.known, kind.day, *numbers]


def _kind_of(numbers: Sequence[float]) -> Kind:
    share, known, day, *sorts = numbers
    return Kind(Sort(*sorts[:3]), Sort(*sorts[3:]), share, known, day)


def _checked(numbers: Sequence[float]) -> list[float]:
    """Return a kind's numbers if they can be some."""
    bounds = (1.0, 1e3, LAST_DAY, *SORT_BOUNDS * 2)
    fit = len(numbers) == len(bounds) and all(
        abs(number) <= bound for number, bound in zip(numbers, bounds, strict=True)
    )
    if not fit or min(number for place, number in enumerate(numbers) if place not in MEANS) < 0.0:
        raise ValueError(f"no numbers of a kind: {checks.show(numbers)}")
    return [float(number) for number in numbers]
