"""Each row of docs/vendor.md, against answers as the service gives them."""

from __future__ import annotations

import enum
import json
import logging
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import nexus_operations
import pytest
from nexus_operations import Client, OperationFailedError, Project

PAGE = (Path(__file__).parent.parent / "docs/vendor.md").read_text()
UUID = "d52ab4e6-7760-4d12-9c43-7fc1b8ce1616"
LINK = f"users/api|{UUID}/projects/5aa41e8ba/operations/nexus.annotations.export/{UUID}"
ANSWER = {
    "id": f"op_{UUID}",
    "object": "operation",
    "kind": "nexus.assets.upload",
    "status": {
        "overview": "Finished",
        "message": "Operation finished",
        "progress": {
            "unit": "asset",
            "withStatus": {"Queued": 0, "Running": 0, "Finished": 1, "Cancelled": 0, "Errored": 0},
        },
        "payload": "Number of files imported: 1",
    },
    "createDate": 1701927649302,
    "updateDate": 1701927649302,
}


class Overview(enum.Enum):
    """As the vendor's enum: its members are no strings."""

    ERRORED = "Errored"


class Recorded:
    """A service that gives recorded answers, and keeps the requests."""

    def __init__(self, overview: str = "Finished") -> None:
        self.requests: list[httpx.Request] = []
        self.answer = json.loads(json.dumps(ANSWER))
        self.answer["status"]["overview"] = overview

    def project(self, *args: Any, **options: Any) -> Project:
        transport = httpx.MockTransport(self._respond)
        client = Client(*(args or ("5aa41e8ba........",)), transport=transport, **options)
        return client.get_project("proj_b705a........")

    def _respond(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return httpx.Response(200, json=self.answer)


ROWS: dict[str, Callable[..., None]] = {}


def row(start: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register the test of the row whose first cell begins so."""

    def register(test: Callable[..., None]) -> Callable[..., None]:
        ROWS[start] = test
        return test

    return register


@row('`operation["status"]["overview"]`')
def _(service: Recorded) -> None:
    operation = service.project().operations.get(ANSWER["id"])
    assert operation["status"]["overview"] == operation.get("status").overview == "Finished"
    assert operation["createDate"] == operation["create_date"] == 1701927649302


@row("`raise_exception_if=OperationStatusOverview.ERRORED`")
def _(_: Recorded) -> None:
    operations = Recorded("Errored").project().operations
    with pytest.raises(OperationFailedError):
        operations.wait_until_done(ANSWER["id"], raise_exception_if=Overview.ERRORED)  # type: ignore[arg-type]


@row('`"users/api\\|')
def _(service: Recorded) -> None:
    operations = service.project().operations
    assert operations.get(LINK).id == ANSWER["id"]
    assert operations.wait_until_done(LINK) is not None
    assert all(each.url.path.endswith(f"/operations/op_{UUID}") for each in service.requests)


@row("`project.project_id`")
def _(service: Recorded) -> None:
    project = service.project()
    assert project.project_id == project.id == "proj_b705a........"


@row("`print(operation)`")
def _(service: Recorded) -> None:
    lines = str(service.project().operations.get(ANSWER["id"])).splitlines()
    assert lines[:2] == ["Operation(", f"    id='op_{UUID}',"]
    assert "    status=OperationStatus(" in lines


@row("`Client(secret, certificate, key, endpoint)`")
def _(service: Recorded) -> None:
    service.project("secret", None, None, "https://nexus.example.test").operations.get(ANSWER["id"])
    (request,) = service.requests
    assert request.headers["secret-key"] == "secret"
    assert request.url.host == "nexus.example.test"


@row("`DATATURE_API_BASE_URL`")
def _(service: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATATURE_API_BASE_URL", "https://nexus.example.test/below/")
    service.project().operations.get(ANSWER["id"])
    assert service.requests[0].url.path.startswith("/below/projects/")


@row("`timeout=60`")
def _(service: Recorded, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "nexus_operations"):
        operations = service.project().operations
        for _ in range(2):
            operations.wait_until_done(ANSWER["id"], timeout=60)
        operations.wait_until_done(ANSWER["id"], max_wait=60)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 1
    assert "max_wait=60" in said[0]


@row("`timeout=0`")
def _(service: Recorded) -> None:
    with pytest.raises(ValueError, match=r"get\(\)"):
        service.project().operations.wait_until_done(ANSWER["id"], timeout=0)
    assert service.project().operations.wait_until_done(ANSWER["id"], timeout=1) is not None


@row("`except datature.nexus.error.BadRequestError`")
def _(_: Recorded) -> None:
    names = "BadRequest Unauthorized Forbidden NotFound TooManyRequests InternalServer"
    names += " NetworkConnection RequestTimeout"
    for name in names.split():
        assert issubclass(getattr(nexus_operations, f"{name}Error"), nexus_operations.NexusError)


@row('`operation["colour"]`')
def _(service: Recorded) -> None:
    operation = service.project().operations.get(ANSWER["id"])
    with pytest.raises(KeyError):
        operation["colour"]
    assert operation.get("colour") is None


@row("`REQUESTS_CA_BUNDLE`")
def _(_: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(**options: Any) -> None:
        url = "https://127.0.0.1:9"  # nothing listens there: certificates are read before
        with Client("secret", endpoint=url, request_timeout=1, **options) as client:
            client.get_project("p").operations.get("op_1x")

    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, "/nonexistent.pem")
    with pytest.raises(nexus_operations.NetworkConnectionError):
        connect()
    with pytest.raises(ValueError, match=r"verify must name certificates.*/nonexistent\.pem"):
        connect(verify="/nonexistent.pem")
    monkeypatch.setenv("SSL_CERT_FILE", "/nonexistent.pem")
    with pytest.raises(ValueError, match=r"SSL_CERT_FILE must name certificates"):
        connect()


@row("a private key with a pass phrase")
def _(_: Recorded, tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the key")
    command = "openssl req -x509 -newkey rsa:2048 -keyout key -out certificate -subj /CN=x"
    command += " -passout pass:phrase"
    subprocess.run(command.split(), cwd=tmp_path, check=True, capture_output=True)
    files = (str(tmp_path / "certificate"), str(tmp_path / "key"))
    with pytest.raises(ValueError, match="mtls_private_key_file_path must not be encrypted"):
        Client(None, *files, endpoint="https://127.0.0.1:9").get_project("p").operations.get(
            "op_1x"
        )


def first_cells() -> list[str]:
    """Return the first cells of the two tables of code."""
    part = PAGE.partition("## What works as before")[2].partition("## What differs")[0]
    cells = re.findall(r"^\| (.+?) \| ", part, re.MULTILINE)
    return [cell for cell in cells if cell not in ("in your code", "---")]


def test_every_row_is_tested() -> None:
    cells = first_cells()
    assert len(cells) == len(ROWS)
    assert all(any(cell.startswith(start) for cell in cells) for start in ROWS)


@pytest.mark.parametrize("start", list(ROWS))
def test_a_row_is_true(
    start: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    test = ROWS[start]
    names = test.__code__.co_varnames[1 : test.__code__.co_argcount]
    known = {"monkeypatch": monkeypatch, "caplog": caplog, "tmp_path": tmp_path}
    test(Recorded(), **{name: known[name] for name in names})


def test_both_packages_in_one_environment() -> None:
    """The names of the modules differ, so that neither hides the other."""
    assert nexus_operations.__name__ != "datature"
    assert not (Path(nexus_operations.__file__).parent.parent / "datature").exists()
