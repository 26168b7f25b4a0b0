"""The one seam at which everything that goes wrong becomes an error of the library's.

An error made here holds no request, no cause and no frame of the exchange, and the secret is taken
out of every text that the service or another library wrote.
"""

from __future__ import annotations

import html
import re
import ssl
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import unquote

import msgspec

from .._core.errors import (
    InvalidResponseError,
    NetworkConnectionError,
    NexusError,
    RequestTimeoutError,
    error_type,
)
from ._httpx import httpx
from .engine import reason_of
from .network import Aborted

MAX_EXCERPT = 500
"""Characters of an error body's text, and of a message, that are kept."""

MAX_DETAIL = 4096
"""Bytes of an error body that is kept whole, as decoded JSON."""

MAX_NESTED = 100
"""Lists and objects in an error body that is kept as decoded JSON."""

SHORTEST_SECRET = 4
"""Characters; what is shorter cannot be told from other text."""

FOREIGN = ("httpx", "httpx2", "httpcore", "httpcore2", "aiohttp", "h11", "h2", "anyio")
"""Libraries whose errors are mapped, wherever a caller's transport lets them through."""

REFUSED = re.compile(r"refused|4(?!08|25|29)\d\d\b")
"""What a proxy's refusal reads like that will be the same next time."""

ABOUT_CERTIFICATES = re.compile(
    "CERTIFICATE_VERIFY_FAILED|ALERT.*(CERT|UNKNOWN_CA|ACCESS_DENIED|HANDSHAKE_FAILURE)"
)
"""OpenSSL's reasons for refusing a certificate, the service's or ours."""

MAX_CHAIN = 8
"""Causes of an error that are looked at."""

UNREACHED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)

PERMANENT = (httpx.UnsupportedProtocol, httpx.InvalidURL, httpx.LocalProtocolError)


class Mapper:
    """Makes the errors of one endpoint.

    Args:
        endpoint: Its base URL.
        proxy: The URL of the proxy before it, without credentials.
        secret: Returns the secret key, which no error may show.
    """

    def __init__(self, endpoint: str, proxy: str | None, secret: Callable[[], str] | None) -> None:
        self._endpoint = endpoint
        self._proxy = proxy
        self._secret = secret

    def failure(self, error: BaseException, op_id: str | None) -> BaseException:
        """Return what is raised for an error: ours, with its place, or a stop without frames."""
        failure = self.for_exception(error)
        if isinstance(failure, NexusError):
            failure.op_id, failure.endpoint, failure.proxy = op_id, self._endpoint, self._proxy
        elif isinstance(failure, Exception) and not isinstance(failure, Aborted):
            return failure  # a defect of the caller's transport, or a bad argument
        failure.__cause__ = failure.__context__ = failure.__traceback__ = None
        return failure

    def is_proxys(self, status: int) -> bool:
        """Return whether a status is a proxy's rather than the endpoint's."""
        return status == 407 or (self._forwarded and status in (502, 504))

    @property
    def _forwarded(self) -> bool:
        return self._proxy is not None and self._endpoint.startswith("http:")

    def for_status(
        self,
        response: httpx.Response,
        content: bytes,
        retry_after: float | None = None,
    ) -> NexusError:
        """Return the error for a response that is no success."""
        status = response.status_code
        detail, message = self._detail(content)
        if not message:
            reason = self.redacted(response.reason_phrase)[:MAX_EXCERPT]
            message = f"The service answered {status} {reason}".rstrip()
        if status == 407:
            message = f"The proxy asks for a user name and password: {message}"
        if response.has_redirect_location:
            message += "; redirects are not followed"
        return error_type(status)(
            message,
            detail,
            status_code=status,
            retry_after=retry_after,
            transient=True if status in (408, 425) else None,
            reached=not self.is_proxys(status),
        )

    def _detail(self, content: bytes) -> tuple[Any, str]:
        """Return what is kept of an error body, and the message in it."""
        try:
            body = msgspec.json.decode(with_whole_characters(content))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            excerpt = self.redacted(content[: MAX_EXCERPT * 8].decode("utf-8", "replace"))
            return excerpt[:MAX_EXCERPT] or None, ""
        message = cast("dict[str, Any]", body).get("message") if isinstance(body, dict) else None
        message = self.redacted(message)[:MAX_EXCERPT] if isinstance(message, str) else ""
        nested = content.count(b"[") + content.count(b"{")
        if len(content) > MAX_DETAIL or nested > MAX_NESTED:
            excerpt = self.redacted(content[:MAX_DETAIL].decode("utf-8", "replace"))
            return excerpt[:MAX_EXCERPT], message
        return self._without_secret(body), message

    def _without_secret(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.redacted(value)
        if isinstance(value, list):
            return [self._without_secret(item) for item in value]  # pyright: ignore
        if isinstance(value, dict):
            pairs = cast("dict[str, Any]", value).items()
            return {self.redacted(key): self._without_secret(item) for key, item in pairs}
        return value

    def redacted(self, text: str) -> str:
        """Return text of somebody else's without the secret, in whichever way it is spelled."""
        secret = "" if self._secret is None else self._secret()
        if len(secret) < SHORTEST_SECRET:
            return text
        plain = text
        for spelled in (str, unquote, html.unescape, _unescaped, _unescaped):
            plain = spelled(plain)
            if secret in plain:
                text = plain = plain.replace(secret, "***")
        return text

    def for_exception(self, error: BaseException) -> BaseException:
        """Return the library's error for one of the libraries below; others as they are."""
        if isinstance(error, NexusError) or not _is_foreign(error):
            return error
        reason = self.redacted(reason_of(error))[:MAX_EXCERPT]
        if isinstance(error, TimeoutError) or (
            isinstance(error, httpx.TimeoutException) and not isinstance(error, UNREACHED)
        ):
            return RequestTimeoutError(f"The service did not answer in time ({reason})")
        permanent = isinstance(error, PERMANENT) or _concerns_a_certificate(error)
        if isinstance(error, httpx.ProxyError):
            permanent = permanent or REFUSED.match(reason) is not None
            message = " ".join(
                filter(None, ["The proxy", self._proxy, f"did not connect ({reason})"])
            )
        elif isinstance(error, UNREACHED):
            message = f"The service could not be reached ({reason})"
        elif permanent:
            message = f"The request could not be made ({reason})"
        else:
            message = f"The connection to the service broke ({reason})"
        return NetworkConnectionError(
            message, transient=not permanent, reached=not isinstance(error, UNREACHED)
        )

    def for_parsing(self, error: Exception, response: httpx.Response) -> NexusError:
        """Return the error for an answer of success whose body breaks the contract."""
        reason, _, path = str(error).partition(" - at `")
        reason = self.redacted(reason or type(error).__name__)[:MAX_EXCERPT]
        if isinstance(error, msgspec.ValidationError):
            message = f"The response breaks the contract: {reason}"
        else:
            encoding = self.redacted(response.headers.get("content-encoding", ""))[:40]
            dress = f", Content-Encoding: {encoding}" if encoding else ""
            message, path = f"The response cannot be read ({reason}{dress})", ""
        return InvalidResponseError(
            message, path=path.rstrip("`") or "$", status_code=response.status_code
        )


def _is_foreign(error: BaseException) -> bool:
    return (
        isinstance(error, (OSError, EOFError, UnicodeError))
        or type(error).__module__.partition(".")[0] in FOREIGN
    )


def _concerns_a_certificate(error: BaseException) -> bool:
    """Return whether a certificate was refused, ours or the service's."""
    cause: BaseException | None = error
    for _ in range(MAX_CHAIN):
        reason = getattr(cause, "reason", None) if isinstance(cause, ssl.SSLError) else None
        if ABOUT_CERTIFICATES.search(reason or ""):
            return True
        cause = cause and (cause.__cause__ or cause.__context__)
    return False


def _unescaped(text: str) -> str:
    """Return text with JSON's escapes resolved."""
    return re.sub(
        r"\\(?:u([0-9a-fA-F]{4})|(.))",
        lambda match: chr(int(match[1], 16)) if match[1] else match[2],
        text,
    )


_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


def with_whole_characters(content: bytes) -> bytes:
    """Return JSON with each half of a surrogate pair replaced by U+FFFD."""
    mended = _ESCAPE.sub(lambda match: rb"\ufffd" if match["half"] else match[0], content)
    try:
        text = mended.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return mended
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()
