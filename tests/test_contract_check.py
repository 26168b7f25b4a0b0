"""`nexus-operations contract`: good services pass, and each way to break the contract is found."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from nexus_operations.contract import Report, check_service, document_path

from tests.contract_service import (
    OP,
    OPERATION,
    PROJECT,
    SECRET,
    Reply,
    Server,
    Service,
    error,
    replace,
    reply,
    serving,
)

MAX_LATENCY = 0.6
PATIENCE = 20.0
"""Seconds of latency that a busy machine never needs."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


def check(server: Server, service: Service, op_id: str = OP, **options: Any) -> Report:
    """Check a service; whatever comes of it, only GET was sent and the secret is not shown."""
    server.service = service
    slept: list[float] = []
    bounds = {"max_rate": 1000.0, "max_latency": PATIENCE, "sleep": slept.append, **options}
    report = check_service(server.endpoint, PROJECT, op_id, SECRET, **bounds)
    assert {method for method, _, _ in service.requests} <= {"GET"}
    assert len(service.requests) <= 30
    assert len(service.requests) == report.requests
    shown = "\n".join([*report.lines(), *report.json_lines(), report.junit()])
    assert SECRET not in shown
    return report


def failed(report: Report) -> set[str]:
    return {check.name for check in report.checks if check.outcome == "failed"}


def counts(**found: int) -> Callable[[Any], None]:
    return lambda body: body["status"]["progress"]["withStatus"].update(found)


def status(overview: Any, **found: int) -> Callable[[Any], None]:
    def edit(body: Any) -> None:
        body["status"]["overview"] = overview
        counts(Finished=0)(body)
        counts(**found)(body)

    return edit


def content(body: bytes, **headers: str) -> Callable[[Reply], Reply]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda found: replace(found, body=body, headers={**found.headers, **named})


def without_type(found: Reply, *_: Any) -> Reply:
    return replace(found, headers={})


def always(found: Reply) -> Callable[[Reply, int], Reply]:
    return lambda *_: found


def raw(text: bytes) -> Callable[[Reply], Reply]:
    return lambda found: replace(found, raw=text)


def in_turn(*edits: Callable[[Any], object]) -> Service:
    """Return a service whose operation changes from answer to answer."""
    left = list(edits)
    return Service(body=lambda body: left.pop(0)(body) if left else None)


def any_id(found: Reply, op_id: str) -> Reply:
    return reply(200, {**OPERATION, "id": op_id})


TEXT = json.dumps(OPERATION).encode()
PAGE = b"<html><body>Welcome</body></html>"
BROKEN: dict[str, tuple[Service, set[str]]] = {
    "a count of another type": (Service(body=counts(Queued="many")), {"document", "client"}),
    "a count that is true": (Service(body=counts(Queued=True)), {"document", "client"}),
    "a fraction of a unit": (Service(body=counts(Finished=1.5)), {"document", "client"}),
    "a negative count": (Service(body=counts(Errored=-1)), {"document", "client"}),
    "a count beyond 64 bits": (Service(body=counts(Finished=2**63)), {"client"}),
    "a missing count": (
        Service(body=lambda b: b["status"]["progress"]["withStatus"].pop("Queued")),
        {"document", "client"},
    ),
    "a missing date": (Service(body=lambda b: b.pop("createDate")), {"document", "client"}),
    "no status": (Service(body=lambda b: b.pop("status")), {"document", "client"}),
    "no message": (
        Service(body=lambda b: b["status"].update(message=None)),
        {"document", "client"},
    ),
    "an empty status": (Service(body=status("")), {"document", "client"}),
    "keys in another spelling": (
        Service(body=lambda b: b.update(update_date=b.pop("updateDate"))),
        {"document", "client"},
    ),
    "another id": (Service(body=lambda b: b.update(id="op_1")), {"identity"}),
    "an id in upper case": (Service(body=lambda b: b.update(id=OP.upper())), {"identity"}),
    "dates in seconds": (
        Service(body=lambda b: b.update(createDate=1701927649, updateDate=1701927650)),
        {"milliseconds"},
    ),
    "dates in microseconds": (
        Service(body=lambda b: b.update(updateDate=1701927649302000)),
        {"milliseconds"},
    ),
    "a date of zero": (Service(body=lambda b: b.update(createDate=0)), {"milliseconds"}),
    "a date as text": (
        Service(body=lambda b: b.update(createDate="2023-12-07T05:40:49Z")),
        {"document", "client"},
    ),
    "a date beyond 64 bits": (
        Service(body=lambda b: b.update(updateDate=2**64)),
        {"milliseconds", "client"},
    ),
    "changed before it was created": (
        Service(body=lambda b: b.update(updateDate=1701927649301)),
        {"dates"},
    ),
    "finished and running": (Service(body=counts(Running=3)), {"counts"}),
    "finished and nothing is": (Service(body=status("Finished", Errored=1)), {"counts"}),
    "queued and partly done": (Service(body=status("Queued", Queued=1, Finished=4)), {"counts"}),
    "cancelled and running": (Service(body=status("Cancelled", Running=1)), {"counts"}),
    "created anew each time": (in_turn(lambda b: b.update(createDate=1701927649301)), {"repeat"}),
    "back in time": (in_turn(lambda b: b.update(updateDate=1701927649999)), {"repeat"}),
    "running after its end": (in_turn(lambda b: None, status("Running", Running=1)), {"repeat"}),
    "of another kind each time": (in_turn(lambda b: b.update(kind="other")), {"repeat"}),
    "a bottomless list": (
        Service(found=content(b'{"id":' + b"[" * 5000)),
        {"document", "client"},
    ),
    "an unheard-of status": (Service(every=always(error(599))), {"answers", "document"}),
    "a list": (Service(found=content(b"[]")), {"document", "client"}),
    "null": (Service(found=content(b"null")), {"document", "client"}),
    "no body": (Service(found=content(b"")), {"document", "client"}),
    "half of a body": (Service(found=content(TEXT[:80])), {"document", "client"}),
    "more than a body": (Service(found=content(TEXT + b"{}")), {"document", "client"}),
    "not a number": (
        Service(found=content(TEXT.replace(b"1701927649302", b"NaN"))),
        {"document", "client"},
    ),
    "no UTF-8": (
        Service(found=content(TEXT.replace(b"export", b"\xff\xfe"))),
        {"document", "client"},
    ),
    "a page": (Service(found=content(PAGE, Content_Type="text/html")), {"document", "client"}),
    "a page that says it is JSON": (Service(found=content(PAGE)), {"document", "client"}),
    "no content type": (Service(found=without_type), {"document"}),
    "another content type": (Service(found=content(TEXT, Content_Type="text/plain")), {"document"}),
    "an undocumented success": (
        Service(found=lambda r: replace(r, status=201)),
        {"answers", "document"},
    ),
    "no content": (Service(found=lambda r: Reply(204, b"", {})), {"answers", "document"}),
    "an undocumented error": (Service(every=always(error(418))), {"answers", "document"}),
    "a redirect": (
        Service(found=lambda r: error(302, Location="https://example.org/")),
        {"answers", "document"},
    ),
    "a redirect for good": (
        Service(every=always(error(308, Location="/elsewhere"))),
        {"answers", "document"},
    ),
    "always 401": (Service(every=always(error(401))), {"answers"}),
    "always 403": (Service(every=always(error(403))), {"answers"}),
    "always 404": (Service(every=always(error(404))), {"answers"}),
    "always 429": (Service(every=always(error(429, Retry_After="1"))), {"answers"}),
    "always 500": (Service(every=always(error(500))), {"answers"}),
    "always 502, as a page": (
        Service(every=always(Reply(502, PAGE, {"Content-Type": "text/html"}))),
        {"answers"},
    ),
    "always 503": (Service(every=always(error(503))), {"answers"}),
    "to be left alone for an hour": (
        Service(every=always(error(429, Retry_After="3600"))),
        {"answers"},
    ),
    "busy, without saying so": (
        Service(every=lambda r, n: reply(429, {}) if n == 2 else r),
        {"errors"},
    ),
    "busy, for an empty time": (
        Service(every=lambda r, n: error(429, Retry_After="") if n == 2 else r),
        {"document"},
    ),
    "an unknown operation is there": (Service(unknown=any_id), {"unknown"}),
    "an unknown operation is another": (
        Service(unknown=lambda *_: reply(200, OPERATION)),
        {"unknown", "identity"},
    ),
    "an unknown operation is refused": (Service(unknown=lambda *_: error(401)), {"unknown"}),
    "an unknown operation is a failure": (Service(unknown=lambda *_: error(500)), {"unknown"}),
    "an unknown operation is a page": (
        Service(unknown=lambda r, _: content(PAGE, Content_Type="text/html")(r)),
        {"document"},
    ),
    "errors of another form": (
        Service(unknown=lambda *_: reply(404, {"error": "none"})),
        {"errors"},
    ),
    "errors without a body": (Service(unknown=lambda r, _: content(b"")(r)), {"errors"}),
    "errors without a content type": (Service(unknown=without_type), {"document"}),
    "no secret is needed": (
        Service(refused=lambda r, secret: r if secret else reply(200, OPERATION)),
        {"no-secret"},
    ),
    "any secret will do": (
        Service(refused=lambda r, secret: reply(200, OPERATION) if secret else r),
        {"wrong-secret"},
    ),
    "secrets are ignored": (
        Service(refused=lambda *_: reply(200, OPERATION)),
        {"no-secret", "wrong-secret"},
    ),
    "a wrong secret finds nothing": (
        Service(refused=lambda *_: error(404)),
        {"no-secret", "wrong-secret"},
    ),
    "refused without a word": (Service(refused=lambda r, _: content(b"")(r)), {"errors"}),
    "slow to begin": (
        Service(found=lambda r: replace(r, pauses=(MAX_LATENCY + 0.2, 0))),
        {"latency"},
    ),
    "slow to end": (
        Service(found=lambda r: replace(r, pauses=(0, MAX_LATENCY + 0.2))),
        {"latency"},
    ),
    "slow to refuse": (
        Service(refused=lambda r, _: replace(r, pauses=(MAX_LATENCY + 0.2, 0))),
        {"latency"},
    ),
    "a body that is cut off": (
        Service(
            found=raw(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n"
                + TEXT
            )
        ),
        {"answers"},
    ),
    "a connection that is closed": (Service(found=raw(b"")), {"answers"}),
    "no HTTP": (Service(found=raw(b"SSH-2.0-OpenSSH\r\n")), {"answers"}),
    "no gzip, though it says so": (
        Service(found=content(TEXT, Content_Encoding="gzip")),
        {"answers"},
    ),
    "a body without an end": (Service(found=content(b" " * 9_000_000)), {"answers"}),
}


@pytest.mark.parametrize(("service", "names"), BROKEN.values(), ids=BROKEN)
def test_a_broken_service_is_found_out(server: Server, service: Service, names: set[str]) -> None:
    report = check(server, service, max_latency=MAX_LATENCY if "latency" in names else PATIENCE)
    assert not report.passed
    assert report.exit_code in (1, 4)
    assert names <= failed(report), "\n".join(report.lines())
    assert failed(report) <= names | {"answers", "repeat", "unknown"}, "\n".join(report.lines())
    first = next(check for check in report.checks if check.outcome == "failed")
    assert first.problems


def later(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


def chunked(found: Reply) -> Reply:
    pieces = [found.body[i : i + 7] for i in range(0, len(found.body), 7)]
    body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    return replace(found, body=body, headers={**found.headers, "Transfer-Encoding": "chunked"})


def zipped(found: Reply) -> Reply:
    return content(gzip.compress(found.body), Content_Encoding="gzip")(found)


GOOD: dict[str, Service] = {
    "plain": Service(),
    "more keys": Service(
        body=lambda b: (b.update(owner={"a": [1]}), b["status"].update(more=None))
    ),
    "an unknown status": Service(body=status("Paused", Queued=3)),
    "queued": Service(body=status("Queued", Queued=3)),
    "running": Service(body=status("Running", Queued=3, Running=1, Finished=9)),
    "errored halfway": Service(body=status("Errored", Finished=9, Errored=2)),
    "finished without units": Service(body=status("Finished")),
    "busy once": Service(every=lambda r, n: error(429, Retry_After="1") if n == 2 else r),
    "busy once, until a date": Service(
        every=lambda r, n: error(429, Retry_After=later(2)) if n == 1 else r
    ),
    "down for a while": Service(
        every=lambda r, n: Reply(503, PAGE, {"Content-Type": "text/html"}) if n in (3, 4) else r
    ),
    "integers written as 1.0": Service(
        found=content(TEXT.replace(b": 0", b": 0.0").replace(b": 1}", b": 1.0}"))
    ),
    "in chunks": Service(found=chunked, unknown=lambda r, _: chunked(r)),
    "in gzip": Service(found=zipped),
    "slow, within the bound": Service(found=lambda r: replace(r, pauses=(0.1, 0.1))),
    "a content type with its charset": Service(
        found=content(TEXT, Content_Type="application/json; charset=utf-8")
    ),
    "refused with 403": Service(refused=lambda *_: error(403)),
    "the next operation is there, too": Service(
        unknown=lambda r, op: any_id(r, op) if op == f"{OP[:-1]}0" else r
    ),
}


@pytest.mark.parametrize("service", GOOD.values(), ids=GOOD)
def test_a_good_service_passes(server: Server, service: Service) -> None:
    report = check(server, service)
    assert report.exit_code == 0, "\n".join(report.lines())
    assert {check.outcome for check in report.checks} == {"passed"}


def test_it_waits_as_long_as_it_is_asked_to(server: Server) -> None:
    slept: list[float] = []
    busy = Service(every=lambda r, n: error(429, Retry_After="7") if n == 1 else r)
    assert check(server, busy, sleep=slept.append).exit_code == 0
    assert 7.0 in slept


def test_why_nothing_was_seen_is_said(server: Server) -> None:
    for code, words in ((401, "secret"), (403, "project"), (404, "no such"), (429, "limits")):
        report = check(server, Service(every=always(error(code))))
        assert report.exit_code == 4
        (problem,) = next(check for check in report.checks if check.name == "answers").problems
        assert words in problem.problem
    closed = check_service("http://127.0.0.1:1", PROJECT, OP, SECRET, max_latency=2)
    assert closed.exit_code == 4
    assert "ConnectError" in "\n".join(closed.lines())


def test_the_bound_of_requests_is_kept_and_said(server: Server) -> None:
    service = Service()
    report = check(server, service, max_requests=3)
    assert len(service.requests) == 3
    assert report.exit_code == 4
    assert "the limit of 3 requests is reached" in "\n".join(report.lines())


def test_the_rate_is_kept(server: Server) -> None:
    started = time.monotonic()
    assert check(server, Service(), max_rate=20.0, sleep=time.sleep).exit_code == 0
    assert time.monotonic() - started >= 6 / 20


def test_a_failure_shows_the_request_the_answer_and_the_spot(server: Server) -> None:
    report = check(server, Service(body=counts(Queued="many")))
    shown = "\n".join(report.lines())
    assert f"GET {server.endpoint}/projects/{PROJECT}/operations/{OP}" in shown
    assert "Secret-Key: [secret]" in shown
    assert '"Queued": "many"' in shown
    assert "$.status.progress.withStatus.Queued: Response violates schema" in shown
    escaped = check(server, Service(found=content(b"\x1b[31m{", Content_Type="text/plain")))
    assert "\\x1b[31m{" in "\n".join(escaped.lines())


def test_whatever_the_document_grows_to_is_read_and_never_written(
    server: Server, tmp_path: Path
) -> None:
    document = yaml.safe_load(document_path().read_text())
    path = "/projects/{project_id}/operations/{op_id}"
    reading = document["paths"][path]["get"]
    for method in ("post", "put", "patch", "delete"):
        document["paths"][path][method] = {**reading, "operationId": f"{method}Operation"}
    more = {**reading, "operationId": "getLog"}
    document["paths"][f"{path}/log"] = {"get": more, "delete": {**more, "operationId": "dropLog"}}
    document["paths"][f"{path}/parts/{{part}}"] = {
        "get": {
            **more,
            "operationId": "getPart",
            "parameters": [
                *reading["parameters"],
                {"name": "part", "in": "path", "required": True, "schema": {"type": "string"}},
            ],
        }
    }
    grown = tmp_path / "grown.yaml"
    grown.write_text(yaml.safe_dump(document))
    service = Service()
    assert check(server, service, document=grown).exit_code == 0
    paths = [path for _, path, _ in service.requests]
    assert f"/projects/{PROJECT}/operations/{OP}/log" in paths
    assert not any("parts" in path for path in paths)


def test_ids_cannot_lead_elsewhere(server: Server) -> None:
    service = Service()
    check(server, service, op_id="../x?a=b#c")
    assert service.requests[0][1] == f"/projects/{PROJECT}/operations/..%2Fx%3Fa%3Db%23c"
    for empty in ({"project_id": ""}, {"op_id": ""}, {"secret": ""}, {"secret": "a\nb"}):
        names = {"project_id": PROJECT, "op_id": OP, "secret": SECRET, **empty}
        with pytest.raises(ValueError, match=r"must not be empty|cannot carry") as caught:
            check_service(server.endpoint, **names)
        assert "a\nb" not in str(caught.value)


def test_without_a_secret_a_certificate_is_enough(server: Server) -> None:
    server.service = Service(refused=lambda *_: reply(200, OPERATION))
    report = check_service(server.endpoint, PROJECT, OP, None, max_rate=1000)
    skipped = {check.name for check in report.checks if check.outcome == "skipped"}
    assert {"no-secret", "wrong-secret"} <= skipped
    assert "unknown" in failed(report)  # this one opens to everybody


COMMAND = [sys.executable, "-m", "nexus_operations.cli", "contract"]


def run(server: Server, *arguments: str, secret: str | None = SECRET) -> tuple[int, str]:
    """Run the command; return its exit code and all that it printed."""
    environment = {**os.environ, "NO_COLOR": "1", "NEXUS_PROJECT": PROJECT}
    environment |= {"DATATURE_API_BASE_URL": server.endpoint}
    environment |= {"NEXUS_SECRET": secret} if secret else {}
    done = subprocess.run(
        [*COMMAND, "--max-rate", "1000", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert SECRET not in done.stdout + done.stderr
    return done.returncode, done.stdout + done.stderr


def test_the_command(server: Server, tmp_path: Path) -> None:
    server.service = Service()
    code, printed = run(server, OP)
    assert code == 0, printed
    assert "ok    unknown: an unknown operation is answered 404" in printed
    assert "13 checks, 0 failed, 7 requests" in printed

    server.service = Service(body=counts(Errored=-1))
    junit = tmp_path / "found.xml"
    code, printed = run(server, "--json", "--junit", str(junit), OP)
    assert code == 1
    *found, summary = map(json.loads, printed.splitlines())
    assert [line["event"] for line in found] == ["check"] * 13
    assert {line["name"] for line in found if line["outcome"] == "failed"} == {"document", "client"}
    assert (summary["event"], summary["exit_code"], summary["passed"]) == ("summary", 1, False)
    suite = ElementTree.parse(junit).getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("13", "2")
    assert len(suite.findall("testsuite/testcase/failure")) == 2
    assert SECRET not in junit.read_text()

    server.service = Service(every=always(error(404)))
    code, printed = run(server, f"https://nexus.example/operations/export/{OP[3:]}")
    assert code == 4
    assert server.service.requests[0][1].endswith(OP)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        [""],
        ["--max-requests", "0", OP],
        ["--max-latency", "none", OP],
        ["--max-latency", "x", OP],
    ],
)
def test_usage(server: Server, arguments: list[str]) -> None:
    server.service = Service()
    assert run(server, *arguments)[0] == 2
    assert server.service.requests == []


def test_the_secret_must_be_there_and_can_come_from_a_file(server: Server, tmp_path: Path) -> None:
    server.service = Service()
    code, printed = run(server, OP, secret=None)
    assert code == 2
    assert "NEXUS_SECRET" in printed
    assert server.service.requests == []
    file = tmp_path / "secret"
    file.write_text(f"{SECRET}\n")
    assert run(server, "--secret-file", str(file), OP, secret=None)[0] == 0
