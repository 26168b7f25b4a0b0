"""Bad input: an error that names the argument and the value, before any request."""

from __future__ import annotations

import math
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from nexus_operations import AsyncClient, Client, Fixed

from tests.conftest import PROJECT, SECRET, Driver

CLIENTS = [Client, AsyncClient]


@pytest.mark.parametrize(
    ("op_id", "error", "words"),
    [
        ("", ValueError, ["op_id", "''"]),
        ("  ", ValueError, ["op_id", "'  '"]),
        (".", ValueError, ["op_id", "'.'"]),
        ("..", ValueError, ["op_id", "'..'"]),
        ("op_1\n", ValueError, ["op_id", r"'op_1\n'"]),
        ("op_\ud800", ValueError, ["op_id", r"\ud800"]),
        ("x" * 513, ValueError, ["op_id", "512", "xxx"]),
        (None, TypeError, ["op_id", "None"]),
        (7, TypeError, ["op_id", "7"]),
        (b"op_1", TypeError, ["op_id", "b'op_1'"]),
    ],
)
@pytest.mark.parametrize("method", ["get", "wait_until_done", "watch"])
def test_operation_id(
    nexus: Driver, method: str, op_id: Any, error: type[Exception], words: list[str]
) -> None:
    with pytest.raises(error) as caught:
        nexus.call(method, op_id)
    assert all(word in str(caught.value) for word in words)
    assert nexus.service.request_count == 0


@pytest.mark.parametrize(
    ("argument", "value", "error", "shown"),
    [
        ("timeout", 0, ValueError, "0"),
        ("timeout", -1, ValueError, "-1"),
        ("timeout", True, TypeError, "True"),
        ("timeout", "10", TypeError, "'10'"),
        ("timeout", 1.5, TypeError, "1.5"),
        ("max_wait", -1, ValueError, "-1"),
        ("max_wait", timedelta(seconds=-1), ValueError, "timedelta"),
        ("max_wait", math.nan, ValueError, "nan"),
        ("max_wait", math.inf, ValueError, "inf"),
        ("max_wait", True, TypeError, "True"),
        ("max_wait", "1h", TypeError, "'1h'"),
        ("max_outage", -0.1, ValueError, "-0.1"),
        ("max_outage", "x" * 500, TypeError, "xxx"),
        ("raise_exception_if", "Erorred", ValueError, "looks like 'Errored'"),
        ("raise_exception_if", "Canceled", ValueError, "looks like 'Cancelled'"),
        ("raise_exception_if", "errored", ValueError, "'errored'"),
        ("raise_exception_if", "", ValueError, "''"),
        ("raise_exception_if", ["Errored", "Finish"], ValueError, "'Finish'"),
        ("raise_exception_if", ["Errored", 1], TypeError, "1"),
        ("raise_exception_if", 5, TypeError, "5"),
    ],
)
@pytest.mark.parametrize("method", ["wait_until_done", "watch"])
def test_bounds_and_statuses(
    nexus: Driver, method: str, argument: str, value: Any, error: type[Exception], shown: str
) -> None:
    with pytest.raises(error) as caught:
        nexus.call(method, nexus.service.start(), **{argument: value})
    assert argument in str(caught.value)
    assert shown in str(caught.value)
    assert len(str(caught.value)) < 250
    assert nexus.service.request_count == 0


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(
    ("secret", "error"),
    [
        (None, ValueError),
        ("", ValueError),
        (" ", ValueError),
        (f"{SECRET}\n", ValueError),
        (f"{SECRET}\r\nX-Other: 1", ValueError),
        (f" {SECRET}", ValueError),
        (f"{SECRET}é", ValueError),
        (f"{SECRET}\x00", ValueError),
        (SECRET.encode(), TypeError),
        (5, TypeError),
    ],
)
def test_a_bad_secret_is_not_shown(client: Any, secret: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="secret_key") as caught:
        client(secret)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(
    ("endpoint", "error"),
    [
        ("api.example.org", ValueError),
        ("", ValueError),
        ("ftp://example.org", ValueError),
        ("https://", ValueError),
        ("https://example.org:port", ValueError),
        ("https://example.org:0", ValueError),
        ("https://example.org/?a=1", ValueError),
        ("https://example.org/#top", ValueError),
        ("https://exa mple.org", ValueError),
        ("https://[::1", ValueError),
        ("https://example.org\n", ValueError),
        (7, TypeError),
    ],
)
def test_endpoint(client: Any, endpoint: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="endpoint") as caught:
        client(SECRET, endpoint=endpoint)
    assert repr(endpoint) in str(caught.value)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_password_in_the_endpoint_is_refused_and_not_shown(client: Any) -> None:
    with pytest.raises(ValueError, match="endpoint") as caught:
        client(SECRET, endpoint="https://me:hunter2@example.org")
    assert "hunter2" not in str(caught.value)


def test_a_bad_endpoint_of_the_environment_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATATURE_API_BASE_URL", "nonsense")
    with pytest.raises(ValueError, match="DATATURE_API_BASE_URL"):
        Client(SECRET)


def test_where_the_endpoint_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATATURE_API_BASE_URL", raising=False)
    assert Client(SECRET).endpoint == "https://api.datature.io"
    monkeypatch.setenv("DATATURE_API_BASE_URL", "http://127.0.0.1:1/base/")
    assert Client(SECRET).endpoint == "http://127.0.0.1:1/base"
    assert Client(SECRET, endpoint="http://127.0.0.1:2").endpoint == "http://127.0.0.1:2"


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("value", [0, -1, math.inf, "5", None, True])
def test_request_timeout(client: Any, value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="request_timeout"):
        client(SECRET, request_timeout=value)


def test_client_certificate_files(tmp_path: Path) -> None:
    present = tmp_path / "present.pem"
    present.touch()
    with pytest.raises(ValueError, match="mtls_private_key_file_path"):
        Client(mtls_certificate_file_path=present)
    with pytest.raises(ValueError, match="mtls_certificate_file_path"):
        Client(mtls_private_key_file_path=present)
    with pytest.raises(ValueError, match=r"mtls_certificate_file_path .*absent\.pem"):
        Client(None, tmp_path / "absent.pem", present)
    with pytest.raises(TypeError, match=r"mtls_private_key_file_path .*7"):
        Client(None, present, 7)  # type: ignore[arg-type]


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("project_id", ["", None, 5, "..", "a\tb"])
def test_project_id(client: Any, project_id: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="project_id"):
        client(SECRET).get_project(project_id)


@pytest.mark.parametrize("client", CLIENTS)
def test_the_projects_prefix_is_added_where_it_is_missing(client: Any) -> None:
    assert client(SECRET).get_project("b705a").id == "proj_b705a"
    assert client(SECRET).get_project("proj_b705a").id == "proj_b705a"
    assert repr(client(SECRET).get_project(PROJECT)).endswith(f"Project(id='{PROJECT}')")


@pytest.mark.parametrize("seconds", [0, -1, math.nan, "8"])
def test_a_fixed_schedule_of_no_time(seconds: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="seconds"):
        Fixed(seconds)
