"""Answers of the service, for a socket (`wire()`) and for a transport in virtual time alike."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

COUNTED = ("Queued", "Running", "Finished", "Cancelled", "Errored")
JSON = {"Content-Type": "application/json"}
REASONS = {200: "OK", 401: "Unauthorized", 404: "Not Found", 429: "Too Many Requests"}


@dataclass(frozen=True)
class Reply:
    """One answer.

    Attributes:
        status: Its HTTP status.
        body: Its body.
        headers: Its headers but `Content-Length`.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=lambda: dict(JSON))

    def wire(self) -> bytes:
        """Return the answer as HTTP/1.1."""
        lines = [f"HTTP/1.1 {self.status} {REASONS.get(self.status, 'Whatever')}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + self.body

    def response(self) -> httpx.Response:
        """Return the answer as a transport of httpx gives it."""
        stream = httpx.ByteStream(self.body)
        return httpx.Response(self.status, headers=dict(self.headers), stream=stream)


def operation(
    op_id: str,
    overview: str = "Running",
    *,
    message: str = "as scripted",
    counts: Mapping[str, Any] | None = None,
    created: float | None = None,
    updated: float | None = None,
    **more: Any,
) -> bytes:
    """Return the JSON of an operation; dates are milliseconds, now by default."""
    created = int(time.time() * 1000) if created is None else created
    body: dict[str, Any] = {
        "id": op_id,
        "kind": "nexus.annotations.export",
        "status": {
            "overview": overview,
            "message": message,
            "progress": {
                "unit": "whole operation",
                "withStatus": {**dict.fromkeys(COUNTED, 0), "Running": 1, **(counts or {})},
            },
        },
        "createDate": created,
        "updateDate": created if updated is None else updated,
        **more,
    }
    return json.dumps(body).encode()


def good(op_id: str, overview: str = "Finished", headers: Any = None, **more: Any) -> Reply:
    """Return a 200 with an operation."""
    return Reply(200, operation(op_id, overview, **more), {**JSON, **(headers or {})})


def trouble(status: int, message: str | bytes = "as scripted", **headers: str) -> Reply:
    """Return an answer of another status; underscores of header names stand for hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = message if isinstance(message, bytes) else json.dumps({"message": message}).encode()
    return Reply(status, body, {**JSON, **named})
