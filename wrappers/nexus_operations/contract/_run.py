"""A run: which requests are made, in which order, and which checks each answer goes through."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from . import _checks as checks
from ._exchange import Asked, Exchange, LimitError, NoAnswerError, fill, retry_after
from ._report import Check, Problem, Redactor, Report, problem_of
from ._schema import OPERATION, Breach, breaches, load_schema, reads

if TYPE_CHECKING:
    import ssl

UNKNOWN = "op_00000000-0000-0000-0000-000000000000"
WRONG_SECRET = "wrong-on-purpose"  # noqa: S105  (none, on purpose)
BUSY = (429, 503)
MAX_TRIES = 5
BASE_DELAY = 0.5
MAX_DELAY = 60.0


def check_service(
    endpoint: str,
    project_id: str,
    op_id: str,
    secret: str | None,
    *,
    max_requests: int = 30,
    max_rate: float = 5.0,
    max_latency: float = 10.0,
    verify: ssl.SSLContext | bool = True,
    document: Path | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Report:
    """Check a service against the contract. Sends GET requests only.

    Args:
        endpoint: Base URL of the service.
        project_id: A project that the secret opens.
        op_id: An operation of the project.
        secret: The secret key; `None` where a certificate in `verify` takes its place.
        max_requests: The most requests to send.
        max_rate: The most requests per second.
        max_latency: Seconds within which each answer must have come.
        verify: `False`, or a context that the service's certificate is checked with.
        document: Another document than the one that is installed.
        sleep: Waits for seconds.

    Raises:
        ValueError: If an id is empty, or the secret cannot be sent.
        ModuleNotFoundError: If the extra `contract` is not installed.
    """
    if secret is not None and not (secret and secret.isascii() and secret.isprintable()):
        raise ValueError("the secret is empty, or has characters that a header cannot carry")
    if not op_id or not project_id:
        raise ValueError("the ids of the project and of the operation must not be empty")
    exchange = Exchange(
        endpoint,
        max_requests=max_requests,
        max_rate=max_rate,
        timeout=max_latency,
        verify=verify,
        sleep=sleep,
    )
    run = _Run(exchange, project_id, op_id, secret, max_latency, document)
    return run.report()


class _Run:
    """One run over one service."""

    def __init__(
        self,
        exchange: Exchange,
        project_id: str,
        op_id: str,
        secret: str | None,
        max_latency: float,
        document: Path | None,
    ) -> None:
        self.exchange = exchange
        self.project_id = project_id
        self.op_id = op_id
        self.secret = secret
        self.max_latency = max_latency
        self.redact = Redactor(secret)
        self.reads = reads(load_schema(document=document))
        self.found: dict[str, list[Problem]] = {name: [] for name in checks.TEXTS}
        self.made: set[str] = set()
        self.limit: str | None = None
        self.seen = False

    def report(self) -> Report:
        """Make the requests, and return what was found."""
        started = time.monotonic()
        try:
            self._requests()
        except LimitError as error:
            self.limit = str(error)
            if not self.seen:
                self._found("answers", [Breach(f"limit: {error}", "")])
        listed = [self._check(name, text) for name, text in checks.TEXTS.items()]
        seconds = time.monotonic() - started
        complete = self.limit is None
        return Report(
            self.exchange.endpoint, tuple(listed), self.exchange.sent, seconds, self.seen, complete
        )

    def _check(self, name: str, text: str) -> Check:
        problems = tuple(self.found[name])
        if problems:
            return Check(name, text, "failed", problems)
        if name in self.made:
            return Check(name, text, "passed")
        why = self.limit or ("no secret was given" if self.seen else "the operation was not seen")
        return Check(name, f"{text} ({why})", "skipped")

    def _requests(self) -> None:
        first = self._operation("the operation")
        if first is None:
            return
        if first.status != checks.OK:
            self._found("answers", [Breach(checks.reason(first), "")], first)
            return
        self.seen = True
        self.made.add("answers")
        again = self._operation("the operation again")
        if again is not None:
            self._found("repeat", checks.repeat(first, again), again)
        self._unknown()
        self._refusals()
        self._other_reads()

    def _operation(self, what: str) -> Asked | None:
        """Retrieve the operation, and check what only an answer with an operation can show."""
        asked = self._ask(what, OPERATION, self.op_id, self.secret)
        if asked is not None and asked.status == checks.OK:
            self._of_an_operation(asked, self.op_id)
        return asked

    def _of_an_operation(self, asked: Asked, op_id: str) -> None:
        self._found("identity", checks.identity(asked, op_id), asked)
        self._found("client", checks.client(asked, OPERATION), asked)
        body = checks.operation_of(asked)
        for name, check in checks.OF_AN_OPERATION.items():
            self._found(name, check(body or {}), asked)

    def _unknown(self) -> None:
        """Ask for operations that cannot be there, and for one that is nearly the one named."""
        near = self.op_id[:-1] + ("0" if self.op_id[-1] != "0" else "1")
        for op_id in (UNKNOWN, f"op_{uuid.uuid4()}", near):
            asked = self._ask(f"the unknown operation {op_id}", OPERATION, op_id, self.secret)
            if asked is None or asked.status == checks.NOT_FOUND:
                self.made |= {"unknown"} if asked else set()
                continue
            if op_id == near and asked.status == checks.OK:
                # It may be there after all; then it says so.
                self._of_an_operation(asked, op_id)
                continue
            self._found("unknown", [Breach(f"answered {asked.status}, not 404", "")], asked)

    def _refusals(self) -> None:
        """Ask without a secret, and with a wrong one."""
        if self.secret is None:
            return
        for name, secret in (("no-secret", None), ("wrong-secret", WRONG_SECRET)):
            asked = self._ask(f"the operation, {name}", OPERATION, self.op_id, secret)
            if asked is not None:
                refused = asked.status in checks.REFUSED
                problem = f"answered {asked.status}, not 401 or 403"
                self._found(name, [] if refused else [Breach(problem, "")], asked)

    def _other_reads(self) -> None:
        """Retrieve once whatever else the document lets callers read."""
        values = {"project_id": self.project_id, "op_id": self.op_id}
        for path, operation in self.reads.items():
            needed = [p for p in operation.iter_parameters() if p.is_required]
            names = {str(parameter.name) for parameter in needed}
            if path != OPERATION and names <= values.keys():
                self._ask(f"GET {path}", path, self.op_id, self.secret)

    def _ask(self, what: str, path: str, op_id: str, secret: str | None) -> Asked | None:
        """Retrieve a path, patiently; check what every answer must be. `None` without an answer.

        Raises:
            LimitError: If the service stays busy, or all requests have been made.
        """
        url = fill(path, {"project_id": self.project_id, "op_id": op_id})
        headers = {} if secret is None else {"Secret-Key": secret}
        for attempt in range(1, MAX_TRIES + 1):
            try:
                asked = self.exchange.get(what, url, headers)
            except NoAnswerError as error:
                name = "latency" if "within" in str(error) else "answers"
                message = f"{what}: {error}"
                self._found(name, [Breach(message, "")])
                if not self.seen and name != "answers":
                    self._found("answers", [Breach(message, "")])
                return None
            self._of_any_answer(asked, path)
            if asked.status not in BUSY:
                return asked
            if attempt == MAX_TRIES:
                raise LimitError(checks.reason(asked))
            delay = retry_after(asked.response)
            if delay is not None and delay > MAX_DELAY:
                raise LimitError(f"{asked.status}: the service asks to wait {delay:g} s")
            self.exchange.pause(BASE_DELAY * 2**attempt if delay is None else delay)
        return None

    def _of_any_answer(self, asked: Asked, path: str) -> None:
        found = breaches(self.reads[path], asked.response)
        is_error = asked.status >= checks.FIRST_ERROR
        bodies = [breach for breach in found if is_error and breach.of_body]
        self._found("document", [breach for breach in found if breach not in bodies], asked)
        if is_error:
            self._found("errors", bodies, asked)
        self._found("latency", checks.latency(asked, self.max_latency), asked)

    def _found(self, name: str, breaches: Iterable[Breach], asked: Asked | None = None) -> None:
        self.made.add(name)
        for problem, spot, _ in breaches:
            self.found[name].append(problem_of(self.redact, problem, spot, asked))
