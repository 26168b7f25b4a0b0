"""Wait for long-running operations of Datature Nexus."""

from ._client import AsyncClient, AsyncProject, Client, Project
from ._clock import Clock, SystemClock
from ._core.errors import (
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
from ._core.models import (
    TERMINAL_STATUSES,
    Operation,
    OperationProgress,
    OperationProgressWithStatus,
    OperationStatus,
)
from ._core.schedule import Adaptive, Change, Fixed, History, Schedule
from ._core.updates import Update
from ._fleet import Outcome, WaitErrorGroup
from ._loops import FleetCancelled, FleetInterrupted
from ._operations import AsyncOperations, Operations
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
