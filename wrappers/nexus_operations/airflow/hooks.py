"""The hook of the connection type `nexus`: clients made from a connection."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from airflow.sdk import BaseHook
from asgiref.sync import sync_to_async

from nexus_operations import (
    AsyncClient,
    AsyncOperations,
    Client,
    NexusError,
    NotFoundError,
    Operations,
)

from ._connection import ConnectionSettings, blaming

__all__ = ["ConnectionSettings", "NexusHook"]

NO_OPERATION = "op_00000000-0000-0000-0000-000000000000"
NO_PROJECT = "proj_00000000000000000000000000000000"


class NexusHook(BaseHook):  # type: ignore[misc]
    """Makes clients from a connection.

    A subclass may look connections up elsewhere: override `get_connection` or `settings`, and set
    it as `hook_class` of a subclass of the operator or the sensor. Its look-up then counts in the
    triggerer, too, where a look-up that is not `async` runs in a thread.

    Args:
        nexus_conn_id: The connection's id.
    """

    conn_name_attr = "nexus_conn_id"
    default_conn_name = "nexus_default"
    conn_type = "nexus"
    hook_name = "Datature Nexus"

    def __init__(self, nexus_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.nexus_conn_id = nexus_conn_id

    def settings(self) -> ConnectionSettings:
        """Look the connection up.

        Raises:
            ValueError: If the connection cannot be understood; the message names it.
        """
        connection = self.get_connection(self.nexus_conn_id)
        with blaming(self.nexus_conn_id):
            return ConnectionSettings.from_connection(connection)

    async def async_settings(self) -> ConnectionSettings:
        """Look the connection up from an event loop; see `settings`."""
        if self._looks_up_elsewhere():
            found: ConnectionSettings = await sync_to_async(self.settings)()
            return found
        connection = await self.aget_connection(self.nexus_conn_id)
        with blaming(self.nexus_conn_id):
            return ConnectionSettings.from_connection(connection)

    def _looks_up_elsewhere(self) -> bool:
        """Return whether a subclass looks connections up, and has no awaited way to do so."""
        cls = type(self)
        if cls.settings is not NexusHook.settings:
            return True
        blocking = cls.get_connection.__func__ is not BaseHook.get_connection.__func__
        awaited = cls.aget_connection.__func__ is not BaseHook.aget_connection.__func__
        return blocking and not awaited

    def get_conn(self) -> Client:
        """Return a client of the connection."""
        settings = self.settings()
        with blaming(self.nexus_conn_id):
            return Client(**settings.arguments())

    @contextlib.contextmanager
    def operations(self, project_id: str | None = None) -> Iterator[Operations]:
        """Give the operations of a project (by default the connection's), and close the client."""
        settings = self.settings()
        with blaming(self.nexus_conn_id):
            client = Client(**settings.arguments())
        with client:
            with blaming(self.nexus_conn_id):
                project = client.get_project(settings.project(project_id))
            yield project.operations

    def test_connection(self) -> tuple[bool, str]:
        """Ask for an operation that does not exist: a Nexus that knows the secret key says so."""
        try:
            settings = self.settings()
            with self.operations(settings.project_id or NO_PROJECT) as operations:
                operations.get(NO_OPERATION)
        except NotFoundError as error:
            missing = "operation" if settings.project_id else "operation|project"
            if _says_missing(error.detail, missing):
                return True, "The service knows the secret key"
            return False, f"What answered does not answer as the Nexus API does: {error}"
        except (NexusError, ValueError, OSError) as error:
            return False, str(error)
        return True, "The service answered"


def _says_missing(detail: Any, things: str) -> bool:
    """Return whether a 404's body is the service's own: `{"message": "Operation not found"}`."""
    message = detail.get("message") if isinstance(detail, dict) else None
    return isinstance(message, str) and bool(re.search(rf"(?i)\b({things})s?\b", message))


@dataclass
class _Shared:
    """A client, and how many triggers use it."""

    client: AsyncClient
    users: int = 0


_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[ConnectionSettings, _Shared]]
_clients = WeakKeyDictionary()


@contextlib.asynccontextmanager
async def shared_operations(
    conn_id: str, settings: ConnectionSettings, project_id: str | None
) -> AsyncGenerator[AsyncOperations, None]:
    """Give the operations of a project over the one client that a triggerer has for a connection.

    All triggers of a connection share its connections and its bounds on requests. A connection that
    was changed gets a client of its own; a client is closed when its last trigger has gone.
    """
    clients = _clients.setdefault(asyncio.get_running_loop(), {})
    with blaming(conn_id):
        project_id = settings.project(project_id)
        if settings not in clients:
            clients[settings] = _Shared(AsyncClient(**settings.arguments()))
    shared = clients[settings]
    shared.users += 1
    try:
        yield shared.client.get_project(project_id).operations
    finally:
        shared.users -= 1
        if not shared.users:
            del clients[settings]
            await shared.client.aclose()
