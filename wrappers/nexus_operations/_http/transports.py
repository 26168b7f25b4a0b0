"""The seam between the wrappers and HTTP: the only module that calls httpx and the generated code.

Requests are built here, with the secret and the time budget in them, so that no client keeps the
secret where it could show or forward it. Responses pass an httpx event hook that bounds the body
and turns every status but 200 into an error before the generated code parses anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import platform
import ssl
import sys
import time
import weakref
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextvars import ContextVar
from email.utils import parsedate_to_datetime
from http.cookiejar import CookieJar
from typing import Any, TypeVar

import httpx
import msgspec
from nexus_operations_api.api.operations import get_operation
from nexus_operations_api.client import AuthenticatedClient
from nexus_operations_api.models import Operation as GeneratedOperation

from .._core.errors import (
    InvalidResponseError,
    NetworkConnectionError,
    NexusError,
    RequestTimeoutError,
    error_type,
)
from .._core.models import Operation
from .._version import __version__
from .exchange import Answer, Secret

T = TypeVar("T")

BROKEN_IN_AIOHTTP = ("ServerDisconnectedError", "ClientOSError", "ServerConnectionError")
"""Errors of aiohttp that its httpx transport calls a connect timeout, though they come later."""

STOCK_CONCURRENCY = 8
FAST_CONCURRENCY = 64

KEEP_ALIVE = 30.0
"""Seconds that an idle connection is kept: polls of one operation are seldom further apart."""

MAX_BODY = 1 << 20
"""Bytes of a response body that are read, at most; an operation takes some 500."""

MAX_EXCERPT = 500
"""Characters of an error body that is not JSON, kept for `.detail`."""

USER_AGENT = f"nexus-operations/{__version__} (Python/{platform.python_version()})"

_expiry: ContextVar[float] = ContextVar("nexus_operations_request_expiry")
"""When the request under way must have ended, on the monotonic clock."""


class _BoundedStream(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A response body that ends with an error when it grows too large or comes too slowly."""

    def __init__(self, stream: Any, expiry: float, refused_encoding: str | None) -> None:
        self._stream = stream
        self._refused_encoding = refused_encoding
        self._expiry = expiry
        self._size = 0

    def _check(self, chunk: bytes) -> bytes:
        if self._refused_encoding is not None:
            encoding = self._refused_encoding[:40]
            raise InvalidResponseError(
                f"The response is {encoding!r}-encoded, which was not asked for"
            )
        self._size += len(chunk)
        if self._size > MAX_BODY:
            raise InvalidResponseError(f"The response is larger than {MAX_BODY} bytes")
        if time.monotonic() > self._expiry:
            raise RequestTimeoutError("The response did not end in time")
        return chunk

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._stream:
            yield self._check(chunk)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            yield self._check(chunk)

    def close(self) -> None:
        self._stream.close()

    async def aclose(self) -> None:
        await self._stream.aclose()


class Settings:
    """What the sync and the async transport are built from."""

    def __init__(
        self,
        endpoint: str,
        secret: Secret | None,
        certificate: tuple[str, str] | None,
        verify: Any = None,
        contact: Any = None,
    ) -> None:
        self.contact = contact
        self.endpoint = endpoint
        self.secret = secret
        self.certificate = certificate

    def options(self) -> dict[str, Any]:
        """Return the keyword arguments that both kinds of httpx client take."""
        verify: ssl.SSLContext | bool = True
        if self.certificate is not None:
            verify = httpx.create_ssl_context()
            verify.load_cert_chain(*self.certificate)
        return {"cookies": _NoCookies(), "verify": verify, "follow_redirects": False}

    def generated(self) -> AuthenticatedClient:
        """Return a generated client without a token: the hooks authenticate."""
        return AuthenticatedClient(base_url=self.endpoint, token="")


class _NoCookies(CookieJar):
    """Keeps no cookies: the API sets none, and a proxy's are nobody's business."""

    def extract_cookies(self, response: Any, request: Any) -> None:
        """Keep nothing."""


class _Exchange:
    """What every request gets and every response is put through, sync and async alike."""

    def __init__(self, settings: Settings) -> None:
        self._base = httpx.URL(settings.endpoint)
        self._prefix = self._base.raw_path.rstrip(b"/")
        self._secret = settings.secret
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        self._headers = httpx.Headers({**headers, "User-Agent": USER_AGENT})

    def build(self, method: str, url: httpx.URL | str) -> httpx.Request:
        """Return the request: stock httpx parses its URL three times and merges what is empty."""
        target = self._base.copy_with(raw_path=self._prefix + str(url).encode("ascii"))
        remaining = max(_expiry.get() - time.monotonic(), 0.001)
        timeout = dict.fromkeys(("connect", "read", "write", "pool"), remaining)
        request = httpx.Request(
            method, target, headers=self._headers, extensions={"timeout": timeout}
        )
        if self._secret is not None:
            request.headers["Secret-Key"] = self._secret.reveal()
        return request

    def check(self, response: httpx.Response) -> None:
        _bound(response)
        if response.status_code == 200:
            response.read()
            return
        # A status is worth more than the trouble that comes with its body.
        with contextlib.suppress(httpx.HTTPError, NexusError):
            response.read()
        raise _status_error(response)

    async def async_check(self, response: httpx.Response) -> None:
        _bound(response)
        if response.status_code == 200:
            await response.aread()
            return
        with contextlib.suppress(httpx.HTTPError, NexusError):
            await response.aread()
        raise _status_error(response)


def _bound(response: httpx.Response) -> None:
    """Bound what is read of the body. Nothing compressed was asked for, so none is inflated."""
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    refused = None if encoding in ("", "identity") else encoding
    response.stream = _BoundedStream(response.stream, _expiry.get(), refused)


def _status_error(response: httpx.Response) -> NexusError:
    """Return the error for a response whose status is not 200."""
    status = response.status_code
    detail: Any = None
    message = ""
    if response.is_closed and response.is_stream_consumed:
        try:
            detail = msgspec.json.decode(response.content)
            message = detail["message"][:MAX_EXCERPT] if isinstance(detail["message"], str) else ""
        except (*_DECODE_ERRORS, TypeError, KeyError):
            if detail is None and response.content:
                detail = response.content[:MAX_EXCERPT].decode("utf-8", "replace")
    if not message:
        message = f"The service answered {status} {response.reason_phrase}".rstrip()
    if response.has_redirect_location:
        message += "; redirects are not followed"
    cls = error_type(status)
    transient = True if status in (408, 425) else None
    return cls(
        message, detail, status_code=status, retry_after=_retry_after(response), transient=transient
    )


def _retry_after(response: httpx.Response) -> float | None:
    """Return the seconds of `Retry-After` (RFC 9110), or `None` where it is absent or absurd.

    A date is measured against the response's own `Date`: this machine's clock does not matter.
    """
    value = response.headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:12])
    try:
        date = parsedate_to_datetime(value).timestamp()
        sent = response.headers.get("date")
        now = parsedate_to_datetime(sent).timestamp() if sent else time.time()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return max(date - now, 0.0)


def _transport_error(error: httpx.HTTPError | httpx.InvalidURL | OSError) -> NexusError:
    """Return the error for an exchange that gave no response."""
    reason = str(error) or type(error).__name__
    broken = type(error.__cause__).__name__ in BROKEN_IN_AIOHTTP
    reached = broken or not isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout))
    if isinstance(error, httpx.TimeoutException) and reached and not broken:
        return RequestTimeoutError(f"The service did not answer in time ({reason})")
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLCertVerificationError):
        cause = cause.__cause__ or cause.__context__
    permanent = cause is not None or isinstance(
        error, (httpx.UnsupportedProtocol, httpx.InvalidURL)
    )
    message = f"The service could not be reached ({reason})"
    if reached:
        message = f"The connection to the service broke ({reason})"
    return NetworkConnectionError(message, transient=not permanent, reached=reached)


def _decode_error(error: Exception) -> InvalidResponseError:
    """Return the error for a 200 whose body breaks the contract."""
    message, _, path = str(error).partition(" - at `")
    if not isinstance(error, msgspec.ValidationError):
        message, path = f"The response is no JSON ({message})", ""
    return InvalidResponseError(
        f"The response breaks the contract: {message}", path=path.rstrip("`") or "$"
    )


_EXCHANGE_ERRORS = (httpx.HTTPError, httpx.InvalidURL, OSError)
_DECODE_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def _mapped(error: BaseException) -> NexusError:
    """Return the library's error for one raised by httpx or by the generated code.

    What could show the secret is dropped from the cause: its request's header, its frames' locals.
    """
    cause: BaseException | None = error
    while cause is not None:
        cause.__traceback__ = None
        if isinstance(cause, httpx.RequestError):
            with contextlib.suppress(RuntimeError):
                cause.request.headers.pop("Secret-Key", None)
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, _DECODE_ERRORS):
        return _decode_error(error)
    if isinstance(error, asyncio.TimeoutError):
        return RequestTimeoutError("The service did not answer in time")
    assert isinstance(error, _EXCHANGE_ERRORS)
    return _transport_error(error)


class _Client(httpx.Client):
    """An httpx client whose requests are built by the exchange."""

    exchange: _Exchange

    def build_request(self, method: str, url: httpx.URL | str, **_: Any) -> httpx.Request:
        """Build a request."""
        return self.exchange.build(method, url)


class _AsyncClient(httpx.AsyncClient):
    """The same, awaited."""

    exchange: _Exchange

    def build_request(self, method: str, url: httpx.URL | str, **_: Any) -> httpx.Request:
        """Build a request."""
        return self.exchange.build(method, url)


def _fast_client() -> type[_AsyncClient] | None:
    """Return the same over the transport of the extra `fast`, if it is installed."""
    try:
        from httpx_aiohttp import HttpxAiohttpClient
    except ImportError:
        return None

    class FastClient(_AsyncClient, HttpxAiohttpClient):
        """An httpx client over aiohttp."""

    return FastClient


class Transport:
    """Retrieves operations over one `httpx.Client`; safe to share between threads."""

    def __init__(self, settings: Settings, transport: httpx.BaseTransport | None = None) -> None:
        exchange = _Exchange(settings)
        self._contact = settings.contact
        self._http = _Client(
            **settings.options(), transport=transport, event_hooks={"response": [exchange.check]}
        )
        self._http.exchange = exchange
        self._client = settings.generated().set_httpx_client(self._http)
        # The reference page's examples close nothing: connections go with the last reference.
        weakref.finalize(self, self._http.close)

    def fetch(self, project_id: str, op_id: str, timeout: float) -> Operation:
        """Retrieve one operation within `timeout` seconds; raise a `NexusError` otherwise."""
        token = _expiry.set(time.monotonic() + timeout)
        try:
            return _operation(
                get_operation.sync_detailed(project_id, op_id, client=self._client).parsed
            )
        except (*_EXCHANGE_ERRORS, *_DECODE_ERRORS) as error:
            raise _mapped(error) from error
        finally:
            _expiry.reset(token)

    def retrieve(
        self, project_id: str, op_id: str, timeout: float, abort_event: Any = None
    ) -> Answer[Operation]:
        value = self.fetch(project_id, op_id, timeout)
        self._contact.reached = True
        return Answer(value, None)

    def close(self) -> None:
        self._http.close()


class _ThreadedTransport(httpx.AsyncBaseTransport):
    """Lets a caller's sync transport serve an async client."""

    def __init__(self, transport: httpx.BaseTransport) -> None:
        self._transport = transport

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await asyncio.to_thread(self._transport.handle_request, request)
        content = await asyncio.to_thread(response.read)
        stream = httpx.ByteStream(content)
        return httpx.Response(response.status_code, headers=response.headers, stream=stream)


class AsyncTransport:
    """Retrieves operations over one `httpx.AsyncClient`, within one event loop.

    Attributes:
        concurrency: How many requests in flight it is good at: the extra `fast` many, httpx few
            (its CPU per request grows several times from 8 to 32; encode/httpx issue 3215).
    """

    def __init__(
        self,
        settings: Settings,
        transport: httpx.BaseTransport | httpx.AsyncBaseTransport | None = None,
    ) -> None:
        exchange = _Exchange(settings)
        self._contact = settings.contact
        if transport is not None and not isinstance(transport, httpx.AsyncBaseTransport):
            transport = _ThreadedTransport(transport)
        fast = _fast_client() if transport is None else None
        self.concurrency = STOCK_CONCURRENCY if fast is None else FAST_CONCURRENCY
        self._http = (fast or _AsyncClient)(
            **settings.options(),
            limits=httpx.Limits(max_connections=None, keepalive_expiry=KEEP_ALIVE),
            transport=transport,
            event_hooks={"response": [exchange.async_check]},
        )
        self._http.exchange = exchange
        self._client = settings.generated().set_async_httpx_client(self._http)

    async def fetch(self, project_id: str, op_id: str, timeout: float) -> Operation:
        """Retrieve one operation within `timeout` seconds; raise a `NexusError` otherwise."""
        _expiry.set(time.monotonic() + timeout)
        try:
            call = get_operation.asyncio_detailed(project_id, op_id, client=self._client)
            return _operation((await _within(timeout, call)).parsed)
        except (asyncio.TimeoutError, *_EXCHANGE_ERRORS, *_DECODE_ERRORS) as error:
            raise _mapped(error) from error

    async def retrieve(self, project_id: str, op_id: str, timeout: float) -> Answer[Operation]:
        value = await self.fetch(project_id, op_id, timeout)
        self._contact.reached = True
        return Answer(value, None)

    async def aclose(self) -> None:
        await self._http.aclose()


if sys.version_info >= (3, 11):

    async def _within(seconds: float, call: Coroutine[Any, Any, T]) -> T:
        async with asyncio.timeout(seconds):
            return await call

else:

    async def _within(seconds: float, call: Coroutine[Any, Any, T]) -> T:
        return await asyncio.wait_for(call, seconds)


def _operation(parsed: object) -> Operation:
    """Return the parsed operation: the hooks let nothing but a 200 come this far."""
    assert isinstance(parsed, GeneratedOperation)
    return Operation.of(parsed)


def default_concurrency(transport: Any) -> int:
    return (
        STOCK_CONCURRENCY if transport is not None or _fast_client() is None else FAST_CONCURRENCY
    )
