"""`Simulator`: the simulated service on a free port of the loopback interface, in a thread."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from types import TracebackType
from typing import Any

import uvicorn
from starlette.types import Scope
from uvicorn.protocols.http.h11_impl import H11Protocol

from ._app import build_app
from ._script import Ending, Life, Trouble
from ._service import DEFAULT_PROJECT, Service, check_type

HOST = "127.0.0.1"
PATIENCE = 10.0
"""Seconds that the server may take to start or stop."""


class Simulator:
    """Serves a `Service` over HTTP; a context manager.

    Args:
        secret: The secret key to ask for; `None` takes any.
        ask_for_secret: Whether to ask for one at all (client certificates do without).
        speed: Seconds of an operation's life that pass in one second.
        port: The port to listen on; 0 picks a free one.
        ssl: Keyword arguments for uvicorn (`ssl_certfile`, `ssl_keyfile`, `ssl_ca_certs`,
            `ssl_cert_reqs`) to serve HTTPS.

    Attributes:
        service: The service behind it: start operations and trouble there or here.

    Raises:
        TypeError, ValueError: If an argument is of another type or out of its range.
        OSError: On entry, if the port is taken.
    """

    def __init__(
        self,
        *,
        secret: str | None = None,
        ask_for_secret: bool = True,
        speed: float = 1.0,
        port: int = 0,
        ssl: dict[str, Any] | None = None,
    ) -> None:
        check_type("port", port, int)
        if not 0 <= port <= 65535:
            raise ValueError(f"port must be 0 to 65535, not {port!r}")
        self.service = Service(secret=secret, ask_for_secret=ask_for_secret, speed=speed)
        self._port = port
        self._ssl = ssl or {}
        self._connections: dict[tuple[str, int], asyncio.Transport] = {}
        self._app = build_app(self.service, self._abort)
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def endpoint(self) -> str:
        """The base URL to give to a client."""
        return f"{'https' if self._ssl else 'http'}://{HOST}:{self._port}"

    def start(self, life: Life | None = None, **options: Any) -> str:
        """Start an operation and return its id; see `Service.start`."""
        return self.service.start(life, **options)

    def end(self, op_id: str, outcome: Ending = "Finished", message: str | None = None) -> None:
        """End an operation now; see `Service.end`."""
        self.service.end(op_id, outcome, message)

    def trouble(self, *troubles: Trouble, op_id: str | None = None) -> None:
        """Queue troubles for the next answers; see `Service.trouble`."""
        self.service.trouble(*troubles, op_id=op_id)

    def up(self) -> None:
        """Start to listen; after `down`, on the same port."""
        # Without the protocol named, asyncio leaves Nagle's algorithm on: 40 ms an answer.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((HOST, self._port))
            listener.listen(1024)
        except OSError:
            listener.close()
            raise
        self._port = listener.getsockname()[1]
        config = uvicorn.Config(
            self._app,
            http=self._protocol(),
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            log_level="critical",
            timeout_graceful_shutdown=0,
            timeout_keep_alive=60,
            **self._ssl,
        )
        self._server = uvicorn.Server(config)
        run = self._server.run
        self._thread = threading.Thread(
            target=run, args=([listener],), name="nexus-simulator", daemon=True
        )
        self._thread.start()
        pause = threading.Event()
        for _ in range(int(PATIENCE / 0.01)):
            if self._server.started:
                return
            pause.wait(0.01)
        raise RuntimeError("the simulator did not start")

    def down(self) -> None:
        """Stop to listen and drop every connection; what the service holds is kept."""
        if self._server is None or self._thread is None:
            return
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join(PATIENCE)
        self._server = self._thread = None
        self._connections.clear()

    def __enter__(self) -> Simulator:
        self.up()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.down()

    def __repr__(self) -> str:
        return f"Simulator(endpoint={self.endpoint!r}, project_id={DEFAULT_PROJECT!r})"

    def _protocol(self) -> type[H11Protocol]:
        """Return uvicorn's protocol, made to remember each connection's transport."""
        connections = self._connections

        class Protocol(H11Protocol):
            def connection_made(self, transport: Any) -> None:
                super().connection_made(transport)
                if self.client is not None:
                    connections[self.client] = transport

            def connection_lost(self, exc: Exception | None) -> None:
                super().connection_lost(exc)
                if self.client is not None:
                    connections.pop(self.client, None)

        return Protocol

    def _abort(self, scope: Scope, sent: bytes) -> None:
        """Write bytes as they are, then reset the connection."""
        transport = self._connections.get(tuple(scope["client"]))
        if transport is None:
            return
        if sent:
            # What was written must leave before the reset discards it: close in the usual way.
            transport.write(sent)
            transport.close()
            return
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
