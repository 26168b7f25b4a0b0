"""A service on loopback whose answers can be broken in any way, byte by byte."""

from __future__ import annotations

import copy
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

SECRET = "canary-5aa41e8ba"
PROJECT = "proj_b705a30a"
OP = "op_508fc5d1-e908-486d-9e7b-1dca99b80024"
OPERATION: dict[str, Any] = {
    "id": OP,
    "kind": "nexus.annotations.export",
    "status": {
        "overview": "Finished",
        "message": "Operation finished",
        "progress": {
            "unit": "whole operation",
            "withStatus": {"Queued": 0, "Running": 0, "Finished": 1, "Cancelled": 0, "Errored": 0},
        },
    },
    "createDate": 1701927649302,
    "updateDate": 1701927649305,
}


@dataclass(frozen=True)
class Reply:
    """An answer; `raw` is sent instead of all else, `pauses` before the head and the body."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    pauses: tuple[float, float] = (0, 0)
    raw: bytes | None = None


def reply(status: int, body: Any, **headers: str) -> Reply:
    """Return an answer with a JSON body."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, json.dumps(body).encode(), {"Content-Type": "application/json", **named})


def error(status: int, **headers: str) -> Reply:
    """Return an error; as some services do, it repeats the secret that it was sent."""
    return reply(status, {"message": f"Trouble with {SECRET}"}, **headers)


class Service:
    """Keeps the contract. What is passed in breaks it.

    Args:
        body: Changes the operation before it is answered.
        found: Changes the answer with the operation.
        unknown: Changes the answer to an unknown operation.
        refused: Changes the answer to a missing or wrong secret.
        every: Changes every answer; gets the number of the request, too.
        secrets: What opens it.
    """

    def __init__(
        self,
        *,
        body: Callable[[Any], object] | None = None,
        found: Callable[[Reply], Reply] | None = None,
        unknown: Callable[[Reply, str], Reply] | None = None,
        refused: Callable[[Reply, str], Reply] | None = None,
        every: Callable[[Reply, int], Reply] | None = None,
    ) -> None:
        self.body = body
        self.found = found
        self.unknown = unknown
        self.refused = refused
        self.every = every
        self.requests: list[tuple[str, str, str]] = []

    def answer(self, path: str, secret: str) -> Reply:
        """Answer a request."""
        answer = self._answer(unquote(path), secret)
        return self.every(answer, len(self.requests)) if self.every else answer

    def _answer(self, path: str, secret: str) -> Reply:
        if secret != SECRET:
            answer = error(401)
            return self.refused(answer, secret) if self.refused else answer
        op_id = path.rpartition("/")[2]
        if path != f"/projects/{PROJECT}/operations/{OP}":
            return self.unknown(error(404), op_id) if self.unknown else error(404)
        operation = copy.deepcopy(OPERATION)
        if self.body:
            self.body(operation)
        answer = reply(200, operation)
        return self.found(answer) if self.found else answer


class Handler(BaseHTTPRequestHandler):
    """Sends what the service says."""

    protocol_version = "HTTP/1.1"
    server: Server

    def handle_one_request(self) -> None:
        """Read a request; send the reply, whatever it is."""
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        service = self.server.service
        secret = self.headers.get("Secret-Key", "")
        service.requests.append((self.command, self.path, secret))
        answer = service.answer(self.path, secret)
        self.close_connection = True
        time.sleep(answer.pauses[0])
        if answer.raw is not None:
            self.wfile.write(answer.raw)
            return
        head = [f"HTTP/1.1 {answer.status} Said"]
        length = {"Content-Length": str(len(answer.body))}
        named = (
            answer.headers if "Transfer-Encoding" in answer.headers else length | {**answer.headers}
        )
        head += [f"{name}: {value}" for name, value in named.items()]
        self.wfile.write("\r\n".join([*head, "Connection: close", "", ""]).encode("latin-1"))
        self.wfile.flush()
        time.sleep(answer.pauses[1])
        self.wfile.write(answer.body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """Serves whichever service is set."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.service = Service()

    @property
    def endpoint(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_: object) -> None:
        """A client that gives up is no error here."""


@contextmanager
def serving() -> Iterator[Server]:
    """Serve on a free port of loopback."""
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


__all__ = [
    "OP",
    "OPERATION",
    "PROJECT",
    "SECRET",
    "Reply",
    "Service",
    "error",
    "replace",
    "reply",
    "serving",
]
