"""Wait for long-running operations of Datature Nexus.

The public names are imported when they are first used: `import nexus_operations` costs next to
nothing, and a program that makes no client loads neither httpx nor msgspec.
"""

from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from ._client import AsyncClient, AsyncProject, Client, Project
    from ._clock import Clock, SystemClock
    from ._core.durations import Durations
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
    from ._core.hazard import Estimate, Expectation
    from ._core.models import (
        TERMINAL_STATUSES,
        Operation,
        OperationProgress,
        OperationProgressWithStatus,
        OperationStatus,
    )
    from ._core.schedule import Adaptive, Change, Fixed, History, Schedule
    from ._core.stop import StopEvent
    from ._core.updates import Listener, Update
    from ._durations_file import load_durations, save_durations
    from ._fleet import Interruption, Outcome, WaitErrorGroup
    from ._operations import AsyncOperations, OnError, Operations
    from .wire import WaitState

_MODULES = {
    "_client": ("AsyncClient", "AsyncProject", "Client", "Project"),
    "_clock": ("Clock", "SystemClock"),
    "_core.errors": (
        "BadRequestError",
        "ForbiddenError",
        "GatewayTimeoutError",
        "InternalServerError",
        "InvalidResponseError",
        "NetworkConnectionError",
        "NexusError",
        "NotFoundError",
        "OperationFailedError",
        "RequestTimeoutError",
        "ServiceUnavailableError",
        "TooManyRequestsError",
        "UnauthorizedError",
        "UnexpectedStatusError",
    ),
    "_core.models": (
        "TERMINAL_STATUSES",
        "Operation",
        "OperationProgress",
        "OperationProgressWithStatus",
        "OperationStatus",
    ),
    "_core.durations": ("Durations",),
    "_core.hazard": ("Estimate", "Expectation"),
    "_core.schedule": ("Adaptive", "Change", "Fixed", "History", "Schedule"),
    "_core.stop": ("StopEvent",),
    "_core.updates": ("Listener", "Update"),
    "_durations_file": ("load_durations", "save_durations"),
    "_fleet": ("Interruption", "Outcome", "WaitErrorGroup"),
    "_operations": ("AsyncOperations", "OnError", "Operations"),
    "wire": ("WaitState",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

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
    "Durations",
    "Estimate",
    "Expectation",
    "Fixed",
    "ForbiddenError",
    "GatewayTimeoutError",
    "History",
    "InternalServerError",
    "Interruption",
    "InvalidResponseError",
    "Listener",
    "NetworkConnectionError",
    "NexusError",
    "NotFoundError",
    "OnError",
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
    "StopEvent",
    "SystemClock",
    "TooManyRequestsError",
    "UnauthorizedError",
    "UnexpectedStatusError",
    "Update",
    "WaitErrorGroup",
    "WaitState",
    "__version__",
    "load_durations",
    "save_durations",
]


def __getattr__(name: str) -> Any:
    """Import a public name's module when the name is first used (PEP 562)."""
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(globals().keys() | set(__all__))
