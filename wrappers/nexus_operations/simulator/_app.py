"""The simulated service as a Starlette application: the API, and beside it a small control API.

POST   /_simulator/operations   {"kind", "project_id", "life": {…}, "troubles": [{…}]} -> {"id"}
GET    /_simulator/operations   every operation as it is now
POST   /_simulator/troubles     [{…}] for the next answers of any operation
DELETE /_simulator              forget everything
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from ._script import Life, Trouble
from ._service import DEFAULT_PROJECT, Reply, Service

PIECES = 20
"""Into how many pieces a dripped body is cut."""

Abort = Callable[[Scope, bytes], None]
"""Writes bytes to the connection of a scope as they are, and resets it."""


class NewOperation(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `POST /_simulator/operations`."""

    life: Life = msgspec.field(default_factory=Life)
    kind: str = "nexus.annotations.export"
    project_id: str = DEFAULT_PROJECT
    op_id: str | None = None
    troubles: list[Trouble] = []


class _Answer(Response):
    """A reply, its trouble with the connection included."""

    def __init__(self, reply: Reply, abort: Abort) -> None:
        super().__init__(reply.body, reply.status)
        self._reply = reply
        self._abort = abort
        self.raw_headers = [
            (b"content-length", str(len(reply.body)).encode()),
            *((name.lower().encode(), value.encode()) for name, value in reply.headers.items()),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        trouble = self._reply.trouble
        if trouble is None:
            await super().__call__(scope, receive, send)
        elif trouble.kind == "stall":
            await _until_disconnected(receive, trouble.seconds)
            self._abort(scope, b"")
        elif trouble.kind == "drip":
            pieces = _drip(self._reply.body, trouble.seconds)
            dripping = StreamingResponse(pieces, self._reply.status, dict(self._reply.headers))
            await dripping(scope, receive, send)
        else:
            self._abort(scope, self._spoilt(trouble))

    def _spoilt(self, trouble: Trouble) -> bytes:
        """Return what is sent of the answer before the connection is reset."""
        body = self._reply.body
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
        if trouble.kind == "cut":
            return f"{head}\r\n\r\n".encode() + body[: len(body) // 2]
        sent = {"start": "", "headers": head[:40], "body": f"{head}\r\n\r\n"}
        return sent[trouble.at].encode()


async def _until_disconnected(receive: Receive, seconds: float) -> None:
    async def disconnected() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    try:
        await asyncio.wait_for(disconnected(), seconds)
    except asyncio.TimeoutError:
        return


async def _drip(body: bytes, seconds: float) -> AsyncIterator[bytes]:
    size = max(len(body) // PIECES, 1)
    for start in range(0, len(body), size):
        yield body[start : start + size]
        await asyncio.sleep(seconds / PIECES)


def build_app(service: Service, abort: Abort) -> Router:
    """Return the application over a service."""

    async def retrieve(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        path = scope.get("raw_path", b"").decode("latin-1").partition("?")[0]
        reply = service.answer(request.method, path or request.url.path, request.headers)
        await _Answer(reply, abort)(scope, receive, send)

    async def start(request: Request) -> Response:
        new, problem = await _decoded(request, NewOperation)
        if problem is not None:
            return problem
        op_id = service.start(new.life, kind=new.kind, project_id=new.project_id, op_id=new.op_id)
        service.trouble(*new.troubles, op_id=op_id)
        return JSONResponse({"id": op_id}, 201)

    async def listing(_: Request) -> Response:
        return JSONResponse(service.operations())

    async def trouble(request: Request) -> Response:
        troubles, problem = await _decoded(request, list[Trouble])
        if problem is not None:
            return problem
        service.trouble(*troubles)
        return Response(status_code=204)

    async def forget(_: Request) -> Response:
        service.reset()
        return Response(status_code=204)

    # The API is the router's default: a route's pattern would not match every path there is.
    return Router(
        routes=[
            Route("/_simulator/operations", start, methods=["POST"]),
            Route("/_simulator/operations", listing, methods=["GET"]),
            Route("/_simulator/troubles", trouble, methods=["POST"]),
            Route("/_simulator", forget, methods=["DELETE"]),
        ],
        redirect_slashes=False,
        default=retrieve,
    )


async def _decoded(request: Request, type_: Any) -> tuple[Any, Response | None]:
    """Return the request's body as `type_`, or the answer that says what is wrong with it."""
    try:
        return msgspec.json.decode(await request.body() or b"{}", type=type_), None
    except msgspec.DecodeError as error:
        return None, JSONResponse({"message": str(error)}, 400)
