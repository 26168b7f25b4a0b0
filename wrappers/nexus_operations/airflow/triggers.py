"""The wait, in a triggerer: one more shell around the library's polling core."""

from __future__ import annotations

import asyncio
import dataclasses
import importlib
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from nexus_operations import NexusError, UnauthorizedError, WaitState

from ._arguments import Bounds, operation_id
from ._connection import ConnectionSettings
from ._events import SETTINGS_ERRORS, Event, error_event, success_event
from ._progress import ProgressLog, until
from .hooks import NexusHook, shared_operations

__all__ = ["NexusOperationTrigger"]


class NexusOperationTrigger(BaseTrigger):  # type: ignore[misc]
    """Waits for an operation; what it serialises takes the wait up again in another process.

    The secret is not among it: the connection is looked up again, and once more where the service
    does not know the secret (it may have been rotated since).

    Args:
        state: The operation's id, or the state of a wait as `WaitState.to_json` writes it.
        nexus_conn_id: The connection's id.
        project_id: The project's id; `None` is the connection's.
        bounds: The bounds of the wait (`max_wait`, `max_polls`, `max_outage`,
            `raise_exception_if`, `pace`); those left out are the operator's defaults.
        first_poll_at: The instant before which this trigger does not poll, in seconds since the
            Unix epoch: the scheduler has to settle the deferral before it gets an event.
        hook: The class that looks the connection up, as `module.Class`.
    """

    def __init__(
        self,
        state: str | Mapping[str, Any],
        nexus_conn_id: str = NexusHook.default_conn_name,
        project_id: str | None = None,
        bounds: Mapping[str, Any] | None = None,
        first_poll_at: float = 0.0,
        hook: str | None = None,
    ) -> None:
        super().__init__()
        if isinstance(state, str):
            state = WaitState(operation_id("state", state), time.time()).to_json()
        self.state = WaitState.from_json(dict(state))
        self.nexus_conn_id = nexus_conn_id
        self.project_id = project_id
        self.bounds = Bounds.checked(bounds or {})
        self.first_poll_at = first_poll_at
        self.hook = hook

    @property
    def op_id(self) -> str:
        """The operation's id."""
        return self.state.op_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class's path, and the arguments that take the wait up again."""
        bounds = dataclasses.asdict(self.bounds)
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "state": self.state.to_json(),
                "nexus_conn_id": self.nexus_conn_id,
                "project_id": self.project_id,
                "bounds": {**bounds, "raise_exception_if": list(self.bounds.raise_exception_if)},
                "first_poll_at": self.first_poll_at,
                "hook": self.hook,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, then tell the task."""
        bound = until(self.state, self.bounds.max_wait)
        self.log.info("%s: waiting in the triggerer %s", self.op_id, bound)
        await asyncio.sleep(max(self.first_poll_at - time.time(), 0.0))
        try:
            event = await self._wait()
        except SETTINGS_ERRORS as error:
            event = error_event(error)
        yield TriggerEvent(event)

    async def _wait(self) -> Event:
        """Wait with the connection as it is now, and again if its secret was rotated."""
        settings = await self._settings()
        while True:
            event, secret_is_unknown = await self._wait_with(settings)
            refused = settings
            if not secret_is_unknown or (settings := await self._settings()) == refused:
                return event
            self.log.info("%s: the connection has changed, going on with it", self.op_id)

    async def _wait_with(self, settings: ConnectionSettings) -> tuple[Event, bool]:
        """Return what the wait ended in, and whether that is that the secret is not known."""
        state = self.bounds.resumed(self.state)
        log = ProgressLog(self.log, state, self._polled)
        conn_id, project_id = self.nexus_conn_id, self.project_id
        async with shared_operations(conn_id, settings, project_id) as operations:
            try:
                operation = await operations.wait_until_done(
                    state, progress=log, **self.bounds.arguments()
                )
            except NexusError as error:
                return error_event(error), isinstance(error, UnauthorizedError)
        return success_event(operation), False

    async def _settings(self) -> ConnectionSettings:
        hook = NexusHook if self.hook is None else _imported(self.hook)
        return await hook(self.nexus_conn_id).async_settings()

    def _polled(self, state: WaitState) -> None:
        self.state = dataclasses.replace(self.state, polls=state.polls, reached=state.reached)


def _imported(path: str) -> type[NexusHook]:
    """Return a hook class by its path; raise `ImportError` with the remedy."""
    module, _, name = path.rpartition(".")
    try:
        hook: type[NexusHook] = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ImportError(
            f"{path} cannot be imported in the triggerer ({error}): keep the hook class in a module"
            " that is installed there, not in the DAG's file"
        ) from None
    return hook
