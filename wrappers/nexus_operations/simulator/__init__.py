"""A stand-in for the service: it honours the contract and plays scripted lives and trouble.

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
    """Load the server, and with it Starlette and uvicorn, only when it is asked for."""
    if name == "Simulator":
        from ._server import Simulator

        return Simulator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
