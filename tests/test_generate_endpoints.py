"""Generated endpoints: what they send, and what they make of what comes back."""

from __future__ import annotations

import asyncio
import email
import io
import json
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from tests.support.generating import Package, document

TEXT = {"type": "string"}
ITEM = {"$ref": "#/components/schemas/Item"}
FAULT = {"$ref": "#/components/schemas/Fault"}
SCHEMAS: dict[str, Any] = {
    "Item": {
        "type": "object",
        "required": ["id"],
        "properties": {
            "id": {"type": "string", "minLength": 1},
            "at": {"type": "string", "format": "date-time"},
        },
    },
    "Other": {"type": "object", "required": ["size"], "properties": {"size": {"type": "integer"}}},
    "Fault": {"type": "object", "required": ["message"], "properties": {"message": TEXT}},
    "Worded": {"type": "string", "default": "x"},
    "Response": {"type": "object", "required": ["a"], "properties": {"a": TEXT}},
}


def body(schema: Any, media_type: str = "application/json") -> dict[str, Any]:
    return {"description": "It.", "content": {media_type: {"schema": schema}}}


def sent(schema: Any, media_type: str = "application/json", **more: Any) -> dict[str, Any]:
    return {"required": True, "content": {media_type: {"schema": schema, **more}}}


def query(name: str, schema: Any = TEXT, **more: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema, **more}


WHOLE = {"type": "integer"}
LIST = {"type": "array", "items": {"type": ["integer", "string"]}}
MAP = {"type": "object", "additionalProperties": {"type": ["integer", "string"]}}
STYLES: dict[str, tuple[str, bool, Any]] = {
    "simple": ("simple", False, LIST),
    "simple_map": ("simple", True, MAP),
    "label": ("label", False, TEXT),
    "label_list": ("label", True, LIST),
    "label_map": ("label", True, MAP),
    "matrix": ("matrix", True, TEXT),
    "matrix_joined": ("matrix", False, LIST),
    "matrix_list": ("matrix", True, LIST),
    "matrix_map": ("matrix", True, MAP),
}
OPERATIONS: dict[str, dict[str, Any]] = {
    "get_item": {"parameters": [{"name": "id", "in": "path", "required": True, "schema": TEXT}]},
    "listItems": {
        "parameters": [
            query("page"),
            query("limit", {"type": "integer", "default": 20}),
            query("tag", {"type": "array", "items": TEXT}),
            query("csv", {"type": "array", "items": TEXT}, explode=False),
            query("pipes", {"type": "array", "items": TEXT}, style="pipeDelimited", explode=False),
            query("deep", {"type": "object"}, style="deepObject"),
            query("filter", {"$ref": "#/components/schemas/Item"}),
            query("since", {"type": "string", "format": "date-time"}),
            query("day", {"type": "string", "format": "date"}),
            query("flag", {"type": "boolean"}),
            {"name": "spec", "in": "query", "content": {"application/json": {"schema": ITEM}}},
            {"name": "X-Trace", "in": "header", "schema": {"type": "string", "format": "uuid"}},
            {"name": "X-Flag", "in": "header", "schema": {"type": "boolean"}},
            {"name": "session", "in": "cookie", "schema": TEXT},
            {"name": "Accept", "in": "header", "schema": TEXT},
        ],
        "responses": {"200": body({"type": "array", "items": ITEM})},
    },
    "clashes": {
        "parameters": [
            query(name)
            for name in (
                "client",
                "body",
                "encoding",
                "decoding",
                "httpx",
                "errors",
                "response",
                "self",
                "a-b",
                "a_b",
                "_request",
            )
        ]
        + [{"name": "body", "in": "header", "schema": TEXT}],
    },
    "names": {
        "responses": {"200": body({"type": "array", "items": {"type": "string", "minLength": 1}})}
    },
    "counts": {
        "responses": {"200": body({"type": "object", "additionalProperties": {"type": "integer"}})}
    },
    "either": {
        "responses": {"200": body({"oneOf": [ITEM, {"$ref": "#/components/schemas/Other"}]})}
    },
    "maybe": {"responses": {"200": body({"oneOf": [ITEM, {"type": "null"}]})}},
    "distinct": {
        "responses": {
            "200": body({"type": "array", "uniqueItems": True, "items": {"type": "integer"}})
        }
    },
    "inline": {
        "responses": {
            "200": body(
                {
                    "type": "object",
                    "required": ["total"],
                    "properties": {"total": {"type": "integer"}},
                }
            )
        }
    },
    "shadow": {"responses": {"200": body({"$ref": "#/components/schemas/Response"})}},
    "text": {"responses": {"200": body(TEXT, "text/plain")}},
    "archive": {
        "responses": {"200": body({"type": "string", "format": "binary"}, "application/zip")}
    },
    "nothing": {"responses": {"204": {"description": "Gone."}}},
    "faults": {
        "responses": {
            "200": body(ITEM),
            "404": {
                "description": "No.",
                "content": {
                    "application/problem+json": {"schema": FAULT},
                    "application/json": {"schema": ITEM},
                },
            },
            "4XX": body(FAULT),
            "5xx": {
                "description": "Bad.",
                "content": {"text/html": {"schema": TEXT}, "application/json": {"schema": FAULT}},
            },
        }
    },
    "fallback": {"responses": {"200": body(ITEM), "default": body(FAULT)}},
    "putJson": {"requestBody": sent(ITEM)},
    "putOptional": {
        "requestBody": {
            "content": {"application/json": {"schema": {"anyOf": [ITEM, {"type": "null"}]}}}
        }
    },
    "putMany": {"requestBody": sent({"type": "array", "items": ITEM})},
    "putInline": {
        "requestBody": sent({"type": "object", "required": ["why"], "properties": {"why": TEXT}})
    },
    "putForm": {
        "requestBody": sent(
            {
                "type": "object",
                "properties": {
                    "a": TEXT,
                    "b": {"type": "array", "items": TEXT},
                    "c": {"type": "object"},
                    "d": {"type": "object"},
                },
            },
            "application/x-www-form-urlencoded",
            encoding={"c": {"style": "deepObject"}},
        )
    },
    "putParts": {
        "requestBody": sent(
            {
                "type": "object",
                "properties": {
                    "note": TEXT,
                    "file": {"type": "string", "format": "binary"},
                    "more": {"type": "array", "items": {"type": "string", "format": "binary"}},
                    "meta": ITEM,
                },
            },
            "multipart/form-data",
        )
    },
    "putTyped": {
        "requestBody": sent(
            {
                "type": "object",
                "properties": {
                    "meta": ITEM,
                    "tags": {"type": "array", "items": TEXT},
                    "page": TEXT,
                    "image": {"type": "string", "format": "binary"},
                    "other": {"type": "string", "format": "binary"},
                },
            },
            "multipart/form-data",
            encoding={
                "meta": {"contentType": "application/vnd.item+json"},
                "tags": {"contentType": "application/json"},
                "page": {"contentType": "text/html"},
                "image": {"contentType": "image/png"},
                "other": {"contentType": "image/png, image/jpeg"},
            },
        )
    },
    "putTypedForm": {
        "requestBody": sent(
            {"type": "object", "properties": {"tags": {"type": "array", "items": TEXT}}},
            "application/x-www-form-urlencoded",
            encoding={"tags": {"contentType": "application/json"}},
        )
    },
    "putImage": {"requestBody": sent({"type": "string", "format": "binary"}, "image/*")},
    "putAny": {"requestBody": sent(ITEM, "*/*")},
    "putCsvOrList": {
        "requestBody": {
            "required": True,
            "content": {
                "text/csv": {"schema": TEXT},
                "application/json": {"schema": {"type": "array", "items": WHOLE}},
            },
        }
    },
    "putBytes": {
        "requestBody": sent({"type": "string", "format": "binary"}, "application/octet-stream")
    },
    "putEither": {
        "requestBody": {
            "required": True,
            "content": {
                "application/x-www-form-urlencoded": {
                    "schema": {"$ref": "#/components/schemas/Other"}
                },
                "application/json": {"schema": ITEM},
                "text/csv": {"schema": TEXT},
            },
        }
    },
}


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    paths: dict[str, Any] = {}
    for name, operation in OPERATIONS.items():
        path = "/items/{id}" if name == "get_item" else f"/{name}"
        usual = {"operationId": name, "tags": ["items"], "responses": {"200": body(ITEM)}}
        paths[path] = {"put" if name.startswith("put") else "get": {**usual, **operation}}
    for name, (style, explode, schema) in STYLES.items():
        parameter = {"name": "v", "in": "path", "required": True, "style": style}
        paths[f"/{name}/{{v}}"] = {
            "parameters": [{**parameter, "explode": explode, "schema": schema}],
            "get": {"operationId": name, "tags": ["styles"], "responses": {"200": body(ITEM)}},
        }
    paths["/same"] = {
        "parameters": [{"name": "X-Id", "in": "header", "schema": TEXT}],
        "get": {
            "operationId": "same_header",
            "parameters": [{"name": "x-id", "in": "header", "schema": TEXT}],
            "responses": {"200": body(ITEM)},
        },
    }
    paths["/defaults"] = {
        "get": {
            "operationId": "defaults",
            "parameters": [
                query("near", {"$ref": "#/components/schemas/Worded", "default": "y"}),
                query("far", {"$ref": "#/components/schemas/Worded"}),
            ],
            "responses": {"200": body(ITEM)},
        }
    }
    paths["/shared"] = {
        "$ref": "#/components/pathItems/Further",
        "post": {"operationId": "beside", "responses": {"200": body(ITEM)}},
        "additionalOperations": {
            "COPY": {"operationId": "copied", "responses": {"200": body(ITEM)}}
        },
    }
    paths["/boxes"] = {"get": {"responses": {"200": body(ITEM)}}}
    paths["/boxes/{box}"] = {
        "parameters": [{"name": "box", "in": "path", "required": True, "schema": TEXT}],
        "get": {"responses": {"200": body(ITEM)}},
        "delete": {"responses": {"204": {"description": "Gone."}}},
    }
    made = document(SCHEMAS, paths)
    shared = {"get": {"operationId": "shared", "responses": {"200": body(ITEM)}}}
    further = {
        "$ref": "#/components/pathItems/Shared",
        "put": {"operationId": "further", "responses": {"200": body(ITEM)}},
    }
    made["components"]["pathItems"] = {"Shared": shared, "Further": further}
    return Package(made, tmp_path_factory.mktemp("endpoints"))


class Caller:
    """Calls generated endpoints over a transport that answers from a test.

    Attributes:
        requests: The requests that were made.
    """

    def __init__(self, package: Package, kind: str) -> None:
        self._package = package
        self._kind = kind
        self.requests: list[httpx.Request] = []
        self.answer = httpx.Response(200, json={"id": "i"})
        self.raises = False

    @property
    def request(self) -> httpx.Request:
        return self.requests[-1]

    def _handle(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.requests.append(request)
        return self.answer

    async def _handle_awaited(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.requests.append(request)
        return self.answer

    def __call__(self, name: str, *args: Any, folder: str = "items", **kwargs: Any) -> Any:
        endpoint = self._package.module(f"api.{folder}.{name}")
        cls = self._package.module("client").Client
        client = cls(base_url="http://t", raise_on_unexpected_status=self.raises)
        if self._kind == "sync":
            http = httpx.Client(transport=httpx.MockTransport(self._handle), base_url="http://t")
            client.set_httpx_client(http)
            return endpoint.sync_detailed(*args, client=client, **kwargs)

        async def call() -> Any:
            transport = httpx.MockTransport(self._handle_awaited)
            async with httpx.AsyncClient(transport=transport, base_url="http://t") as http:
                client.set_async_httpx_client(http)
                return await endpoint.asyncio_detailed(*args, client=client, **kwargs)

        return asyncio.run(call())


@pytest.fixture(params=["sync", "async"])
def call(request: pytest.FixtureRequest, package: Package) -> Caller:
    return Caller(package, request.param)


class TestParameters:
    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            ({}, "limit=20"),
            ({"limit": 5, "page": "a b"}, "page=a+b&limit=5"),
            ({"limit": None, "tag": ["a", "b"]}, "tag=a&tag=b"),
            ({"limit": None, "csv": ["a", "b,c d"]}, "csv=a,b%2Cc+d"),
            ({"limit": None, "csv": ["a"], "page": "b,c"}, "page=b%2Cc&csv=a"),
            ({"limit": None, "pipes": ["a", "b"]}, "pipes=a%7Cb"),
            (
                {"limit": None, "deep": {"a": 1, "b": {"c": True}}},
                "deep%5Ba%5D=1&deep%5Bb%5D%5Bc%5D=true",
            ),
            (
                {"limit": None, "since": datetime(2026, 1, 2, tzinfo=UTC)},
                "since=2026-01-02T00%3A00%3A00Z",
            ),
            ({"limit": None, "since": "2026"}, "since=2026"),
            ({"limit": None, "day": date(2026, 1, 2), "flag": False}, "day=2026-01-02&flag=false"),
        ],
    )
    def test_the_query(self, call: Caller, arguments: dict[str, Any], expected: str) -> None:
        call.answer = httpx.Response(200, json=[])
        call("list_items", **arguments)
        assert call.request.url.query.decode() == expected

    def test_a_value_with_what_stands_between_values(self, call: Caller) -> None:
        with pytest.raises(ValueError, match="stands between"):
            call("list_items", limit=None, pipes=["a|b"])

    @pytest.mark.parametrize(
        ("name", "value", "expected"),
        [
            ("simple", [3, "a,b"], "3,a%2Cb"),
            ("simple_map", {"R": 1, "G": "a=b"}, "R=1,G=a%3Db"),
            ("label", "a", ".a"),
            ("label_list", [3, 4], ".3.4"),
            ("label_map", {"R": 1, "G": 2}, ".R=1.G=2"),
            ("matrix", "a/b", ";v=a%2Fb"),
            ("matrix_joined", [3, 4], ";v=3,4"),
            ("matrix_list", [3, "4;"], ";v=3;v=4%3B"),
            ("matrix_map", {"R": 1, "G": 2}, ";R=1;G=2"),
        ],
    )
    def test_the_styles_of_a_path(self, call: Caller, name: str, value: Any, expected: str) -> None:
        call(name, value, folder="styles")
        assert call.request.url.raw_path.decode() == f"/{name}/{expected}"

    def test_a_header_has_one_name_in_any_case(self, call: Caller) -> None:
        call("same_header", x_id="a", folder="default")
        assert call.request.headers.get_list("x-id") == ["a"]

    def test_the_default_beside_a_reference(self, call: Caller) -> None:
        call("defaults", folder="default")
        assert call.request.url.query == b"near=y&far=x"

    def test_models_in_the_query(self, call: Caller, package: Package) -> None:
        call.answer = httpx.Response(200, json=[])
        item = package.models.Item(id="x")
        call("list_items", limit=None, filter_=item, spec=item)
        assert dict(call.request.url.params) == {"id": "x", "spec": '{"id":"x"}'}

    def test_headers_and_cookies(self, call: Caller) -> None:
        call.answer = httpx.Response(200, json=[])
        trace = uuid.uuid4()
        call("list_items", x_trace=trace, x_flag=True, session="a;b")
        headers = call.request.headers
        assert headers["x-trace"] == str(trace)
        assert headers["x-flag"] == "true"
        assert headers["cookie"] == "session=a%3Bb"
        with pytest.raises(ValueError, match="control characters"):
            call("list_items", x_trace="a\r\nb: c")

    def test_the_path(self, call: Caller) -> None:
        call("get_item", "a/b {id}?#")
        assert call.request.url.raw_path == b"/items/a%2Fb%20%7Bid%7D%3F%23"
        for wrong in ("", ".", ".."):
            with pytest.raises(ValueError, match="segment"):
                call("get_item", wrong)

    def test_names_that_clash(self, call: Caller) -> None:
        call(
            "clashes",
            client_query="1",
            body_query="2",
            encoding="3",
            decoding="4",
            httpx="5",
            errors="6",
            response="7",
            self_="8",
            a_b="9",
            a_b_2="10",
            field_request="11",
            body_header="12",
        )
        assert dict(call.request.url.params) == {
            "client": "1",
            "body": "2",
            "encoding": "3",
            "decoding": "4",
            "httpx": "5",
            "errors": "6",
            "response": "7",
            "self": "8",
            "a-b": "9",
            "a_b": "10",
            "_request": "11",
        }
        assert call.request.headers["body"] == "12"

    def test_operations_beside_a_reference_and_of_other_methods(self, call: Caller) -> None:
        for name in ("shared", "further", "beside", "copied"):
            call(name, folder="default")
        methods = [request.method for request in call.requests]
        assert methods == ["GET", "PUT", "POST", "COPY"]
        assert {request.url.path for request in call.requests} == {"/shared"}

    def test_operations_without_an_id_are_named_by_their_path(self, call: Caller) -> None:
        call("get_boxes", folder="default")
        call("get_box", "b", folder="default")
        assert [request.url.path for request in call.requests] == ["/boxes", "/boxes/b"]
        call.answer = httpx.Response(204)
        assert call("delete_box", "b", folder="default").parsed is None


class TestResponses:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("names", ["a", "b"]),
            ("names", []),
            ("counts", {"a": 1}),
            ("distinct", [1, 2]),
            ("maybe", None),
        ],
    )
    def test_plain_values(self, call: Caller, name: str, value: Any) -> None:
        call.answer = httpx.Response(200, content=json.dumps(value).encode())
        assert call(name).parsed == value

    @pytest.mark.parametrize(
        ("name", "value", "cls"),
        [
            ("either", {"id": "i"}, "Item"),
            ("either", {"size": 1}, "Other"),
            ("maybe", {"id": "i"}, "Item"),
            ("inline", {"total": 1}, "InlineResponse200"),
            ("shadow", {"a": "b"}, "Response"),
        ],
    )
    def test_structs(self, call: Caller, name: str, value: Any, cls: str) -> None:
        call.answer = httpx.Response(200, json=value)
        parsed = call(name).parsed
        assert type(parsed).__name__ == cls
        assert msgspec.to_builtins(parsed) == value

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("names", [""]),
            ("names", [1]),
            ("counts", {"a": "b"}),
            ("distinct", [1, 1]),
            ("either", {}),
            ("maybe", 1),
            ("get_item", []),
        ],
    )
    def test_a_body_that_breaks_the_contract_raises(
        self, call: Caller, name: str, value: Any
    ) -> None:
        call.answer = httpx.Response(200, json=value)
        with pytest.raises(msgspec.ValidationError):
            call(name, *(["i"] if name == "get_item" else []))

    def test_an_object_where_a_list_is_documented_is_no_documented_response(
        self, call: Caller
    ) -> None:
        call.answer = httpx.Response(200, json={"not": "a list"})
        assert call("list_items").parsed is None
        call.raises = True
        with pytest.raises(msgspec.ValidationError):
            call("list_items")

    def test_text_bytes_and_nothing(self, call: Caller) -> None:
        call.answer = httpx.Response(200, text="é")
        assert call("text").parsed == "é"
        call.answer = httpx.Response(
            200, content=b"\x00\x01", headers={"Content-Type": "application/zip"}
        )
        assert call("archive").parsed.payload.read() == b"\x00\x01"
        call.answer = httpx.Response(204)
        assert call("nothing").parsed is None

    @pytest.mark.parametrize(
        ("status", "media_type", "content", "expected"),
        [
            (404, "application/problem+json; charset=utf-8", b'{"message": "m"}', "Fault"),
            (404, "application/json", b'{"id": "i"}', "Item"),
            (418, "application/json", b'{"message": "m"}', "Fault"),
            (599, "application/json", b'{"message": "m"}', "Fault"),
            (520, "text/html; charset=utf-8", b"<html>", "str"),
            (503, "application/json", b"<html>", "NoneType"),
            (299, "application/json", b"{}", "NoneType"),
        ],
    )
    def test_statuses_and_media_types(
        self, call: Caller, status: int, media_type: str, content: bytes, expected: str
    ) -> None:
        call.answer = httpx.Response(status, content=content, headers={"Content-Type": media_type})
        response = call("faults")
        assert type(response.parsed).__name__ == expected
        assert response.status_code == status

    def test_an_undocumented_status_raises_if_the_client_does(
        self, call: Caller, package: Package
    ) -> None:
        call.raises = True
        call.answer = httpx.Response(299, json={})
        with pytest.raises(package.module("errors").UnexpectedStatus):
            call("faults")
        call.answer = httpx.Response(299, json={"message": "m"})
        assert call("fallback").parsed.message == "m"


class TestBodies:
    def test_json(self, call: Caller, package: Package) -> None:
        item = package.models.Item(id="x")
        call("put_json", body=item)
        assert json.loads(call.request.content) == {"id": "x"}
        assert call.request.headers["content-type"] == "application/json"
        call("put_many", body=[item])
        assert json.loads(call.request.content) == [{"id": "x"}]
        call("put_inline", body=package.models.PutInlineBody(why="w"))
        assert json.loads(call.request.content) == {"why": "w"}

    def test_an_optional_body(self, call: Caller) -> None:
        call("put_optional")
        assert call.request.content == b""
        assert "content-type" not in call.request.headers
        call("put_optional", body=None)
        assert call.request.content == b"null"

    def test_a_form(self, call: Caller, package: Package) -> None:
        form = package.models.PutFormBody(a="x y", b=["1", "2"], c={"k": 1}, d={"k": 1})
        call("put_form", body=form)
        assert call.request.content == b"a=x+y&b=1&b=2&c%5Bk%5D=1&d=%7B%22k%22%3A1%7D"
        assert call.request.headers["content-type"] == "application/x-www-form-urlencoded"

    def test_parts(self, call: Caller, package: Package) -> None:
        file = package.module("types").File
        parts = package.models.PutPartsBody(
            note="n",
            file=file(io.BytesIO(b"abc"), "a.txt", "text/plain"),
            more=[file(io.BytesIO(b"1"), "1"), file(io.BytesIO(b"2"), "2")],
            meta=package.models.Item(id="x"),
        )
        call("put_parts", body=parts)
        content = call.request.content
        for part in (
            b'name="note"',
            b'filename="a.txt"',
            b"abc",
            b'name="more"; filename="2"',
            b'{"id":"x"}',
        ):
            assert part in content
        assert call.request.headers["content-type"].startswith("multipart/form-data; boundary=")

    def test_parts_of_media_types(self, call: Caller, package: Package) -> None:
        file = package.module("types").File
        parts = package.models.PutTypedBody(
            meta=package.models.Item(id="x"),
            tags=["a", "b"],
            page="<p>",
            image=file(io.BytesIO(b"abc"), "a"),
            other=file(io.BytesIO(b"abc"), "a", "image/jpeg"),
        )
        call("put_typed", body=parts)
        kind = call.request.headers["content-type"].encode()
        message = email.message_from_bytes(
            b"Content-Type: " + kind + b"\n\n" + call.request.content
        )
        found = [(part.get_content_type(), part.get_payload()) for part in message.get_payload()]
        assert found == [
            ("application/vnd.item+json", '{"id":"x"}'),
            ("application/json", '"a"'),
            ("application/json", '"b"'),
            ("text/html", "<p>"),
            ("image/png", "abc"),
            ("image/jpeg", "abc"),
        ]
        call("put_typed_form", body=package.models.PutTypedFormBody(tags=["a"]))
        assert call.request.content == b"tags=%22a%22"

    def test_one_of_a_range_of_media_types(self, call: Caller, package: Package) -> None:
        file = package.module("types").File
        call("put_image", body=file(io.BytesIO(b"abc"), "a", "image/png"))
        assert call.request.headers["content-type"] == "image/png"
        for untold in (b"abc", file(io.BytesIO(b"abc"))):
            with pytest.raises(ValueError, match="mime_type"):
                call("put_image", body=untold)
        call("put_any", body=package.models.Item(id="x"))
        assert call.request.headers["content-type"] == "application/json"

    def test_bytes(self, call: Caller, package: Package) -> None:
        file = package.module("types").File
        for value in (file(io.BytesIO(b"abc")), b"abc", "abc"):
            call("put_bytes", body=value)
            assert call.request.content == b"abc"
        assert call.request.headers["content-type"] == "application/octet-stream"

    def test_one_of_several_media_types(self, call: Caller, package: Package) -> None:
        call("put_either", body=package.models.Other(size=1))
        assert call.request.content == b"size=1"
        call("put_either", body=package.models.Item(id="x"))
        assert call.request.content == b'{"id":"x"}'
        call("put_csv_or_list", body=[1, 2])
        assert call.request.content == b"[1,2]"
        call("put_csv_or_list", body="a,b")
        assert call.request.headers["content-type"] == "text/csv"
        call("put_either", body="a,b")
        assert call.request.headers["content-type"] == "text/csv"
        call("put_either", body=package.models.Other(size=1), content_type="application/json")
        assert call.request.content == b'{"size":1}'
        with pytest.raises(ValueError, match="media type"):
            call("put_either", body="a", content_type="image/png")


def test_the_four_ways_are_the_same(package: Package) -> None:
    client = package.module("client").Client(base_url="http://t")
    answers: Callable[[httpx.Request], httpx.Response] = lambda _: httpx.Response(200, json=["a"])  # noqa: E731
    client.set_httpx_client(
        httpx.Client(transport=httpx.MockTransport(answers), base_url="http://t")
    )
    assert package.module("api.items.names").sync(client=client) == ["a"]  # type: ignore[attr-defined]

    async def awaited() -> Any:
        http = httpx.AsyncClient(transport=httpx.MockTransport(answers), base_url="http://t")
        async with http:
            client.set_async_httpx_client(http)
            return await package.module("api.items.names").asyncio(client=client)  # type: ignore[attr-defined]

    assert asyncio.run(awaited()) == ["a"]


def test_types_of_the_package_hold(package: Package, tmp_path: Path) -> None:
    from generator import package as packages

    packages.check_types(package.folder)
