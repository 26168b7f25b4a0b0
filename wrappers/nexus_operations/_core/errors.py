"""Everything that can go wrong, under one base.

    NexusError
    ├── BadRequestError                 400
    │   └── OperationFailedError        the operation reached a status that the caller named
    ├── UnauthorizedError               401
    ├── ForbiddenError                  403
    ├── NotFoundError                   404
    ├── TooManyRequestsError            429                     transient
    ├── InternalServerError             500, 502, 520-524 …     transient
    ├── ServiceUnavailableError         503                     transient
    ├── GatewayTimeoutError             504                     transient
    ├── UnexpectedStatusError           any other status
    ├── InvalidResponseError            a success that breaks the contract
    ├── NetworkConnectionError          no answer               transient
    └── RequestTimeoutError             no answer in time       transient

The names are those of the vendor's SDK where it has one. A wait goes on through transient errors.
Bad arguments are `ValueError` or `TypeError`, raised before any request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from .text import escape_text
from .tracebacks import render_traceback

if TYPE_CHECKING:
    from .models import Operation


class NexusError(Exception):
    """Base of all errors that a call to the service can end in.

    Attributes:
        message: What went wrong, in the service's words where it gave any.
        detail: The error body: the decoded JSON object, or an excerpt of its text, or `None`.
        status_code: The HTTP status, or `None` where there was no response.
        retry_after: Seconds that the service asked to be left alone (`Retry-After`), or `None`.
        transient: Whether the same request may succeed later.
        reached: Whether a connection to the endpoint was made.
        op_id: The operation that was asked for, or `None`.
        endpoint: The base URL that was asked, or `None`.
        proxy: The URL of the proxy that was used, without credentials, or `None`.
    """

    hint: ClassVar[str] = ""
    """What a person can do about it; appended to `str()`."""

    def __init__(
        self,
        message: str,
        detail: Any = None,
        *,
        status_code: int | None = None,
        retry_after: float | None = None,
        transient: bool | None = None,
        reached: bool = True,
        op_id: str | None = None,
        endpoint: str | None = None,
        proxy: str | None = None,
    ) -> None:
        super().__init__(message, detail)
        self.message = message
        self.detail = detail
        self.status_code = status_code
        self.retry_after = retry_after
        self.transient = self._transient if transient is None else transient
        self.reached = reached
        self.op_id = op_id
        self.endpoint = endpoint
        self.proxy = proxy

    _transient: ClassVar[bool] = False

    def __str__(self) -> str:
        status = "" if self.status_code is None else f" (HTTP {self.status_code})"
        hint = f". {self.hint}" if self.hint else ""
        places = {"operation ": self.op_id, "": self.endpoint, "through the proxy ": self.proxy}
        named = [f"{what}{place}" for what, place in places.items() if place]
        named = [each for each in named if each not in self.message]
        place = f" [{', '.join(named)}]" if named else ""
        return escape_text(f"{self.message}{status}{hint}{place}")

    def __repr__(self) -> str:
        return f"{type(self).__name__}(message={self.message!r}, detail={self.detail!r})"

    def _render_traceback_(self) -> list[str]:
        """Return what a notebook shows: the caller's lines, not those of this library."""
        return render_traceback(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(cls: type[NexusError], args: tuple[Any, ...], state: dict[str, Any]) -> NexusError:
    """Unpickle an error whose constructor takes more than its `args`."""
    error = cls.__new__(cls)
    error.args = args
    error.__dict__.update(state)
    return error


class BadRequestError(NexusError):
    """400: the request is malformed; also the base of `OperationFailedError`."""


class OperationFailedError(BadRequestError):
    """The operation reached a status named by `raise_exception_if`.

    Attributes:
        operation: The operation, as last retrieved.
    """

    operation: Operation

    def __init__(self, operation: Operation) -> None:
        status = operation.status
        counts = status.progress.with_status
        super().__init__(
            f"Operation {operation.id} ({operation.kind}) is {status.overview}: "
            f"{status.message or 'the service gave no message'}"
            f" [{counts.Finished} finished, {counts.Errored} errored, {counts.Cancelled} cancelled,"
            f" of {status.progress.unit}]"
        )
        self.operation = operation


class UnauthorizedError(NexusError):
    """401: the secret key is missing or not known."""

    hint = "Check the secret key (or the client certificate) and the endpoint it belongs to."


class ForbiddenError(NexusError):
    """403: the secret key does not open this project."""

    hint = "Check that the secret key belongs to this project."


class NotFoundError(NexusError):
    """404: there is no such project or operation."""

    hint = "Check the project id, the operation id and the endpoint."


class TooManyRequestsError(NexusError):
    """429: too many requests. `retry_after` tells how long to wait, where the service said so."""

    _transient = True


class InternalServerError(NexusError):
    """500, 502, the CDN's 520 to 524 and other 5xx: the service, or a proxy before it, failed."""

    _transient = True


class ServiceUnavailableError(NexusError):
    """503: the service is down or overloaded for a while."""

    _transient = True


class GatewayTimeoutError(NexusError):
    """504: a proxy got no answer from the service in time."""

    _transient = True


class UnexpectedStatusError(NexusError):
    """A status that the contract does not have, a redirect for example (never followed)."""

    hint = "Check the endpoint: something other than the Nexus API may have answered."


class InvalidResponseError(NexusError):
    """An answer of success whose body breaks the contract; nothing of it is returned.

    Attributes:
        path: Where the body breaks it, as a JSON path (`$.status.progress`); `$` is the whole.
    """

    hint = "The endpoint may not be the Nexus API, or its contract has changed."

    def __init__(
        self, message: str, detail: Any = None, *, path: str = "$", **options: Any
    ) -> None:
        super().__init__(f"{message} at `{path}`", detail, **options)
        self.path = path


class NetworkConnectionError(NexusError):
    """The service could not be reached, or the connection broke."""

    _transient = True


class RequestTimeoutError(NexusError):
    """The service did not answer one request in time."""

    _transient = True


BY_STATUS: dict[int, type[NexusError]] = {
    400: BadRequestError,
    401: UnauthorizedError,
    403: ForbiddenError,
    404: NotFoundError,
    429: TooManyRequestsError,
    503: ServiceUnavailableError,
    504: GatewayTimeoutError,
}


def error_type(status_code: int) -> type[NexusError]:
    """Return the error class for a status that is no success."""
    default = InternalServerError if 500 <= status_code <= 599 else UnexpectedStatusError
    return BY_STATUS.get(status_code, default)
