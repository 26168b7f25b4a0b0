"""A stand-in for the service: it keeps the contract and plays scripted lives and troubles.

`Service` is the pure part (no I/O, any clock); `Simulator` serves it over HTTP on loopback and
needs the extra `simulator`.
"""

from typing import TYPE_CHECKING, Any

from ._script import Life, Trouble
from ._service import Reply, Service

if TYPE_CHECKING:
    from ._server import Simulator

__all__ = ["Life", "Reply", "Service", "Simulator", "Trouble"]


def __getattr__(name: str) -> Any:
    """Load the server, and with it Starlette and uvicorn, only when it is asked for.

    Raises:
        ModuleNotFoundError: If the extra `simulator` is not installed.
    """
    if name != "Simulator":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from ._server import Simulator
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in ("starlette", "uvicorn"):
            raise
        raise ModuleNotFoundError(
            "the simulator needs the extra `simulator`: pip install 'nexus-operations[simulator]'",
            name=error.name,
        ) from None
    return Simulator
