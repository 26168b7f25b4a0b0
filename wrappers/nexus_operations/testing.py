"""For test suites: the simulated service in virtual time, without a socket.

    clock = VirtualClock()
    service = clock.service()
    client = Client("secret", transport=VirtualTransport(service, clock), clock=clock)

A wait of hours then takes milliseconds: sleeping moves the clock and returns.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx

from .simulator import Reply, Service
from .simulator._service import check_type

if TYPE_CHECKING:
    from nexus_operations import StopEvent

__all__ = ["VirtualClock", "VirtualTransport"]

OTHERS_TURNS = 50
"""Turns of the event loop in which other tasks end what they do, before the clock moves."""

EPOCH = 1_700_000_000.0
"""The Unix time at which a virtual clock starts."""


class VirtualClock:
    """A clock that only sleeping moves.

    Attributes:
        now: Monotonic seconds.
        wall_offset: Seconds added to the Unix time, to test a clock that was set.
        slept: Every sleep so far, in seconds.
    """

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now
        self.wall_offset = 0.0
        self.slept: list[float] = []
        self._sleepers: dict[object, float] = {}
        self._stirs = 0

    def monotonic(self) -> float:
        """Return the virtual time in seconds."""
        return self.now

    def time(self) -> float:
        """Return the virtual Unix time in seconds."""
        return EPOCH + self.now + self.wall_offset

    def sleep(self, seconds: float, abort_event: StopEvent | None = None) -> bool:
        """Move the clock; return False if the event is set."""
        if abort_event is not None and abort_event.is_set():
            return False
        self.slept.append(seconds)
        self.now += seconds
        return True

    async def async_sleep(self, seconds: float | None, wake: asyncio.Event | None = None) -> None:
        """Move the clock to the earliest sleeper's end, unless other tasks set `wake` first."""
        if seconds is None:
            if wake is not None:
                await wake.wait()
            return
        end, me = self.now + seconds, object()
        self._sleepers[me] = end
        self._stirs += 1
        try:
            idle, stirs = 0, self._stirs
            while self.now < end or seconds == 0:
                await asyncio.sleep(0)
                if (wake is not None and wake.is_set()) or seconds == 0:
                    return
                # The clock moves once no task has begun or ended a sleep for a while.
                idle, stirs = (idle + 1 if stirs == self._stirs else 0), self._stirs
                if idle >= OTHERS_TURNS and end <= min(self._sleepers.values()):
                    self.slept.append(seconds)
                    self.now = end
        finally:
            self._stirs += 1
            del self._sleepers[me]

    def service(self, **options: Any) -> Service:
        """Return a simulated service that lives by this clock; see `simulator.Service`."""
        return Service(monotonic=self.monotonic, wall=lambda: EPOCH + self.now, **options)


class VirtualTransport(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Hands requests to a simulated service; for `Client` and `AsyncClient` alike.

    Trouble with the connection raises what httpx would raise; a stall first moves the clock by the
    request's time budget.
    """

    def __init__(self, service: Service, clock: VirtualClock) -> None:
        check_type("service", service, Service)
        check_type("clock", clock, VirtualClock)
        self._service = service
        self._clock = clock

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer as the simulated service does."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        reply = self._service.answer(request.method, request.url.raw_path.decode(), headers)
        return self._respond(request, reply)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer as the simulated service does."""
        await asyncio.sleep(0)
        return self.handle_request(request)

    def _respond(self, request: httpx.Request, reply: Reply) -> httpx.Response:
        trouble = reply.trouble
        if trouble is not None and trouble.kind in ("stall", "drip"):
            budget = request.extensions["timeout"]["read"]
            self._clock.now += min(budget, trouble.seconds)
            if trouble.kind == "stall" or trouble.seconds > budget:
                raise httpx.ReadTimeout("the simulated service stalled", request=request)
        elif trouble is not None and trouble.kind == "cut":
            raise httpx.RemoteProtocolError("peer closed connection", request=request)
        elif trouble is not None and trouble.kind == "refuse":
            raise httpx.ConnectError("connection refused", request=request)
        elif trouble is not None:
            raise httpx.ReadError("connection reset by peer", request=request)
        return httpx.Response(
            reply.status, headers=reply.headers, stream=httpx.ByteStream(reply.body)
        )
