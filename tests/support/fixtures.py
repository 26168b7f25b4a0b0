"""Fixtures of the table of cases."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.support.names import BlackHole, Names
from tests.support.server import Reaction, Request, Server

VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "DATATURE_API_BASE_URL", "NETRC", "SSLKEYLOGFILE")


@pytest.fixture
def plain_environment(trusted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the machine's proxies and certificates (to load all of these takes 20 ms a client)."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name in VARIABLES:
            monkeypatch.delenv(name)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))


@pytest.fixture
def serve(plain_environment: None) -> Iterator[Callable[..., Server]]:
    """Return a function that starts a scripted server."""
    servers: list[Server] = []

    def start(answer: Callable[[Request], Reaction], **options: Any) -> Server:
        servers.append(Server(answer, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def names(plain_environment: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    """Return host names to script."""
    names = Names()
    monkeypatch.setattr(socket, "getaddrinfo", names)
    yield names
    names.let_go.set()


@pytest.fixture
def black_hole(plain_environment: None) -> Iterator[Callable[..., BlackHole]]:
    """Return a function that makes an address which swallows connections."""
    holes: list[BlackHole] = []

    def dig(*args: Any) -> BlackHole:
        holes.append(BlackHole(*args))
        return holes[-1]

    yield dig
    for hole in holes:
        hole.close()


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """Return a certificate authority for tests."""
    return trustme.CA()


@pytest.fixture(scope="session")
def trusted(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file with the certificate of the authority."""
    path = tmp_path_factory.mktemp("authority") / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


@pytest.fixture
def server_tls(authority: trustme.CA, plain_environment: None) -> ssl.SSLContext:
    """Return a TLS context to serve 127.0.0.1 and localhost with, which clients trust."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    return context
