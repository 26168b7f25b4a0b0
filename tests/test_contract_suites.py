"""Users' own suites: the contract as a schema for their stubs, and for what they recorded."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
from nexus_operations import contract
from nexus_operations.contract import ContractError, check_response, document_path, load_schema
from nexus_operations.contract import schema as contract_schema

from tests.contract_service import OP, OPERATION, PROJECT, Server, Service, serving

URL = f"http://nexus.test/projects/{PROJECT}/operations/{OP}"
ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


def test_the_document_is_at_hand() -> None:
    assert document_path().read_text() == (ROOT / "openapi/operations.yaml").read_text()


def test_each_import_gets_a_schema_of_its_own() -> None:
    from nexus_operations.contract import schema as another

    assert another is not contract_schema
    assert "/projects/{project_id}/operations/{op_id}" in contract_schema


STUB = """
import json

from nexus_operations.contract import load_schema

OPERATION = {operation}


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({{"type": "lifespan.startup.complete"}})
        await receive()
        await send({{"type": "lifespan.shutdown.complete"}})
        return
    known = dict(scope["headers"]).get(b"secret-key") == b"any"
    status = 200 if known else 401
    body = OPERATION if known else {{"message": "no"}}
    headers = [(b"content-type", b"application/json")]
    await send({{"type": "http.response.start", "status": status, "headers": headers}})
    await send({{"type": "http.response.body", "body": json.dumps(body).encode()}})


stub = load_schema(app=app)


@stub.parametrize()
def test_the_stub_keeps_the_contract(case):
    case.call_and_validate(headers={{"Secret-Key": "any"}})
"""


@pytest.mark.parametrize("broken", [False, True])
def test_three_lines_test_a_stub(pytester: pytest.Pytester, broken: bool) -> None:
    operation = {**OPERATION, "createDate": "yesterday"} if broken else OPERATION
    pytester.makepyfile(STUB.format(operation=repr(operation)))
    pytester.makeini("[pytest]\nfilterwarnings = ignore")
    done = pytester.runpytest_inprocess("-q", "-p", "no:cacheprovider")
    assert done.ret == (1 if broken else 0), done.stdout.str()
    if broken:
        done.stdout.fnmatch_lines(["*Response violates schema*"])


def test_a_schema_for_a_base_url(server: Server) -> None:
    server.service = Service()
    schema = load_schema(server.endpoint)
    operation: Any = schema["/projects/{project_id}/operations/{op_id}"]["GET"]
    case = operation.Case(path_parameters={"project_id": PROJECT, "op_id": "op_1"})
    assert case.call(headers={"Secret-Key": "x"}).status_code == 401
    assert server.service.requests[0][1] == f"/projects/{PROJECT}/operations/op_1"


def response(
    status: int = 200, body: Any = OPERATION, url: str = URL, **headers: str
) -> httpx.Response:
    named = {"Content-Type": "application/json", **headers}
    request = httpx.Request("GET", url)
    return httpx.Response(status, headers=named, content=json.dumps(body).encode(), request=request)


GATEWAY = f"http://gateway.test/nexus/v1/projects/{PROJECT}/operations/{OP}"
GOOD = {
    "an operation": response(),
    "below a path": response(url=GATEWAY),
    "an error": response(404, {"message": "none"}),
    "a page of a proxy": httpx.Response(
        502,
        headers={"Content-Type": "text/html"},
        content=b"<p>",
        request=httpx.Request("GET", URL),
    ),
}
BAD = {
    "a missing key": (response(body={"id": OP}), r"\"kind\" is a required property"),
    "another type": (response(body={**OPERATION, "kind": 7}), r"\$\.kind"),
    "beyond 64 bits": (response(body={**OPERATION, "updateDate": 2**63}), "the client refuses it"),
    "an undocumented status": (response(418, {"message": "tea"}), "Undocumented status code"),
    "another content type": (response(**{"Content-Type": "text/csv"}), "Undocumented Content-Type"),
    "an error of another form": (response(404, {"error": "none"}), "message"),
    "another resource": (response(url="http://nexus.test/users"), "the contract has no GET /users"),
}


@pytest.mark.parametrize("found", GOOD.values(), ids=GOOD)
def test_a_recorded_response_keeps_the_contract(found: httpx.Response) -> None:
    check_response(found)


@pytest.mark.parametrize(("found", "words"), BAD.values(), ids=BAD)
def test_a_recorded_response_breaks_the_contract(found: httpx.Response, words: str) -> None:
    with pytest.raises(ContractError, match=words):
        check_response(found)


def test_a_response_of_requests(server: Server) -> None:
    server.service = Service()
    path = f"{server.endpoint}/projects/{PROJECT}/operations/{OP}"
    check_response(requests.get(path, headers={"Secret-Key": "x"}, timeout=5))


RECORDED = """
import asyncio
import gzip
import json

import httpx
import pytest
from nexus_operations import AsyncClient, Client

OPERATION = {operation}
URL = "{url}"


def answer(request):
    return httpx.Response(200, headers={{"Content-Type": "application/json"}}, json=OPERATION)


class Streamed(httpx.BaseTransport):
    def handle_request(self, request):
        body = gzip.compress(json.dumps(OPERATION).encode())
        headers = {{"Content-Type": "application/json", "Content-Encoding": "gzip"}}
        return httpx.Response(200, headers=headers, stream=Parts(body))


class Parts(httpx.SyncByteStream):
    def __init__(self, body):
        self.body = body

    def __iter__(self):
        yield self.body[:9]
        yield self.body[9:]


@pytest.mark.nexus_contract
def test_httpx():
    httpx.Client(transport=httpx.MockTransport(answer)).get(URL)


@pytest.mark.nexus_contract
def test_streamed():
    httpx.Client(transport=Streamed()).get(URL)


@pytest.mark.nexus_contract
def test_awaited():
    async def run():
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            await client.get(URL)

    asyncio.run(run())


@pytest.mark.nexus_contract
def test_the_library():
    transport = httpx.MockTransport(answer)
    with Client("any", transport=transport, endpoint="http://nexus.test") as client:
        client.get_project("{project}").operations.get("{op}")


@pytest.mark.nexus_contract
def test_the_library_awaited():
    async def run():
        transport = httpx.MockTransport(answer)
        async with AsyncClient("any", transport=transport, endpoint="http://nexus.test") as client:
            await client.get_project("{project}").operations.get("{op}")

    asyncio.run(run())


def test_by_fixture(nexus_contract):
    httpx.Client(transport=httpx.MockTransport(answer)).get(URL)
    assert len(nexus_contract.responses) == 1


def test_explicitly(nexus_contract):
    request = httpx.Request("GET", URL)
    nexus_contract.check(httpx.Response(200, json=OPERATION, request=request))


@pytest.mark.nexus_contract
def test_something_else():
    httpx.Client(transport=httpx.MockTransport(answer)).get("http://nexus.test/users")


def test_without_the_marker():
    httpx.Client(transport=httpx.MockTransport(answer)).get(URL)
"""


def recorded(pytester: pytest.Pytester, operation: Any) -> pytest.RunResult:
    pytester.makepyfile(RECORDED.format(operation=repr(operation), url=URL, project=PROJECT, op=OP))
    pytester.makeini("[pytest]\nfilterwarnings = ignore\naddopts = --strict-markers")
    return pytester.runpytest_inprocess("-p", "no:cacheprovider")


def test_recorded_responses_that_keep_the_contract(pytester: pytest.Pytester) -> None:
    recorded(pytester, OPERATION).assert_outcomes(passed=9)


def test_recorded_responses_that_break_it_fail_the_test(pytester: pytest.Pytester) -> None:
    operation = {**OPERATION, "createDate": -1}
    done = recorded(pytester, operation)
    done.assert_outcomes(failed=7, passed=2)
    words = ["*ContractError: GET */operations/op_*", "*less than the minimum of 0 $.createDate"]
    done.stdout.fnmatch_lines(words)


def test_over_real_connections_too(pytester: pytest.Pytester, server: Server) -> None:
    server.service = Service(body=lambda body: body.update(more=True))
    pytester.makepyfile(
        f"""
        import pytest
        from nexus_operations import Client

        def test_live(nexus_contract):
            with Client("canary-5aa41e8ba", endpoint="{server.endpoint}") as client:
                client.get_project("{PROJECT}").operations.get("{OP}")
            assert len(nexus_contract.responses) == 1
        """
    )
    pytester.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


def test_nothing_heavy_is_loaded_before_it_is_used() -> None:
    code = """
import sys
import nexus_operations.contract
import nexus_operations.pytest_plugin
heavy = {"schemathesis", "httpx", "msgspec", "hypothesis", "yaml", "jsonschema_rs"}
print(sorted(heavy & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_missing_extra_is_named() -> None:
    code = """
import sys
sys.modules["schemathesis"] = None
from nexus_operations.contract import load_schema
try:
    load_schema()
except ModuleNotFoundError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'nexus-operations[contract]'" in done.stdout


def test_there_is_nothing_else() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = contract.nothing
