"""What waits ask of the memory, and what they tell it."""

from __future__ import annotations

from .durations import SECONDS_A_DAY, Durations
from .hazard import Expectation
from .kinds import Kind
from .siblings import Siblings


class Memory:
    """The memory, as the waits of one project use it.

    Waits at a time for operations of one kind learn of each other, whether one call waits for them
    or many.

    Args:
        durations: The client's memory.
        scope: What its keys begin with: the endpoint and the project.
    """

    __slots__ = ("_durations", "_scope")

    def __init__(self, durations: Durations, *scope: str) -> None:
        self._durations = durations
        self._scope = scope

    def running(self, kind: str, before: float | None, age: float) -> Expectation | None:
        """Take in that a poll found an operation running; return what to expect of it.

        Args:
            kind: The operation's kind.
            before: Its age at the poll before; `None` at the first.
            age: Its age now.
        """
        durations, key = self._durations, (*self._scope, kind)
        with durations.lock:
            siblings = durations.siblings.get(key)
            if siblings is None:
                siblings = durations.siblings[key] = Siblings()
            if before is None:
                siblings.running += 1
                siblings.met += 1
            else:
                siblings.survived(before, age)
            if siblings.met == 1:
                if before is None:
                    siblings.expectation = durations.expect(key)
            elif siblings.due():
                known = durations.kind(key) or Kind()
                known.merge(siblings.ended)
                siblings.expectation = siblings.correct(known.modes())
            return siblings.expectation

    def ended(self, kind: str, before: float, seconds: float, at: float) -> None:
        """Take in that an operation has ended that was seen running.

        Args:
            kind: The operation's kind.
            before: Its age when it was last seen running.
            seconds: How long it took.
            at: When, in seconds since the Unix epoch.
        """
        with self._durations.lock:
            siblings = self._durations.siblings[*self._scope, kind]
            siblings.died(before, seconds)
            siblings.ended.add(seconds, at / SECONDS_A_DAY)
            self.left(kind)

    def left(self, kind: str) -> None:
        """Take in that an operation is no longer waited for.

        What has ended enters the memory once none of its siblings runs: those that end first are
        the short ones, and would be remembered as if all were.
        """
        durations, key = self._durations, (*self._scope, kind)
        with durations.lock:
            siblings = durations.siblings[key]
            siblings.running -= 1
            if not siblings.running:
                del durations.siblings[key]
                if siblings.ended.first.seen:
                    durations.learn(key, siblings.ended)
