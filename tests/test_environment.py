"""Proxies and certificates: which way requests go, and what is said where one cannot be used."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from nexus_operations._http import environment
from nexus_operations._http.environment import Route, is_direct
from nexus_operations._http.exchange import Settings

HTTPS = "https://api.example.test"
VARIABLES = ("http", "https", "all", "no")


def find_route(endpoint: str, *args: Any, **options: Any) -> Route:
    return environment.find_route(httpx.URL(endpoint), *args, **options)


@pytest.mark.parametrize("endpoint", ["http://a..b\u00fc", "http://x" + "y" * 70000])
def test_an_endpoint_that_is_no_url(endpoint: str) -> None:
    with pytest.raises(ValueError, match=r"^endpoint must be a URL, not 'http://"):
        Settings(endpoint)


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower() in {f"{each}_proxy" for each in VARIABLES} | {
            "ssl_cert_file",
            "ssl_cert_dir",
        }:
            monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("host", "exceptions", "direct"),
    [
        ("api.example.test", "", False),
        ("api.example.test", "*", True),
        ("api.example.test", "example.test", True),
        ("api.example.test", ".example.test", True),
        ("api.example.test", "*.example.test", True),
        ("api.example.test", " other , API.example.test", True),
        ("api.example.test.", "api.example.test", True),
        ("myexample.test", "example.test", False),
        ("example.test", "api.example.test", False),
        ("api.example.test", "example.test:443", True),
        ("api.example.test", "example.test:80", False),
        ("api.example.test", "https://example.test", True),
        ("api.example.test", ",,", False),
        ("127.0.0.1", "fe80::/10,127.0.0.1", True),
        ("127.0.0.1", "127.0.0.0/8", True),
        ("127.0.0.1", "127.0.0.1:443", True),
        ("10.1.2.3", "10.0.0.0/16", False),
        ("::1", "localhost,[::1]", True),
        ("::1", "::1", True),
        ("fe80::7", "[fe80::]/10", True),
        ("::1", "[::1]:443", True),
        ("::2", "[::1]", False),
        ("api.example.test", "10.0.0.0/99,[,]", False),
    ],
)
def test_what_goes_past_the_proxy(host: str, exceptions: str, direct: bool) -> None:
    assert is_direct(host, 443, exceptions) is direct


def test_the_proxy_of_the_scheme_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_route("http://api.example.test").proxy is None
    monkeypatch.setenv("ALL_PROXY", "http://everything.test:1")
    monkeypatch.setenv("HTTPS_PROXY", "https.test:3128")
    for endpoint, name in (
        (HTTPS, "http://https.test:3128"),
        ("http://x.test", "http://everything.test:1"),
    ):
        proxy = find_route(endpoint).proxy
        assert proxy is not None
        assert proxy.name == name
        assert proxy.headers == []
    monkeypatch.setenv("NO_PROXY", "example.test")
    assert find_route(HTTPS).proxy is None


def test_the_proxys_credentials_show_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "https://user:p%40ss@[::1]:8443")
    proxy = find_route(HTTPS).proxy
    assert proxy is not None
    assert (proxy.name, proxy.host, proxy.port) == ("https://[::1]:8443", "::1", 8443)
    assert proxy.headers == [(b"Proxy-Authorization", b"Basic dXNlcjpwQHNz")]
    assert isinstance(proxy.tls, ssl.SSLContext)
    assert "dXNlcjpwQHNz" not in repr(proxy)
    assert "p%40ss" not in repr(proxy)


@pytest.mark.parametrize(
    "value",
    [
        "socks5://127.0.0.1:1080",
        "ftp://x",
        "http://",
        "http://x:port",
        "http://x:99999",
        "http://ü",
    ],
)
def test_a_proxy_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    scheme, _, place = value.partition("://")
    monkeypatch.setenv("ALL_PROXY", f"{scheme}://user:hidden@{place}")
    with pytest.raises(
        ValueError, match=r"^ALL_PROXY must be the URL of an http or https"
    ) as caught:
        find_route(HTTPS)
    assert "hidden" not in str(caught.value)
    assert f"{scheme}://***@{place}" in str(caught.value)


def test_a_lower_case_variable_is_named_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "gopher://x")
    with pytest.raises(ValueError, match=r"^https_proxy must be"):
        find_route(HTTPS)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    authority, other = trustme.CA(), trustme.CA()
    client = authority.issue_cert("someone@example.org")
    files = {
        name: tmp_path / name for name in ("authority", "client", "key", "other", "text", "locked")
    }
    authority.cert_pem.write_to_path(str(files["authority"]))
    client.cert_chain_pems[0].write_to_path(str(files["client"]))
    client.private_key_pem.write_to_path(str(files["key"]))
    other.issue_cert("else@example.org").private_key_pem.write_to_path(str(files["other"]))
    files["text"].write_text("no PEM\n")
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(files["key"].read_bytes(), None)
    files["locked"].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"word"),
        )
    )
    return files


@pytest.mark.parametrize("name", ["verify", "SSL_CERT_FILE", "SSL_CERT_DIR"])
@pytest.mark.parametrize("what", ["text", "absent"])
def test_authorities_that_cannot_be_used(
    monkeypatch: pytest.MonkeyPatch, files: dict[str, Path], name: str, what: str
) -> None:
    path = files["text"] if what == "text" else files["text"].with_name("absent")
    options = {"verify": path} if name == "verify" else {}
    if not options:
        monkeypatch.setenv(name, str(path))
    with pytest.raises(ValueError, match=rf"^{name} must name certificates \(PEM\)") as caught:
        find_route(HTTPS, **options)  # type: ignore[arg-type]
    assert str(path) in str(caught.value)
    assert find_route("http://api.example.test", **options).tls is None  # type: ignore[arg-type]


def test_whom_to_trust(monkeypatch: pytest.MonkeyPatch, files: dict[str, Path]) -> None:
    def count(verify: object = None) -> int:
        tls = find_route(HTTPS, verify=verify).tls  # type: ignore[arg-type]
        assert tls is not None
        assert tls.verify_mode is ssl.CERT_REQUIRED
        assert tls.check_hostname
        return len(tls.get_ca_certs())

    assert count() > 20
    assert count(files["authority"]) == 1
    monkeypatch.setenv("SSL_CERT_DIR", str(files["authority"].parent))
    assert count() == 0
    monkeypatch.setenv("SSL_CERT_FILE", str(files["authority"]))
    assert count() == 1
    own = ssl.create_default_context()
    assert find_route(HTTPS, verify=own).tls is own


@pytest.mark.parametrize(
    ("certificate", "key"),
    [("text", "key"), ("client", "text"), ("client", "other"), ("client", "absent")],
)
def test_a_client_certificate_that_cannot_be_used(
    files: dict[str, Path], certificate: str, key: str
) -> None:
    folder = files["text"].parent
    pair = (str(folder / certificate), str(folder / key))
    with pytest.raises(ValueError, match=r"^mtls_certificate_file_path and mtls_priv") as caught:
        find_route(HTTPS, pair)
    assert all(path in str(caught.value) for path in pair)


def test_an_encrypted_key_prompts_for_nothing(files: dict[str, Path]) -> None:
    pair = (str(files["client"]), str(files["locked"]))
    with pytest.raises(ValueError, match="mtls_private_key_file_path must not be encrypted"):
        find_route(HTTPS, pair)
    assert find_route(HTTPS, (str(files["client"]), str(files["key"]))).tls is not None
