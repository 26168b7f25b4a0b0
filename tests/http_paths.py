"""The HTTP layer's sync and awaited transports under one set of names."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
from nexus_operations._http.transports import AsyncTransport, Secret, Settings, Transport

ENDPOINT = "http://host.test/base"
SECRET = "canary-5aa41e8ba"


class Path(enum.Enum):
    """How requests are made."""

    SYNC = "sync"
    ASYNC = "async"


class Both:
    """A sync transport, or an awaited one in an event loop of its own.

    Attributes:
        settings: What it was made from.
        made: The transport itself.
    """

    def __init__(self, path: Path, settings: Settings, transport: Any = None) -> None:
        self.settings = settings
        self._runner = asyncio.Runner() if path is Path.ASYNC else None
        kind: Any = AsyncTransport if path is Path.ASYNC else Transport
        self.made = kind(settings, transport)

    def run(self, call: Any) -> Any:
        return call if self._runner is None else self._runner.run(call)

    def call(self, *args: Any, **kwargs: Any) -> Any:
        if self._runner is None:
            return self.made.call(*args, **kwargs)
        return self._runner.run(self.made.call(*args, **kwargs))

    def retrieve(self, *args: Any, **kwargs: Any) -> Any:
        if self._runner is None:
            return self.made.retrieve(*args, **kwargs)
        return self._runner.run(self.made.retrieve(*args, **kwargs))

    def close(self) -> None:
        if self._runner is None:
            self.made.close()
        else:
            self._runner.run(self.made.aclose())

    def end(self) -> None:
        self.close()
        if self._runner is not None:
            self._runner.close()


@contextlib.contextmanager
def at(
    path: Path,
    answer: Callable[[httpx.Request], httpx.Response] | None = None,
    *,
    endpoint: str = ENDPOINT,
    secret: str | None = SECRET,
    **options: Any,
) -> Iterator[Both]:
    """Give a transport over a function, or without one over sockets."""
    settings = Settings(endpoint, None if secret is None else Secret(secret), **options)
    both = Both(path, settings, None if answer is None else httpx.MockTransport(answer))
    try:
        yield both
    finally:
        both.end()


def operation(op_id: str, overview: str = "Running") -> bytes:
    """Return an operation as the service writes it."""
    counts = {"Queued": 0, "Running": 1, "Finished": 0, "Cancelled": 0, "Errored": 0}
    progress = {"unit": "whole operation", "withStatus": counts}
    return json.dumps(
        {
            "id": op_id,
            "kind": "nexus.annotations.export",
            "status": {"overview": overview, "message": "m", "progress": progress},
            "createDate": 1701927649302,
            "updateDate": 1701927649302,
        }
    ).encode()
