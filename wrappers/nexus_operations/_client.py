"""`Client` and `AsyncClient`: who one is, where the service is, and the way to its projects."""

from __future__ import annotations

import functools
import ssl
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from ._clock import Clock, SystemClock
from ._core import checks
from ._core.durations import Durations
from ._core.limiter import RateLimiter, Slots
from ._http.exchange import Contact, Secret, Settings
from ._http.transports import AsyncTransport, Transport, default_concurrency
from ._operations import AsyncOperations, Operations
from ._wait import Shared

if TYPE_CHECKING:
    import httpx


def _checked_durations(value: object) -> Durations | None:
    """Return the memory that a client is given, or one of its own."""
    if value == "own":
        return Durations()
    if value is None or isinstance(value, Durations):
        return value
    raise TypeError(f"durations must be Durations or None, not {checks.show(value)}")


class _ClientBase:
    """The one constructor of both clients; its arguments are described by `Client`."""

    def __init__(
        self,
        secret_key: str | None = None,
        mtls_certificate_file_path: str | Path | None = None,
        mtls_private_key_file_path: str | Path | None = None,
        endpoint: str | None = None,
        *,
        request_timeout: float | timedelta = 30.0,
        max_concurrency: int | None = None,
        max_rate: float | None = None,
        verify: str | Path | ssl.SSLContext | None = None,
        durations: Durations | Literal["own"] | None = "own",
        transport: httpx.BaseTransport | httpx.AsyncBaseTransport | None = None,
        clock: Clock | None = None,
    ) -> None:
        try:
            key = checks.secret(secret_key)
            secret = None if key is None else Secret(key)
        finally:
            del secret_key  # an error carries this frame, which must not show it
            key = None
        certificate = checks.certificate(mtls_certificate_file_path, mtls_private_key_file_path)
        if secret is None and certificate is None:
            raise ValueError(
                f"secret_key must be given, or {checks.SECRET_VARIABLE} set, where there is no"
                " client certificate, not None"
            )
        contact = Contact()
        self._settings = Settings(
            endpoint=checks.endpoint(endpoint),
            secret=secret,
            certificate=certificate,
            verify=verify,
            contact=contact,
        )
        bound = checks.optional_positive_int("max_concurrency", max_concurrency)
        slots = Slots(default_concurrency(transport) if bound is None else bound)
        self._shared = Shared(
            clock=SystemClock() if clock is None else clock,
            limiter=RateLimiter(checks.rate("max_rate", max_rate)),
            slots=slots,
            thread_slots=None if bound is None else slots,
            contact=contact,
            request_timeout=checks.seconds("request_timeout", request_timeout, positive=True),
            endpoint=self._settings.endpoint,
            durations=_checked_durations(durations),
        )
        clock, limiter = self._shared.clock, self._shared.limiter
        self._settings.pace = lambda: limiter.try_acquire(clock.monotonic())
        self._given_transport: Any = transport

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
        secret_key: The secret key, by default the environment variable `NEXUS_SECRET`. It is sent
            to `endpoint` alone, and never shown.
        mtls_certificate_file_path: A client certificate (PEM), used with or instead of the secret.
        mtls_private_key_file_path: The private key of that certificate (PEM), not encrypted.
        endpoint: The base URL; by default the environment variable `DATATURE_API_BASE_URL`, else
            `https://api.datature.io`.
        request_timeout: Seconds (or a `timedelta`) that one request may take in total.
        max_concurrency: Requests in flight, over all the client's calls. By default the awaited
            ones and those for many are bounded to 64 (8 over a transport of the caller's), and
            single ones of the caller's own threads are not.
        max_rate: Requests per second, over all the client's calls; `None` for no bound.
        verify: Whose certificates are trusted: a PEM file, or an `ssl.SSLContext`; by default
            those of certifi and of `SSL_CERT_FILE` or `SSL_CERT_DIR`.
        durations: The memory of how long operations take, by which polls are timed; by default
            one of the client's own. Several clients may share one; `None` remembers nothing.
        transport: An httpx transport to send requests with, for tests.
        clock: Where time and sleep come from, for tests.

    Raises:
        ValueError, TypeError: For a bad argument or environment variable.
    """

    @functools.cached_property
    def _transport(self) -> Transport:
        return Transport(self._settings, self._given_transport)

    def _connect(self) -> AsyncTransport:
        """Return an awaited transport, for the event loop of a call for many."""
        return AsyncTransport(self._settings, self._given_transport)

    def get_project(self, project_id: str | None = None) -> Project:
        """Return a project by its id, with or without the prefix `proj_`; no request is made.

        Args:
            project_id: The id, by default the environment variable `NEXUS_PROJECT`.
        """
        checked = checks.project_identifier(project_id)
        return Project(checked, Operations(checked, self._shared, self._transport, self._connect))

    def close(self) -> None:
        """Close the connections; waits that go on end with a `ValueError`."""
        self._shared.closing.set()
        if "_transport" in vars(self):  # it was used
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
    """The same as `Client`, awaited; its arguments are described there."""

    @functools.cached_property
    def _transport(self) -> AsyncTransport:
        return AsyncTransport(self._settings, self._given_transport)

    def get_project(self, project_id: str | None = None) -> AsyncProject:
        """Return a project by its id, with or without the prefix `proj_`; no request is made.

        Args:
            project_id: The id, by default the environment variable `NEXUS_PROJECT`.
        """
        checked = checks.project_identifier(project_id)
        return AsyncProject(checked, AsyncOperations(checked, self._shared, self._transport))

    async def aclose(self) -> None:
        """Close the connections; waits that go on end with a `ValueError`."""
        self._shared.closing.set()
        if "_transport" in vars(self):  # it was used
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

    @property
    def project_id(self) -> str:
        """The id, under the name that the vendor's SDK gives it."""
        return self.id

    def __repr__(self) -> str:
        return f"{type(self).__name__}(id={self.id!r})"


class AsyncProject:
    """A project of the service, its operations awaited.

    Attributes:
        id: The id of the project, prefix included.
        operations: Its operations.
    """

    def __init__(self, project_id: str, operations: AsyncOperations) -> None:
        self.id = project_id
        self.operations = operations

    @property
    def project_id(self) -> str:
        """The id, under the name that the vendor's SDK gives it."""
        return self.id

    def __repr__(self) -> str:
        return f"{type(self).__name__}(id={self.id!r})"
