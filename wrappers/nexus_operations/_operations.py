"""`project.operations`: retrieve, wait and watch, sync and async.

Both classes are shells around `_polling.Poller`: they sleep and fetch as it says, and decide
nothing.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from . import _arguments as arguments
from ._clock import Clock
from ._errors import NexusError
from ._polling import Policy, Poll, Poller
from ._schedule import Adaptive, Schedule
from ._transport import AsyncTransport, Transport

if TYPE_CHECKING:
    from nexus_operations_api.models import Operation

logger = logging.getLogger("nexus_operations")

IN_FLIGHT_CHECK = 0.02
"""Seconds between two looks at `abort_event` while a request is under way."""


class _Stopped(Exception):
    """The caller's event was set while a request was under way."""


class _Waits:
    """What the sync and the async operations share: arguments, clock and logging."""

    def __init__(self, project_id: str, clock: Clock, request_timeout: float) -> None:
        self._project_id = project_id
        self._clock = clock
        self._request_timeout = request_timeout

    def __repr__(self) -> str:
        return f"{type(self).__name__}(project_id={self._project_id!r})"

    def _begin(
        self,
        op_id: str,
        timeout: int | None,
        raise_exception_if: str | Iterable[str] | None,
        max_wait: float | timedelta | None,
        max_outage: float | timedelta | None,
        schedule: Schedule | None,
    ) -> Poller:
        """Check the arguments of a wait and begin it."""
        arguments.identifier("op_id", op_id)
        policy = Policy(
            max_polls=arguments.polls("timeout", timeout),
            raise_if=arguments.status_names("raise_exception_if", raise_exception_if),
            max_wait=arguments.optional_seconds("max_wait", max_wait),
            max_outage=arguments.optional_seconds("max_outage", max_outage),
            schedule=Adaptive() if schedule is None else schedule,
            request_timeout=self._request_timeout,
        )
        return Poller(policy, self._clock.monotonic())

    def _received(self, poller: Poller, operation: Operation) -> None:
        poller.received(operation, self._clock.monotonic(), self._clock.time())
        status = operation.status.overview
        if poller.unknown_status is not None:
            logger.warning("%s: unknown status %r, polling on", operation.id, poller.unknown_status)
        logger.debug("%s: poll %d: %s; %s", operation.id, poller.polls, status, poller.step)

    def _failed(self, poller: Poller, op_id: str, error: NexusError) -> None:
        poller.failed(error, self._clock.monotonic())
        if isinstance(poller.step, Poll):
            delay = poller.step.delay
            logger.info("%s: poll %d failed, next in %.1f s: %s", op_id, poller.polls, delay, error)


class Operations(_Waits):
    """The operations of one project."""

    def __init__(
        self, transport: Transport, project_id: str, clock: Clock, request_timeout: float
    ) -> None:
        super().__init__(project_id, clock, request_timeout)
        self._transport = transport

    def get(self, op_id: str) -> Operation:
        """Retrieve an operation as it is now, with one request.

        Args:
            op_id: The id of the operation.

        Returns:
            The operation, a `msgspec.Struct`.

        Raises:
            ValueError, TypeError: If `op_id` cannot be an id; no request is made.
            NexusError: If the service did not return it; see the subclasses.
        """
        arguments.identifier("op_id", op_id)
        return self._transport.fetch(self._project_id, op_id, self._request_timeout)

    def wait_until_done(
        self,
        op_id: str,
        timeout: int | None = 36000,
        raise_exception_if: str | Iterable[str] | None = "Errored",
        abort_event: threading.Event | None = None,
        *,
        max_wait: float | timedelta | None = 36000.0,
        max_outage: float | timedelta | None = 1800.0,
        schedule: Schedule | None = None,
    ) -> Operation | None:
        """Retrieve an operation again and again until it has ended.

        The first retrieval is made at once. Connection trouble, timeouts, 429 and 5xx do not end
        the wait until they have lasted for `max_outage`; a `Retry-After` is honoured.

        Args:
            op_id: The id of the operation.
            timeout: The most retrievals made (a number, not a time), failed ones included;
                `None` for no such bound.
            raise_exception_if: The status, or statuses, to raise `OperationFailedError` for;
                `None` for never. Of Queued, Running, Finished, Cancelled, Errored.
            abort_event: Ends the wait within 50 ms of being set, with the result `None`.
            max_wait: Seconds (or a `timedelta`) that the wait may take. The last retrieval is made
                at that instant and may take 5 s. `None` for no such bound.
            max_outage: Seconds (or a `timedelta`) without a successful retrieval that are
                tolerated; `None` for no bound. An endpoint never connected to is given 60 s.
            schedule: When to poll; `Adaptive()` by default.

        Returns:
            The operation once its status is terminal (Finished, Cancelled or Errored) and not named
            by `raise_exception_if`; `None` where it was still running when a bound was reached or
            the event was set.

        Raises:
            OperationFailedError: (a `BadRequestError`) Once the status is one named.
            ValueError, TypeError: For a bad argument; no request is made.
            NexusError: For a lasting outage, and for trouble that would not pass (401, 403, 404, a
                response that breaks the contract).
        """
        poller = self._begin(op_id, timeout, raise_exception_if, max_wait, max_outage, schedule)
        while poller.pending:
            self._poll(op_id, poller, abort_event)
        return poller.result()

    def watch(
        self,
        op_id: str,
        timeout: int | None = 36000,
        raise_exception_if: str | Iterable[str] | None = None,
        abort_event: threading.Event | None = None,
        *,
        max_wait: float | timedelta | None = 36000.0,
        max_outage: float | timedelta | None = 1800.0,
        schedule: Schedule | None = None,
    ) -> Iterator[Operation]:
        """Iterate over an operation's snapshots as they change, until it has ended.

        Takes the arguments of `wait_until_done`, but names no status to raise for by default: the
        last snapshot tells how the operation ended. An iteration that ends with a snapshot whose
        status is not terminal has reached a bound.

        Raises:
            As `wait_until_done`; bad arguments raise when `watch` is called.
        """
        poller = self._begin(op_id, timeout, raise_exception_if, max_wait, max_outage, schedule)
        return self._snapshots(op_id, poller, abort_event)

    def _snapshots(
        self, op_id: str, poller: Poller, abort_event: threading.Event | None
    ) -> Iterator[Operation]:
        last: Operation | None = None
        while poller.pending:
            snapshot = self._poll(op_id, poller, abort_event)
            if snapshot is not None and snapshot != last:
                last = snapshot
                yield snapshot
        poller.result()

    def _poll(
        self, op_id: str, poller: Poller, abort_event: threading.Event | None
    ) -> Operation | None:
        """Carry out the poller's step; return the snapshot if there is one."""
        step = poller.step
        assert isinstance(step, Poll)
        try:
            if not self._clock.sleep(step.delay, abort_event):
                raise _Stopped
            operation = self._fetch(op_id, step.timeout, abort_event)
        except _Stopped:
            poller.stop()
            return None
        except NexusError as error:
            self._failed(poller, op_id, error)
            return None
        self._received(poller, operation)
        return operation

    def _fetch(self, op_id: str, timeout: float, abort_event: threading.Event | None) -> Operation:
        """Retrieve once; with an event, in a thread, so that it can end a request under way."""

        def fetch() -> Operation:
            return self._transport.fetch(self._project_id, op_id, timeout)

        return fetch() if abort_event is None else _run_until(abort_event, fetch)


def _run_until(abort_event: threading.Event, call: Callable[[], Operation]) -> Operation:
    """Return `call()`, or raise `_Stopped` as soon as the event is set.

    A request that is left behind ends by its own timeout, in a daemon thread.
    """
    ended = threading.Event()
    results: list[Operation] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(call())
        except BaseException as error:  # noqa: BLE001  (it is raised in the caller's thread)
            errors.append(error)
        finally:
            ended.set()

    threading.Thread(target=run, name="nexus-operations-request", daemon=True).start()
    while not ended.wait(IN_FLIGHT_CHECK):
        if abort_event.is_set():
            raise _Stopped
    if errors:
        raise errors[0]
    return results[0]


class AsyncOperations(_Waits):
    """The operations of one project, awaited."""

    def __init__(
        self, transport: AsyncTransport, project_id: str, clock: Clock, request_timeout: float
    ) -> None:
        super().__init__(project_id, clock, request_timeout)
        self._transport = transport

    async def get(self, op_id: str) -> Operation:
        """Retrieve an operation as it is now; see `Operations.get`."""
        arguments.identifier("op_id", op_id)
        return await self._transport.fetch(self._project_id, op_id, self._request_timeout)

    async def wait_until_done(
        self,
        op_id: str,
        timeout: int | None = 36000,
        raise_exception_if: str | Iterable[str] | None = "Errored",
        *,
        max_wait: float | timedelta | None = 36000.0,
        max_outage: float | timedelta | None = 1800.0,
        schedule: Schedule | None = None,
    ) -> Operation | None:
        """Retrieve an operation again and again until it has ended.

        See `Operations.wait_until_done`; cancel the task to stop the wait.
        """
        poller = self._begin(op_id, timeout, raise_exception_if, max_wait, max_outage, schedule)
        while poller.pending:
            await self._poll(op_id, poller)
        return poller.result()

    def watch(
        self,
        op_id: str,
        timeout: int | None = 36000,
        raise_exception_if: str | Iterable[str] | None = None,
        *,
        max_wait: float | timedelta | None = 36000.0,
        max_outage: float | timedelta | None = 1800.0,
        schedule: Schedule | None = None,
    ) -> AsyncIterator[Operation]:
        """Iterate over an operation's snapshots as they change; see `Operations.watch`."""
        poller = self._begin(op_id, timeout, raise_exception_if, max_wait, max_outage, schedule)
        return self._snapshots(op_id, poller)

    async def _snapshots(self, op_id: str, poller: Poller) -> AsyncIterator[Operation]:
        last: Operation | None = None
        while poller.pending:
            snapshot = await self._poll(op_id, poller)
            if snapshot is not None and snapshot != last:
                last = snapshot
                yield snapshot
        poller.result()

    async def _poll(self, op_id: str, poller: Poller) -> Operation | None:
        """Carry out the poller's step; return the snapshot if there is one."""
        step = poller.step
        assert isinstance(step, Poll)
        await self._clock.async_sleep(step.delay)
        try:
            operation = await self._transport.fetch(self._project_id, op_id, step.timeout)
        except NexusError as error:
            self._failed(poller, op_id, error)
            return None
        self._received(poller, operation)
        return operation
