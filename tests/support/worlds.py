"""Worlds in virtual time: a clock that only sleeping moves, a service scripted by the answer."""

from __future__ import annotations

import asyncio
import urllib.parse
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
from nexus_operations.testing import EPOCH, VirtualClock

from tests.support.replies import Reply, good, trouble

START = VirtualClock().now
CREATED = int((EPOCH + START) * 1000)
"""The date, in milliseconds, at which a world begins."""


@dataclass(frozen=True)
class Asked:
    """A request in virtual time.

    Attributes:
        op_id: The operation asked for.
        number: Its place among all requests, from 1.
        nth: Its place among those for the same operation, from 1.
        at: Seconds since the start of the world.
        budget: Seconds that the request may take.
    """

    op_id: str
    number: int
    nth: int
    at: float
    budget: float


Answer = Callable[[Asked], Reply | BaseException]


class World(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """A service and its clock; the options for a client are in `client`.

    Args:
        answer: Called with each request; an exception is raised as httpx would raise it.
    """

    def __init__(self, answer: Answer, **client: Any) -> None:
        self.clock = VirtualClock()
        self.asked: list[Asked] = []
        self._nth: Counter[str] = Counter()
        self._answer = answer
        self.client: dict[str, Any] = {"transport": self, "clock": self.clock, **client}

    @property
    def elapsed(self) -> float:
        """Virtual seconds since the start."""
        return self.clock.now - START

    @property
    def times(self) -> list[float]:
        """When each request was made, in seconds since the start."""
        return [asked.at for asked in self.asked]

    def created(self, age: float = 0.0) -> float:
        """Return the date, in milliseconds, of what is so many seconds old at the start."""
        return int((EPOCH + START - age) * 1000)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer as scripted."""
        op_id = urllib.parse.unquote(request.url.raw_path.decode().rsplit("/", 1)[-1])
        self._nth[op_id] += 1
        budget = request.extensions.get("timeout", {}).get("read", 0.0)
        asked = Asked(op_id, len(self.asked) + 1, self._nth[op_id], self.elapsed, budget)
        self.asked.append(asked)
        answer = self._answer(asked)
        if isinstance(answer, BaseException):
            raise answer
        return answer.response()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer as scripted."""
        await asyncio.sleep(0)
        return self.handle_request(request)

    def most_within(self, seconds: float) -> int:
        """Return the most requests made in any such stretch of time."""
        times = self.times
        return max((sum(t <= u < t + seconds - 1e-9 for u in times) for t in times), default=0)


class ManyAtOnce(World):
    """A world whose requests take virtual time beside each other, as much as they may take."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer as scripted; an exception comes when the request's time is up."""
        try:
            return super().handle_request(request)
        except httpx.TimeoutException:
            self.clock.now += whole_budget(request)
            raise

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer as scripted; an exception comes when the request's time is up."""
        try:
            return World.handle_request(self, request)
        except httpx.TimeoutException:
            await self.clock.async_sleep(whole_budget(request))
            raise


def whole_budget(request: httpx.Request) -> float:
    """Return the seconds that a request may take, without what real time took of them."""
    return round(float(request.extensions["timeout"]["read"]), 2)


def is_running(asked: Asked) -> Reply:
    """Answer that the operation is running."""
    return good(asked.op_id, "Running", created=CREATED)


def is_finished(asked: Asked) -> Reply:
    """Answer that the operation has finished."""
    return good(asked.op_id, "Finished", created=CREATED)


def is_refused(asked: Asked) -> BaseException:
    """Fail as where nobody listens."""
    return httpx.ConnectError("connection refused")


def is_broken(asked: Asked) -> BaseException:
    """Fail as where a connection breaks."""
    return httpx.ReadError("connection reset by peer")


def answers(status: int, message: str | bytes = "as scripted", **headers: str) -> Answer:
    """Return an answer of another status."""
    return lambda _: trouble(status, message, **headers)


def script(*steps: Answer) -> Answer:
    """Return answers for each operation, one after the other; the last is given for ever."""
    return lambda asked: steps[min(asked.nth, len(steps)) - 1](asked)
