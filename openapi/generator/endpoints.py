"""The document's operations: their names, parameters, bodies and responses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .annotated import ANY_NAME, Type
from .annotations import Annotator
from .document import Document, canonical, join
from .naming import distinct, identifier, mark
from .runtime import validation
from .schemas import Schema, Schemas, is_any

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
    types: dict[str, str]


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


class _MalformedError(Exception):
    """A place of the document that is of another JSON type than it must be."""

    def __init__(self, pointer: str, expected: str) -> None:
        super().__init__(pointer, expected)
        self.pointer = pointer
        self.expected = expected


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
            except _MalformedError as error:
                self._document.refuse(pointer, error.pointer, f"expected {error.expected}")
            here = self._document.refusals[before:]
            if not any(_is_of_endpoint(refusal.pointer, pointer) for refusal in here):
                found.append(endpoint)
        return found

    def _object(self, node: Any, at: str) -> tuple[dict[str, Any], str]:
        """Return an object, its references followed, and where it is."""
        node, at = self._document.resolve(node, at)
        if not isinstance(node, dict):
            raise _MalformedError(at, "an object")
        return node, at

    def _part(self, node: dict[str, Any], key: str, at: str) -> dict[str, Any]:
        """Return an object that stands under a key of another; an empty one if it does not."""
        return {} if node.get(key) is None else self._object(node[key], join(at, key))[0]

    def _operations(self) -> Iterator[tuple[str, str, str, dict[str, Any], dict[str, Any]]]:
        for path, node in (self._document.content.get("paths") or {}).items():
            if str(path).startswith("x-"):
                continue
            at = join("#/paths", path)
            try:
                item = self._item(node, at)
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
            others = item.get("additionalOperations") or {}
            place = join(at, "additionalOperations")
            if not isinstance(others, dict):
                self._document.refuse(place, "additionalOperations", "expected operations")
                continue
            for method, operation in others.items():
                if not isinstance(operation, dict):
                    self._document.refuse(join(place, method), method, "expected an operation")
                elif not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", method):
                    self._document.refuse(
                        join(place, method), method, "no HTTP method has the name"
                    )
                else:
                    yield join(place, method), str(path), method, item, operation

    def _item(self, node: Any, at: str, seen: frozenset[str] = frozenset()) -> Any:
        """Return a path item; beside `$ref`, it has what that does not have."""
        if not isinstance(node, dict) or not isinstance(node.get("$ref"), str):
            return node
        target = canonical(node["$ref"])
        if target in seen:
            raise LookupError(target)
        item = self._item(self._document.find(target), target, seen | {target})
        if not isinstance(item, dict):
            return item
        beside = {key: value for key, value in node.items() if key != "$ref"}
        twice = beside.keys() & item.keys() - {"summary", "description"}
        for key in twice:
            advice = "it is here and where `$ref` leads: write it in one of the two places"
            self._document.refuse(join(at, key), key, advice)
        return {key: value for key, value in {**item, **beside}.items() if key not in twice}

    def _server(self, operation: dict[str, Any], item: dict[str, Any]) -> str:
        """Return the server of an operation that is not on the document's, if it says so."""
        servers = operation.get("servers") or item.get("servers")
        if (
            not servers
            or not isinstance(servers, list)
            or servers == self._document.content.get("servers")
        ):
            return ""
        return str(servers[0].get("url", "")) if isinstance(servers[0], dict) else ""

    def _read_parameters(
        self, endpoint: Endpoint, operation: dict[str, Any], item: dict[str, Any]
    ) -> None:
        found: dict[tuple[str, str], tuple[dict[str, Any], str]] = {}
        above = join("#/paths", endpoint.path)
        for parent, nodes in (
            (above, item.get("parameters")),
            (endpoint.pointer, operation.get("parameters")),
        ):
            if not isinstance(nodes or [], list):
                raise _MalformedError(join(parent, "parameters"), "an array")
            for number, node in enumerate(nodes or ()):
                resolved, at = self._object(node, join(parent, "parameters", number))
                place, name = resolved.get("in"), resolved.get("name")
                if place not in LOCATIONS or not isinstance(name, str):
                    self._document.refuse(
                        endpoint.pointer, "parameters", f"{at} needs `name` and `in`"
                    )
                elif not (place == "header" and name.lower() in IGNORED_HEADERS):
                    if place == "header":
                        # Another spelling of its name is the same header.
                        found = {
                            one: value
                            for one, value in found.items()
                            if one == (place, name)
                            or (one[0], one[1].lower()) != (place, name.lower())
                        }
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
        content = self._part(node, "content", at)
        if content:
            media_type = next(iter(content))
            media = self._part(content, media_type, join(at, "content"))
            schema_node, schema_at = (
                media.get("schema", True),
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
        default = self._default(schema_node, schema_at, schema)
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

    def _default(self, node: Any, at: str, schema: Schema) -> str | None:
        """Return the code of a default that is sent; what is absent, the service assumes."""
        seen = set[str]()
        while isinstance(node, dict) and isinstance(node.get("$ref"), str):
            if ("default" in node and not self._document.is_3_0) or node["$ref"] in seen:
                break
            seen.add(node["$ref"])
            at = canonical(node["$ref"])
            node = self._document.find(at)
        value = node.get("default") if isinstance(node, dict) else None
        if not isinstance(value, str | int | float):
            return None
        if not validation.is_valid(schema, value):
            advice = "its schema does not allow it, and it would be sent: write one that it allows"
            self._document.refuse(join(at, "default"), "default", advice)
            return None
        return repr(value)

    def _read_body(self, endpoint: Endpoint, operation: dict[str, Any], name: str) -> None:
        if not operation.get("requestBody"):
            return
        node, at = self._object(operation["requestBody"], join(endpoint.pointer, "requestBody"))
        content = self._part(node, "content", at)
        endpoint.body_is_required = node.get("required") is True
        for media_type in content:
            kind = _body_kind(str(media_type))
            media = self._part(content, media_type, join(at, "content"))
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
            encoding = self._part(media, "encoding", join(at, "content", media_type))
            styles = {
                str(key): (
                    str(one.get("style", "form")),
                    bool(one.get("explode", one.get("style", "form") in ("form", "deepObject"))),
                )
                for key, one in encoding.items()
                if isinstance(one, dict) and ("style" in one or "explode" in one)
            }
            content_at = join(endpoint.pointer, "requestBody", "content", media_type)
            if kind == "multipart" and _bare(media_type) != "multipart/form-data":
                advice = "of its kind, only `multipart/form-data` is written: write that"
                self._document.refuse(content_at, str(media_type), advice)
            types = self._types(encoding, schema, kind, join(content_at, "encoding"))
            endpoint.bodies.append(Body(str(media_type), kind, found, styles, types))

    def _types(
        self, encoding: dict[str, Any], schema: Schema, kind: str, at: str
    ) -> dict[str, str]:
        """Return the media types that the fields of a form have, where the document says so."""
        found: dict[str, str] = {}
        for key, one in encoding.items():
            if kind not in ("form", "multipart") or not isinstance(one, dict):
                continue
            given = one.get("contentType")
            # In the fields of a URL's kind, `style` goes before it.
            if given is None or (kind == "form" and ("style" in one or "explode" in one)):
                continue
            part = self._annotator.part(schema, key)
            is_structured = {"object", "array"} & set(part.get("type", ()))
            if "," in str(given) or "*" in str(given):
                # The file that is passed says which of them it is.
                if not part.get("x-binary") and not is_any(part):
                    advice = "only a file may have one of several: write one media type"
                    self._document.refuse(join(at, key, "contentType"), "contentType", advice)
            elif is_structured and not _is_json(str(given)):
                advice = "an object is sent as JSON: write `application/json`, or a string"
                self._document.refuse(join(at, key, "contentType"), "contentType", advice)
            else:
                found[str(key)] = str(given)
        return found

    def _read_responses(self, endpoint: Endpoint, operation: dict[str, Any], name: str) -> None:
        responses = self._part(operation, "responses", endpoint.pointer)
        for status, node in sorted(responses.items(), key=lambda one: str(one[0])):
            key = str(status)
            if key.startswith("x-"):
                continue
            if not re.fullmatch(r"[1-5](\d\d|XX|xx)|default", key):
                self._document.refuse(
                    join(endpoint.pointer, "responses", key), key, "a status, `4XX` or `default`"
                )
                continue
            response, at = self._object(node, join(endpoint.pointer, "responses", key))
            medias: list[Media] = []
            seen: dict[str, Any] = {}
            content = self._part(response, "content", at)
            for media_type in content:
                media = self._part(content, media_type, join(at, "content"))
                found = self._media(str(media_type), media, at, (name, f"Response{key}"))
                medias.append(found)
                read = media.get("schema") if found.kind == "json" else found.kind
                if seen.setdefault(found.media_type, read) != read:
                    place = join(endpoint.pointer, "responses", key, "content", media_type)
                    advice = "parameters do not choose what is read: write it once, with `oneOf`"
                    self._document.refuse(place, str(media_type), advice)
            # JSON first: it is what is read where the media type is not told.
            medias.sort(key=lambda one: one.kind != "json")
            endpoint.responses[key.replace("xx", "XX")] = medias

    def _media(
        self, media_type: str, media: dict[str, Any], at: str, words: tuple[str, ...]
    ) -> Media:
        kind = (
            "json" if _is_json(media_type) else "text" if media_type.startswith("text/") else "file"
        )
        bare = _bare(media_type)
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


def _bare(media_type: Any) -> str:
    """Return a media type without its parameters."""
    return str(media_type).partition(";")[0].strip().lower()


def _is_json(media_type: str) -> bool:
    bare = _bare(media_type)
    return bare in ("application/json", "*/*", "application/*") or bare.endswith("+json")


def _body_kind(media_type: str) -> str:
    bare = _bare(media_type)
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
