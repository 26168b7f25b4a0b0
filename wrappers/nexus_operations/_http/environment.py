"""Which way requests go: proxies and certificates of the environment and of the arguments.

What cannot be used is a `ValueError` that names the variable or the argument.
"""

from __future__ import annotations

import base64
import contextlib
import ipaddress
import os
import ssl
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

from ._httpx import httpx

PORTS = {"http": 80, "https": 443}

Verify = ssl.SSLContext | str | Path | None
"""Whom to trust: as a context has it, those in a PEM file, or as the environment says."""


@dataclass(frozen=True)
class Place:
    """A host that is connected to.

    Attributes:
        tls: How it is spoken to, if by https.
    """

    scheme: str
    host: str
    port: int
    tls: ssl.SSLContext | None = field(repr=False)

    def authority(self, *, always_port: bool = False) -> str:
        """Return host and port as in a URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}" if always_port or self.port != PORTS[self.scheme] else host


@dataclass(frozen=True)
class Proxy(Place):
    """A proxy.

    Attributes:
        headers: The headers that are for it alone.
    """

    headers: list[tuple[bytes, bytes]] = field(repr=False)

    @property
    def name(self) -> str:
        """Its URL, without credentials."""
        return f"{self.scheme}://{self.authority(always_port=True)}"


@dataclass(frozen=True)
class Route(Place):
    """The way to the endpoint."""

    proxy: Proxy | None


def find_route(
    url: httpx.URL, certificate: tuple[str, str] | None = None, verify: Verify = None
) -> Route:
    """Return the way to an endpoint, with a client certificate (a file) and its key (a file).

    Raises:
        ValueError: For a variable or an argument that cannot be used.
    """
    host, port = url.raw_host.decode("ascii"), url.port or PORTS[url.scheme]
    tls = _context(verify, certificate) if url.scheme == "https" else None
    return Route(url.scheme, host, port, tls, _find_proxy(url.scheme, host, port, verify))


def _find_proxy(scheme: str, host: str, port: int, verify: Verify) -> Proxy | None:
    proxies = urllib.request.getproxies()
    key = scheme if proxies.get(scheme) else "all"
    value = proxies.get(key)
    if not value or is_direct(host, port, proxies.get("no", "")):
        return None
    if "://" not in value:
        value = f"http://{value}"
    names = [name for name in os.environ if name.lower() == f"{key}_proxy"]
    variable = min(names, key=str.isupper, default="the system's proxy")
    kind, _, rest = value.partition("://")
    credentials, at, place = rest.rpartition("@")
    try:
        parts = urlsplit(f"{kind}://{place}")
        usual_port = PORTS[parts.scheme]
        own_port = parts.port or usual_port
        if not (parts.hostname or "").isascii() or not parts.hostname:
            raise ValueError
    except (ValueError, KeyError):
        raise ValueError(
            f"{variable} must be the URL of an http or https proxy,"
            f" not {kind + '://' + ('***@' if at else '') + place!r}; for others, SOCKS among them,"
            " give the client a transport"
        ) from None
    authorization = b"Basic " + base64.b64encode(unquote_to_bytes(credentials))
    return Proxy(
        parts.scheme,
        parts.hostname,
        own_port,
        _context(verify) if parts.scheme == "https" else None,
        [(b"Proxy-Authorization", authorization)] if at else [],
    )


def is_direct(host: str, port: int, exceptions: str) -> bool:
    """Return whether `NO_PROXY` names a host: by name, domain, address or network."""
    host = host.lower().rstrip(".")
    for entry in exceptions.lower().replace("[", "").replace("]", "").split(","):
        name = entry.strip().rpartition("://")[2]
        with contextlib.suppress(ValueError):
            if ipaddress.ip_address(host) in ipaddress.ip_network(name, strict=False):
                return True
        domain = name.removesuffix(f":{port}").lstrip("*").strip(".")
        if name == "*" or (domain and f".{host}".endswith(f".{domain}")):
            return True
    return False


def _context(verify: Verify, certificate: tuple[str, str] | None = None) -> ssl.SSLContext:
    """Return how TLS is spoken: whom to trust, and who we are."""
    context = verify if isinstance(verify, ssl.SSLContext) else _trusting(verify)
    if certificate is None:
        return context

    def refuse() -> str:
        raise ValueError(f"mtls_private_key_file_path must not be encrypted: {certificate[1]!r}")

    try:
        context.load_cert_chain(*certificate, password=refuse)
    except OSError as error:
        raise ValueError(
            "mtls_certificate_file_path and mtls_private_key_file_path must be a certificate and"
            f" its key (PEM), not {certificate[0]!r} and {certificate[1]!r}"
            f" ({error.strerror or error})"
        ) from None
    return context


def _trusting(verify: str | Path | None) -> ssl.SSLContext:
    names = {"verify": verify, **{n: os.environ.get(n) for n in ("SSL_CERT_FILE", "SSL_CERT_DIR")}}
    name, value = next(((n, str(v)) for n, v in names.items() if v), ("", ""))
    try:
        if not name:
            context = httpx.create_ssl_context(trust_env=False)
        elif name == "SSL_CERT_DIR":
            if not any(Path(folder).is_dir() for folder in value.split(os.pathsep)):
                raise OSError("no such folder")
            context = ssl.create_default_context(capath=value)
        else:
            context = ssl.create_default_context(cafile=value)
    except OSError as error:
        raise ValueError(
            f"{name} must name certificates (PEM), not {value!r} ({error.strerror or error})"
        ) from None
    context.set_alpn_protocols(["http/1.1"])
    return context
