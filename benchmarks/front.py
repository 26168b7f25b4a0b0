"""A front between clients and the simulator that spoils what goes over the wire.

    with Simulator() as simulator, Front(simulator.endpoint) as front:
        front.script("op_1", ["wrong id", None, "stray"])

Each request for an operation takes the next step of its script: the front answers it in a spoilt
way, or, at `None` and after the last step, hands it to the simulator and passes the answer on as
it comes, broken connections included.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import re
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

COUNTED = ("Queued", "Running", "Finished", "Cancelled", "Errored")

HOST = re.compile(rb"host:[^\r]*\r\n", re.IGNORECASE)

LATE = 3.2
"""Seconds after which a late answer comes: longer than a request may take."""


AT_FIRST = 10.0
"""Seconds in which names resolve slowly: at a common deadline there is no time for it."""

PAUSE = 0.05
"""Seconds between two pieces of a trickle."""


def operation(op_id: str, overview: str = "Running") -> bytes:
    """Return the JSON of an operation that began now."""
    now = int(time.time() * 1000)
    counts = {**dict.fromkeys(COUNTED, 0), "Running": 1}
    progress = {"unit": "whole operation", "withStatus": counts}
    status = {"overview": overview, "message": "spoilt on its way", "progress": progress}
    body = {"id": op_id, "kind": "nexus.assets.upload", "status": status}
    return json.dumps({**body, "createDate": now, "updateDate": now}).encode()


def answer(op_id: str, *headers: str, overview: str = "Running") -> bytes:
    """Return an answer with an operation."""
    body = operation(op_id, overview)
    lines = ["HTTP/1.1 200 OK", "Content-Type: application/json", *headers]
    head = "\r\n".join([*lines, f"Content-Length: {len(body)}"])
    return f"{head}\r\n\r\n".encode() + body


async def trickle(writer: asyncio.StreamWriter, first: bytes, piece: bytes) -> None:
    """Send an answer that does not come to an end in time."""
    writer.write(first)
    for _ in range(int(2 * LATE / PAUSE)):
        await asyncio.sleep(PAUSE)
        if writer.is_closing():
            return
        writer.write(piece)


async def late(writer: asyncio.StreamWriter, op_id: str) -> None:
    """Answer when the request has been given up, and with another end."""
    await asyncio.sleep(LATE)
    if not writer.is_closing():
        writer.write(answer(op_id, overview="Cancelled"))


GOOD: dict[str, Callable[[str], bytes]] = {
    "stray": lambda op_id: answer(op_id) + answer("op_stranger", overview="Finished"),
    "stray of the same": lambda op_id: answer(op_id) + answer(op_id, overview="Cancelled"),
    "stray garbage": lambda op_id: answer(op_id) + b"\x00garbage",
    "long header": lambda op_id: answer(op_id, "X-Long: " + "x" * 12_000),
    "many headers": lambda op_id: answer(op_id, *(f"X-{n}: 1" for n in range(150))),
    "early hints": lambda op_id: b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + answer(op_id),
}
"""Answers that are good, however they look: the operation is running."""

BAD: dict[str, Callable[[str], bytes]] = {
    "wrong id": lambda _: answer("op_other", overview="Finished"),
    "garbage": lambda _: b"garbage\r\n\r\n",
    "two lengths": lambda op_id: answer(op_id, "Content-Length: 3", overview="Finished"),
    "a bad chunk": lambda _: b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}",
    "cut short": lambda op_id: answer(op_id, overview="Finished")[:-30],
}
"""Answers that are none; the connection is closed after them."""

SLOW: dict[str, Callable[[asyncio.StreamWriter, str], Any]] = {
    "trickled headers": lambda writer, _: trickle(writer, b"HTTP/1.1 200 OK\r\nX: ", b"a"),
    "informational": lambda writer, _: trickle(writer, b"", b"HTTP/1.1 102 Processing\r\n\r\n"),
    "late": late,
}
"""Answers that come too late, or to no end."""


class Front:
    """The front; a context manager.

    Args:
        upstream: The endpoint of the simulator.
    """

    def __init__(self, upstream: str) -> None:
        place = urlsplit(upstream)
        self._upstream = (place.hostname, place.port)
        self._scripts: dict[str, deque[str | None]] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="front", daemon=True)

    def script(self, op_id: str, steps: Iterable[str | None]) -> None:
        """Queue the next answers of an operation."""
        self._scripts.setdefault(op_id, deque()).extend(steps)

    def __enter__(self) -> Front:
        self._thread.start()
        start = asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024)
        self._server = asyncio.run_coroutine_threadsafe(start, self._loop).result()
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        async def stop() -> None:
            self._server.close()
            tasks = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream: asyncio.StreamWriter | None = None
        pump: asyncio.Task[None] | None = None
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                op_id = head.split(b" ", 2)[1].rsplit(b"/", 1)[1].decode()
                script = self._scripts.get(op_id)
                step = script.popleft() if script else None
                if step is None:
                    if upstream is None or upstream.is_closing():
                        source, upstream = await asyncio.open_connection(*self._upstream)
                        pump = asyncio.ensure_future(pass_on(source, writer))
                    # The simulator answers under its own name alone.
                    upstream.write(HOST.sub(b"Host: 127.0.0.1\r\n", head))
                elif step in GOOD:
                    writer.write(GOOD[step](op_id))
                elif step in SLOW:
                    await SLOW[step](writer, op_id)
                else:
                    writer.write(BAD[step](op_id))
                    await writer.drain()
                    return
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            if pump is not None:
                pump.cancel()
            for end in (writer, upstream):
                if end is not None:
                    end.close()


async def pass_on(source: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what the simulator answers; break the connection where it does."""
    try:
        while data := await source.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()
    except ConnectionResetError:
        with contextlib.suppress(OSError):
            client = writer.get_extra_info("socket")
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
    except OSError:
        writer.close()


class SlowNames:
    """Lets a host name resolve slowly at first, now and then too slowly; a context manager.

    Args:
        name: The name, of 127.0.0.1.
        seed: Of the random delays.
    """

    def __init__(self, name: str, seed: int) -> None:
        self._name = name
        self._luck = random.Random(seed)
        self._real = socket.getaddrinfo
        self._until = time.monotonic() + AT_FIRST

    def _resolve(self, host: Any, *args: Any, **options: Any) -> Any:
        wanted = host.decode() if isinstance(host, bytes) else host
        if wanted != self._name:
            return self._real(host, *args, **options)
        if time.monotonic() < self._until:
            time.sleep(LATE if self._luck.random() < 0.02 else self._luck.uniform(0, 0.03))
        return self._real("127.0.0.1", *args, **options)

    def __enter__(self) -> SlowNames:
        socket.getaddrinfo = self._resolve
        return self

    def __exit__(self, *_: object) -> None:
        socket.getaddrinfo = self._real
