"""The wait, in a triggerer: one more shell around the library's polling core."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from nexus_operations import NexusError, Update

from ._events import Event, Policy, ended, failed
from .hooks import shared_operations


class NexusOperationTrigger(BaseTrigger):  # type: ignore[misc]
    """Waits for an operation; what it serialises takes the wait up again in another process.

    The secret is not among it: the connection is looked up again.

    Args:
        op_id: The operation's id.
        nexus_conn_id: The connection's id.
        project_id: The project's id; `None` is the connection's.
        policy: The bounds of the wait, the fields of `Policy`.
        started_at: When the wait began, in seconds since the Unix epoch.
        polls: Retrievals made so far.
    """

    def __init__(
        self,
        op_id: str,
        nexus_conn_id: str,
        project_id: str | None,
        policy: dict[str, Any],
        started_at: float,
        polls: int,
    ) -> None:
        super().__init__()
        self.op_id = op_id
        self.nexus_conn_id = nexus_conn_id
        self.project_id = project_id
        self.policy = Policy(**policy)
        self.started_at = started_at
        self.polls = polls

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class's path, and the arguments that take the wait up again."""
        policy = dataclasses.asdict(self.policy)
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "op_id": self.op_id,
                "nexus_conn_id": self.nexus_conn_id,
                "project_id": self.project_id,
                "policy": {**policy, "raise_exception_if": list(self.policy.raise_exception_if)},
                "started_at": self.started_at,
                "polls": self.polls,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, then tell the task."""
        async with shared_operations(self.nexus_conn_id, self.project_id) as operations:
            # The epoch is the one clock that two machines share.
            elapsed = max(time.time() - self.started_at, 0.0)
            arguments = self.policy.arguments(elapsed, self.polls)
            event: Event
            try:
                event = ended(
                    await operations.wait_until_done(self.op_id, progress=self._polled, **arguments)
                )
            except NexusError as error:
                event = failed(error)
        yield TriggerEvent(event)

    def _polled(self, update: Update) -> None:
        """Count the poll, and tell the log of trouble."""
        self.polls += 1
        if update.error is not None and update.next_poll is not None:
            self.log.warning(
                "%s: poll %d failed, next in %.0f s: %s",
                self.op_id,
                self.polls,
                update.next_poll,
                update.error,
            )
