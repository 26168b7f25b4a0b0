"""Requests built and responses read, without I/O: any generated endpoint, any method.

A request carries the secret and its limits itself, so that no client keeps the secret where it
could show or forward it. What a response means is the generated parser's to say for 2xx; every
other status is an error (see `mapping`).
"""

from __future__ import annotations

import functools
import platform
import re
import time
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_tz
from types import SimpleNamespace
from typing import Any, Generic, NamedTuple, TypeVar

from .._core.errors import InvalidResponseError
from .._version import __version__
from ._httpx import httpx
from .connection import MAX_BODY
from .engine import LIMITS
from .environment import Route, Verify, find_route
from .mapping import Mapper, with_whole_characters
from .network import Aborted as Aborted
from .network import Limits

T = TypeVar("T")

LONG_SECRET = 16
"""Characters from which on a secret in an operation is no other text by chance."""

USER_AGENT = f"nexus-operations/{__version__} (Python/{platform.python_version()})"

LONGEST_RETRY_AFTER = 366 * 86_400.0
"""Seconds that a `Retry-After` is taken to mean, at most."""

STRICT = SimpleNamespace(raise_on_unexpected_status=True)
"""The client that the generated parsers are given: they ask it for nothing else."""


class Secret:
    """Holds the secret key where no `repr`, log or pickle can show it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret('***')"

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("a secret is not pickled; build the client again from its source")


class Contact:
    """What is known of the endpoint, shared by every transport of a client.

    Attributes:
        reached: Whether the endpoint ever answered, with whichever status.
    """

    def __init__(self) -> None:
        self.reached = False


class Settings:
    """What the sync and the async transports of a client are built from.

    Args:
        endpoint: The base URL.
        secret: The secret key, or `None`.
        certificate: The files of a client certificate and its key, or `None`.
        verify: Whom to trust: an `ssl.SSLContext`, a file of certificates, or `None` for the
            environment's (`SSL_CERT_FILE`, `SSL_CERT_DIR`) or the usual authorities.
        contact: What is known of the endpoint, by default nothing.

    Attributes:
        url: The base URL, parsed.
        pace: Takes a turn at the client's rate, or returns the seconds to wait for one.

    Raises:
        ValueError: If the endpoint is no URL.
    """

    def __init__(
        self,
        endpoint: str,
        secret: Secret | None = None,
        certificate: tuple[str, str] | None = None,
        verify: Verify = None,
        contact: Contact | None = None,
    ) -> None:
        try:
            self.url = httpx.URL(endpoint)
        except httpx.InvalidURL as error:
            raise ValueError(f"endpoint must be a URL, not {endpoint!r} ({error})") from None
        self.endpoint = endpoint
        self.secret = secret
        self.certificate = certificate
        self.verify = verify
        self.contact = Contact() if contact is None else contact
        self.pace: Callable[[], float] = lambda: 0.0

    @functools.cached_property
    def route(self) -> Route:
        """The way to the endpoint; raises `ValueError` for an environment that cannot be used."""
        return find_route(self.url, self.certificate, self.verify)


class Answer(NamedTuple, Generic[T]):
    """What a request came to.

    Attributes:
        value: The value of the response's body.
        date: The response's own `Date`, in seconds since the Unix epoch, or `None`.
    """

    value: T
    date: float | None


class Received(NamedTuple):
    """A response and its body, as far as it came.

    Attributes:
        trouble: What kept the rest of the body from being read, or `None`.
    """

    response: httpx.Response
    content: bytearray
    trouble: Exception | None = None


class _Plain(httpx.Response):
    """A response whose body was read, and taken out of what it was wrapped in."""

    def __init__(self, response: httpx.Response, content: bytes) -> None:
        super().__init__(response.status_code, headers=response.headers, stream=response.stream)
        self._plain = content

    @property
    def content(self) -> bytes:
        """The body."""
        return self._plain


class Exchange:
    """What every request gets and every response is put through.

    Args:
        settings: Those of the client.
        through_proxy: Whether the environment's proxy is used, if there is one.

    Attributes:
        errors: Makes the library's errors.
    """

    def __init__(self, settings: Settings, *, through_proxy: bool) -> None:
        self._base = settings.url
        self._prefix = self._base.raw_path.rstrip(b"/")
        self._secret = settings.secret
        self._contact = settings.contact
        proxy = settings.route.proxy if through_proxy else None
        secret = None if settings.secret is None else settings.secret.reveal
        self.errors = Mapper(settings.endpoint, None if proxy is None else proxy.name, secret)

    def build(
        self, limits: Limits, endpoint: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> httpx.Request:
        """Return the request for a generated endpoint's arguments.

        Raises:
            ValueError: If the path would lead elsewhere.
        """
        parts = endpoint._get_kwargs(*args, **kwargs)  # noqa: SLF001  (of the generated module)
        path = str(parts.pop("url"))
        _check_path(path)
        headers = httpx.Headers(
            {
                "Accept": "application/json, */*;q=0.5",
                "Accept-Encoding": "identity",
                "User-Agent": USER_AGENT,
            }
        )
        headers.update(parts.pop("headers", None))
        seconds = max(limits.expiry - time.monotonic(), 0.001)
        timeout = dict.fromkeys(("connect", "read", "write", "pool"), seconds)
        request = httpx.Request(
            parts.pop("method"),
            self._base.copy_with(raw_path=self._prefix + path.encode("ascii")),
            headers=headers,
            extensions={"timeout": timeout, LIMITS: limits},
            **parts,
        )
        if self._secret is not None:  # last: what fails above is raised with this frame
            request.headers["Secret-Key"] = self._secret.reveal()
        return request

    def conclude(self, endpoint: Any, received: Received) -> Answer[Any]:
        """Return what a response means; raise a `NexusError` where it is no success."""
        response, trouble = received.response, received.trouble
        headers, content = response.headers, bytes(received.content)
        date = http_date(headers.get("date", ""))
        if not self.errors.is_proxys(response.status_code):
            self._contact.reached = True
        if not 200 <= response.status_code < 300:
            pause = retry_after(headers.get("retry-after"), date, time.time())
            raise self.errors.for_status(response, _plain(content, headers), pause)
        if trouble is not None:
            raise self.errors.for_exception(trouble)
        if len(content) > MAX_BODY or len(content := _plain(content, headers)) > MAX_BODY:
            raise InvalidResponseError(
                f"The response is larger than {MAX_BODY} bytes", status_code=response.status_code
            )
        if self._secret is not None and len(key := self._secret.reveal().encode()) >= LONG_SECRET:
            content = content.replace(key, b"***")  # operations are shown, logged and raised
        return Answer(self._parsed(endpoint, response, content), date)

    def _parsed(self, endpoint: Any, response: httpx.Response, content: bytes) -> Any:
        """Return the body's value by the generated parser."""
        mended = content
        while True:
            plain = _Plain(response, mended)
            try:
                return endpoint._parse_response(client=STRICT, response=plain)  # noqa: SLF001
            except endpoint.errors.UnexpectedStatus:
                raise self.errors.for_status(response, content) from None
            except Exception as error:  # noqa: BLE001  (whatever a parser makes of a bad body)
                if mended is content and (mended := with_whole_characters(content)) != content:
                    continue
                raise self.errors.for_parsing(error, response) from None


def _check_path(path: str) -> None:
    """Refuse a path that a URL's rules would fold into another."""
    *inner, last = path.partition("?")[0].split("/")[1:]
    if "" in inner or {".", ".."} & {*inner, last}:
        raise ValueError(f"a part of the path must not be empty, '.' or '..': {path!r}")


def _plain(content: bytes, headers: httpx.Headers) -> bytes:
    """Return the body as it was before it was compressed, cut where it is too large.

    Nothing compressed was asked for. A `Content-Encoding` that is none is passed over, and so is
    one that the body does not have.
    """
    for name in reversed(headers.get("content-encoding", "").lower().split(",")):
        if name.strip() in ("gzip", "x-gzip"):
            content = _inflated(content, 31)
        elif name.strip() == "deflate":
            # Some send it without the header that RFC 9110 asks for.
            raw = content[:1].hex()[1:] != "8" or int.from_bytes(content[:2], "big") % 31 != 0
            content = _inflated(content, -15 if raw else 15)
    return content.removeprefix(b"\xef\xbb\xbf")


def _inflated(content: bytes, window: int) -> bytes:
    """Return as much of the inflated content as may be read, or the content if it is not such."""
    inflated = b""
    rest = content
    try:
        while rest and len(inflated) <= MAX_BODY:
            inflater = zlib.decompressobj(window)
            inflated += inflater.decompress(rest, MAX_BODY + 1 - len(inflated))
            rest = inflater.unused_data
    except zlib.error:
        return inflated or content
    return inflated


@functools.lru_cache(maxsize=64)
def http_date(value: str) -> float | None:
    """Return a date of HTTP in seconds since the Unix epoch, or `None` where it is none.

    All three forms of RFC 9110 are read. One without a zone is UTC, wherever this machine is.
    """
    try:
        parts = parsedate_tz(value)
        if parts is None:
            return None
        year, month, day, hour, minute, second = parts[:6]
        moment = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC)
        return moment.timestamp() - (parts[9] or 0)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def retry_after(value: str | None, date: float | None, now: float) -> float | None:
    """Return the seconds that `Retry-After` asks for, or `None` where it is absent or neither.

    Args:
        value: The header: seconds or a date.
        date: The response's own `Date`: a date is measured against it.
        now: The machine's time, for a response that has none.
    """
    value = (value or "").strip()
    if re.fullmatch(r"[+-]?[0-9]+", value, re.ASCII):
        seconds = float(value[:300])
    else:
        until = http_date(value)
        if until is None:
            return None
        seconds = until - (now if date is None else date)
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)
