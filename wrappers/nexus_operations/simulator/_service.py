"""The simulated service without its server: what it holds, and what it answers."""

from __future__ import annotations

import gzip
import json
import math
import threading
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from types import UnionType
from typing import Any
from urllib.parse import unquote

from ._script import Ending, Life, Trouble

DEFAULT_PROJECT = "proj_simulated"
REMEMBERED_REQUESTS = 10_000

HTML_ERROR = "<html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>"


@dataclass(frozen=True)
class Reply:
    """An answer; `trouble` is left to the server where it concerns the connection."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    trouble: Trouble | None = None


@dataclass(frozen=True)
class Request:
    """A retrieval that was made: when (monotonic seconds), of what, and the status answered."""

    at: float
    op_id: str
    status: int


@dataclass
class _Record:
    """One operation."""

    id: str
    project_id: str
    kind: str
    life: Life
    started: float
    created: int
    updated: int
    seen: tuple[str, dict[str, int]] | None = None
    ended: tuple[str, dict[str, int], str] | None = None
    troubles: deque[Trouble] = field(default_factory=deque[Trouble])


class Service:
    """Holds operations and answers retrievals as the contract says; safe to share between threads.

    Args:
        secret: The secret key to ask for; `None` takes any.
        ask_for_secret: Whether to ask for one at all (client certificates do without).
        speed: Seconds of an operation's life that pass in one second.
        monotonic: Where the lives' time comes from.
        wall: Where dates come from.

    Raises:
        TypeError, ValueError: If an argument is of another type or out of its range.

    Attributes:
        latency: Seconds that the server leaves a retrieval unanswered (not in virtual time).
        requests: The last retrievals made.
        request_count: How many were made.
    """

    def __init__(
        self,
        *,
        secret: str | None = None,
        ask_for_secret: bool = True,
        speed: float = 1.0,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        check_type("speed", speed, int | float)
        if not (math.isfinite(speed) and speed > 0):
            raise ValueError(f"speed must be more than 0 and finite, not {speed!r}")
        _check_text("secret", secret)
        self._secret = secret
        self._ask_for_secret = ask_for_secret
        self._speed = speed
        self._monotonic = monotonic
        self._wall = wall
        self._lock = threading.Lock()
        self._records: dict[tuple[str, str], _Record] = {}
        self._by_id: dict[str, _Record] = {}
        self._troubles: deque[Trouble] = deque()
        self.latency = 0.0
        self.requests: deque[Request] = deque(maxlen=REMEMBERED_REQUESTS)
        self.request_count = 0

    def start(
        self,
        life: Life | None = None,
        *,
        kind: str = "nexus.annotations.export",
        project_id: str = DEFAULT_PROJECT,
        op_id: str | None = None,
    ) -> str:
        """Start an operation and return its id.

        Args:
            life: How it lives; three seconds by default.
            kind: What it does.
            project_id: The project that it belongs to.
            op_id: Its id; a new one by default.

        Raises:
            TypeError, ValueError: If one of them is of another type, or empty.
        """
        life = Life() if life is None else life
        check_type("life", life, Life)
        for name, text in (("kind", kind), ("project_id", project_id), ("op_id", op_id)):
            _check_text(name, text)
        op_id = f"op_{uuid.uuid4()}" if op_id is None else op_id
        created = int((self._wall() - life.age) * 1000)
        started = self._monotonic() - life.age / self._speed
        record = _Record(op_id, project_id, kind, life, started, created, created)
        with self._lock:
            self._records[project_id, op_id] = self._by_id[op_id] = record
        return op_id

    def end(self, op_id: str, outcome: Ending = "Finished", message: str | None = None) -> None:
        """End an operation now, whatever its script says.

        Raises:
            KeyError: If there is no such operation.
        """
        with self._lock:
            record = self._record(op_id)
            counts = record.life.counts(self._age(record))
            rest = counts["Queued"] + counts["Running"]
            counts.update({"Queued": 0, "Running": 0})
            counts[outcome] += rest
            record.ended = (outcome, counts, message or f"Operation {outcome.lower()}")

    def trouble(self, *troubles: Trouble, op_id: str | None = None) -> None:
        """Queue troubles for the next answers, of one operation or of all.

        Raises:
            KeyError: If there is no such operation.
            TypeError: If one of them is no `Trouble`.
        """
        for trouble in troubles:
            check_type("troubles", trouble, Trouble)
        with self._lock:
            queue = self._troubles if op_id is None else self._record(op_id).troubles
            for trouble in troubles:
                queue.extend([trouble] * trouble.times)

    def reset(self) -> None:
        """Forget operations, troubles and requests."""
        with self._lock:
            self._records.clear()
            self._by_id.clear()
            self._troubles.clear()
            self.requests.clear()
            self.request_count = 0
            self.latency = 0.0

    def operations(self, last: int | None = None) -> list[dict[str, Any]]:
        """Return operations as they are now: all, or the `last` ones started."""
        with self._lock:
            records = list(self._records.values())
            if last is not None:
                records = records[max(len(records) - last, 0) :]
            return [self._body(record) for record in records]

    def counts(self) -> dict[str, int]:
        """Return the number of operations in each status."""
        with self._lock:
            return dict(Counter(self._status(record) for record in self._records.values()))

    def _record(self, op_id: str) -> _Record:
        return self._by_id[op_id]

    def _status(self, record: _Record) -> str:
        if record.ended is not None:
            return record.ended[0]
        return record.life.status(self._age(record))

    def _age(self, record: _Record) -> float:
        return (self._monotonic() - record.started) * self._speed

    def answer(self, method: str, path: str, headers: Mapping[str, str]) -> Reply:
        """Answer a request; `path` is percent-encoded, header names are in lower case."""
        segments = [unquote(segment) for segment in path.split("/")]
        if len(segments) != 5 or segments[1] != "projects" or segments[3] != "operations":
            return _error(404, "No such resource")
        if method not in ("GET", "HEAD"):
            return _error(405, "Method not allowed", {"Allow": "GET, HEAD"})
        project_id, op_id = segments[2], segments[4]
        with self._lock:
            reply = self._retrieve(project_id, op_id, headers)
            self.request_count += 1
            self.requests.append(Request(self._monotonic(), op_id, reply.status))
        return reply

    def _retrieve(self, project_id: str, op_id: str, headers: Mapping[str, str]) -> Reply:
        secret = headers.get("secret-key", "")
        wrong = not secret or (self._secret is not None and secret != self._secret)
        if wrong and self._ask_for_secret:
            return _error(401, "Invalid secret key")
        record = self._records.get((project_id, op_id))
        queue = record.troubles if record is not None and record.troubles else self._troubles
        trouble = queue.popleft() if queue else None
        if trouble is not None and trouble.kind == "status":
            return _scripted_status(trouble)
        if record is None:
            return _error(404, "Operation not found")
        body = self._body(record)
        if trouble is not None and trouble.kind == "overview":
            body["status"]["overview"] = trouble.overview
            trouble = None
        if trouble is not None and trouble.kind in ("body", "oversized", "bomb"):
            return _scripted_body(trouble)
        return Reply(200, _json(body), {"Content-Type": "application/json"}, trouble)

    def _body(self, record: _Record) -> dict[str, Any]:
        """Return an operation as it is now, in the contract's words."""
        if record.ended is not None:
            status, counts, message = record.ended
        else:
            age = self._age(record)
            status, counts = record.life.status(age), record.life.counts(age)
            message = record.life.text(status)
        has_ended = status not in ("Queued", "Running")
        payload = {"payload": record.life.payload} if has_ended and record.life.payload else {}
        if record.seen is not None and record.seen != (status, counts):
            past = 0.0
            if has_ended and record.ended is None:
                past = (self._age(record) - record.life.duration) / self._speed
            record.updated = max(int((self._wall() - past) * 1000), record.created)
        record.seen = (status, counts)
        return {
            "id": record.id,
            "kind": record.kind,
            "status": {
                "overview": status,
                "message": message,
                "progress": {"unit": record.life.unit, "withStatus": dict(counts)},
                **payload,
            },
            "createDate": record.created,
            "updateDate": record.updated,
        }


def check_type(name: str, value: object, kind: type | UnionType) -> None:
    """Raise `TypeError` if a value is not of a type; a bool is no number."""
    if isinstance(value, bool) or not isinstance(value, kind):
        shown = kind.__name__ if isinstance(kind, type) else kind
        raise TypeError(f"{name} must be of the type {shown}, not {value!r}")


def _check_text(name: str, value: object) -> None:
    """Raise if a value is neither a text nor `None`, or empty."""
    check_type(name, value, str | None)
    if value == "":
        raise ValueError(f"{name} must not be empty")


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> Reply:
    content = {"Content-Type": "application/json"}
    return Reply(status, _json({"message": message}), {**content, **(headers or {})})


def _scripted_status(trouble: Trouble) -> Reply:
    """Return the answer of a trouble of kind `status`."""
    headers = {"Content-Type": trouble.content_type}
    extra = {
        "Retry-After": trouble.retry_after,
        "Date": trouble.date,
        "Location": trouble.location,
    }
    headers.update({name: value for name, value in extra.items() if value is not None})
    phrases = {status.value: status.phrase for status in HTTPStatus}
    phrase = phrases.get(trouble.status, "Web server is down")
    if trouble.body is not None:
        body = trouble.body.encode()
    elif trouble.content_type.startswith("text/html"):
        body = HTML_ERROR.format(phrase).encode()
    else:
        body = _json({"message": phrase})
    return Reply(trouble.status, body if trouble.status not in (204, 304) else b"", headers)


def _scripted_body(trouble: Trouble) -> Reply:
    """Return the answer of a trouble of kind `body`, `oversized` or `bomb`."""
    headers = {"Content-Type": trouble.content_type}
    if trouble.encoding is not None:
        headers["Content-Encoding"] = trouble.encoding
    if trouble.kind == "body":
        return Reply(200, (trouble.body or "").encode(), headers)
    body = b'{"id": "' + b"x" * trouble.size + b'"}'
    if trouble.kind == "bomb":
        body = gzip.compress(body)
        headers["Content-Encoding"] = "gzip"
    return Reply(200, body, headers)
