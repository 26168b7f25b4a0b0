"""The simulated service as a Starlette application: the API, and beside it a small control API.

POST   /_simulator/operations   {"kind", "project_id", "life": {…}, "troubles": [{…}]} -> {"id"}
GET    /_simulator/operations   every operation as it is now
POST   /_simulator/ends         {"op_id", "outcome", "message"} ends an operation now
POST   /_simulator/troubles     [{…}] for the next answers of any operation
PUT    /_simulator/latency      {"seconds"} that each retrieval is left unanswered
GET    /_simulator/state        {"operations" (the last 200), "counts", "requests", "latency"}
DELETE /_simulator              forget everything
GET    /                        the live page; its files are in static/
GET    /_simulator/contract     the contract, rendered

Requests that name another host than this machine, or come from another page, are refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

import msgspec
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from .._core.statuses import STATUSES
from ._script import Ending, Life, Seconds, Trouble
from ._service import DEFAULT_PROJECT, Reply, Service

PIECES = 20
"""Into how many pieces a dripped body is cut."""

PAGES = {
    "/": ("page.html", "text/html"),
    "/_simulator": ("page.html", "text/html"),
    "/_simulator/page.js": ("page.js", "text/javascript"),
    "/_simulator/page.css": ("page.css", "text/css"),
    "/_simulator/contract": ("contract.html", "text/html"),
}
"""The files of the live page, and of the rendered contract."""

OWN_NAMES = {"127.0.0.1", "localhost", "::1"}
"""What the simulator is called in the header `Host`, whatever the port."""

SHOWN = 200
"""Operations on the live page, at most."""

PAGE_HEADERS = {
    # Nothing that the page shows can load or run what is not the simulator's own.
    "Content-Security-Policy": "default-src 'self'; img-src data:",
    "Cache-Control": "no-store",
}

Abort = Callable[[Scope, bytes], None]
"""Writes bytes to the connection of a scope as they are, and resets it."""


class NewOperation(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `POST /_simulator/operations`."""

    life: Life = msgspec.field(default_factory=Life)
    kind: str = "nexus.annotations.export"
    project_id: str = DEFAULT_PROJECT
    op_id: str | None = None
    troubles: list[Trouble] = []


class End(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `POST /_simulator/ends`."""

    op_id: str
    outcome: Ending = "Finished"
    message: str | None = None


class Latency(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `PUT /_simulator/latency`."""

    seconds: Seconds


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


def is_own(headers: Headers) -> bool:
    """Return whether a request is addressed to the simulator, and from none but its own page."""
    host, origin = headers.get("host", ""), headers.get("origin")
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        return False
    return name in OWN_NAMES and (origin is None or origin.partition("://")[2] == host)


def build_app(service: Service, abort: Abort) -> ASGIApp:
    """Return the application over a service."""

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        refused = scope["type"] == "http" and not is_own(Headers(scope=scope))
        await (foreign if refused else router)(scope, receive, send)

    foreign = JSONResponse({"message": "The simulator answers only its own host and page."}, 403)

    async def retrieve(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        path = scope.get("raw_path", b"").decode("latin-1").partition("?")[0]
        if service.latency:
            await asyncio.sleep(service.latency)
        reply = service.answer(request.method, path or request.url.path, request.headers)
        await _Answer(reply, abort)(scope, receive, send)

    async def start(request: Request) -> Response:
        new, problem = await _decoded(request, NewOperation)
        if problem is not None:
            return problem
        try:
            op_id = service.start(
                new.life, kind=new.kind, project_id=new.project_id, op_id=new.op_id
            )
        except ValueError as error:
            return JSONResponse({"message": str(error)}, 400)
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

    async def end(request: Request) -> Response:
        wish, problem = await _decoded(request, End)
        if problem is not None:
            return problem
        try:
            service.end(wish.op_id, wish.outcome, wish.message)
        except KeyError:
            return JSONResponse({"message": "Operation not found"}, 404)
        return Response(status_code=204)

    async def slow_down(request: Request) -> Response:
        wish, problem = await _decoded(request, Latency)
        if problem is not None:
            return problem
        service.latency = wish.seconds
        return Response(status_code=204)

    async def state(_: Request) -> Response:
        return JSONResponse(
            {
                "operations": service.operations(last=SHOWN),
                "counts": service.counts(),
                "requests": service.request_count,
                "latency": service.latency,
            }
        )

    async def forget(_: Request) -> Response:
        service.reset()
        return Response(status_code=204)

    # The API is the router's default: a route's pattern would not match every path there is.
    router = Router(
        routes=[
            Route("/_simulator/operations", start, methods=["POST"]),
            Route("/_simulator/operations", listing, methods=["GET"]),
            Route("/_simulator/ends", end, methods=["POST"]),
            Route("/_simulator/troubles", trouble, methods=["POST"]),
            Route("/_simulator/latency", slow_down, methods=["PUT"]),
            Route("/_simulator/state", state, methods=["GET"]),
            Route("/_simulator", forget, methods=["DELETE"]),
            Route("/_simulator/statuses.css", statuses, methods=["GET"]),
            *(Route(path, _page(*page), methods=["GET"]) for path, page in PAGES.items()),
        ],
        redirect_slashes=False,
        default=retrieve,
    )
    return guarded


async def statuses(_: Request) -> Response:
    """Serve the colours of the statuses, from their table."""
    rules = (f".{name} {{ background: {row.background}; }}" for name, row in STATUSES.items())
    return Response("\n".join(rules), media_type="text/css", headers=PAGE_HEADERS)


def _page(name: str, media_type: str) -> Callable[[Request], Awaitable[Response]]:
    """Return what serves one of the files in static/."""

    async def serve(_: Request) -> Response:
        content = (files("nexus_operations.simulator") / "static" / name).read_bytes()
        return Response(content, media_type=media_type, headers=PAGE_HEADERS)

    return serve


async def _decoded(request: Request, type_: Any) -> tuple[Any, Response | None]:
    """Return the request's body as `type_`, or the answer that says what is wrong with it."""
    try:
        return msgspec.json.decode(await request.body() or b"{}", type=type_), None
    except msgspec.DecodeError as error:
        return None, JSONResponse({"message": str(error)}, 400)
