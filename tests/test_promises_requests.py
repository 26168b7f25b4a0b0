"""One spelling on the wire: path, headers, no cookies, no credentials from elsewhere."""

from __future__ import annotations

import urllib.parse
from collections.abc import Callable
from pathlib import Path as File
from typing import Any

import pytest

from tests.conftest import PROJECT, SECRET
from tests.support.checks import each, ended, failed, within
from tests.support.clocks import client_of
from tests.support.names import Names
from tests.support.paths import (
    EVERY,
    Path,
    on_every_path,
    on_every_wait,
)
from tests.support.replies import good, trouble
from tests.support.server import Server, finished

Serve = Callable[..., Server]

ODD_IDS = [
    "op_1",
    "a/b",
    "../op_1",
    "..;",
    "..\\op_1",
    "a?b=c&d",
    "a#b",
    "a b",
    "a+b",
    "a%b",
    "%2e%2e",
    "%2F",
    "%",
    "a:b@c",
    "a;b=c",
    "a,b",
    "a'b\"c",
    "a!b*c(d)",
    "a~b",
    "a|b^c`d",
    "{a}[b]<c>",
    "http://elsewhere.example",
    "//elsewhere.example/x",
    "op_é",
    "op_完了",
    "op_\U0001f600",
    "...",
    "a" * 400,
]
UNRESERVED = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~%")


@on_every_path
def test_odd_ids_stay_in_their_segment(path: Path, serve: Serve) -> None:
    server = serve(lambda r: good(urllib.parse.unquote(r.target.rsplit("/", 1)[1])))
    bounds = {"timeout": 1} if path.waits else {}
    results = within(lambda: path.run(ODD_IDS, client_of(server), **bounds))
    targets = {request.op_id: request.target for request in server.requests}

    def check(op_id: str) -> None:
        ended(results[ODD_IDS.index(op_id)], op_id)
        prefix, _, last = targets[op_id].rpartition("/")
        assert prefix == f"/projects/{PROJECT}/operations"
        assert set(last) <= UNRESERVED
        assert last == urllib.parse.quote(op_id, safe="")

    each(ODD_IDS, check)


def test_the_head_of_a_request_is_the_same_on_every_path(serve: Serve) -> None:
    heads: dict[str, Any] = {}
    for path in EVERY:
        server = serve(finished)
        within(lambda path=path, server=server: path.one("op_1", client_of(server)))  # type: ignore[misc]
        lines = server.requests[0].raw.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:])
        assert headers.pop("host") == f"127.0.0.1:{server.port}"
        headers.pop("connection", None)  # the default of HTTP/1.1, said or not
        heads[str(path)] = (lines[0], headers)
    expected = next(iter(heads.values()))
    each(heads, lambda name: check_equal(heads[name], expected))
    line, headers = expected
    assert line == f"GET /projects/{PROJECT}/operations/op_1 HTTP/1.1"
    assert set(headers) == {"accept", "accept-encoding", "user-agent", "secret-key"}
    assert headers["secret-key"] == SECRET


def check_equal(value: object, expected: object) -> None:
    assert value == expected


@on_every_wait
def test_cookies_are_neither_kept_nor_sent(path: Path, serve: Serve) -> None:
    headers = {"Set-Cookie": "lb=sticky; Path=/; Domain=localhost"}
    server = serve(lambda r: good(r.op_id, "Finished" if r.nth > 3 else "Running", headers))
    url = server.url.replace("127.0.0.1", "localhost")
    ended(within(lambda: path.one("op_1", client_of(url))), "op_1")
    assert len(server.requests) == 4
    assert not [r for r in server.requests if r.header("Cookie") is not None]


@on_every_path
def test_credentials_of_a_netrc_stay_there(
    path: Path, serve: Serve, tmp_path: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "netrc"
    file.write_text(
        "machine 127.0.0.1 login me password foreign\ndefault login you password other\n"
    )
    file.chmod(0o600)
    (tmp_path / ".netrc").write_text(file.read_text())
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(file))
    monkeypatch.setenv("HOME", str(tmp_path))
    server = serve(finished)
    ended(within(lambda: path.one("op_1", client_of(server))), "op_1")
    assert server.requests[0].header("Authorization") is None


@on_every_path
@pytest.mark.parametrize("base", ["", "/", "/base", "/base/", "/a%20b/c", "/a%2Fb", "/é"])
def test_the_path_of_the_endpoint_is_kept(path: Path, serve: Serve, base: str) -> None:
    server = serve(finished)
    ended(within(lambda: path.one("op_1", client_of(server.url + base))), "op_1")
    kept = urllib.parse.quote(base.rstrip("/"), safe="/%")
    assert server.requests[0].target == f"{kept}/projects/{PROJECT}/operations/op_1"


@on_every_path
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(path: Path, serve: Serve, status: int) -> None:
    elsewhere = serve(finished)
    target = f"{elsewhere.url}/projects/{PROJECT}/operations/op_1"
    server = serve(lambda _: trouble(status, Location=target))
    error = failed(within(lambda: path.one("op_1", client_of(server))))
    assert error.status_code == status
    assert not elsewhere.requests


@on_every_path
def test_a_plain_proxy_is_used_and_gets_no_secret_of_its_own(
    path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = serve(finished)
    monkeypatch.setenv("HTTP_PROXY", f"http://me:word@127.0.0.1:{proxy.port}")
    ended(within(lambda: path.one("op_1", client_of("http://nexus.example"))), "op_1")
    (request,) = proxy.requests
    assert request.target == f"http://nexus.example/projects/{PROJECT}/operations/op_1"
    assert request.header("Host") == "nexus.example"
    assert request.header("Authorization") is None
    assert request.header("Proxy-Authorization") == "Basic bWU6d29yZA=="


@on_every_path
@pytest.mark.parametrize("value", ["127.0.0.1", "*", "localhost, 127.0.0.1", ".example,127.0.0.1"])
def test_no_proxy_is_heeded(
    path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    proxy, server = serve(finished), serve(finished)
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.setenv("NO_PROXY", value)
    ended(within(lambda: path.one("op_1", client_of(server))), "op_1")
    assert not proxy.requests


HOSTS = ["service", "Service.Example", "service.example.", "a-b.example", "xn--bcher-kva.example"]


@on_every_path
def test_hosts_by_name(path: Path, serve: Serve, names: Names) -> None:
    server = serve(finished)

    def check(host: str) -> None:
        for spelling in (host, host.lower()):
            names.add(spelling, "127.0.0.1")
        url = f"http://{host}:{server.port}"
        ended(within(lambda: path.one("op_1", client_of(url))), "op_1")
        assert server.requests[-1].header("Host") == f"{host.lower()}:{server.port}"

    each(HOSTS, check)


@on_every_path
def test_a_secret_with_odd_characters_arrives_as_it_is(path: Path, serve: Serve) -> None:
    secret = "a b:c,d;e=f\"g'h\\i~{}|%41"
    server = serve(finished)
    ended(within(lambda: path.one("op_1", client_of(server, secret_key=secret))), "op_1")
    assert server.requests[0].header("Secret-Key") == secret
