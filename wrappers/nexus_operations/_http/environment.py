"""Which way requests go: proxies and certificates of the environment and of the arguments.

What cannot be used is a `ValueError` that names the variable or the argument.
"""

from __future__ import annotations

import base64
import ipaddress
import os
import ssl
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, unquote_to_bytes, urlsplit

from ._httpx import httpx

PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True)
class Proxy:
    """A proxy.

    Attributes:
        name: Its URL without credentials.
        credentials: User name and password.
        tls: How it is spoken to, if its own URL is https.
    """

    name: str
    host: str
    port: int
    is_socks: bool
    credentials: tuple[bytes, bytes] | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """The headers that are for the proxy alone."""
        if self.credentials is None:
            return []
        return [(b"Proxy-Authorization", b"Basic " + base64.b64encode(b":".join(self.credentials)))]


@dataclass(frozen=True)
class Route:
    """The way to the endpoint.

    Attributes:
        tls: How the endpoint is spoken to, if it is https.
    """

    scheme: str
    host: str
    port: int
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    proxy: Proxy | None = None

    def authority(self, *, always_port: bool = False) -> str:
        """Return host and port as in a URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        if self.port == PORTS[self.scheme] and not always_port:
            return host
        return f"{host}:{self.port}"


def find_route(
    endpoint: str,
    certificate: tuple[str, str] | None = None,
    verify: ssl.SSLContext | str | Path | None = None,
) -> Route:
    """Return the way to an endpoint.

    Args:
        endpoint: Its base URL.
        certificate: The files of a client certificate and its key.
        verify: Whom to trust: a context, a file of certificates, or as the environment says.

    Raises:
        ValueError: For a variable or an argument that cannot be used.
    """
    url = httpx.URL(endpoint)
    host, port = url.raw_host.decode("ascii"), url.port or PORTS[url.scheme]
    tls = _context(verify, certificate) if url.scheme == "https" else None
    return Route(url.scheme, host, port, tls, _find_proxy(url.scheme, host, port, verify))


def _find_proxy(
    scheme: str, host: str, port: int, verify: ssl.SSLContext | str | Path | None
) -> Proxy | None:
    proxies = urllib.request.getproxies()
    key = scheme if proxies.get(scheme) else "all"
    value = proxies.get(key)
    if not value or is_direct(host, port, proxies.get("no", "")):
        return None
    names = [name for name in os.environ if name.lower() == f"{key}_proxy"]
    variable = min(names, key=str.isupper, default="the system's settings")
    if "://" not in value:
        value = f"http://{value}"
    credentials, at, rest = value.partition("://")[2].rpartition("@")
    shown = f"{value.partition('://')[0]}://{'***@' if at else ''}{rest}"
    parts = _proxy_parts(value)
    if parts is None or parts.hostname is None:
        known = ", ".join(PORTS)
        raise ValueError(f"{variable} must be the URL of a proxy ({known}), not {shown!r}")
    port = parts.port or PORTS[parts.scheme]
    bracketed = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    user, _, password = credentials.partition(":")
    return Proxy(
        name=f"{parts.scheme}://{bracketed}:{port}",
        host=parts.hostname,
        port=port,
        is_socks=parts.scheme.startswith("socks"),
        credentials=(unquote_to_bytes(user), unquote_to_bytes(password)) if at else None,
        tls=_context(verify, None) if parts.scheme == "https" else None,
    )


def _proxy_parts(value: str) -> SplitResult | None:
    """Return the parts of a proxy's URL, or `None` where it cannot be used."""
    try:
        parts = urlsplit(value)
        usable = parts.scheme in PORTS and parts.port != 0 and str(parts.hostname).isascii()
    except ValueError:
        return None
    return parts if usable else None


def is_direct(host: str, port: int, exceptions: str) -> bool:
    """Return whether `NO_PROXY` names a host: by name, domain, address or network."""
    host = host.lower().rstrip(".")
    address = _address(host)
    for entry in exceptions.lower().split(","):
        name = entry.strip().partition("://")[2] or entry.strip()
        if name == "*":
            return True
        head, colon, tail = name.rpartition(":")
        if colon and tail.isdigit() and (":" not in head or head.endswith("]")):
            if int(tail) != port:
                continue
            name = head
        try:
            network = ipaddress.ip_network(name.replace("[", "").replace("]", ""), strict=False)
        except ValueError:
            domain = name.lstrip("*").strip(".")
            if domain and (host == domain or host.endswith(f".{domain}")):
                return True
        else:
            if address is not None and address in network:
                return True
    return False


def _address(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _context(
    verify: ssl.SSLContext | str | Path | None, certificate: tuple[str, str] | None
) -> ssl.SSLContext:
    """Return how TLS is spoken: whom to trust, and who we are."""
    if isinstance(verify, ssl.SSLContext):
        context = verify
    else:
        context = _trusting(verify)
        context.set_alpn_protocols(["http/1.1"])
    if certificate is not None:
        _load_certificate(context, *certificate)
    return context


def _trusting(verify: str | Path | None) -> ssl.SSLContext:
    file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    name, value = "SSL_CERT_FILE", file
    if verify is not None:
        name, value = "verify", str(verify)
    elif folder and not file:
        if not any(Path(each).is_dir() for each in folder.split(os.pathsep)):
            raise ValueError(f"SSL_CERT_DIR must be a folder of certificates, not {folder!r}")
        return ssl.create_default_context(capath=folder)
    if not value:
        return httpx.create_ssl_context(trust_env=False)
    try:
        if verify is not None and Path(value).is_dir():
            return ssl.create_default_context(capath=value)
        return ssl.create_default_context(cafile=value)
    except OSError as error:
        reason = error.strerror or error
        raise ValueError(
            f"{name} must be a file of certificates (PEM), not {value!r} ({reason})"
        ) from None


def _load_certificate(context: ssl.SSLContext, certificate: str, key: str) -> None:
    def refuse() -> str:
        raise ValueError(f"mtls_private_key_file_path must not be encrypted: {key!r}")

    try:
        context.load_cert_chain(certificate, key, password=refuse)
    except OSError as error:
        reason = error.strerror or error
        raise ValueError(
            "mtls_certificate_file_path and mtls_private_key_file_path must be a certificate and"
            f" its key (PEM), not {certificate!r} and {key!r} ({reason})"
        ) from None
