"""`make diff-contract`: what changed in the document, and whether it breaks callers."""
# What schemas allow is compared in test_diff_schemas.py.

from __future__ import annotations

import copy
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from difference.document import CannotTellError, Document, load
from difference.operations import Differ
from difference.schemas import Change

ROOT = Path(__file__).parent.parent
DOCUMENT: dict[str, Any] = yaml.safe_load((ROOT / "openapi/operations.yaml").read_text())
PATH = "/projects/{project_id}/operations/{op_id}"


def get(document: Any) -> Any:
    return document["paths"][PATH]["get"]


def schema(document: Any, name: str) -> Any:
    return document["components"]["schemas"][name]


def component(document: Any, kind: str, name: str) -> Any:
    return document["components"][kind][name]


def rename_schema(document: Any, old: str, new: str) -> None:
    renamed = json.loads(
        json.dumps(document["components"]).replace(f'/schemas/{old}"', f'/schemas/{new}"')
    )
    renamed["schemas"][new] = {"title": old, **renamed["schemas"].pop(old)}
    document["components"] = renamed


def drop(holder: Any, *names: str) -> None:
    for name in names:
        del holder[name]


def changes(edit: Callable[[Any], object], *, backwards: bool = False) -> list[Change]:
    """Return what the differ finds after an edit of the document, or before it."""
    edited = copy.deepcopy(DOCUMENT)
    edit(edited)
    old, new = (edited, DOCUMENT) if backwards else (DOCUMENT, edited)
    return compare(old, new)


def compare(old: Any, new: Any) -> list[Change]:
    return list(Differ(Document(old), Document(new)).run())


def broken(found: list[Change]) -> bool:
    return any(change.breaking for change in found)


def answer(schema: Any) -> Any:
    return {"200": {"description": ".", "content": {"application/json": {"schema": schema}}}}


def holding(*names: str) -> Any:
    return {"type": "object", "properties": {name: {"type": "string"} for name in names}}


def with_paths(paths: Any, **schemas: Any) -> Any:
    """Return a document of some paths."""
    operations = copy.deepcopy(paths)
    for item in operations.values():
        for operation in item.values():
            operation.setdefault("responses", {"200": {"description": "."}})
    return {
        "openapi": "3.1.0",
        "info": {"title": "Shop", "version": "1"},
        "paths": operations,
        "components": {"schemas": schemas},
    }


ORDER = {"name": "order", "in": "query", "required": True, "schema": {"type": "string"}}


def add(holder: Any, **extra: Any) -> None:
    holder.update(extra)


def body(**extra: Any) -> Any:
    return {"content": {"application/json": {"schema": {"type": "string"}}}, **extra}


BREAKING: dict[str, tuple[Callable[[Any], object], str]] = {
    "a removed field": (
        lambda d: drop(schema(d, "Operation")["properties"], "kind"),
        r"200 content application/json \$\.kind: removed",
    ),
    "a retyped field": (
        lambda d: schema(d, "Operation")["properties"]["createDate"].update(type="string"),
        r"\$\.createDate: type changed from 'integer' to 'string'",
    ),
    "a retyped field deep down": (
        lambda d: schema(d, "OperationProgressWithStatus")["properties"]["Queued"].update(
            type="number"
        ),
        r"\$\.status\.progress\.withStatus\.Queued: type changed",
    ),
    "a field that may be missing": (
        lambda d: schema(d, "Operation")["required"].remove("updateDate"),
        r"\$\.updateDate: no longer always there",
    ),
    "a renamed class": (
        lambda d: rename_schema(d, "OperationStatus", "State"),
        r"\$\.status: the generated class 'OperationStatus' becomes 'State'",
    ),
    "a class that is gone, its title kept": (
        lambda d: rename_schema(d, "OperationStatus", "State"),
        "class OperationStatus: removed",
    ),
    "the only success removed": (lambda d: drop(get(d)["responses"], "200"), "200: status removed"),
    "a removed content type": (
        lambda d: drop(component(d, "responses", "BadGateway")["content"], "text/html"),
        "502 content text/html: removed",
    ),
    "a body that may be anything": (
        lambda d: component(d, "responses", "NotFound").update(
            content={"application/json": {"schema": {}}}
        ),
        r"404 content application/json \$: type changed from 'object' to 'any'",
    ),
    "a removed header": (
        lambda d: drop(component(d, "responses", "TooManyRequests")["headers"], "Retry-After"),
        "429 headers Retry-After: removed",
    ),
    "a header of another type": (
        lambda d: component(d, "headers", "RetryAfter")["schema"].update(type="integer"),
        r"429 headers Retry-After \$: type changed",
    ),
    "a new required parameter": (
        lambda d: get(d)["parameters"].append(ORDER),
        "parameter order in query: added, required",
    ),
    "a new required parameter of the path": (
        lambda d: d["paths"][PATH].update(parameters=[ORDER]),
        "parameter order in query: added, required",
    ),
    "a removed parameter": (
        lambda d: get(d)["parameters"].pop(),
        "parameter op_id in path: removed",
    ),
    "a parameter that takes fewer values": (
        lambda d: component(d, "parameters", "OpId")["schema"].update(pattern="^op_"),
        r"parameter op_id in path \$: pattern '\^op_' added",
    ),
    "a required body": (
        lambda d: get(d).update(requestBody=body(required=True)),
        "body: added, required",
    ),
    "another operation id": (
        lambda d: get(d).update(operationId="retrieveOperation"),
        "operationId changed",
    ),
    "another first tag": (
        lambda d: get(d)["tags"].insert(0, "jobs"),
        r"generated in api\.jobs, was api\.operations",
    ),
    "a removed way to authenticate": (
        lambda d: get(d)["security"].pop(),
        "security MutualTLS removed",
    ),
    "another header for the secret": (
        lambda d: component(d, "securitySchemes", "SecretKey").update(name="X-Secret"),
        "security SecretKey removed",
    ),
    "another kind of secret": (
        lambda d: d["components"]["securitySchemes"].update(
            SecretKey={"type": "http", "scheme": "basic"}
        ),
        "security SecretKey removed",
    ),
    "two secrets for one": (
        lambda d: get(d).update(security=[{"SecretKey": [], "MutualTLS": []}]),
        "security SecretKey removed",
    ),
    "a removed operation": (lambda d: drop(d["paths"][PATH], "get"), "GET .*: removed"),
    "a removed path": (lambda d: drop(d["paths"], PATH), "GET .*: removed"),
    "another path": (
        lambda d: d.update(paths={f"/v2{PATH}": d["paths"][PATH]}),
        "GET /projects.*: removed",
    ),
}


@pytest.mark.parametrize(("edit", "words"), BREAKING.values(), ids=BREAKING)
def test_a_change_that_breaks_callers(edit: Callable[[Any], object], words: str) -> None:
    found = changes(edit)
    said = "\n".join(f"{change.where}: {change.what}" for change in found if change.breaking)
    assert re.search(words, said), found


HARMLESS: dict[str, tuple[Callable[[Any], object], str]] = {
    "a new field": (
        lambda d: schema(d, "Operation")["properties"].update(owner={"type": "string"}),
        "added",
    ),
    "a field that is always there now": (
        lambda d: schema(d, "Operation")["required"].append("later"),
        "now always there",
    ),
    "a closed object": (
        lambda d: schema(d, "Operation").update(additionalProperties=False),
        "additionalProperties added",
    ),
    "a new status word": (
        lambda d: schema(d, "OperationStatus")["properties"]["overview"][
            "x-extensible-enum"
        ].append("Paused"),
        "value Paused added",
    ),
    "a status word that nobody meets any more": (
        lambda d: schema(d, "OperationStatus")["properties"]["overview"][
            "x-extensible-enum"
        ].remove("Cancelled"),
        "value Cancelled removed",
    ),
    "a new status code": (
        lambda d: get(d)["responses"].update({"410": {"description": "Gone."}}),
        "status added",
    ),
    "a failure that does not happen any more": (
        lambda d: drop(get(d)["responses"], "429"),
        "status removed",
    ),
    "a new header": (
        lambda d: component(d, "responses", "NotFound").update(
            headers={"X-Why": {"schema": {"type": "string"}}}
        ),
        "added",
    ),
    "a new content type": (
        lambda d: component(d, "responses", "NotFound").update(
            content={**component(d, "responses", "NotFound")["content"], "text/plain": {}}
        ),
        "added",
    ),
    "a content type more particular": (
        lambda d: component(d, "responses", "NotFound").update(
            content={"application/problem+json": {"schema": {"$ref": "#/components/schemas/Error"}}}
        ),
        "written as application/problem+json",
    ),
    "a new optional parameter": (
        lambda d: get(d)["parameters"].append({**ORDER, "required": False}),
        "added, optional",
    ),
    "an optional body": (lambda d: get(d).update(requestBody=body()), "added, optional"),
    "a new way to authenticate": (
        lambda d: get(d)["security"].append({"OAuth": []}),
        "security OAuth added",
    ),
    "deprecated": (lambda d: get(d).update(deprecated=True), "deprecated"),
    "another tag beside the first": (
        lambda d: get(d)["tags"].append("jobs"),
        "tags changed from ['operations'] to ['operations', 'jobs']",
    ),
    "an operation id that makes the same name": (
        lambda d: get(d).update(operationId="get_operation"),
        "operationId changed from 'getOperation' to 'get_operation'",
    ),
    "no operation id, and the name is the same": (
        lambda d: drop(get(d), "operationId"),
        "operationId changed from 'getOperation' to None",
    ),
    "another server": (
        lambda d: d.update(servers=[{"url": "https://example.org"}]),
        "servers changed from {endpoint} to https://example.org; callers name theirs",
    ),
    "a new operation": (
        lambda d: d["paths"].update({"/new": {"get": {"responses": {}}}}),
        "added",
    ),
    "callbacks": (
        lambda d: get(d).update(callbacks={"done": {}}),
        "callbacks changed: the generated client has none",
    ),
    "webhooks": (
        lambda d: d.update(webhooks={"done": {}}),
        "changed: the generated client has none",
    ),
    "where the token is got": (
        lambda d: component(d, "securitySchemes", "SecretKey").update(flows={}),
        "flows changed",
    ),
}


@pytest.mark.parametrize(("edit", "words"), HARMLESS.values(), ids=HARMLESS)
def test_a_change_that_breaks_nobody(edit: Callable[[Any], object], words: str) -> None:
    found = changes(edit)
    assert {change.what for change in found} == {words}
    assert not broken(found)


def move_security(document: Any) -> None:
    document["security"] = get(document).pop("security")


def move_parameters(document: Any) -> None:
    document["paths"][PATH]["parameters"] = get(document).pop("parameters")


def rename_scheme(document: Any) -> None:
    schemes = document["components"]["securitySchemes"]
    schemes["Secret"] = schemes["SecretKey"]
    get(document)["security"][0] = {"Secret": []}


def inline_answers(document: Any) -> None:
    for status, response in get(document)["responses"].items():
        name = response.get("$ref", "").rpartition("/")[2]
        if name:
            get(document)["responses"][status] = component(document, "responses", name)


def behind_a_reference(document: Any) -> None:
    document["components"]["pathItems"] = {"One": document["paths"][PATH]}
    document["paths"][PATH] = {"$ref": "#/components/pathItems/One"}


NOTHING: dict[str, Callable[[Any], object]] = {
    "notes": lambda d: (
        schema(d, "Operation").update(description="Otherwise put.", example={}),
        get(d).update(summary="S", description="D"),
        d["info"].update(version="2", title="T"),
    ),
    "titles, which name nothing": lambda d: (
        schema(d, "Operation")["properties"]["kind"].update(title="Kind"),
        schema(d, "OperationStatus").update(title="State"),
    ),
    "order": lambda d: (
        get(d)["parameters"].reverse(),
        get(d)["security"].reverse(),
        schema(d, "Operation")["required"].reverse(),
    ),
    "security of the document": move_security,
    "parameters of the path": move_parameters,
    "answers in place": inline_answers,
    "a path item behind a reference": behind_a_reference,
    "numbers as statuses": lambda d: get(d).update(
        responses={int(status): answer for status, answer in get(d)["responses"].items()}
    ),
    "a header in another case": lambda d: component(d, "responses", "TooManyRequests").update(
        headers={"retry-after": {"$ref": "#/components/headers/RetryAfter"}}
    ),
}


@pytest.mark.parametrize("edit", NOTHING.values(), ids=NOTHING)
def test_what_no_caller_can_see_is_nothing(edit: Callable[[Any], object]) -> None:
    assert changes(edit) == []
    assert changes(edit, backwards=True) == []


def test_a_component_that_nothing_used_is_told() -> None:
    def edit(document: Any) -> None:
        document["components"]["schemas"]["Text"] = {"type": "string"}

    assert changes(edit) == []
    assert changes(edit, backwards=True) == [
        (False, "class Text", "removed; nothing that is left used it")
    ]


def test_a_scheme_of_another_name_opens_as_before() -> None:
    assert not broken(changes(rename_scheme))


def test_an_operation_whose_announced_day_has_come_may_go() -> None:
    def ending(day: str, **extra: Any) -> Any:
        document = copy.deepcopy(DOCUMENT)
        add(get(document), **{"x-sunset": day}, **extra)
        return document

    gone = copy.deepcopy(DOCUMENT)
    drop(gone["paths"], PATH)
    assert not broken(compare(ending("2001-02-03", deprecated=True), gone))
    assert broken(compare(ending("2001-02-03"), gone))
    assert broken(compare(ending("9999-01-01", deprecated=True), gone))


def with_order(place: str = "query", **extra: Any) -> Any:
    document = copy.deepcopy(DOCUMENT)
    get(document)["parameters"].append({**ORDER, "required": False, "in": place, **extra})
    return document


LIST = {"type": "array", "items": {"type": "string"}}
PARAMETERS: dict[str, tuple[Any, Any, str, bool]] = {
    "required": (with_order(), with_order(required=True), "became required", True),
    "optional": (with_order(required=True), with_order(), "became optional", False),
    "moved": (with_order(), with_order("header"), "moved to header", True),
    "written otherwise": (
        with_order(schema=LIST),
        with_order(schema=LIST, explode=False),
        "style and explode changed from ('form', True) to ('form', False)",
        True,
    ),
    "one value, written alike": (
        with_order(),
        with_order(explode=False),
        "style and explode changed from ('form', True) to ('form', False)",
        False,
    ),
    "a deep object, which always has its pairs": (
        with_order(schema={"type": "object"}, style="deepObject"),
        with_order(schema={"type": "object"}, style="deepObject", explode=True, deprecated=True),
        "deprecated added",
        False,
    ),
    "no default": (
        with_order(schema={"type": "string", "default": "up"}),
        with_order(),
        "default changed from 'up' to none: a call without it means something else",
        True,
    ),
    "deprecated": (with_order(), with_order(deprecated=True), "deprecated added", False),
    "in content": (
        with_order(content={"application/json": {"schema": {"type": "string"}}}),
        with_order(content={"application/json": {"schema": {"type": "integer"}}}),
        "type changed from 'string' to 'integer'",
        True,
    ),
}


@pytest.mark.parametrize(("old", "new", "words", "breaks"), PARAMETERS.values(), ids=PARAMETERS)
def test_a_parameter_changes(old: Any, new: Any, words: str, breaks: bool) -> None:
    found = compare(old, new)
    assert words in {change.what for change in found}
    assert broken(found) == breaks


def test_a_header_parameter_in_another_case_is_the_same() -> None:
    assert compare(with_order("header"), with_order("header", name="ORDER")) == []
    # These are not parameters, says OpenAPI.
    assert compare(DOCUMENT, with_order("header", name="Authorization", required=True)) == []


def test_a_path_parameter_may_be_renamed() -> None:
    new = copy.deepcopy(DOCUMENT)
    new["paths"] = {PATH.replace("{op_id}", "{id}"): new["paths"][PATH]}
    component(new, "parameters", "OpId")["name"] = "id"
    found = compare(DOCUMENT, new)
    assert [change.what for change in found] == [
        "path written as /projects/{project_id}/operations/{id}"
    ]
    assert not broken(found)


@pytest.mark.parametrize(
    ("old", "new", "breaks"),
    [
        ([], [{"SecretKey": []}], True),
        ([{}], [{"SecretKey": []}], True),
        ([{"SecretKey": []}, {}], [{"SecretKey": []}], True),
        ([{"SecretKey": []}], [], False),
        ([{"SecretKey": []}], [{"SecretKey": []}, {}], False),
        ([{"SecretKey": [], "MutualTLS": []}], [{"SecretKey": []}], False),
        ([{"MutualTLS": ["a"]}], [{"MutualTLS": ["a", "b"]}], False),
    ],
)
def test_who_could_get_in_still_can(old: Any, new: Any, breaks: bool) -> None:
    documents = [copy.deepcopy(DOCUMENT) for _ in range(2)]
    for document, security in zip(documents, (old, new), strict=True):
        get(document)["security"] = security
    found = compare(*documents)
    assert found
    assert broken(found) == breaks


def posting(request: Any) -> Any:
    document = copy.deepcopy(DOCUMENT)
    get(document)["requestBody"] = request
    return document


def test_bodies() -> None:
    one_of = {"oneOf": [{"type": "string"}, {"type": "integer"}]}
    union = {"content": {"application/json": {"schema": one_of}}}
    csv = {"content": {**body()["content"], "text/csv": {}}}
    assert broken(compare(posting(body()), DOCUMENT))
    assert broken(compare(posting(body()), posting(body(required=True))))
    assert not broken(compare(posting(body(required=True)), posting(body())))
    assert broken(compare(posting(csv), posting(body())))
    assert not broken(compare(posting(body()), posting(csv)))
    assert broken(compare(posting(body()), posting(union)))


def test_a_status_may_hide_in_a_range() -> None:
    ranged = copy.deepcopy(DOCUMENT)
    answers = get(ranged)["responses"]
    answers["2XX"] = answers.pop("200")
    assert not broken(compare(DOCUMENT, ranged))
    answers["2XX"]["content"] = {"text/plain": {}}
    assert broken(compare(DOCUMENT, ranged))


A, B = (holding(name) | {"required": [name]} for name in "ab")


@pytest.mark.parametrize(
    ("old", "new", "breaks"),
    [
        ({"2XX": "A"}, {"2XX": "A", "202": "B"}, True),
        ({"2XX": "A"}, {"2XX": "A", "202": "A"}, False),
        ({"default": "A"}, {"default": "A", "200": "B"}, True),
        ({"default": "A"}, {"default": "A", "4XX": "B"}, True),
        ({"200": "A", "default": "A"}, {"200": "A", "2XX": "B", "default": "A"}, True),
        ({"200": "A"}, {"200": "A", "202": "B"}, False),
        ({"200": "A"}, {"200": "A", "default": "B"}, False),
    ],
)
def test_a_new_status_was_read_as_a_wider_one(old: Any, new: Any, breaks: bool) -> None:
    def shop(**names: str) -> Any:
        responses = {
            status: answer({"$ref": f"#/components/schemas/{name}"})["200"]
            for status, name in names.items()
        }
        return with_paths({"/x": {"get": {"responses": responses}}}, A=A, B=B)

    found = compare(shop(**old), shop(**new))
    assert found
    assert broken(found) == breaks


def versions(**schemas: Any) -> Any:
    content = {f"application/json; v={v[1:]}": {"schema": one} for v, one in schemas.items()}
    return with_paths({"/x": {"get": {"responses": {"200": {"content": content}}}}})


def test_media_types_that_differ_in_a_parameter_are_two() -> None:
    old = versions(v1=A, v2=B)
    assert compare(old, copy.deepcopy(old)) == []
    assert broken(compare(old, versions(v1={**A, "properties": {"a": {}}}, v2=B)))
    assert broken(compare(old, versions(v1=A)))
    assert not broken(compare(versions(v1=A), versions(v1=A, v2=B)))
    assert not broken(compare(versions(v1=A), versions(v2=A)))


@pytest.mark.parametrize("more", [False, True])
def test_methods_of_3_2_are_compared(more: bool) -> None:
    def shop(schema: Any) -> Any:
        operation = {"responses": answer(schema)}
        item = {"additionalOperations": {"COPY": operation}} if more else {"query": operation}
        return {**with_paths({}), "openapi": "3.2.0", "paths": {"/x": item}}

    old = shop(A)
    assert broken(compare(old, shop({**A, "properties": {"a": {}}})))
    assert broken(compare(old, {**old, "paths": {}}))
    assert compare(old, copy.deepcopy(old)) == []


def test_parts_of_a_form_may_have_the_names_of_notes() -> None:
    def form(kind: str) -> Any:
        media = {"schema": holding("title"), "encoding": {"title": {"contentType": kind}}}
        body = {"content": {"multipart/form-data": media}}
        return with_paths({"/x": {"post": {"requestBody": body}}})

    assert broken(compare(form("text/csv"), form("text/plain")))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[1, 2]", "no OpenAPI document"),
        ("paths: {}", "no OpenAPI document"),
        ("swagger: '2.0'", "no OpenAPI document"),
        ("openapi: 4.0.0", "OpenAPI 4.0.0 is not known"),
        ("a: [", "invalid YAML"),
        ('{"a": 1, "a": 2}', "the key 'a' stands twice"),
        ("a: 1\na: 2", "the key 'a' stands twice"),
    ],
)
def test_what_is_no_document_is_not_compared(text: str, words: str) -> None:
    with pytest.raises(CannotTellError, match=words):
        load(text, "the document")


@pytest.mark.parametrize(
    ("old", "new", "breaks"),
    [
        ("{type: number, maximum: 1e3}", "{type: number, maximum: 2e3}", True),
        ("{type: number, maximum: 1.5E3}", "{type: number}", True),
        ("{type: number, minimum: 2e-05}", "{type: number, minimum: 1e-05}", True),
        ("{type: number, maximum: 1e3}", "{type: number, maximum: 1000}", None),
        ("{enum: [no, off]}", '{enum: ["no", "off"]}', None),
        ("{enum: [2024-01-01, 1_000, 12:30]}", '{enum: ["2024-01-01", "1_000", "12:30"]}', None),
        ('{"type":\t"string"}', '{"type":\t"integer"}', True),
    ],
)
def test_documents_are_read_as_the_generator_reads_them(old: str, new: str, breaks: Any) -> None:
    text = """{"openapi": "3.1.0", "paths": {"/a": {"get": {"responses": {"200": {"content":
        {"application/json": {"schema": @}}}}}}}}"""
    found = list(Differ(*(load(text.replace("@", one), "it") for one in (old, new))).run())
    assert broken(found) == bool(breaks)
    assert bool(found) == (breaks is not None)


def test_a_place_that_cannot_be_read_is_named() -> None:
    with pytest.raises(CannotTellError, match=r"GET /projects.* -> 200: .*Gone: nothing is there"):
        changes(lambda d: get(d)["responses"].update({"200": {"$ref": "#/components/Gone"}}))


LISTED: Any = {"get": {"responses": answer(holding("a"))}}
NAMED: Any = {"get": {**LISTED["get"], "operationId": "get_shops_id_items"}}
ID: Any = {"name": "id", "schema": {"type": "string"}}
NAMES: dict[str, tuple[Any, Any, str]] = {
    "a second operation without an id": (
        {"/x/items": LISTED},
        {"/x/items": LISTED, "/y/items": LISTED},
        "GET /x/items: generated as get_x_items, was get_items",
    ),
    "an id where there was none": (
        {"/shops/items": LISTED},
        {"/shops/items": NAMED},
        "GET /shops/items: operationId changed from None",
    ),
    "a second media type of a body": (
        {
            "/x": {
                "post": {"requestBody": {"content": {"application/json": {"schema": holding("a")}}}}
            }
        },
        {
            "/x": {
                "post": {
                    "requestBody": {
                        "content": {
                            "application/json": {"schema": holding("a")},
                            "application/x-www-form-urlencoded": {"schema": holding("a")},
                        }
                    }
                }
            }
        },
        "class PostXBody: removed",
    ),
    "branches in another order": (
        {"/x": {"get": {"responses": answer({"oneOf": [holding("a"), holding("b")]})}}},
        {"/x": {"get": {"responses": answer({"oneOf": [holding("b"), holding("a")]})}}},
        "class GetXResponse200Type0: is what GetXResponse200Type1 is now",
    ),
    "branches with a field in common in another order": (
        {"/x": {"get": {"responses": answer({"oneOf": [holding("k", "a"), holding("k", "b")]})}}},
        {"/x": {"get": {"responses": answer({"oneOf": [holding("k", "b"), holding("k", "a")]})}}},
        "class GetXResponse200Type0: is what GetXResponse200Type1 is now",
    ),
    "a parameter of the same name elsewhere": (
        {"/x": {"get": {"parameters": [{**ID, "in": "query"}]}}},
        {"/x": {"get": {"parameters": [{**ID, "in": "query"}, {**ID, "in": "header"}]}}},
        "GET /x: arguments are called otherwise: no id",
    ),
    "a property whose name becomes the same name": (
        {"/x": {"get": {"responses": answer(holding("anId"))}}},
        {"/x": {"get": {"responses": answer(holding("an_id", "anId"))}}},
        "class GetXResponse200: has the field an_id as an_id_2 now",
    ),
}


@pytest.mark.parametrize(("old", "new", "words"), NAMES.values(), ids=NAMES)
def test_names_that_the_generator_gives_otherwise(old: Any, new: Any, words: str) -> None:
    found = [
        f"{change.where}: {change.what}"
        for change in compare(with_paths(old), with_paths(new))
        if change.breaking
    ]
    assert any(line.startswith(words) for line in found), found


def test_a_component_may_take_the_name_of_another_class() -> None:
    owned = {"type": "object", "properties": {"owner": holding("name")}}
    paths = {"/x": {"get": {"responses": answer({"$ref": "#/components/schemas/Shop"})}}}
    old = with_paths(paths, Shop=owned)
    assert broken(compare(old, with_paths(paths, Shop=owned, ShopOwner=holding("id"))))
    assert not broken(compare(old, with_paths(paths, Shop=owned, Owner=holding("id"))))


def test_an_id_may_spell_out_the_name_that_was_generated() -> None:
    old, new = copy.deepcopy(LISTED), copy.deepcopy(LISTED)
    new["get"]["operationId"] = "getItems"
    found = compare(with_paths({"/x/items": old}), with_paths({"/x/items": new}))
    assert found
    assert not broken(found)


def test_a_class_goes_with_the_operation_that_was_announced_to_end() -> None:
    ending = {"get": {**LISTED["get"], "deprecated": True, "x-sunset": "2020-01-01"}}
    paths = {"/x/items": ending, "/y": LISTED}
    assert not broken(compare(with_paths(paths), with_paths({"/y": LISTED})))


ELSEWHERE: dict[str, Callable[[Any, str], object]] = {
    "a path": lambda d, there: d["paths"].update({"/more": {"$ref": there}}),
    "a parameter": lambda d, there: get(d)["parameters"].append({"$ref": there}),
    "a body": lambda d, there: get(d).update(requestBody={"$ref": there}),
    "a response": lambda d, there: get(d)["responses"].update({"404": {"$ref": there}}),
    "a header": lambda d, there: component(d, "responses", "NotFound").update(
        headers={"X-Why": {"$ref": there}}
    ),
}


@pytest.mark.parametrize("refer", ELSEWHERE.values(), ids=ELSEWHERE)
def test_what_is_in_another_document_is_not_guessed_at(
    refer: Callable[[Any, str], object],
) -> None:
    one, same, other = (copy.deepcopy(DOCUMENT) for _ in range(3))
    refer(one, "more.yaml#/one")
    refer(same, "more.yaml#/one")
    refer(other, "more.yaml#/other")
    assert compare(one, same) == []
    with pytest.raises(CannotTellError, match="a reference out of the document changed"):
        compare(one, other)


def run(base: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(folder / "openapi/diff_contract.py"), base]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command_compares_with_a_revision(tmp_path: Path) -> None:
    copied = shutil.ignore_patterns("node_modules", "__pycache__")
    shutil.copytree(ROOT / "openapi", tmp_path / "openapi", ignore=copied)
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    for command in (["init", "-q"], ["add", "."], [*identity, "commit", "-qm", "One"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)

    same = run("HEAD", tmp_path)
    assert (same.returncode, same.stdout) == (0, "the contract is that of HEAD\n")

    document = tmp_path / "openapi/operations.yaml"
    document.write_text(document.read_text().replace("createDate", "createdAt"))
    broken = run("HEAD", tmp_path)
    assert broken.returncode == 1
    assert "BREAKING" in broken.stdout
    assert "$.createDate: removed" in broken.stdout

    unknown = run("no-such-revision", tmp_path)
    assert unknown.returncode == 2
    said = "cannot tell: no-such-revision: git has no operations.yaml at this revision\n"
    assert unknown.stdout == said


def test_the_command_compares_two_files(tmp_path: Path) -> None:
    script = ROOT / "openapi/diff_contract.py"
    old, new, bad = (tmp_path / name for name in ("old.yaml", "new.json", "bad.yaml"))
    old.write_text(yaml.safe_dump(DOCUMENT))
    new.write_text(json.dumps({**DOCUMENT, "paths": {}}))
    bad.write_text("[]")

    def code(*arguments: str | Path) -> int:
        command = [sys.executable, script, *arguments]
        return subprocess.run(command, capture_output=True, check=False).returncode

    assert code("--old", old, "--new", old) == 0
    assert code("--old", old, "--new", new) == 1
    assert code("--old", old, "--new", bad) == 2
    assert code("--old", old, "--new", tmp_path / "none.yaml") == 2
    assert code("--old", old) == 2

    mad = {"type": "string", "pattern": ["a"]}
    bad.write_text(json.dumps(with_paths({"/x": {"get": {"responses": answer(mad)}}})))
    assert code("--old", bad, "--new", bad) == 2
