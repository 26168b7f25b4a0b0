"""Host names that resolve as a case wants it, and addresses that swallow connections."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Any

REAL = socket.getaddrinfo
LONGEST = 20.0
"""Seconds after which a name that hangs gives up, should a case forget to let it go."""


class Names:
    """What stands in for `socket.getaddrinfo`.

    Attributes:
        let_go: Set, ends every resolution that hangs.
        asked: How often each name was asked for.
    """

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.asked: dict[str, int] = {}
        self._known: dict[str, tuple[str, ...] | OSError | None] = {}

    def add(self, name: str, *addresses: str) -> None:
        """Let a name resolve to these addresses."""
        self._known[name] = addresses

    def hang(self, name: str) -> None:
        """Let the resolution of a name hang."""
        self._known[name] = None

    def fail(self, name: str, code: int = socket.EAI_NONAME) -> None:
        """Let the resolution of a name fail."""
        self._known[name] = socket.gaierror(code, "Name or service not known")

    def __call__(self, host: Any, port: Any, *args: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name not in self._known:
            return REAL(host, port, *args, **options)
        self.asked[name] = self.asked.get(name, 0) + 1
        known = self._known[name]
        if known is None:
            self.let_go.wait(LONGEST)
            known = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        if isinstance(known, OSError):
            raise known
        return [entry for address in known for entry in REAL(address, port, *args, **options)[:1]]


class BlackHole:
    """An address that swallows connections: its backlog is full; a context manager."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self._stack = contextlib.ExitStack()
        hole = self._stack.enter_context(socket.socket())
        hole.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        hole.bind((host, port))
        hole.listen(0)
        for _ in range(8):
            filler = self._stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(hole.getsockname())
        self.port: int = hole.getsockname()[1]
        self.url = f"http://{host}:{self.port}"

    def close(self) -> None:
        """Close it."""
        self._stack.close()
