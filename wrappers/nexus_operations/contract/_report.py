"""What a run found: for people, as JSON lines, and as JUnit XML. The secret is in none of them."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote
from xml.etree import ElementTree

if TYPE_CHECKING:
    from ._exchange import Asked

Outcome = Literal["passed", "failed", "skipped"]
HIDDEN = "[secret]"
MAX_SHOWN = 2000
WORDS = {"passed": "ok  ", "failed": "FAIL", "skipped": "skip"}


class Redactor:
    """Hides a secret, however it is written."""

    def __init__(self, secret: str | None) -> None:
        found: set[str] = set()
        if secret:
            found = {secret, quote(secret, safe=""), json.dumps(secret)[1:-1]}
        found |= {html.escape(text) for text in found}
        # The longest first: one may be part of another.
        self._written = sorted(found, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """Return text without the secret, and with what is not printable escaped."""
        for written in self._written:
            text = text.replace(written, HIDDEN)
        return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


@dataclass(frozen=True)
class Problem:
    """One fault: what it is, where in the body, and the request that brought it."""

    problem: str
    spot: str = ""
    request: str | None = None
    request_headers: Mapping[str, str] = field(default_factory=dict[str, str])
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: str | None = None
    seconds: float | None = None

    def lines(self) -> Iterator[str]:
        """Yield it for people."""
        where = f"{self.spot}: " if self.spot else ""
        yield f"{where}{self.problem}"
        if self.request is None:
            return
        yield self.request
        yield from (f"  {name}: {value}" for name, value in self.request_headers.items())
        if self.status is not None:
            yield f"{self.status} in {self.seconds:.3f} s"
            yield from (f"  {name}: {value}" for name, value in self.headers.items())
            yield f"  {self.body}"


@dataclass(frozen=True)
class Check:
    """One check and what came of it."""

    name: str
    text: str
    outcome: Outcome
    problems: tuple[Problem, ...] = ()

    def lines(self) -> Iterator[str]:
        """Yield it for people: one line, and the first of its problems."""
        more = f" ({len(self.problems)} times)" if len(self.problems) > 1 else ""
        yield f"{WORDS[self.outcome]}  {self.name}: {self.text}{more}"
        if self.problems:
            yield from (f"      {line}" for line in self.problems[0].lines())


@dataclass(frozen=True)
class Report:
    """Everything that a run found.

    Attributes:
        endpoint: The service.
        requests: How many requests were sent.
        seconds: How long it took.
        seen: Whether the operation was retrieved at least once.
        complete: Whether all checks were made.
    """

    endpoint: str
    checks: tuple[Check, ...]
    requests: int
    seconds: float
    seen: bool
    complete: bool

    @property
    def passed(self) -> bool:
        """Whether the service keeps the contract, as far as it was checked."""
        return self.seen and not any(check.outcome == "failed" for check in self.checks)

    @property
    def exit_code(self) -> int:
        """0 kept, 1 broken, 4 nothing seen, or not all checked."""
        failed = {check.name for check in self.checks if check.outcome == "failed"}
        if failed - {"answers"}:
            return 1
        return 0 if self.passed and self.complete else 4

    def lines(self) -> Iterator[str]:
        """Yield it for people."""
        for check in self.checks:
            yield from check.lines()
        count = sum(check.outcome == "failed" for check in self.checks)
        yield (
            f"{len(self.checks)} checks, {count} failed, {self.requests} requests,"
            f" {self.seconds:.1f} s"
        )

    def json_lines(self) -> Iterator[str]:
        """Yield a JSON object a check, and one for the run."""
        for check in self.checks:
            problems = [vars(problem) for problem in check.problems]
            yield json.dumps({"event": "check", **vars(check), "problems": problems})
        yield json.dumps(
            {
                "event": "summary",
                "endpoint": self.endpoint,
                "passed": self.exit_code == 0,
                "exit_code": self.exit_code,
                "requests": self.requests,
                "seconds": round(self.seconds, 3),
            }
        )

    def junit(self) -> str:
        """Return it as JUnit XML."""
        totals: dict[str, Any] = {
            "name": "nexus-operations contract",
            "tests": len(self.checks),
            "failures": sum(check.outcome == "failed" for check in self.checks),
            "skipped": sum(check.outcome == "skipped" for check in self.checks),
            "errors": 0,
            "time": f"{self.seconds:.3f}",
        }
        attributes = {key: str(value) for key, value in totals.items()}
        root = ElementTree.Element("testsuites", attributes)
        suite = ElementTree.SubElement(root, "testsuite", attributes)
        for check in self.checks:
            case = ElementTree.SubElement(
                suite, "testcase", {"classname": "contract", "name": check.name, "time": "0"}
            )
            if check.outcome != "passed":
                kind = "failure" if check.outcome == "failed" else "skipped"
                message = check.problems[0].problem if check.problems else check.text
                found = ElementTree.SubElement(case, kind, {"message": message})
                shown = ["\n".join(problem.lines()) for problem in check.problems]
                found.text = "\n\n".join(shown)
        return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def problem_of(
    redact: Redactor, problem: str, spot: str = "", asked: Asked | None = None
) -> Problem:
    """Return a problem with the exchange that brought it, nothing secret in it."""
    if asked is None:
        return Problem(redact(problem), redact(spot))
    body = redact(asked.response.text)
    return Problem(
        redact(problem),
        redact(spot),
        redact(f"GET {asked.url}"),
        {name: redact(value) for name, value in asked.headers.items()},
        asked.status,
        {name: redact(value) for name, value in asked.response.headers.items()},
        body if len(body) <= MAX_SHOWN else f"{body[:MAX_SHOWN]}… ({len(body)} characters)",
        round(asked.seconds, 3),
    )
