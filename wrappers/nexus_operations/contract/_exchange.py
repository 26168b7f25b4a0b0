"""One GET at a time, bounded in time, size, number and rate."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    import ssl

    import httpx

MAX_BYTES = 8 * 1024 * 1024
# Seconds after the bound in which a request that nobody waits for any more ends by itself.
GRACE = 1.0
USER_AGENT = "nexus-operations-contract"


class NoAnswerError(Exception):
    """A request that brought no complete answer; the message says why."""


class LimitError(Exception):
    """The run may not go on: it has made its requests, or the service asks to be left alone."""


@dataclass(frozen=True)
class Asked:
    """A request and its answer."""

    what: str
    url: str
    headers: Mapping[str, str]
    response: httpx.Response
    seconds: float

    @property
    def status(self) -> int:
        """The status code."""
        return self.response.status_code


class Exchange:
    """Sends GET requests, and nothing else.

    Args:
        endpoint: Base URL of the service.
        max_requests: The most requests that are ever sent.
        max_rate: The most requests per second.
        timeout: Seconds that one request may take, name resolution included.
        verify: What the service's certificate is checked with.
        sleep: Waits for seconds.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        max_requests: int,
        max_rate: float,
        timeout: float,
        verify: ssl.SSLContext | bool = True,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.endpoint = endpoint.rstrip("/")
        self.timeout = timeout
        self.sent = 0
        self._max_requests = max_requests
        self._interval = 1 / max_rate
        self._verify: ssl.SSLContext | bool = verify
        self._sleep = sleep
        self._next = 0.0

    def get(self, what: str, path: str, headers: Mapping[str, str]) -> Asked:
        """Retrieve a path.

        Raises:
            NoAnswerError: If no complete answer came in time.
            LimitError: If all requests have been made.
        """
        if self.sent >= self._max_requests:
            raise LimitError(f"the limit of {self._max_requests} requests is reached")
        if self._verify is True:
            self._verify = _trusted()
        self._sleep(max(0.0, self._next - time.monotonic()))
        self._next = time.monotonic() + self._interval
        self.sent += 1
        url = f"{self.endpoint}{path}"
        found: list[Asked | Exception] = []
        headers = {"Accept": "application/json", "User-Agent": USER_AGENT, **headers}

        def fetch() -> None:
            try:
                found.append(self._fetch(what, url, headers))
            except Exception as error:  # noqa: BLE001  (told by the thread that waits)
                found.append(error)

        # A thread of its own: nothing else bounds name resolution, or headers sent byte by byte.
        thread = threading.Thread(target=fetch, daemon=True)
        thread.start()
        thread.join(self.timeout)
        if not found:
            raise NoAnswerError(f"no complete answer within {self.timeout:g} s")
        if isinstance(found[0], Asked):
            return found[0]
        error = found[0]
        if isinstance(error, NoAnswerError):
            raise error
        raise NoAnswerError(f"{type(error).__name__}: {error}") from None

    def pause(self, seconds: float) -> None:
        """Leave the service alone."""
        self._sleep(seconds)

    def _fetch(self, what: str, url: str, headers: Mapping[str, str]) -> Asked:
        import httpx

        started = time.monotonic()
        # A client for each request: neither cookies nor connections are carried over.
        with (
            httpx.Client(
                verify=self._verify, timeout=self.timeout + GRACE, follow_redirects=False
            ) as client,
            client.stream("GET", url, headers=headers) as response,
        ):
            raw = bytearray()
            for chunk in response.iter_raw():
                raw += chunk
                if len(raw) > MAX_BYTES:
                    raise NoAnswerError(f"the body is larger than {MAX_BYTES} bytes")
        seconds = time.monotonic() - started
        answer = httpx.Response(
            response.status_code,
            headers=response.headers,
            content=bytes(raw),
            request=response.request,
        )
        answer.elapsed = timedelta(seconds=seconds)
        return Asked(what, url, headers, answer, seconds)


def _trusted() -> ssl.SSLContext:
    """Return a context that trusts what httpx does; making one takes longer than a request."""
    import httpx

    return httpx.create_ssl_context()


def segment(text: str) -> str:
    """Return a path segment, quoted so that no part of it can lead elsewhere."""
    quoted = quote(text, safe="")
    return quoted.replace(".", "%2E") if quoted in {".", ".."} else quoted


def fill(template: str, values: Mapping[str, str]) -> str:
    """Return a path template with its parameters filled in."""
    return re.sub(r"\{([^{}]*)\}", lambda match: segment(values[match[1]]), template)


def retry_after(response: httpx.Response) -> float | None:
    """Return the seconds that a service asks to be left alone, if it does."""
    text = response.headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return float(text)
    try:
        instant = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    instant = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    return max(0.0, (instant - datetime.now(UTC)).total_seconds())
