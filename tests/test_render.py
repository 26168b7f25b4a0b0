"""The rendered contract: any document is rendered, and nothing that it says is left out."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from difference.document import CannotTellError
from openapi_spec_validator import validate
from render import frame, render

ROOT = Path(__file__).parent.parent
DOCUMENT: dict[str, Any] = yaml.safe_load((ROOT / "openapi/operations.yaml").read_text())


class Text(HTMLParser):
    """What a reader of a page sees."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.feed(page)

    def handle_data(self, data: str) -> None:
        self.parts.append(data)


def plain(text: str) -> str:
    """Return text without its markup and with single spaces."""
    return " ".join(re.sub(r"[*`\\]", "", text).split())


def seen(document: Any) -> str:
    return plain("".join(Text(frame(document, render(document))).parts))


# Keywords that the page says in another way: by a table, a heading, or a word of English.
SHOWN_AS = {
    "properties": "key",
    "required": "required",
    "items": "array of",
    "prefixItems": "[0]",
    "additionalProperties": ".*",
    "example": "Example",
    "examples": "Example",
    "parameters": "parameter",
    "requestBody": "The body",
    "responses": "status",
    "headers": "headers",
    "deprecated": "Deprecated",
    "securitySchemes": "opens it",
    "security": "opens it",
    "servers": "servers",
    "tags": "tag",
}
# What only holds other things together, or whose value is all that there is to see.
SILENT = {
    *("info", "title", "version", "description", "summary", "paths", "components", "schemas"),
    *("schema", "content", "type", "name", "in", "$ref", "value", "url", "variables"),
    *("get", "put", "post", "delete", "options", "head", "patch", "trace"),
    *("callbacks", "webhooks", "pathItems", "requestBodies"),
}
# Their keys are names of things, whatever they are called.
NAMES = {"properties", "patternProperties", "paths", "responses", "content", "headers", "schemas"}
# Names of what is shown in place: handles for the writer, nothing to a reader.
HANDLES = ("parameters", "headers", "responses", "requestBodies", "examples", "securitySchemes")


def facts(node: Any, key: str = "", above: str = "") -> Iterator[str]:
    """Yield all that a document says, as it must be seen."""
    if isinstance(node, dict):
        for name, value in node.items():
            if (above == "components" and key in HANDLES) or key == "examples":
                yield from facts(value, "component")
                continue
            if key in NAMES or name not in SILENT | SHOWN_AS.keys():
                yield str(name)
            elif name in SHOWN_AS and value not in (False, [], {}):
                literal = name == "additionalProperties" and isinstance(value, bool)
                yield name if literal else SHOWN_AS[name]
            yield from facts(value, str(name), key)
    elif isinstance(node, list):
        for value in node:
            yield from facts(value, key)
    elif key == "$ref":
        if not any(f"/{kind}/" in node for kind in HANDLES):
            yield node.rpartition("/")[2]
    elif not isinstance(node, bool):
        yield node if isinstance(node, str) else json.dumps(node, default=str)


def unseen(document: Any, page: str) -> list[str]:
    return [fact for fact in facts(document) if plain(fact) and plain(fact) not in page]


def ref(name: str, kind: str = "schemas") -> Any:
    return {"$ref": f"#/components/{kind}/{name}"}


SCHEMAS: dict[str, Any] = {
    "nullable": {"type": ["string", "null"], "description": "Or nothing."},
    "nullable, as 3.0 says it": {"type": "string", "nullable": True},
    "an enum": {"type": "string", "enum": ["first", "2", "a|b", "c`d", "<e>", ""]},
    "an enum of all sorts": {"enum": [1, 2.5, True, None, "x"]},
    "a constant": {"const": 41},
    "a format": {"type": "string", "format": "date-time", "default": "2020-01-01T00:00:00Z"},
    "bounds": {"type": "number", "exclusiveMinimum": 17, "maximum": 1234.5, "multipleOf": 0.5},
    "lengths": {"type": "string", "minLength": 11, "maxLength": 222, "pattern": r"^[a-z|]+\d*$"},
    "an array": {
        "type": "array",
        "items": {"type": "string", "minLength": 33},
        "uniqueItems": True,
    },
    "arrays in arrays": {"type": "array", "items": {"type": "array", "items": {"format": "int32"}}},
    "an array of anything": {"type": "array", "minItems": 44, "maxItems": 55},
    "a tuple": {"type": "array", "prefixItems": [{"type": "boolean"}, {"const": "second"}]},
    "an array with something in it": {
        "type": "array",
        "contains": {"const": "needle"},
        "minContains": 66,
    },
    "a map": {"type": "object", "additionalProperties": {"type": "integer", "minimum": 77}},
    "a map of objects": {
        "type": "object",
        "additionalProperties": {"type": "object", "properties": {"inside": {"type": "string"}}},
    },
    "an open object": {"type": "object", "additionalProperties": True},
    "a closed object": {"type": "object", "additionalProperties": False},
    "an inline object": {
        "type": "object",
        "description": "Who.",
        "required": ["given", "undescribed"],
        "properties": {
            "given": {"type": "string", "description": "Given name."},
            "deep": {
                "type": "object",
                "properties": {
                    "deeper": {
                        "type": "array",
                        "items": {"type": "object", "properties": {"deepest": {"const": "x"}}},
                    }
                },
            },
        },
    },
    "pattern properties": {"type": "object", "patternProperties": {"^x-|y": {"format": "byte"}}},
    "conditions": {
        "type": "object",
        "dependentRequired": {"left": ["right"]},
        "propertyNames": {"pattern": "^prop"},
        "if": {"required": ["cond"]},
        "then": {"minProperties": 88},
        "not": {"required": ["never"]},
        "unevaluatedProperties": False,
    },
    "a union": {"oneOf": [ref("Error"), {"type": "string", "maxLength": 99}, {"type": "null"}]},
    "a union of objects": {
        "anyOf": [
            {"type": "object", "title": "First kind", "properties": {"one": {"const": "uno"}}},
            {
                "type": "object",
                "description": "The second.",
                "properties": {"two": {"const": "due"}},
            },
        ],
        "discriminator": {
            "propertyName": "kindOf",
            "mapping": {"uno": "#/components/schemas/Error"},
        },
    },
    "all of": {"allOf": [ref("Error"), {"properties": {"extra": {"type": "boolean"}}}]},
    "a reference with siblings": {**ref("Error"), "description": "Why.", "minProperties": 101},
    "a reference into a schema": {"$ref": "#/components/schemas/Error/properties/message"},
    "anything": {},
    "anything described": {"description": "Whatever."},
    "true": True,
    "false": False,
    "flags": {"type": "string", "readOnly": True, "writeOnly": False, "deprecated": True},
    "notes": {
        "type": "string",
        "title": "Titled",
        "examples": ["ex1", "ex2"],
        "externalDocs": {"url": "https://example.org/docs", "description": "More."},
    },
    "an extension": {"type": "string", "x-order": {"of": [102, "things"]}, "$comment": "aside"},
    "content in text": {
        "type": "string",
        "contentMediaType": "text/csv",
        "contentEncoding": "base64",
    },
    "markup in a description": {"description": "One | two, <b>three</b> & `<four>` *five*\n\nsix"},
    "a default of null": {"type": ["string", "null"], "default": None},
    "a date that YAML reads": {"type": "string", "default": yaml.safe_load("2020-02-03")},
}
HOLDERS = ("property", "component", "items", "parameter", "body", "answer", "header")


SMALL = {
    "openapi": "3.1.1",
    "info": {"title": "Small", "version": "1"},
    "paths": {
        "/things": {
            "get": {
                "operationId": "getThings",
                "parameters": [],
                "responses": {"200": {"description": "The things."}},
            }
        }
    },
    "components": {"schemas": {"Error": DOCUMENT["components"]["schemas"]["Error"]}},
}


def holding(schema: Any, where: str) -> Any:
    """Return a document with a schema in one place."""
    document = copy.deepcopy(SMALL)
    (path,) = document["paths"].values()
    if where == "property":
        document["components"]["schemas"]["Error"]["properties"]["more"] = schema
    elif where == "component":
        document["components"]["schemas"]["Some.Thing-1"] = schema
        document["components"]["schemas"]["Error"]["properties"]["more"] = ref("Some.Thing-1")
    elif where == "items":
        items = {"type": "array", "items": schema}
        document["components"]["schemas"]["Error"]["properties"]["more"] = items
    elif where == "parameter":
        more = {"name": "more", "in": "query", "style": "form", "schema": schema}
        path["get"]["parameters"].append(more)
    elif where == "header":
        header = {"description": "A header.", "required": True, "schema": schema}
        path["get"]["responses"]["200"]["headers"] = {"X-More": header}
    else:
        content = {"application/vnd.more+json": {"schema": schema}}
        if where == "body":
            path["post"] = {
                "operationId": "sendMore",
                "requestBody": {
                    "description": "What is sent.",
                    "required": True,
                    "content": content,
                },
                "responses": {"204": {"description": "Done."}},
            }
        else:
            path["get"]["responses"]["200"]["content"] = content
    return document


@pytest.mark.parametrize("where", HOLDERS)
@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
def test_all_that_a_schema_says_is_on_the_page(schema: Any, where: str) -> None:
    document = holding(schema, where)
    page = seen(document)
    assert unseen(document, page) == []


def everything() -> Any:
    """Return a document that uses what the contract does not."""
    document = copy.deepcopy(DOCUMENT)
    document |= {
        "externalDocs": {"url": "https://example.org/manual"},
        "security": [{"OAuth": ["read:all"]}, {}],
        "servers": [
            {
                "url": "https://{region}.example.org/{v}",
                "description": "Near you.",
                "variables": {
                    "region": {"default": "eu", "enum": ["eu", "us"], "description": "Where."},
                    "v": {"default": "v9"},
                },
            }
        ],
        "webhooks": {"finished": {"post": {"summary": "It is over.", "responses": {}}}},
        "x-audience": "all",
    }
    document["info"] |= {
        "termsOfService": "https://example.org/terms",
        "contact": {"email": "help@example.org"},
    }
    document["tags"].append({"name": "uploads", "description": "Files."})
    document["paths"]["/files/{name}"] = {
        "summary": "One file",
        "parameters": [
            {
                "name": "name",
                "in": "path",
                "required": True,
                "schema": {"type": "string"},
                "examples": {"short": {"summary": "A short one", "value": "a.csv"}},
            },
            {
                "name": "filter",
                "in": "query",
                "content": {"application/json": {"schema": ref("Error")}},
            },
        ],
        "servers": [{"url": "https://files.example.org"}],
        "put": {
            "operationId": "putFile",
            "tags": ["uploads"],
            "deprecated": True,
            "description": "Replaces a file of <1 GB.",
            "requestBody": ref("Upload", "requestBodies"),
            "responses": {
                "2XX": {
                    "description": "Stored.",
                    "content": {
                        "application/json": {
                            "schema": {"type": "string"},
                            "examples": {
                                "stored": {"summary": "So it looks.", "value": {"etag": 5150}}
                            },
                        }
                    },
                    "links": {"again": {"operationId": "getOperation"}},
                },
                "default": {"description": "Trouble.", "content": {"text/plain": {}}},
            },
            "callbacks": {
                "stored": {"{$url}": {"post": {"responses": {"200": {"description": "Heard."}}}}}
            },
        },
        "get": {
            "security": [],
            "responses": {"200": {"description": "The file.", "content": {"*/*": {}}}},
        },
        "trace": {"security": [{"SecretKey": [], "Basic": []}], "responses": {}},
    }
    document["components"] |= {
        "requestBodies": {
            "Upload": {
                "description": "The bytes.",
                "content": {
                    "multipart/form-data": {
                        "schema": {"type": "object", "properties": {"part": {"type": "string"}}},
                        "encoding": {"part": {"contentType": "text/csv"}},
                        "example": {"part": "1,2,3"},
                    }
                },
            }
        },
        "x-owner": "the team",
    }
    document["components"]["parameters"]["Unused"] = {"name": "unused", "in": "cookie"}
    document["components"]["securitySchemes"] |= {
        "Basic": {"type": "http", "scheme": "basic", "description": "Name and password."},
        "OAuth": {
            "type": "oauth2",
            "flows": {
                "clientCredentials": {
                    "tokenUrl": "https://example.org/token",
                    "scopes": {"read:all": "Read all."},
                }
            },
        },
        "Unused": {"type": "openIdConnect", "openIdConnectUrl": "https://example.org/id"},
    }
    return document


def test_all_that_a_document_says_is_on_the_page() -> None:
    document = everything()
    page = seen(document)
    assert unseen(document, page) == []
    assert "nothing at all" in page  # the `{}` among the ways in
    assert "It is open" in page


def test_a_fact_that_is_missing_is_missed() -> None:
    document = everything()
    page = seen(document)
    for fact in ("etag", "1,2,3", "Read all.", "openIdConnectUrl", "eu", "Trouble."):
        assert fact in page
        assert unseen(document, page.replace(fact, "")) != []


def test_the_contract_itself_is_valid_and_wholly_shown() -> None:
    validate(DOCUMENT)
    assert unseen(DOCUMENT, seen(DOCUMENT)) == []


def test_links_lead_to_a_heading() -> None:
    document = holding({"type": "string"}, "component")
    page = frame(document, render(document))
    targets = set(re.findall(r'href="#([^"]+)"', page))
    assert targets
    assert targets <= set(re.findall(r'id="([^"]+)"', page))


def test_a_recursive_schema_is_a_link_to_itself() -> None:
    node = {
        "type": "object",
        "properties": {"next": ref("Node"), "all": {"type": "array", "items": ref("Node")}},
    }
    document = copy.deepcopy(DOCUMENT)
    document["components"]["schemas"]["Node"] = node
    assert "| `all` | array of [Node](#node) |" in render(document)


def test_components_that_nothing_uses_are_shown_all_the_same() -> None:
    document = copy.deepcopy(DOCUMENT)
    (path,) = document["paths"].values()
    del path["get"]["responses"]["429"], path["get"]["responses"]["503"]
    assert unseen(document, seen(document)) == []
    assert "The header `RetryAfter`, which nothing uses" in render(document)


def small(operation: Any = None, *, item: Any = None, **root: Any) -> Any:
    """Return a document of one operation, with more in its path and at its root."""
    document = copy.deepcopy(SMALL)
    get = {**document["paths"]["/things"]["get"], **(operation or {})}
    document["paths"] = {"/things": item if operation is None else {"get": get, **(item or {})}}
    document["components"] = {}
    return {**document, **root}


def answering(**response: Any) -> Any:
    return {"responses": {"200": {"description": "Fine.", **response}}}


def query(**parameter: Any) -> Any:
    return {"parameters": [{"name": "q", "in": "query", **parameter}]}


def keyed(**scheme: Any) -> Any:
    return {"securitySchemes": {"Key": {"type": "http", "scheme": "bearer", **scheme}}}


SAID = {"type": "string", "title": "FACT1", "description": "FACT2", "example": "FACT3"}
FACTS: dict[str, Any] = {
    "the content of a parameter": small(
        query(content={"application/json": {"schema": SAID, "example": "FACT4"}})
    ),
    "the content of a header": small(
        answering(
            headers={
                "X-A": {
                    "content": {
                        "application/json": {"schema": SAID, "examples": {"FACT4": {"value": 1}}}
                    }
                }
            }
        )
    ),
    "a path item and what stands beside its reference": small(
        item={**ref("One", "pathItems"), "summary": "FACT1", "post": {"summary": "FACT2"}},
        components={"pathItems": {"One": {"get": {"summary": "FACT3"}, "summary": "FACT4"}}},
    ),
    "words beside a reference": small(
        {
            "parameters": [{**ref("Q", "parameters"), "description": "FACT1"}],
            "requestBody": {**ref("Body", "requestBodies"), "description": "FACT2"},
            "responses": {"200": {**ref("Fine", "responses"), "description": "FACT3"}},
            "security": [{"Key": []}],
        },
        components={
            "parameters": {"Q": {"name": "q", "in": "query", "description": "FACT4"}},
            "requestBodies": {"Body": {"description": "FACT5", "content": {}}},
            "responses": {"Fine": {"description": "FACT6"}},
            "securitySchemes": {
                "Key": {**ref("Token", "securitySchemes"), "description": "FACT7"},
                "Token": {"type": "http", "scheme": "FACT8"},
            },
        },
    ),
    "an example behind a reference": small(
        answering(
            content={
                "application/json": {
                    "examples": {"FACT1": {**ref("One", "examples"), "summary": "FACT2"}}
                }
            }
        ),
        components={"examples": {"One": {"value": "FACT3"}}},
    ),
    "a link behind a reference": small(
        answering(links={"FACT1": ref("Next", "links")}),
        components={"links": {"Next": {"operationId": "FACT2"}}},
    ),
    "a reference in data": small(
        answering(content={"application/json": {"example": ref("Fine", "responses")}}),
        components={"responses": {"Fine": {"description": "FACT1"}}},
    ),
    "a reference to nothing in data": small(
        answering(content={"application/json": {"example": ref("FACT1", "responses")}})
    ),
    "extensions": {
        **small(
            {
                "responses": {"x-a": "FACT1"},
                "callbacks": {"x-b": "FACT2", "done": {"x-c": "FACT3"}},
            },
            webhooks={"x-d": "FACT4"},
        ),
    },
    "an extension of paths": small(paths={"x-a": "FACT1"}),
    "a path without operations": small(
        item={"parameters": [{"name": "FACT1", "in": "query"}], "servers": [{"url": "FACT2"}]}
    ),
    "servers of a path whose operation has its own": small(
        {"servers": [{"url": "FACT1"}]}, item={"servers": [{"url": "FACT2"}]}
    ),
    "security that no operation inherits": small(
        {"security": []}, security=[{"Key": []}], components=keyed(bearerFormat="FACT1")
    ),
    "examples that Python takes for equal": small(
        {
            "responses": {
                status: {"description": ".", "content": {"a/FACT1": {"example": example}}}
                for status, example in (("200", 1), ("201", True))
            }
        }
    ),
    "variables that are none": small({"servers": [{"url": "u", "variables": "FACT1"}]}),
    "a variable that is none": small({"servers": [{"url": "u", "variables": {"v": "FACT1"}}]}),
    "security that is none": small({"security": "FACT1"}),
    "scopes that are none": small({"security": [{"Key": "FACT1"}]}, components=keyed()),
}


@pytest.mark.parametrize("document", FACTS.values(), ids=FACTS)
def test_a_fact_is_on_the_page_wherever_it_stands(document: Any) -> None:
    page = seen(document)
    facts = set(re.findall("FACT.", json.dumps(document)))
    assert facts
    assert [fact for fact in sorted(facts) if fact not in page] == []


def test_an_example_is_shown_though_python_takes_it_for_another() -> None:
    assert "true" in seen(FACTS["examples that Python takes for equal"])


def test_callbacks_may_go_in_circles() -> None:
    again = {"post": {"callbacks": {"again": ref("on", "callbacks")}}}
    document = small(
        {"callbacks": {"on": ref("on", "callbacks")}},
        components={"callbacks": {"on": {"{$url}": again}}},
    )
    assert render(document).count("## POST callback on") == 1
    own = {"get": {"callbacks": {"on": {"{$url}": ref("One", "pathItems")}}}}
    document = small(item=ref("One", "pathItems"), components={"pathItems": {"One": own}})
    assert render(document).count("## GET callback on") == 1


def test_few_words_make_a_document() -> None:
    empty = {"openapi": "3.1.0", "info": {"title": "Nothing", "version": "0"}}
    assert render(empty).startswith("# The contract\n\nNothing, version 0.")


def test_a_reference_to_nothing_is_said_with_its_place() -> None:
    document = copy.deepcopy(DOCUMENT)
    (path,) = document["paths"].values()
    path["get"]["responses"]["200"] = ref("Gone", "responses")
    with pytest.raises(CannotTellError, match=r"response 200: .*Gone: nothing is there"):
        render(document)


def test_the_committed_pages_are_what_the_document_says() -> None:
    command = [sys.executable, ROOT / "openapi/render.py", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
