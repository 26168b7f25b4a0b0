"""Wait for long-running operations of Datature Nexus."""

from ._client import AsyncClient, AsyncProject, Client, Project
from ._clock import Clock, SystemClock
from ._errors import (
    BadRequestError,
    ForbiddenError,
    GatewayTimeoutError,
    InternalServerError,
    InvalidResponseError,
    NetworkConnectionError,
    NexusError,
    NotFoundError,
    OperationFailedError,
    RequestTimeoutError,
    ServiceUnavailableError,
    TooManyRequestsError,
    UnauthorizedError,
    UnexpectedStatusError,
)
from ._fleet import Outcome, WaitErrorGroup
from ._gather import FleetCancelled, FleetInterrupted
from ._models import (
    TERMINAL_STATUSES,
    Operation,
    OperationProgress,
    OperationProgressWithStatus,
    OperationStatus,
)
from ._operations import AsyncOperations, Operations
from ._progress import Update
from ._schedule import Adaptive, Change, Fixed, History, Schedule
from ._version import __version__

__all__ = [
    "TERMINAL_STATUSES",
    "Adaptive",
    "AsyncClient",
    "AsyncOperations",
    "AsyncProject",
    "BadRequestError",
    "Change",
    "Client",
    "Clock",
    "Fixed",
    "FleetCancelled",
    "FleetInterrupted",
    "ForbiddenError",
    "GatewayTimeoutError",
    "History",
    "InternalServerError",
    "InvalidResponseError",
    "NetworkConnectionError",
    "NexusError",
    "NotFoundError",
    "Operation",
    "OperationFailedError",
    "OperationProgress",
    "OperationProgressWithStatus",
    "OperationStatus",
    "Operations",
    "Outcome",
    "Project",
    "RequestTimeoutError",
    "Schedule",
    "ServiceUnavailableError",
    "SystemClock",
    "TooManyRequestsError",
    "UnauthorizedError",
    "UnexpectedStatusError",
    "Update",
    "WaitErrorGroup",
    "__version__",
]
