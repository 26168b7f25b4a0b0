"""The environment: what cannot be used is named in a clear error; what can be used is."""

from __future__ import annotations

import os
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path as File
from typing import Any

import pytest
import trustme
from nexus_operations import AsyncClient, Client, NexusError

from tests.conftest import SECRET
from tests.support.checks import each, ended, failed, hides_secret, within
from tests.support.clocks import client_of
from tests.support.names import Names
from tests.support.paths import Path, on_every_path
from tests.support.server import Server, finished

Serve = Callable[..., Server]


def clear(path: Path, url: str, *words: str, **client: Any) -> None:
    """Check that a call works, or is refused in words that name what is wrong."""
    bounds = {"timeout": 1} if path.waits else {}
    options = client_of(url, request_timeout=5, **client)
    try:
        result = within(lambda: path.one("op_1", options, **bounds))
    except (ValueError, TypeError) as error:
        result = error
    assert isinstance(result, (ValueError, TypeError, NexusError)), result
    assert type(result).__module__.startswith(("builtins", "nexus_operations")), repr(result)
    text = str(result)
    assert any(word in text for word in words), text
    assert len(text) < 600
    hides_secret(result)


NO_PROXIES = [
    "localhost,[::1]",
    "fe80::/10,127.0.0.1",
    "::1,127.0.0.1",
    "127.0.0.0/8",
    "http://127.0.0.1",
    "127.0.0.1:*",
    ",,127.0.0.1,,",
    "[,],*.example,127.0.0.1",
    "127.0.0.1 localhost",
    "\u00e9.example,127.0.0.1",
]


@on_every_path
def test_no_proxy_of_every_kind(path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a proxy it is never looked at; none keeps a client from working."""
    server = serve(finished)

    def check(value: str) -> None:
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.setenv(name, value)
            ended(within(lambda: path.one("op_1", client_of(server))), "op_1")
            monkeypatch.delenv(name)

    each(NO_PROXIES, check)


PROXIES = {
    "SOCKS": "socks5://127.0.0.1:1080",
    "SOCKS by name": "socks5h://user:pass@127.0.0.1:1080",
    "another scheme": "ftp://127.0.0.1:1080",
    "no host": "http://",
    "no port that is one": "http://127.0.0.1:99999",
    "a port in words": "http://127.0.0.1:x",
    "half an IPv6": "http://[::1",
    "a blank in it": "http://127.0.0.1 :1080",
}


@pytest.mark.parametrize("variable", ["ALL_PROXY", "HTTPS_PROXY", "https_proxy"])
@on_every_path
def test_proxies_that_cannot_be_used(
    path: Path, plain_environment: None, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    def check(row: str) -> None:
        monkeypatch.setenv(variable, PROXIES[row])
        words = (variable, variable.lower(), variable.upper(), "proxy")
        clear(path, "https://nexus.example", *words)
        monkeypatch.delenv(variable)

    each(PROXIES, check)


@on_every_path
def test_a_proxy_without_a_scheme(
    path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = serve(finished)
    monkeypatch.setenv("HTTP_PROXY", f"127.0.0.1:{proxy.port}")
    ended(within(lambda: path.one("op_1", client_of("http://nexus.example"))), "op_1")
    assert len(proxy.requests) == 1


@on_every_path
def test_a_proxy_by_name(
    path: Path, serve: Serve, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy's name is looked up; the service's is the proxy's to look up."""
    proxy = serve(finished)
    names.add("proxy.example", "127.0.0.1")
    names.fail("nexus.example")
    monkeypatch.setenv("HTTP_PROXY", f"http://proxy.example:{proxy.port}")
    ended(within(lambda: path.one("op_1", client_of("http://nexus.example"))), "op_1")
    assert "nexus.example" not in names.asked


@on_every_path
def test_empty_variables_are_none(
    path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(finished)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, "")
    ended(within(lambda: path.one("op_1", client_of(server))), "op_1")


@on_every_path
def test_a_cgi_script_has_no_proxy(
    path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There `HTTP_PROXY` is a header of the visitor's request."""
    server, proxy = serve(finished), serve(finished)
    monkeypatch.setenv("REQUEST_METHOD", "GET")
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    ended(within(lambda: path.one("op_1", client_of(server))), "op_1")
    assert not proxy.requests


@on_every_path
def test_authorities_that_cannot_be_used(
    path: Path, plain_environment: None, tmp_path: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty, garbage, binary = (tmp_path / name for name in ("empty", "garbage", "binary"))
    empty.write_bytes(b"")
    garbage.write_text("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")
    binary.write_bytes(os.urandom(100))
    files = {
        "not there": tmp_path / "absent.pem",
        "a folder": tmp_path,
        "empty": empty,
        "garbage": garbage,
        "binary": binary,
    }

    def check(row: str) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(files[row]))
        clear(path, "https://127.0.0.1:9", "SSL_CERT_FILE", str(files[row]))

    each(files, check)


@on_every_path
def test_a_folder_of_authorities(
    path: Path,
    serve: Serve,
    authority: trustme.CA,
    server_tls: ssl.SSLContext,
    tmp_path: File,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As `openssl rehash` leaves it; one that holds none trusts nobody."""
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    done = subprocess.run(
        ["openssl", "x509", "-hash", "-noout", "-in", str(tmp_path / "authority.pem")],
        capture_output=True,
        text=True,
        check=True,
    )
    (tmp_path / "authority.pem").rename(tmp_path / f"{done.stdout.strip()}.0")
    monkeypatch.delenv("SSL_CERT_FILE")
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    server = serve(finished, tls=server_tls)
    ended(within(lambda: path.one("op_1", client_of(server))), "op_1")
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.setenv("SSL_CERT_DIR", str(other))
    assert not failed(within(lambda: path.one("op_1", client_of(server)))).transient


@on_every_path
def test_client_certificates_that_cannot_be_used(
    path: Path, plain_environment: None, tmp_path: File
) -> None:
    """Each is named, and nothing asks for a password."""
    one, another = trustme.CA().issue_cert("a@b.example"), trustme.CA().issue_cert("c@d.example")
    good, key, foreign = (tmp_path / name for name in ("good.pem", "key.pem", "foreign.pem"))
    one.cert_chain_pems[0].write_to_path(str(good))
    one.private_key_pem.write_to_path(str(key))
    another.private_key_pem.write_to_path(str(foreign))
    text, empty, locked = (tmp_path / name for name in ("text.pem", "empty.pem", "locked.pem"))
    text.write_text("no PEM\n")
    empty.write_text("")
    locked.write_text(LOCKED)
    pairs: dict[str, tuple[File, File]] = {
        "a certificate that is none": (text, key),
        "an empty certificate": (empty, key),
        "a key for a certificate": (key, key),
        "a key that is none": (good, text),
        "an empty key": (good, empty),
        "a certificate for a key": (good, good),
        "another's key": (good, foreign),
        "a key with a password": (good, locked),
        "not there": (tmp_path / "absent.pem", key),
        "a folder": (tmp_path, key),
    }

    def check(row: str) -> None:
        certificate, private = pairs[row]
        clear(
            path,
            "https://127.0.0.1:9",
            "mtls_",
            mtls_certificate_file_path=certificate,
            mtls_private_key_file_path=private,
        )

    each(pairs, check)


LOCKED = """\
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIH0MF8GCSqGSIb3DQEFDTBSMDEGCSqGSIb3DQEFDDAkBBB/Ql8yN0DnEJvGIVzc
AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
-----END ENCRYPTED PRIVATE KEY-----
"""


@on_every_path
def test_a_client_certificate_that_is_accepted(
    path: Path, serve: Serve, server_tls: ssl.SSLContext, authority: trustme.CA, tmp_path: File
) -> None:
    """With the secret and without it."""
    server_tls.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(server_tls)
    mine = authority.issue_cert("me@example.com")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    mine.cert_chain_pems[0].write_to_path(str(certificate))
    mine.private_key_pem.write_to_path(str(key))
    server = serve(finished, tls=server_tls)
    for secret in (SECRET, None):
        client = client_of(
            server,
            secret_key=secret,
            mtls_certificate_file_path=str(certificate),
            mtls_private_key_file_path=key,
        )
        ended(within(lambda client=client: path.one("op_1", client)), "op_1")  # type: ignore[misc]
        assert server.requests[-1].header("Secret-Key") == secret


@pytest.mark.parametrize("client", [Client, AsyncClient])
def test_the_endpoint_of_the_environment(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATATURE_API_BASE_URL", "https://nexus.example/base/")
    assert client(SECRET).endpoint == "https://nexus.example/base"
    assert client(SECRET, endpoint="http://other.example").endpoint == "http://other.example"
    monkeypatch.setenv("DATATURE_API_BASE_URL", "")
    assert client(SECRET).endpoint == "https://api.datature.io"
    monkeypatch.delenv("DATATURE_API_BASE_URL")
    assert client(SECRET).endpoint == "https://api.datature.io"
