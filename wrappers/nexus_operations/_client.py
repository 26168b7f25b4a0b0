"""`Client` and `AsyncClient`: who one is, where the service is, and the way to its projects."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from ._clock import Clock, SystemClock
from ._core import checks as arguments
from ._core.limiter import Pacer
from ._http.transports import AsyncTransport, Secret, Settings, Transport
from ._operations import AsyncOperations, Context, Operations


class _ClientBase:
    """The constructor's checks, shared by both clients."""

    def __init__(
        self,
        secret_key: str | None,
        mtls_certificate_file_path: str | Path | None,
        mtls_private_key_file_path: str | Path | None,
        endpoint: str | None,
        request_timeout: float,
        max_concurrency: int | None,
        max_rate: float | None,
        transport: httpx.BaseTransport | httpx.AsyncBaseTransport | None,
        clock: Clock | None,
    ) -> None:
        secret = arguments.secret(secret_key)
        certificate = arguments.certificate(mtls_certificate_file_path, mtls_private_key_file_path)
        if secret is None and certificate is None:
            raise ValueError(
                "secret_key must be given where there is no client certificate, not None"
            )
        settings = Settings(
            endpoint=arguments.endpoint(endpoint),
            secret=None if secret is None else Secret(secret),
            certificate=certificate,
        )
        self._settings = settings
        self._context = Context(
            clock=SystemClock() if clock is None else clock,
            pacer=Pacer(arguments.rate("max_rate", max_rate)),
            request_timeout=arguments.seconds("request_timeout", request_timeout, positive=True),
            max_concurrency=arguments.polls("max_concurrency", max_concurrency),
            connect=lambda: AsyncTransport(settings, transport),
        )

    @property
    def endpoint(self) -> str:
        """The base URL of the service."""
        return self._settings.endpoint

    def __repr__(self) -> str:
        return f"{type(self).__name__}(endpoint={self.endpoint!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError(
            f"a {type(self).__name__} holds a secret and connections and is not pickled"
        )


class Client(_ClientBase):
    """A client of the service; safe to share between threads.

    Args:
        secret_key: The secret key. It is sent to `endpoint` alone, and never shown.
        mtls_certificate_file_path: A client certificate (PEM), used with or instead of the secret.
        mtls_private_key_file_path: The private key of that certificate (PEM).
        endpoint: The base URL; by default the environment variable `DATATURE_API_BASE_URL`, else
            `https://api.datature.io`.
        request_timeout: Seconds that one request may take.
        max_concurrency: Requests of a call for many operations in flight; by default 64 with the
            extra `fast`, else 8.
        max_rate: Requests per second, over all the client's calls; `None` for no bound.
        transport: An `httpx.BaseTransport` to send requests with, for tests.
        clock: Where time and sleep come from, for tests.

    Raises:
        ValueError, TypeError: For a bad argument.
    """

    def __init__(
        self,
        secret_key: str | None = None,
        mtls_certificate_file_path: str | Path | None = None,
        mtls_private_key_file_path: str | Path | None = None,
        endpoint: str | None = None,
        *,
        request_timeout: float = 30.0,
        max_concurrency: int | None = None,
        max_rate: float | None = None,
        transport: httpx.BaseTransport | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(
            secret_key,
            mtls_certificate_file_path,
            mtls_private_key_file_path,
            endpoint,
            request_timeout,
            max_concurrency,
            max_rate,
            transport,
            clock,
        )
        self._transport = Transport(self._settings, transport)

    def get_project(self, project_id: str) -> Project:
        """Return a project by its id, with or without the prefix `proj_`; no request is made."""
        checked = arguments.project_identifier(project_id)
        return Project(checked, Operations(self._transport, checked, self._context))

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class AsyncClient(_ClientBase):
    """The same as `Client`, awaited; for use within one event loop.

    Args:
        transport: An `httpx.AsyncBaseTransport` to send requests with, for tests.
        (The others are those of `Client`.)
    """

    def __init__(
        self,
        secret_key: str | None = None,
        mtls_certificate_file_path: str | Path | None = None,
        mtls_private_key_file_path: str | Path | None = None,
        endpoint: str | None = None,
        *,
        request_timeout: float = 30.0,
        max_concurrency: int | None = None,
        max_rate: float | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(
            secret_key,
            mtls_certificate_file_path,
            mtls_private_key_file_path,
            endpoint,
            request_timeout,
            max_concurrency,
            max_rate,
            transport,
            clock,
        )
        self._transport = AsyncTransport(self._settings, transport)

    def get_project(self, project_id: str) -> AsyncProject:
        """Return a project by its id, with or without the prefix `proj_`; no request is made."""
        checked = arguments.project_identifier(project_id)
        return AsyncProject(checked, AsyncOperations(self._transport, checked, self._context))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._transport.aclose()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()


class Project:
    """A project of the service.

    Attributes:
        id: The id of the project, prefix included.
        operations: Its operations.
    """

    def __init__(self, project_id: str, operations: Operations) -> None:
        self.id = project_id
        self.operations = operations

    def __repr__(self) -> str:
        return f"Project(id={self.id!r})"


class AsyncProject:
    """A project of the service, its operations awaited.

    Attributes:
        id: The id of the project, prefix included.
        operations: Its operations.
    """

    def __init__(self, project_id: str, operations: AsyncOperations) -> None:
        self.id = project_id
        self.operations = operations

    def __repr__(self) -> str:
        return f"AsyncProject(id={self.id!r})"
