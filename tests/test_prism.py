"""The client against an independent implementation of the document: Prism serves it, from npm."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from nexus_operations import (
    BadRequestError,
    Client,
    ForbiddenError,
    GatewayTimeoutError,
    InternalServerError,
    NexusError,
    NotFoundError,
    ServiceUnavailableError,
    TooManyRequestsError,
    UnauthorizedError,
)
from nexus_operations._http.exchange import Secret, Settings
from nexus_operations._http.transports import Transport
from nexus_operations_api.api.operations import get_operation

OPENAPI = Path(__file__).parent.parent / "openapi"
PRISM = OPENAPI / "node_modules/.bin/prism"
NODE = Path(sys.executable).parent / "node"
LINES = 50

if not PRISM.exists() or not NODE.exists():
    pytest.skip("Prism needs Node: `make test` installs both", allow_module_level=True)


class Prefer(httpx.HTTPTransport):
    """Tells Prism by a header which of the document's answers to give."""

    def __init__(self, preference: str) -> None:
        super().__init__()
        self._preference = preference

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.headers["Prefer"] = self._preference
        return super().handle_request(request)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """Serve the document on a free port of the loopback interface."""
    path = f"{NODE.parent}{os.pathsep}{os.environ['PATH']}"
    command = [str(PRISM), "mock", "--host", "127.0.0.1", "--port", "0", "operations.yaml"]
    process = subprocess.Popen(
        command,
        cwd=OPENAPI,
        env={**os.environ, "PATH": path, "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        printed: list[str] = []
        for _ in range(LINES):
            printed.append(process.stdout.readline())
            if listening := re.search(r"listening on (http://\S+:\d+)", printed[-1]):
                break
        assert listening, "".join(printed)
        yield listening[1]
    finally:
        # The command that npm installed starts Node as a child of its own.
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(10)
        process.stdout.close()


EXAMPLE = "op_d52ab4e6-7760-4d12-9c43-7fc1b8ce1616"
"""The operation of the document's example."""


def test_a_wait_ends_with_the_documents_example(endpoint: str) -> None:
    with Client("secret", endpoint=endpoint) as client:
        operation = client.get_project("proj_any").operations.wait_until_done(EXAMPLE)
    assert operation is not None
    assert operation.status.overview == "Finished"
    assert operation.id == EXAMPLE


def test_all_that_prism_makes_up_from_the_schema_parses(endpoint: str) -> None:
    """Its ids are made up, too: the endpoint is called without a look at whose answer it is."""
    settings = Settings(endpoint, Secret("secret"))
    transport = Transport(settings, Prefer("dynamic=true"))
    answers = [
        transport.call(get_operation, "proj_any", "op_any", timeout=20).value for _ in range(50)
    ]
    transport.close()
    assert len({answer.kind for answer in answers}) > 1


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, BadRequestError),
        (401, UnauthorizedError),
        (403, ForbiddenError),
        (404, NotFoundError),
        (429, TooManyRequestsError),
        (500, InternalServerError),
        (502, InternalServerError),
        (503, ServiceUnavailableError),
        (504, GatewayTimeoutError),
        *((status, InternalServerError) for status in range(520, 525)),
    ],
)
def test_every_documented_error_has_its_class(
    endpoint: str, status: int, error: type[NexusError]
) -> None:
    with Client("secret", endpoint=endpoint, transport=Prefer(f"code={status}")) as client:
        operations = client.get_project("proj_any").operations
        with pytest.raises(error) as caught:
            operations.get("op_any")
    assert type(caught.value) is error
    assert caught.value.status_code == status
    assert caught.value.retry_after == (5.0 if status in (429, 503) else None)
