"""The connection type `nexus`, and the clients that are made from a connection."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from airflow.sdk import BaseHook

from nexus_operations import AsyncClient, AsyncOperations, Client, NexusError, NotFoundError
from nexus_operations import Operations as SyncOperations

NO_OPERATION = "op_00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True)
class Settings:
    """What a connection says. The secret shows in no `repr`."""

    secret: str | None = field(repr=False)
    endpoint: str | None
    project_id: str | None
    max_rate: float | None = None
    certificate: str | None = None
    private_key: str | None = None

    @classmethod
    def of(cls, connection: Any) -> Settings:
        """Return what a connection says; an empty field is none."""
        extra = connection.extra_dejson
        rate = extra.get("max_rate")
        return cls(
            secret=connection.password or None,
            endpoint=connection.host or None,
            project_id=connection.login or None,
            max_rate=None if rate in (None, "") else float(rate),
            certificate=extra.get("certificate") or None,
            private_key=extra.get("private_key") or None,
        )

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of `Client` and `AsyncClient`."""
        return {
            "secret_key": self.secret,
            "endpoint": self.endpoint,
            "mtls_certificate_file_path": self.certificate,
            "mtls_private_key_file_path": self.private_key,
            "max_rate": self.max_rate,
        }

    def project(self, wanted: str | None) -> str:
        """Return the project that is wanted, or the connection's.

        Raises:
            ValueError: If there is neither.
        """
        project_id = wanted or self.project_id
        if not project_id:
            raise ValueError("project_id must be given, or be the connection's login, not None")
        return project_id


class NexusHook(BaseHook):  # type: ignore[misc]
    """Makes clients from a connection.

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

    def settings(self) -> Settings:
        """Look the connection up."""
        return Settings.of(self.get_connection(self.nexus_conn_id))

    def get_conn(self) -> Client:
        """Return a client of the connection."""
        return Client(**self.settings().arguments())

    @contextlib.contextmanager
    def operations(self, project_id: str | None = None) -> Any:
        """Give the operations of a project (by default the connection's), and close the client."""
        settings = self.settings()
        with Client(**settings.arguments()) as client:
            operations: SyncOperations = client.get_project(settings.project(project_id)).operations
            yield operations

    def test_connection(self) -> tuple[bool, str]:
        """Ask for an operation that does not exist: who is known is told so."""
        try:
            with self.operations() as operations:
                operations.get(NO_OPERATION)
        except NotFoundError:
            return True, "The service knows the secret key"
        except (NexusError, ValueError) as error:
            return False, str(error)
        return True, "The service answered"


@dataclass
class _Shared:
    """A client, and how many triggers use it."""

    client: AsyncClient
    users: int = 0


_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Settings, _Shared]]
_clients = WeakKeyDictionary()


@contextlib.asynccontextmanager
async def shared_operations(
    conn_id: str, project_id: str | None
) -> AsyncGenerator[AsyncOperations, None]:
    """Give the operations of a project over the one client that a triggerer has for a connection.

    All triggers of a connection share its connections and its bound on requests. A connection that
    was changed gets a client of its own; a client is closed when its last trigger has gone.
    """
    settings = Settings.of(await BaseHook.aget_connection(conn_id))
    clients = _clients.setdefault(asyncio.get_running_loop(), {})
    if settings not in clients:
        clients[settings] = _Shared(AsyncClient(**settings.arguments()))
    shared = clients[settings]
    shared.users += 1
    try:
        yield shared.client.get_project(settings.project(project_id)).operations
    finally:
        shared.users -= 1
        if not shared.users:
            del clients[settings]
            await shared.client.aclose()
