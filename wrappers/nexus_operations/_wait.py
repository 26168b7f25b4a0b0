"""One wait: what decides (the poller) joined to what it lives among (clock, limits, log, span).

The rule of a wait's time, for one and for many, sync and awaited:

- a poll is due when the poller says; `Wait.due` is that instant;
- before the deadline, and the end of an outage that is tolerated, a pause that the service asked
  for (429 with `Retry-After`) puts it off; then the last poll is made in spite of the pause;
- a poll takes a slot first (`max_concurrency`), then its turn (`max_rate`), never out of turn;
- what has no slot or no turn by `Poller.end` is over without another poll.

A shell sleeps until `due`, enters the slots, sleeps what `seconds_to_start` returns, sends the
request, and feeds the result: `_loops` has one sync and one awaited shell, and no other way.
"""

from __future__ import annotations

import functools
import logging
import math
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ._core import checks
from ._core.errors import NexusError, TooManyRequestsError
from ._core.poller import LAST_POLL_TIMEOUT, RETRY_AFTER_MAX, Bounds, Poll, Poller
from ._core.updates import Listener, Update
from ._show import tracing
from ._show.progress import check_progress
from .wire import WaitState

if TYPE_CHECKING:
    from ._clock import Clock
    from ._core.durations import Durations
    from ._core.limiter import RateLimiter, Slots
    from ._core.memory import Memory
    from ._core.models import Operation
    from ._http.exchange import Answer, Contact

logger = logging.getLogger("nexus_operations")

LONGEST_AGE = 366 * 86400.0
"""Seconds of age beyond which `createDate` is no date of a running operation, and is not used."""

DATE_RESOLUTION = 1.0
"""Seconds to which a response's `Date` is exact."""

SHORTEST_REQUEST = 0.05
"""Seconds that a request must be given: with less the service would not be asked in earnest."""

CLOSED_CHECK = 0.05
"""Seconds between two looks at the caller's event and the client's, where there are both."""

ON_ERROR = ("group", "first", "return")

DEFAULT_BOUND = 36000


def _check_on_error(name: str, value: object) -> str:
    return str(checks.choice(name, value, ON_ERROR))


def _check_progress(_: str, value: object) -> Listener | bool:
    return check_progress(value)


CHECKS: dict[str, Callable[[str, object], Any]] = {
    "timeout": checks.max_polls,
    "raise_exception_if": checks.status_names,
    "abort_event": checks.abort_event,
    "on_error": _check_on_error,
    "max_wait": checks.optional_seconds,
    "max_outage": checks.optional_seconds,
    "schedule": checks.schedule,
    "max_waiting": checks.positive_int,
    "progress": _check_progress,
}
"""How each keyword of a wait is checked, before any request."""


@dataclass(frozen=True, slots=True)
class Call:
    """What a call for one wait or many asks for.

    Attributes:
        bounds: The bounds of each wait.
        abort_event: Ends the call when set, or `None`.
        progress: The listener, or whether a board is shown.
        on_error: `"group"`, `"first"` or `"return"`.
        max_waiting: Operations waited for at a time, at most.
    """

    bounds: Bounds
    abort_event: threading.Event | None = None
    progress: Listener | bool = False
    on_error: str = "return"
    max_waiting: int = 1

    @classmethod
    def from_arguments(cls, arguments: Mapping[str, Any]) -> Call:
        """Check the keywords of a public call, given as its `locals()`.

        Raises:
            TypeError, ValueError: Naming the first that is wrong.
        """
        given = {
            name: check(name, arguments[name])
            for name, check in CHECKS.items()
            if name in arguments and not (name == "schedule" and arguments[name] is None)
        }
        timeout, max_wait = given.pop("timeout"), given.pop("max_wait")
        if timeout not in (None, DEFAULT_BOUND) and timeout % 60 == 0 and max_wait == DEFAULT_BOUND:
            _note_that_timeout_counts(timeout)
        options = {"schedule": given.pop("schedule")} if "schedule" in given else {}
        bounds = Bounds(
            timeout, given.pop("raise_exception_if"), max_wait, given.pop("max_outage"), **options
        )
        return cls(bounds, **given)


@functools.cache
def _note_that_timeout_counts(timeout: int) -> None:
    """Say once that what looks like seconds, as in the vendor's SDK, is a number of polls."""
    logger.warning(
        "timeout=%d is a number of polls, not seconds: for a time write max_wait=%d",
        timeout,
        timeout,
    )


class Closing:
    """Whether a client is closed; wakes what sleeps when it is."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._wakes: set[Callable[[], object]] = set()

    def is_set(self) -> bool:
        """Whether the client is closed."""
        return self._event.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Block until the client is closed, at most `timeout` seconds."""
        return self._event.wait(timeout)

    def set(self) -> None:
        """Close, and wake what sleeps, whichever its thread."""
        self._event.set()
        for wake in list(self._wakes):
            wake()

    def subscribe(self, wake: Callable[[], object]) -> Callable[[], None]:
        """Have `wake` called on closing; return what ends that."""
        self._wakes.add(wake)
        return lambda: self._wakes.discard(wake)

    def check(self) -> None:
        """Raise if the client is closed."""
        if self._event.is_set():
            raise ValueError("the client is closed: make a new one")


@dataclass(frozen=True, slots=True)
class Stop:
    """What ends a sync wait: the caller's event, or the client's closing.

    Attributes:
        closing: The client's.
        abort_event: The caller's, or `None`.
    """

    closing: Closing
    abort_event: threading.Event | None = None

    def is_set(self) -> bool:
        """Whether the wait is to end."""
        aborted = self.abort_event is not None and self.abort_event.is_set()
        return aborted or self.closing.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Block until the wait is to end, at most `timeout` seconds."""
        if self.abort_event is None:
            return self.closing.wait(timeout)
        end = math.inf if timeout is None else time.monotonic() + timeout
        while not self.is_set():
            if (left := end - time.monotonic()) <= 0:
                return False
            self.abort_event.wait(min(left, CLOSED_CHECK))
        return True


@dataclass(frozen=True, slots=True)
class Shared:
    """What the waits of a client share.

    Attributes:
        clock: Time and sleep.
        limiter: The bound on requests per second.
        slots: The bound on requests in flight of event loops.
        thread_slots: The same for the caller's threads, `None` without `max_concurrency`.
        contact: Whether the endpoint was ever reached.
        request_timeout: Seconds that one request may take.
        closing: Whether the client is closed.
        endpoint: The service's base URL.
        durations: How long operations took, or `None` if that is not remembered.
        random: Numbers from 0 to 1.
    """

    clock: Clock
    limiter: RateLimiter
    slots: Slots
    thread_slots: Slots | None
    contact: Contact
    request_timeout: float
    closing: Closing = field(default_factory=Closing)
    endpoint: str = ""
    durations: Durations | None = None
    random: Callable[[], float] = random.random


class Wait:
    """One waiting operation.

    Attributes:
        op_id: Its id.
        project_id: Its project's.
        poller: What decides.
        span: Its OpenTelemetry span, if the application traces.
        listener: Called after each poll, or `None`.
        due: The instant at which its next poll is due.
        since: The instant at which that was decided.

    Args:
        shared: What it shares with the client's other waits.
        project_id: Its project's id.
        op_id: Its id, or the state of a wait to resume.
        bounds: Its bounds.
        listener: Called after each poll, or `None`.
        started: The instant at which the call began; by default now.
        heeds_pause: Whether a pause that the service asked for puts its polls off.
        memory: What the waits of its call know of durations, or `None`.
    """

    __slots__ = (
        "_heeds_pause",
        "_shared",
        "_turn",
        "due",
        "listener",
        "op_id",
        "poller",
        "project_id",
        "since",
        "span",
    )

    def __init__(
        self,
        shared: Shared,
        project_id: str,
        op_id: str | WaitState,
        bounds: Bounds,
        listener: Listener | None = None,
        started: float | None = None,
        heeds_pause: bool = True,
        memory: Memory | None = None,
    ) -> None:
        now, polls = shared.clock.monotonic(), 0
        started = now if started is None else started
        resumed = isinstance(op_id, WaitState)
        if isinstance(op_id, WaitState):
            # The epoch is the one clock that two processes share.
            started = now - max(shared.clock.time() - op_id.started_at, 0.0)
            polls = op_id.polls
            shared.contact.reached = shared.contact.reached or op_id.reached
            op_id = op_id.op_id
        self.op_id = op_id
        self.project_id = project_id
        self.poller = Poller(bounds, started, polls=polls, random=shared.random, memory=memory)
        if resumed:
            self.woke(now)
        self.span: Any = None
        self.due = now
        self.since = now
        self._shared = shared
        self.listener = listener
        self._heeds_pause = heeds_pause
        self._turn: float | None = None

    def __lt__(self, other: Wait) -> bool:
        # Of polls due at the same instant (a common deadline), the one that waited longest.
        return (self.due, self.since) < (other.due, other.since)

    @property
    def pending(self) -> bool:
        """Whether there is another poll to make."""
        return self.poller.pending

    def woke(self, now: float) -> None:
        """Leave time for the last poll to a wait that slept past its deadline.

        The machine was suspended, or the wait is resumed late: the operation may have ended since.
        """
        if now > self.poller.deadline:
            self.poller.end = max(self.poller.end, now + LAST_POLL_TIMEOUT)

    @property
    def state(self) -> WaitState:
        """What another process needs to resume the wait."""
        clock = self._shared.clock
        started_at = clock.time() - (clock.monotonic() - self.poller.started)
        started_at = min(max(started_at, 0.0), checks.LONGEST)  # the machine's clock may jump
        return WaitState(self.op_id, started_at, self.poller.polls, self._shared.contact.reached)

    def seconds_to_start(self, now: float) -> float | None:
        """Return the seconds until the request may be sent; the caller holds a slot.

        Returns:
            0 for now, or the seconds after which to ask again; `None` if the poll was put off (see
            `due`) or the wait is over.
        """
        self._shared.closing.check()
        poller, limiter = self.poller, self._shared.limiter
        if not poller.pending:
            return None
        if now >= poller.end - SHORTEST_REQUEST:
            poller.expire("no request could be made by the deadline")
            return None
        latest = min(poller.deadline, poller.outage_end)
        if self._heeds_pause and now < latest:
            pause = limiter.pause_left(now, self._shared.random())
            if pause > 0:
                self._put_off(min(now + pause, latest), now)
                return None
        if self._turn is None:
            self._turn = limiter.reserve(now, poller.end)
            if self._turn is None and now < poller.deadline:
                self._put_off(poller.deadline, now)
                return None
            if self._turn is None:
                poller.expire("max_rate allowed no request by the deadline")
                return None
        if self._turn > now:
            return self._turn - now
        seconds = limiter.try_acquire(now)
        if seconds == 0.0:
            self._turn = None
        return seconds

    def _put_off(self, instant: float, now: float) -> None:
        self._give_turn_back()
        self.due, self.since = instant, now

    def _give_turn_back(self) -> None:
        if self._turn is not None:
            self._shared.limiter.give_back(self._turn)
        self._turn = None

    def timeout(self) -> float:
        """Return the seconds that the request to be sent may take."""
        return self.poller.timeout(self._shared.request_timeout, self._shared.clock.monotonic())

    def feed(self, result: Answer[Operation] | NexusError) -> Operation | None:
        """Feed what a poll gave to the poller, the log and the listener.

        Returns:
            The operation, or `None` if the request failed.
        """
        shared, poller = self._shared, self.poller
        now = shared.clock.monotonic()
        operation = error = None
        if isinstance(result, NexusError):
            error = result
            poller.failed(error, now, reached=shared.contact.reached)
            self._log_failure(error, now)
        else:
            operation = result.value
            poller.received(operation, now, self._age(operation, result.date))
            self._log_success(operation)
        if isinstance(poller.step, Poll):
            self.due, self.since = now + poller.step.delay, now
        if self.listener is not None:
            self.listener(self._update(now, operation, error))
        return operation

    def _age(self, operation: Operation, date: float | None) -> float:
        """Return an operation's age in seconds, 0 if its dates tell none.

        Its dates are the service's, so they are set against the response's own `Date`. The
        machine's clock is finer, and is used where it agrees with it or there is none.
        """
        now = self._shared.clock.time()
        if date is not None and not 0 <= now - date <= DATE_RESOLUTION:
            now = date
        age = now - operation.create_date / 1000
        return age if 0 <= age <= LONGEST_AGE else 0.0

    def _log_failure(self, error: NexusError, now: float) -> None:
        poller = self.poller
        if isinstance(error, TooManyRequestsError) and error.retry_after:
            seconds = min(error.retry_after, RETRY_AFTER_MAX)
            self._shared.limiter.pause_until(now + seconds, now)
        if isinstance(poller.step, Poll):
            delay = poller.step.delay
            logger.info(
                "%s: poll %d failed, next in %.1f s: %s", self.op_id, poller.polls, delay, error
            )

    def _log_success(self, operation: Operation) -> None:
        poller = self.poller
        if poller.unknown_status is not None:
            logger.warning("%s: unknown status %r, polling on", self.op_id, poller.unknown_status)
        if logger.isEnabledFor(logging.DEBUG):
            status, step = ascii(operation.status.overview), poller.step
            then = f"next in {step.delay:.1f} s" if isinstance(step, Poll) else type(step).__name__
            logger.debug("%s: poll %d: %s; %s", self.op_id, poller.polls, status, then)

    def _update(self, now: float, operation: Operation | None, error: NexusError | None) -> Update:
        poller = self.poller
        estimate = poller.estimate if poller.pending else None
        return Update(
            op_id=self.op_id,
            operation=operation,
            error=error,
            polls=poller.polls,
            elapsed=now - poller.started,
            remaining=None if estimate is None else estimate.median,
            next_poll=poller.step.delay if isinstance(poller.step, Poll) else None,
            remaining_range=None if estimate is None else (estimate.low, estimate.high),
        )

    def close(self) -> None:
        """End the wait's span: it is over or was interrupted."""
        self._give_turn_back()
        self.poller.close()
        tracing.end(self)
