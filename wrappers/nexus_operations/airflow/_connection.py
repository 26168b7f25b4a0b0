"""What a connection of the type `nexus` says, in whichever of Airflow's spellings it is written."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class ConnectionSettings:
    """The service, the project and the credentials that a connection names.

    Attributes:
        secret: The secret key; it shows in no `repr`.
        endpoint: The service's base URL, or `None` for the library's default.
        project_id: The project where a task names none.
        max_rate: Requests per second, at most, of each process.
        max_concurrency: Requests in flight, at most, of each process.
        certificate: The path of a client certificate (PEM).
        private_key: The path of its private key (PEM).
    """

    secret: str | None = field(repr=False)
    endpoint: str | None
    project_id: str | None
    max_rate: float | None = None
    max_concurrency: int | None = None
    certificate: str | None = None
    private_key: str | None = None

    @classmethod
    def from_connection(cls, connection: Any) -> ConnectionSettings:
        """Read an Airflow connection; an empty field is `None`.

        Raises:
            ValueError: If a field cannot be understood; the message says what to write.
        """
        extra = _extra(connection.extra)
        return cls(
            secret=connection.password or None,
            endpoint=_endpoint(connection.host, connection.port, connection.schema),
            project_id=connection.login or None,
            max_rate=_number(extra, "max_rate", float, "requests per second"),
            max_concurrency=_number(extra, "max_concurrency", int, "a count of requests"),
            certificate=extra.get("certificate") or None,
            private_key=extra.get("private_key") or None,
        )

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of `Client` and `AsyncClient`."""
        return {
            "secret_key": self.secret,
            "endpoint": self.endpoint,
            "mtls_certificate_file_path": self.certificate,
            "mtls_private_key_file_path": self.private_key,
            "max_rate": self.max_rate,
            "max_concurrency": self.max_concurrency,
        }

    def project(self, wanted: str | None) -> str:
        """Return the project that a task names, or the connection's.

        Raises:
            ValueError: If there is neither.
        """
        project_id = wanted or self.project_id
        if not project_id:
            raise ValueError("project_id must be given, or be the connection's login, not None")
        return project_id


@contextlib.contextmanager
def blaming(conn_id: str) -> Iterator[None]:
    """Name the connection in each complaint about what it says."""
    try:
        yield
    except (ValueError, TypeError) as error:
        raise ValueError(f"connection {conn_id!r}: {error}") from None


def _endpoint(host: str | None, port: int | None, schema: str | None) -> str | None:
    """Return the base URL: `host` may be a URL or a bare name, `schema` may be its scheme.

    A path has to be part of a URL in `host`: after a bare name Airflow hands it over as `schema`.
    """
    host, schema = (host or "").strip(), (schema or "").strip("/ ")
    if schema.lower() not in ("", "http", "https"):
        raise ValueError(
            f"schema must be http or https, not {schema!r}; write a base URL with a path as the"
            " host (in a URI, quoted: nexus://project:secret@https%3A%2F%2Fhost%2Fpath)"
        )
    if not host:
        if port or schema:
            raise ValueError("a port or a schema needs a host: write the base URL as the host")
        return None
    if "://" not in host:
        if host.count(":") > 1 and not host.startswith("["):
            host = f"[{host}]"  # an IPv6 address: Airflow strips the brackets from a URI's
        host = f"{schema.lower() or 'https'}://{host}"
    parts = urlsplit(host)
    if schema and parts.scheme != schema.lower():
        raise ValueError(f"the host's scheme is {parts.scheme}, but schema says {schema}")
    if not port or parts.port == port:
        return host
    if parts.port is not None:
        raise ValueError(f"the host's port is {parts.port}, but port says {port}")
    return parts._replace(netloc=f"{parts.netloc}:{port}").geturl()


def _extra(text: str | None) -> dict[str, Any]:
    """Return the decoded `extra`. Airflow's own decoding blocks a triggerer to mask secrets."""
    try:
        extra = json.loads(text) if text else {}
    except ValueError:
        raise ValueError("extra must be a JSON object (its value is not shown)") from None
    if not isinstance(extra, dict):
        raise ValueError("extra must be a JSON object (its value is not shown)")
    return extra


def _number(extra: dict[str, Any], name: str, kind: type[Any], meaning: str) -> Any:
    """Return a number of `extra`; a URI gives text, and an empty form field is none."""
    value = extra.get(name)
    if value is None or value == "":
        return None
    try:
        number = kind(value)
    except (TypeError, ValueError):
        number = None
    if number is None or isinstance(value, bool) or number != float(value) or number <= 0:
        raise ValueError(f"{name} must be {meaning}, more than 0, not {value!r}")
    return number
