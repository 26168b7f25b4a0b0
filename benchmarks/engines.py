"""HTTP engines side by side: what a request costs, and which cases of trouble each gets right.

    python -m benchmarks.engines [--calls 2000] [--repeat 3] [--json]

Each engine that is installed makes the same request of one small server: GET, and the body as JSON.
CPU is that of the client's process, the smallest of the repeats. The cases are the kinds that
decide whether an engine can be trusted with a wait of hours; each runs with the engine's defaults,
but for a timeout of 1 s and no bound on connections where those are settings.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import json
import multiprocessing
import socket
import statistics
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import httpx
from nexus_operations._http.engine import LIMITS, AsyncEngine, Pool
from nexus_operations._http.environment import find_route
from nexus_operations._http.network import Limits
from nexus_operations._http.transports import AsyncTransport, Secret, Settings, Transport

PATIENCE = 60.0
"""Seconds that a request may take where its cost is measured."""

TIMEOUT = 1.0
"""Seconds that a request may take in the cases of trouble."""

IN_FLIGHT = (1, 8, 64)
COUNTS = {"Queued": 0, "Running": 1, "Finished": 0, "Cancelled": 0, "Errored": 0}
HEADERS = {"Accept": "application/json", "Secret-Key": "secret", "User-Agent": "benchmark"}

Get = Callable[[str], Awaitable[tuple[int, bytes]]]
Engine = Callable[[str, float], contextlib.AbstractAsyncContextManager[Get]]


def operation(op_id: str) -> bytes:
    progress = {"unit": "whole operation", "withStatus": COUNTS}
    status = {"overview": "Running", "message": "m", "progress": progress}
    dates = {"createDate": 1701927649302, "updateDate": 1701927649302}
    return json.dumps({"id": op_id, "kind": "k", "status": status, **dates}).encode()


def answer(content: bytes, *headers: str, status: str = "200 OK") -> bytes:
    head = "".join(f"{line}\r\n" for line in (f"HTTP/1.1 {status}", *headers))
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode("latin-1") + content


# Engines: each gives a function that takes a path and returns status and body.


def httpx_like(name: str) -> Engine:
    module: Any = importlib.import_module(name)

    @contextlib.asynccontextmanager
    async def engine(endpoint: str, timeout: float) -> AsyncIterator[Get]:
        limits = module.Limits(max_connections=None)
        async with module.AsyncClient(limits=limits, timeout=timeout) as client:

            async def get(path: str) -> tuple[int, bytes]:
                response = await client.get(endpoint + path, headers=HEADERS)
                return response.status_code, response.content

            yield get

    return engine


@contextlib.asynccontextmanager
async def httpx_aiohttp(endpoint: str, timeout: float) -> AsyncIterator[Get]:
    module: Any = importlib.import_module("httpx_aiohttp")
    async with module.HttpxAiohttpClient(timeout=timeout) as client:

        async def get(path: str) -> tuple[int, bytes]:
            response = await client.get(endpoint + path, headers=HEADERS)
            return response.status_code, response.content

        yield get


@contextlib.asynccontextmanager
async def aiohttp_session(endpoint: str, timeout: float) -> AsyncIterator[Get]:
    """Give aiohttp with each default of its own that leaks put right, as far as settings go."""
    aiohttp: Any = importlib.import_module("aiohttp")
    yarl: Any = importlib.import_module("yarl")
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=timeout),
        max_line_size=1 << 18,
        max_field_size=1 << 18,
        auto_decompress=False,
    )
    async with session:

        async def get(path: str) -> tuple[int, bytes]:
            url = yarl.URL(endpoint + path, encoded=True)
            async with session.get(url, headers=HEADERS) as response:
                return response.status, await response.read()

        yield get


@contextlib.asynccontextmanager
async def niquests(endpoint: str, timeout: float) -> AsyncIterator[Get]:
    module: Any = importlib.import_module("niquests")
    async with module.AsyncSession(disable_http2=True, disable_http3=True) as session:

        async def get(path: str) -> tuple[int, bytes]:
            response = await session.get(endpoint + path, headers=HEADERS, timeout=timeout)
            return response.status_code, response.content

        yield get


@contextlib.asynccontextmanager
async def own(endpoint: str, timeout: float) -> AsyncIterator[Get]:
    """Give our connections below httpx's public types, without the rest of the library."""
    engine = AsyncEngine(Pool(find_route(httpx.URL(endpoint))))

    async def get(path: str) -> tuple[int, bytes]:
        extensions = {LIMITS: Limits(timeout)}
        request = httpx.Request("GET", endpoint + path, headers=HEADERS, extensions=extensions)
        response = await engine.handle_async_request(request)
        return response.status_code, await response.aread()

    try:
        yield get
    finally:
        await engine.aclose()


def installed() -> dict[str, tuple[str, Engine]]:
    """Return the engines that can be run, with their versions."""
    candidates: dict[str, tuple[str, Callable[[], Engine]]] = {
        "httpx": ("httpx", lambda: httpx_like("httpx")),
        "httpx2": ("httpx2", lambda: httpx_like("httpx2")),
        "httpx-aiohttp": ("httpx-aiohttp", lambda: httpx_aiohttp),
        "aiohttp, our session": ("aiohttp", lambda: aiohttp_session),
        "niquests": ("niquests", lambda: niquests),
        "own connections": ("h11", lambda: own),
    }
    engines = {}
    for name, (package, make) in candidates.items():
        with contextlib.suppress(PackageNotFoundError):
            engines[name] = (f"{package} {version(package)}", make())
    return engines


# What a request costs.


class _Protocol(asyncio.Protocol):
    """Answers every request with an operation."""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._pending = b""

    def data_received(self, data: bytes) -> None:
        self._pending += data
        while b"\r\n\r\n" in self._pending:
            _, _, self._pending = self._pending.partition(b"\r\n\r\n")
            self._transport.write(ANSWER)


ANSWER = answer(operation("op_1"), "Content-Type: application/json", "Server: benchmark")


def _serve(ports: Any) -> None:
    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(_Protocol, "127.0.0.1", 0)
        ports.put(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())


@contextlib.contextmanager
def small_server() -> Iterator[str]:
    """Serve from a process of its own: its CPU is not counted."""
    context = multiprocessing.get_context("spawn")
    ports = context.Queue()
    process = context.Process(target=_serve, args=(ports,), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ports.get(timeout=30)}"
    finally:
        process.terminate()
        process.join()


async def cpu_of(get: Callable[[], Awaitable[Any]], in_flight: int, calls: int) -> float:
    """Return the milliseconds of CPU of a call, with some in flight."""
    left = calls

    async def work() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await get()

    began = time.process_time()
    await asyncio.gather(*(work() for _ in range(in_flight)))
    return (time.process_time() - began) / calls * 1000


def sync_cpu(endpoint: str, calls: int) -> dict[str, float]:
    """Return the milliseconds of CPU of `get` and of bare `httpx.Client`."""
    path = "/projects/p/operations/op_1"
    transport = Transport(Settings(endpoint, Secret("secret")))
    client = httpx.Client(timeout=PATIENCE)
    figures = {}
    for name, call in (
        ("Transport.retrieve", lambda: transport.retrieve("p", "op_1", PATIENCE)),
        ("httpx.Client, json()", lambda: client.get(endpoint + path, headers=HEADERS).json()),
    ):
        for _ in range(calls // 10):
            call()
        began = time.process_time()
        for _ in range(calls):
            call()
        figures[name] = (time.process_time() - began) / calls * 1000
    transport.close()
    client.close()
    return figures


async def async_cpu(endpoint: str, engine: Engine | None, calls: int) -> dict[int, float]:
    """Return the milliseconds of CPU of a request by the number in flight."""
    figures = {}
    async with contextlib.AsyncExitStack() as stack:
        if engine is None:
            transport = AsyncTransport(Settings(endpoint, Secret("secret")))
            stack.push_async_callback(transport.aclose)

            async def call() -> Any:
                return await transport.retrieve("p", "op_1", PATIENCE)
        else:
            get = await stack.enter_async_context(engine(endpoint, PATIENCE))

            async def call() -> Any:
                return json.loads((await get("/projects/p/operations/op_1"))[1])

        for in_flight in IN_FLIGHT:
            await cpu_of(call, in_flight, calls // 10)
            figures[in_flight] = await cpu_of(call, in_flight, calls)
    return figures


# Which cases an engine gets right.

Script = Callable[[int, socket.socket, bytes], "bytes | None"]


class Server:
    """Answers on 127.0.0.1 what `script(number, connection, head)` returns; `None` closes."""

    def __init__(self, script: Script, port: int = 0) -> None:
        self._script = script
        self.heads: list[bytes] = []
        self.in_flight = self.most_in_flight = 0
        self._lock = threading.Lock()
        self._socket = socket.create_server(("127.0.0.1", port), backlog=512)
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            threading.Thread(target=self._work, args=(connection,), daemon=True).start()

    def _work(self, connection: socket.socket) -> None:
        pending = b""
        with contextlib.suppress(OSError), connection:
            while True:
                while b"\r\n\r\n" not in pending:
                    if not (data := connection.recv(65536)):
                        return
                    pending += data
                head, _, pending = pending.partition(b"\r\n\r\n")
                with self._lock:
                    self.heads.append(head)
                    number = len(self.heads)
                    self.in_flight += 1
                    self.most_in_flight = max(self.most_in_flight, self.in_flight)
                try:
                    said = self._script(number, connection, head)
                finally:
                    with self._lock:
                        self.in_flight -= 1
                if said is None:
                    return
                connection.sendall(said)


BODY = operation("op_1")
OTHER = operation("op_other")
OK = b"HTTP/1.1 200 OK\r\n"


async def reads(engine: Engine, said: bytes) -> bool:
    server = Server(lambda *_: said)
    async with engine(f"http://127.0.0.1:{server.port}", TIMEOUT) as get:
        return await get("/op_1") == (200, BODY)


async def refuses(engine: Engine, said: bytes) -> bool:
    def script(_: int, connection: socket.socket, __: bytes) -> None:
        connection.sendall(said)

    server = Server(script)
    async with engine(f"http://127.0.0.1:{server.port}", TIMEOUT) as get:
        try:
            return await asyncio.wait_for(get("/op_1"), 5) == (200, BODY)
        except asyncio.TimeoutError:
            return False
        except Exception:  # noqa: BLE001  (whichever an engine raises)
            return True


async def passes_over_strays(engine: Engine, pause: float) -> bool:
    def script(number: int, connection: socket.socket, _: bytes) -> bytes:
        if number > 1:
            return answer(BODY)
        connection.sendall(answer(BODY))
        time.sleep(pause)
        return answer(OTHER)

    server = Server(script)
    async with engine(f"http://127.0.0.1:{server.port}", TIMEOUT) as get:
        await get("/op_1")
        await asyncio.sleep(0.2)
        return await get("/op_1") == (200, BODY)


async def is_bounded(engine: Engine, first: bytes, piece: bytes) -> bool:
    def script(_: int, connection: socket.socket, __: bytes) -> None:
        connection.sendall(first)
        while True:
            time.sleep(0.2)
            connection.sendall(piece)

    server = Server(script)
    async with engine(f"http://127.0.0.1:{server.port}", TIMEOUT) as get:
        began = time.monotonic()
        with contextlib.suppress(Exception):
            await asyncio.wait_for(get("/op_1"), 3 * TIMEOUT)
        return time.monotonic() - began < 2 * TIMEOUT


async def sends_paths_as_they_are(engine: Engine, _: object) -> bool:
    server = Server(lambda *_: answer(BODY))
    paths = ["/..%3B", "/a%3Ab%40c", "/two%20words", "/%E5%AE%8C%E4%BA%86"]
    async with engine(f"http://127.0.0.1:{server.port}", TIMEOUT) as get:
        for path in paths:
            await get(path)
    return [head.split(b" ")[1].decode() for head in server.heads] == paths


async def keeps_no_cookie(engine: Engine, _: object) -> bool:
    server = Server(lambda *_: answer(BODY, "Set-Cookie: lb=sticky; Path=/"))
    async with engine(f"http://localhost:{server.port}", TIMEOUT) as get:
        await get("/op_1")
        await get("/op_1")
    return b"cookie" not in server.heads[-1].lower()


async def makes_300_at_once(engine: Engine, _: object) -> bool:
    there = threading.Event()

    def script(number: int, *_: object) -> bytes:
        if number == 300:
            there.set()
        there.wait(0.8 * TIMEOUT)
        return answer(BODY)

    server = Server(script)
    async with engine(f"http://127.0.0.1:{server.port}", TIMEOUT) as get:
        await asyncio.gather(*(get("/op_1") for _ in range(300)), return_exceptions=True)
    return server.most_in_flight == 300


@contextlib.contextmanager
def resolving(found: Callable[[str, int], list[str]]) -> Iterator[None]:
    """Let the name `names.test` resolve to what a function says."""
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *args: Any, **options: Any) -> list[Any]:
        if host not in ("names.test", b"names.test"):
            return real(host, port, *args, **options)
        return [real(each, port, *args, **options)[0] for each in found(host, port)]

    socket.getaddrinfo = getaddrinfo  # type: ignore[assignment]
    try:
        yield
    finally:
        socket.getaddrinfo = real


async def uses_the_second_address(engine: Engine, _: object) -> bool:
    server = Server(lambda *_: answer(BODY))
    with contextlib.ExitStack() as stack:
        hole = stack.enter_context(socket.socket())
        hole.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        hole.bind(("127.0.0.3", server.port))
        hole.listen(0)
        for _ in range(8):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(hole.getsockname())
        stack.enter_context(resolving(lambda *_: ["127.0.0.3", "127.0.0.1"]))
        async with engine(f"http://names.test:{server.port}", TIMEOUT) as get:
            return await get("/op_1") == (200, BODY)


def leaves_a_resolver_behind(engine: Engine) -> bool:
    def slow(*_: object) -> list[str]:
        time.sleep(4 * TIMEOUT)
        return []

    async def ask() -> None:
        async with engine("http://names.test", TIMEOUT) as get:
            with contextlib.suppress(Exception):
                await get("/op_1")

    with resolving(slow):
        began = time.monotonic()
        asyncio.run(ask())
        return time.monotonic() - began < 2 * TIMEOUT


Check = Callable[[Engine, Any], Awaitable[bool]]
CASES: dict[str, tuple[Check, Any]] = {
    "a header of 10 KiB": (reads, answer(BODY, "X: " + "x" * 10_240)),
    "140 headers": (reads, answer(BODY, *(f"X-{n}: 1" for n in range(140)))),
    "reason in Latin-1": (reads, answer(BODY, status="200 Réussi")),
    "garbage": (refuses, b"garbage\r\n\r\n"),
    "HTTP/2 status line": (refuses, b"HTTP/2 200\r\nContent-Length: 0\r\n\r\n"),
    "two lengths": (refuses, OK + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"),
    "NUL in a header": (refuses, OK + b"X: a\0b\r\nContent-Length: 2\r\n\r\n{}"),
    "stray answer at once": (passes_over_strays, 0.0),
    "stray answer later": (passes_over_strays, 0.1),
    "102 for ever": (is_bounded, (b"", b"HTTP/1.1 102 Processing\r\n\r\n")),
    "headers that trickle": (is_bounded, (OK + b"X: ", b"a")),
    "body that trickles": (is_bounded, (OK + b"Content-Length: 999\r\n\r\n", b"a")),
    "paths as they are": (sends_paths_as_they_are, None),
    "no cookie": (keeps_no_cookie, None),
    "300 in flight": (makes_300_at_once, None),
    "second address": (uses_the_second_address, None),
}


def table(engine: Engine) -> dict[str, bool]:
    """Return which cases an engine gets right."""
    results = {}
    for name, (check, given) in CASES.items():

        async def run(check: Check = check, given: Any = given) -> bool:
            if check is is_bounded:
                return await is_bounded(engine, *given)
            return await check(engine, given)

        try:
            results[name] = asyncio.run(asyncio.wait_for(run(), 20))
        except Exception:  # noqa: BLE001  (whichever an engine raises)
            results[name] = False
    results["hanging resolver"] = leaves_a_resolver_behind(engine)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description="HTTP engines side by side.")
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    engines = installed()
    sync: dict[str, list[float]] = {}
    awaited: dict[str, dict[int, list[float]]] = {}
    rows: dict[str, Engine | None] = {name: engine for name, (_, engine) in engines.items()}
    rows["AsyncTransport.retrieve"] = None
    with small_server() as endpoint:
        for _ in range(options.repeat):
            for name, figure in sync_cpu(endpoint, options.calls).items():
                sync.setdefault(name, []).append(figure)
            for name, engine in rows.items():
                figures = asyncio.run(async_cpu(endpoint, engine, options.calls))
                for in_flight, figure in figures.items():
                    awaited.setdefault(name, {}).setdefault(in_flight, []).append(figure)
    cases = {name: table(engine) for name, (_, engine) in engines.items()}
    result = {
        "versions": {name: of for name, (of, _) in engines.items()},
        "sync_cpu_ms": {name: round(min(all_of), 3) for name, all_of in sync.items()},
        "awaited_cpu_ms": {
            name: {in_flight: round(min(all_of), 3) for in_flight, all_of in of.items()}
            for name, of in awaited.items()
        },
        "sync_ratio": round(statistics.median(ratio(*sync.values())), 2),
        "awaited_ratio_at_64": round(
            statistics.median(
                ratio(awaited["AsyncTransport.retrieve"][64], awaited["own connections"][64])
            ),
            2,
        ),
        "cases_wrong": {
            name: [case for case, right in of.items() if not right] for name, of in cases.items()
        },
    }
    if options.json:
        print(json.dumps(result))
        return
    for name, figures in result["awaited_cpu_ms"].items():
        wrong = result["cases_wrong"].get(name)
        right = "" if wrong is None else f"{len(CASES) + 1 - len(wrong)} of {len(CASES) + 1} right"
        print(f"{name:24} {figures}  {right}")
        if wrong:
            print(f"{'':24} wrong: {', '.join(wrong)}")
    print(result["sync_cpu_ms"], "ratio", result["sync_ratio"])
    print(
        "AsyncTransport.retrieve to its engine bare, 64 in flight:", result["awaited_ratio_at_64"]
    )


def ratio(ours: list[float], bare: list[float]) -> list[float]:
    """Return how many times as much ours costs, run by run."""
    return [each / other for each, other in zip(ours, bare, strict=True)]


if __name__ == "__main__":
    main()
