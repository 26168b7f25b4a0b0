"""The document, its schemathesis schema, and one response compared with it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import nexus_operations_api

if TYPE_CHECKING:
    import httpx

# Requests as the document allows them: no methods that it does not have, no fields made wrong.
CONFIG = {
    "generation": {"mode": "positive", "max-examples": 20},
    "phases": {"coverage": {"enabled": False}, "stateful": {"enabled": False}},
}
BRACES = re.compile(r"\{([^{}]*)\}")
MISSING = "contract tests need the extra `contract`: pip install 'nexus-operations[contract]'"


class ContractError(AssertionError):
    """A response that breaks the contract; the message says where."""


class Breach(NamedTuple):
    """One way in which a response breaks the document."""

    problem: str
    spot: str
    of_body: bool = False


class ContractSchema(Protocol):
    """A schema of schemathesis, as far as it is typed; `app` is what answers in this process."""

    app: Any

    def parametrize(self) -> Callable[[Callable[..., None]], Callable[..., None]]:
        """Make a test of requests to every operation."""
        ...

    def __getitem__(self, path: str) -> Any:
        """Return the operations of a path."""

    def __getattr__(self, name: str) -> Any:
        """Return whatever else schemathesis offers."""


def document_path() -> Path:
    """Return the path of the OpenAPI document that the client was generated from.

    Raises:
        FileNotFoundError: If the installation lacks it.
    """
    if not nexus_operations_api.DOCUMENT.is_file():
        raise FileNotFoundError(f"the contract is not installed: {nexus_operations_api.DOCUMENT}")
    return nexus_operations_api.DOCUMENT


def load_schema(
    base_url: str | None = None, *, app: Any = None, document: Path | None = None
) -> ContractSchema:
    """Return the contract as a schemathesis schema.

    Args:
        base_url: Where requests go, such as a stub or a gateway.
        app: An ASGI or WSGI application that answers them in this process instead.
        document: Another document than the one that is installed.

    Raises:
        ModuleNotFoundError: If the extra `contract` is not installed.
    """
    try:
        openapi = _part("openapi")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(MISSING, name=error.name) from None
    config = _part("config").SchemathesisConfig.from_dict(CONFIG)
    schema = openapi.from_path(str(document or document_path()), config=config)
    if base_url is not None:
        schema.config.update(base_url=base_url)
    if app is not None:
        schema.app = app
    found: ContractSchema = schema
    return found


def _part(name: str) -> Any:
    """Return a module of schemathesis, whose classes are generic in what is of no use here."""
    return import_module(f"schemathesis.{name}")


def reads(schema: Any) -> dict[str, Any]:
    """Return the operations that only read, by path."""
    valid = _part("core.result").Ok
    found = (result.ok() for result in schema.get_all_operations() if isinstance(result, valid))
    return {operation.path: operation for operation in found if operation.method.upper() == "GET"}


def breaches(operation: Any, response: httpx.Response) -> list[Breach]:
    """Return how a response breaks the document: status, content type, headers, body.

    Nothing is sent.
    """
    checks = _part("specs.openapi.checks")
    chosen = [
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_headers_conformance,
        checks.response_schema_conformance,
    ]
    if not hasattr(response, "_elapsed"):
        response.elapsed = timedelta(0)
    try:
        case = operation.Case(path_parameters=dict.fromkeys(BRACES.findall(operation.path), "_"))
        case.validate_response(response, checks=chosen)
    except _part("core.failures").FailureGroup as group:
        failures: Any = group
        return [_breach(failure) for failure in failures.exceptions]
    except RecursionError:
        return [Breach("the body is nested too deeply to be compared", "$", of_body=True)]
    return []


def _breach(failure: Any) -> Breach:
    """Return what schemathesis found, and where."""
    message = " ".join(failure.message.split())
    if not isinstance(failure, _part("openapi.checks").JsonSchemaError):
        malformed = isinstance(failure, _part("core.failures").MalformedJson)
        return Breach(f"{failure.title}: {message}", "", malformed)
    problem = f"{failure.title}: {failure.validation_message}"
    if "header" in failure.title:
        return Breach(problem, "")
    keys = (f"[{key}]" if isinstance(key, int) else f".{key}" for key in failure.instance_path)
    return Breach(problem, f"${''.join(keys)}", of_body=True)


@cache
def _default_reads() -> dict[str, Any]:
    return reads(load_schema())


def find_read(path: str) -> Any | None:
    """Return the operation of the contract that a URL's path belongs to, if there is one."""
    segments = path.split("/")
    for template, operation in _default_reads().items():
        parts = template.split("/")
        # A service may live below a path of its own.
        tail = segments[-len(parts) + 1 :]
        if len(segments) >= len(parts) and all(
            part.startswith("{") or part == segment
            for part, segment in zip(parts[1:], tail, strict=True)
        ):
            return operation
    return None


def check_response(response: Any) -> None:
    """Check a response to a GET against the contract: one of httpx or of requests.

    Raises:
        ContractError: If it breaks the contract, or the contract has no such resource.
    """
    import httpx

    url = httpx.URL(str(response.url))
    operation = find_read(url.raw_path.decode("ascii").partition("?")[0])
    if operation is None:
        raise ContractError(f"the contract has no GET {url.path}")
    answer = httpx.Response(
        response.status_code,
        headers={k: v for k, v in response.headers.items() if k.lower() not in BODY_HEADERS},
        content=response.content,
        request=httpx.Request("GET", url),
    )
    found = breaches(operation, answer)
    if answer.is_success and not found:
        found = client_refuses(operation.path, answer.content)
    if found:
        lines = [f"GET {url.path} was answered {answer.status_code} against the contract:"]
        lines += [f"{breach.problem} {breach.spot}".strip() for breach in found]
        raise ContractError("\n  ".join(lines))


# The body is at hand decoded: these tell of how it travelled.
BODY_HEADERS = {"content-encoding", "content-length", "transfer-encoding"}
OPERATION = "/projects/{project_id}/operations/{op_id}"


def client_refuses(path: str, content: bytes) -> list[Breach]:
    """Return why the generated client does not take a body, if it does not."""
    if path != OPERATION:
        return []
    from nexus_operations_api.models import Operation

    try:
        Operation.from_json(content)
    except Exception as error:  # noqa: BLE001  (whatever it is, callers get it)
        return [Breach(f"the client refuses it: {error}", "")]
    return []
