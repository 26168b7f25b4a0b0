"""The document's operations: their names, parameters, bodies and responses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .annotated import ANY_NAME, Type
from .annotations import Annotator
from .document import Document, join
from .naming import distinct, identifier, mark
from .schemas import Schema, Schemas

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace", "query")
LOCATIONS = ("path", "query", "header", "cookie")
IGNORED_HEADERS = ("accept", "content-type", "authorization")
"""Header parameters that OpenAPI says to ignore: other parts of the document say them."""
RESERVED = frozenset({"client", "body", "content_type"})
"""Arguments that the generated functions have beside the parameters."""
FRIENDLY = {
    "date-time": f"{mark('', 'datetime')}.datetime",
    "date": f"{mark('', 'datetime')}.date",
    "uuid": f"{mark('', 'uuid')}.UUID",
}
"""What may be passed for a string of a format, beside the string."""
STYLES = {
    "path": ("simple", "label", "matrix"),
    "query": ("form", "spaceDelimited", "pipeDelimited", "deepObject"),
    "header": ("simple",),
    "cookie": ("form", "cookie"),
}


@dataclass
class Parameter:
    """A parameter of an endpoint.

    Attributes:
        key: Its name on the wire.
        name: Its name in Python.
        annotation: Its annotation, with marked names.
        default: Code of its default, if it has one.
    """

    location: str
    key: str
    name: str
    annotation: str
    is_required: bool
    default: str | None
    style: str
    explode: bool
    is_json: bool
    description: str


@dataclass
class Body:
    """What can be sent in one media type."""

    media_type: str
    kind: str
    type: Type
    styles: dict[str, tuple[str, bool]]


@dataclass
class Media:
    """How a response's body of one media type is read."""

    media_type: str
    kind: str
    type: Type | None = None
    schema: Schema = True


@dataclass
class Endpoint:
    """An operation of the document.

    Attributes:
        server: The server that it is on, where the document has one of its own for it.
    """

    name: str
    tag: str
    method: str
    path: str
    pointer: str
    summary: str
    description: str
    requires_security: bool
    server: str = ""
    parameters: list[Parameter] = field(default_factory=list[Parameter])
    bodies: list[Body] = field(default_factory=list[Body])
    body_is_required: bool = False
    responses: dict[str, list[Media]] = field(default_factory=dict[str, list[Media]])


class Endpoints:
    """Reads the operations of a document."""

    def __init__(self, document: Document, schemas: Schemas, annotator: Annotator) -> None:
        self._document = document
        self._schemas = schemas
        self._annotator = annotator

    def read(self) -> list[Endpoint]:
        """Return the endpoints that can be expressed; refuse the others."""
        found: list[Endpoint] = []
        ids: dict[str, str] = {}
        operations = list(self._operations())
        named = [
            op["operationId"] for *_, op in operations if isinstance(op.get("operationId"), str)
        ]
        short = [
            _short_name(path, method)
            for _, path, method, _, op in operations
            if not op.get("operationId")
        ]
        taken: dict[str, set[str]] = {}
        for pointer, path, method, item, operation in operations:
            before = len(self._document.refusals)
            given = operation.get("operationId")
            if isinstance(given, str) and given:
                if given in ids:
                    advice = f"{ids[given]} has the same: give each an id of its own"
                    self._document.refuse(join(pointer, "operationId"), "operationId", advice)
                ids.setdefault(given, pointer)
                name = given
            else:
                name = _short_name(path, method)
                if short.count(name) > 1 or identifier(name) in map(identifier, named):
                    name = f"{method}_{re.sub(r'[{}]', '', path).strip('/').replace('/', '_')}"
            tags = operation.get("tags")
            tag = str(tags[0]) if isinstance(tags, list) and tags else "default"
            folder = identifier(tag)
            module = distinct(identifier(name), taken.setdefault(folder, set()))
            taken[folder].add(module)
            security = operation.get("security", self._document.content.get("security"))
            endpoint = Endpoint(
                module,
                folder,
                method,
                path,
                pointer,
                str(operation.get("summary") or ""),
                str(operation.get("description") or ""),
                bool(security),
            )
            try:
                endpoint.server = self._server(operation, item)
                self._read_parameters(endpoint, operation, item)
                self._read_body(endpoint, operation, name)
                self._read_responses(endpoint, operation, name)
            except LookupError as error:
                self._document.refuse(pointer, "$ref", f"no such place in this document ({error})")
            here = self._document.refusals[before:]
            if not any(_is_of_endpoint(refusal.pointer, pointer) for refusal in here):
                found.append(endpoint)
        return found

    def _operations(self) -> Iterator[tuple[str, str, str, dict[str, Any], dict[str, Any]]]:
        for path, node in (self._document.content.get("paths") or {}).items():
            if str(path).startswith("x-"):
                continue
            at = join("#/paths", path)
            try:
                item, _ = self._document.resolve(node, at)
            except LookupError as error:
                self._document.refuse(at, "$ref", f"no such place in this document ({error})")
                continue
            if not isinstance(item, dict):
                self._document.refuse(at, "paths", "expected an object of operations")
                continue
            for method in METHODS:
                if method not in item:
                    continue
                if isinstance(item[method], dict):
                    yield join(at, method), str(path), method, item, item[method]
                else:
                    self._document.refuse(join(at, method), method, "expected an operation")

    def _server(self, operation: dict[str, Any], item: dict[str, Any]) -> str:
        """Return the server of an operation that is not on the document's, if it says so."""
        servers = operation.get("servers") or item.get("servers")
        if not isinstance(servers, list) or servers == self._document.content.get("servers"):
            return ""
        return str(servers[0].get("url", "")) if isinstance(servers[0], dict) else ""

    def _read_parameters(
        self, endpoint: Endpoint, operation: dict[str, Any], item: dict[str, Any]
    ) -> None:
        found: dict[tuple[str, str], tuple[dict[str, Any], str]] = {}
        above = endpoint.pointer.rpartition("/")[0]
        for parent, nodes in (
            (above, item.get("parameters")),
            (endpoint.pointer, operation.get("parameters")),
        ):
            for number, node in enumerate(nodes or ()):
                resolved, at = self._document.resolve(node, join(parent, "parameters", number))
                place, name = resolved.get("in"), resolved.get("name")
                if place not in LOCATIONS or not isinstance(name, str):
                    self._document.refuse(
                        endpoint.pointer, "parameters", f"{at} needs `name` and `in`"
                    )
                elif not (place == "header" and name.lower() in IGNORED_HEADERS):
                    found[place, name] = (resolved, at)
        in_path = re.findall(r"\{([^{}]*)\}", endpoint.path)
        for name in dict.fromkeys([*in_path, *(n for place, n in found if place == "path")]):
            if ("path", name) not in found or name not in in_path:
                advice = f"`{name}` must stand in the path and among the parameters"
                self._document.refuse(endpoint.pointer, "parameters", advice)
                return
        order = {name: number for number, name in enumerate(in_path)}
        ordered = sorted(
            found.items(),
            key=lambda one: (
                LOCATIONS.index(one[0][0]),
                order.get(one[0][1], 0) if one[0][0] == "path" else 0,
            ),
        )
        taken = set(RESERVED)
        for (place, key), (node, at) in ordered:
            name = identifier(key)
            places = {other for (other, inner), _ in ordered if identifier(inner) == name}
            if len(places) > 1 or name in RESERVED:
                name = identifier(f"{key}_{place}")
            name = distinct(name, taken)
            taken.add(name)
            parameter = self._parameter(endpoint, node, at, place, key, name)
            if parameter is not None:
                endpoint.parameters.append(parameter)

    def _parameter(
        self, endpoint: Endpoint, node: dict[str, Any], at: str, place: str, key: str, name: str
    ) -> Parameter | None:
        schema_node, schema_at, is_json = node.get("schema", True), join(at, "schema"), False
        content = node.get("content")
        if isinstance(content, dict) and content:
            media_type, media = next(iter(content.items()))
            schema_node, schema_at = (
                (media or {}).get("schema", True),
                join(at, "content", media_type, "schema"),
            )
            is_json = _is_json(media_type)
        style = str(node.get("style") or STYLES[place][0])
        if style not in STYLES[place] or (is_json and place != "query"):
            advice = f"a parameter of a {place} has the style {' or '.join(STYLES[place])}"
            self._document.refuse(endpoint.pointer, "style", f"`{key}`: {advice}")
            return None
        schema = self._schemas.read(schema_node, schema_at)
        found = self._annotator.annotate(schema, endpoint.name, key)
        annotation = found.shown
        flat = schema if isinstance(schema, dict) else {}
        friendly = FRIENDLY.get(str(flat.get("format")))
        if friendly and annotation != ANY_NAME:
            annotation = f"{friendly} | {annotation}"
        default = self._default(schema_node)
        return Parameter(
            place,
            key,
            name,
            annotation,
            place == "path" or node.get("required") is True,
            default,
            style,
            bool(node.get("explode", style in ("form", "deepObject"))),
            is_json,
            str(node.get("description") or ""),
        )

    def _default(self, node: Any) -> str | None:
        """Return the code of a default that is sent; what is absent, the service assumes."""
        try:
            schema, _ = self._document.resolve(node, "")
        except LookupError:
            return None
        value = schema.get("default") if isinstance(schema, dict) else None
        return repr(value) if isinstance(value, str | int | float) else None

    def _read_body(self, endpoint: Endpoint, operation: dict[str, Any], name: str) -> None:
        if not operation.get("requestBody"):
            return
        node, at = self._document.resolve(
            operation["requestBody"], join(endpoint.pointer, "requestBody")
        )
        content = node.get("content") or {}
        endpoint.body_is_required = node.get("required") is True
        for media_type, media in content.items():
            kind = _body_kind(str(media_type))
            media = media or {}
            schema = self._schemas.read(
                media.get("schema", True), join(at, "content", media_type, "schema")
            )
            words = (name, "Body") if len(content) == 1 else (name, f"{kind.capitalize()}Body")
            if kind == "content":
                found = Type(f"{mark('types', 'File')} | bytes | str", frozenset({"string"}))
            else:
                found = self._annotator.annotate(schema, *words)
            if kind == "multipart":
                self._annotator.take_files(schema)
            encoding = media.get("encoding") or {}
            styles = {
                str(key): (
                    str(one.get("style", "form")),
                    bool(one.get("explode", one.get("style", "form") in ("form", "deepObject"))),
                )
                for key, one in encoding.items()
                if isinstance(one, dict) and ("style" in one or "explode" in one)
            }
            endpoint.bodies.append(Body(str(media_type), kind, found, styles))

    def _read_responses(self, endpoint: Endpoint, operation: dict[str, Any], name: str) -> None:
        responses = operation.get("responses") or {}
        for status, node in sorted(responses.items(), key=lambda one: str(one[0])):
            key = str(status)
            if key.startswith("x-"):
                continue
            if not re.fullmatch(r"[1-5](\d\d|XX|xx)|default", key):
                self._document.refuse(
                    join(endpoint.pointer, "responses", key), key, "a status, `4XX` or `default`"
                )
                continue
            response, at = self._document.resolve(node, join(endpoint.pointer, "responses", key))
            medias: list[Media] = []
            for media_type, media in (response.get("content") or {}).items():
                medias.append(
                    self._media(str(media_type), media or {}, at, (name, f"Response{key}"))
                )
            # JSON first: it is what is read where the media type is not told.
            medias.sort(key=lambda one: one.kind != "json")
            endpoint.responses[key.replace("xx", "XX")] = medias

    def _media(
        self, media_type: str, media: dict[str, Any], at: str, words: tuple[str, ...]
    ) -> Media:
        kind = (
            "json" if _is_json(media_type) else "text" if media_type.startswith("text/") else "file"
        )
        bare = media_type.partition(";")[0].strip().lower()
        if "schema" not in media:
            return Media(bare, "nothing" if kind == "json" else kind)
        schema = self._schemas.read(media["schema"], join(at, "content", media_type, "schema"))
        if kind != "json":
            return Media(bare, kind)
        if isinstance(schema, dict) and schema.get("x-binary"):
            return Media(bare, "file")
        return Media(bare, "json", self._annotator.annotate(schema, *words), schema)


def _is_of_endpoint(pointer: str, endpoint: str) -> bool:
    """Return whether a refusal is of the endpoint itself, rather than of a schema in it."""
    rest = pointer.removeprefix(endpoint)
    return rest != pointer and "/schema" not in rest


def _is_json(media_type: str) -> bool:
    bare = media_type.partition(";")[0].strip().lower()
    return bare in ("application/json", "*/*", "application/*") or bare.endswith("+json")


def _body_kind(media_type: str) -> str:
    bare = media_type.partition(";")[0].strip().lower()
    if _is_json(bare):
        return "json"
    if bare == "application/x-www-form-urlencoded":
        return "form"
    return "multipart" if bare.startswith("multipart/") else "content"


def _short_name(path: str, method: str) -> str:
    """Return a name for an operation without an id: what is done to what its path ends with."""
    parts = [part for part in path.split("/") if part]
    words = [part for part in parts if not part.startswith("{")]
    last = re.sub(r"[{}]", "", words[-1] if words else "root")
    if parts and parts[-1].startswith("{"):
        last = re.sub(r"(?<=x|s)es$|(?<=ch|sh)es$|(?<=[^s])s$", "", re.sub(r"ies$", "y", last))
    return f"{method}_{last}"
