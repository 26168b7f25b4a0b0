"""What the templates lay out: each module's imports, names and code, as text."""

from __future__ import annotations

import ast
import re
import textwrap
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from .annotated import ANY_NAME, Type
from .annotations import Struct
from .endpoints import Body, Endpoint, Media, Parameter
from .naming import Names, mark
from .schemas import Schema, assertions

WIDTH = 84
CLIENTS = ("AuthenticatedClient", "Client")
RAISES = """Raises:
    errors.UnexpectedStatus: For a status that is not documented, if the client raises.
    msgspec.DecodeError: If a body breaks the contract."""
JSON = "application/json"
CLASSES = {
    "object": "dict",
    "array": "list",
    "string": "str",
    "integer": "int",
    "fraction": "float",
    "boolean": "bool",
    "null": "type(None)",
}
MSGSPEC = mark("", "msgspec")
UNSET_TYPE = f"{MSGSPEC}.UnsetType"


@dataclass(frozen=True)
class ClassInfo:
    """A class and its module, as openapi-python-client writes them."""

    name: str
    module_name: str


@dataclass
class Line:
    """A field of a struct, as it is written."""

    code: str
    docstring: str


@dataclass
class Model:
    """A module of `models/`.

    Attributes:
        class_info: The class, or the alias, and its module.
        imports: Import statements at the top.
        late_imports: Those of other models, after the class: models may refer to each other.
        statics: Aliases for type checkers of what msgspec decodes as anything.
    """

    class_info: ClassInfo
    docstring: str
    msgspec: str
    decoding: str
    validation: str
    alias: str | None = None
    static_alias: str | None = None
    imports: list[str] = field(default_factory=list[str])
    late_imports: list[str] = field(default_factory=list[str])
    fields: list[Line] = field(default_factory=list[Line])
    rename: dict[str, str] = field(default_factory=dict[str, str])
    is_closed: bool = False
    statics: dict[str, str] = field(default_factory=dict[str, str])
    checks: str = ""
    schema: str = ""
    any: str = "Any"
    type_checking: str = "TYPE_CHECKING"


class Renderer:
    """Turns what was read into what the templates lay out.

    Args:
        modules: The module of each model.
        named: The schemas that have a name.

    Attributes:
        used: Pointers of the schemas that checks refer to.
    """

    def __init__(self, modules: Mapping[str, str], named: Mapping[str, Schema]) -> None:
        self._modules = modules
        self._named = named
        self.used: dict[str, None] = {}

    def struct(self, struct: Struct) -> Model:
        """Return the module of a struct."""
        fields = struct.fields
        names = Names([struct.name, *(one.name for one in fields), "_decoder", "_CHECKS"])
        own = ("models", struct.name)
        names.imports[own] = struct.name
        if struct.name in {one.name for one in fields}:
            # msgspec looks into the class first: there the name is the field's.
            names.imports[own] = f"_{struct.name}"
        model = Model(
            ClassInfo(struct.name, struct.module),
            docstring(struct.description or struct.name, 4),
            names.use("", "msgspec"),
            names.use("", "decoding"),
            "",
            is_closed=struct.is_closed,
        )
        checks: list[str] = []
        for one in fields:
            code = self._code(one.type, one.name, names, model)
            optional = "" if one.is_required else f" | {names.resolve(UNSET_TYPE)}"
            default = "" if one.is_required else f" = {model.msgspec}.UNSET"
            text = docstring(one.description, 4) if one.description else ""
            model.fields.append(Line(f"{one.name}: {code}{optional}{default}", text))
            if one.name != one.key:
                model.rename[one.name] = one.key
            if not one.type.is_exact:
                literal = self.literal(one.schema)
                checks.append(f"{one.name!r}: ({one.key!r}, {literal}, {one.type.has_structs})")
        if struct.leftover:
            checks.append(f"'': ('', {self.literal(struct.leftover)}, False)")
        if checks:
            model.checks = "{" + ", ".join(checks) + "}"
        if struct.schema is not None:
            model.schema = self.literal(struct.schema)
        if checks or model.schema:
            model.validation = names.use("", "validation")
        self._imports(names, model, "..", struct.module)
        return model

    def alias(self, name: str, module: str, found: Type, description: str) -> Model:
        """Return the module of a schema that is no struct."""
        names = Names([name])
        model = Model(
            ClassInfo(name, module), docstring(description, 0) if description else "", "", "", ""
        )
        model.alias = names.resolve(found.code)
        if found.static is not None and found.static != found.code:
            model.static_alias = names.resolve(found.static)
            model.type_checking = names.use("typing", "TYPE_CHECKING")
        self._imports(names, model, "..", module)
        model.imports, model.late_imports = [*model.imports, *model.late_imports], []
        return model

    def _code(self, found: Type, name: str, names: Names, model: Model) -> str:
        """Return the annotation of a field; what only type checkers know gets an alias."""
        if found.static is None or found.static == found.code:
            return names.resolve(found.code)
        alias = f"_{name}_type"
        model.statics[alias] = names.resolve(found.static)
        model.type_checking = names.use("typing", "TYPE_CHECKING")
        model.any = names.use("typing", "Any")
        return alias

    def _imports(self, names: Names, model: Model, root: str, own: str) -> None:
        for (module, name), alias in names.imports.items():
            if module == "models":
                where = self._modules[name]
                if where == own and name != alias:
                    model.late_imports.append(f"{alias} = {name}")
                elif where != own:
                    model.late_imports.append(
                        f"from {root}models.{where} import {_as(name, alias)}"
                    )
            else:
                model.imports.append(import_line(module, name, alias, root))

    def literal(self, schema: Schema) -> str:
        """Return a schema as code, without what only describes it; note what it refers to."""
        return repr(self._essence(schema))

    def _essence(self, schema: Any) -> Any:
        if isinstance(schema, list):
            return [self._essence(one) for one in schema]
        if not isinstance(schema, dict):
            return schema
        if "$ref" in schema:
            self._use(schema["$ref"])
        for target in schema.get("discriminator", {}).get("mapping", {}).values():
            if target is not None:
                self._use(target)
        maps = ("properties", "patternProperties", "dependentSchemas")
        raw = ("enum", "discriminator", "required", "dependentRequired", "type", "x-patterns")
        return {
            key: value
            if key in raw
            else {name: self._essence(inner) for name, inner in value.items()}
            if key in maps
            else self._essence(value)
            for key, value in assertions(schema).items()
        }

    def _use(self, pointer: str) -> None:
        if pointer not in self.used:
            self.used[pointer] = None

    def schemas(self) -> dict[str, Any]:
        """Return the named schemas that checks refer to, those they refer to included."""
        result: dict[str, Any] = {}
        while missing := [pointer for pointer in self.used if pointer not in result]:
            for pointer in missing:
                result[pointer] = self._essence(self._named[pointer])
        return dict(sorted(result.items()))

    def endpoint(self, endpoint: Endpoint) -> dict[str, Any]:
        """Return what the endpoint's template lays out."""
        taken = {one.name for one in endpoint.parameters} | {"client", "body", "content_type"}
        own = {"_get_kwargs", "_parse_response", "_build_response", "sync", "sync_detailed"}
        names = Names(
            taken | own | {"asyncio", "asyncio_detailed", "_RESPONSES", "_request", "errors"}
        )
        responses = {
            status: {media.media_type: self._parser(media, names) for media in medias}
            or {"": f"{names.use('', 'decoding')}.nothing"}
            for status, medias in endpoint.responses.items()
        }
        parsed = list(
            dict.fromkeys(
                _parsed(media) for group in endpoint.responses.values() for media in group
            )
        )
        shown = [_plain(names.resolve(code)) for code in parsed if code != "None"]
        result = " | ".join(sorted(dict.fromkeys(shown))) or names.resolve(ANY_NAME)
        if names.resolve(ANY_NAME) in shown:
            result = names.resolve(ANY_NAME)
        bodies = [self._body(body, names) for body in endpoint.bodies]
        context = {
            "result": result,
            "optional": result if result == names.resolve(ANY_NAME) else f"{result} | None",
            "signature": self._signature(endpoint, names),
            "client": names.use("client", "AuthenticatedClient")
            + ("" if endpoint.requires_security else f" | {names.use('client', 'Client')}"),
            "any_client": " | ".join(names.use("client", one) for one in CLIENTS),
            "requests": [_request_line(one) for one in endpoint.parameters],
            "bodies": bodies,
            "responses": responses,
            "arguments": [one.name for one in endpoint.parameters],
            "n": {
                name: names.use(module, name)
                for module, name in (
                    ("", "httpx"),
                    ("", "encoding"),
                    ("", "decoding"),
                    ("types", "Response"),
                    ("types", "status_of"),
                    ("typing", "Any"),
                )
            },
            "docstring_detailed": docstring(_endpoint_docstring(endpoint), 4),
            "docstring_parsed": docstring(_endpoint_docstring(endpoint), 4),
            "name": endpoint.name,
            "method": repr(endpoint.method),
            "path": repr(_quoted(endpoint.path)),
        }
        imports: list[str] = []
        for (module, name), alias in names.imports.items():
            if module == "models":
                imports.append(f"from ...models.{self._modules[name]} import {_as(name, alias)}")
            else:
                imports.append(import_line(module, name, alias, "..."))
        context["imports"] = imports
        return context

    def _signature(self, endpoint: Endpoint, names: Names) -> dict[str, list[str]]:
        """Return the positional and the keyword parameters of an endpoint."""
        unset, kind = names.use("types", "UNSET"), names.use("types", "Unset")
        path = [
            f"{p.name}: {_plain(names.resolve(p.annotation))}"
            for p in endpoint.parameters
            if p.location == "path"
        ]
        keywords: list[str] = []
        if endpoint.bodies:
            types = " | ".join(
                dict.fromkeys(_plain(names.resolve(body.type.shown)) for body in endpoint.bodies)
            )
            optional = "" if endpoint.body_is_required else f" | {kind} = {unset}"
            keywords.append(f"body: {types}{optional}")
        if len(endpoint.bodies) > 1:
            keywords.append("content_type: str | None = None")
        for one in endpoint.parameters:
            if one.location == "path":
                continue
            annotation = _plain(names.resolve(one.annotation))
            if one.is_required and one.default is None:
                keywords.append(f"{one.name}: {annotation}")
            else:
                keywords.append(f"{one.name}: {annotation} | {kind} = {one.default or unset}")
        return {"path": path, "keywords": keywords}

    def _body(self, body: Body, names: Names) -> dict[str, str]:
        media = repr(body.media_type)
        types = f", {body.types!r}" if body.types else ""
        calls = {
            "json": f"json(body, {repr(JSON) if '*' in body.media_type else media})",
            "form": f"form(body, {media}, {body.styles!r}{types})",
            "multipart": f"multipart(body{types})",
            "content": f"content(body, {media})",
        }
        return {"media_type": media, "call": calls[body.kind], "type": self._classes(body, names)}

    def _classes(self, body: Body, names: Names) -> str:
        """Return the classes of what is sent in a media type, for `isinstance`."""
        if body.kind == "content":
            return f"({names.use('types', 'File')}, bytes, str)"
        marks = re.findall("\x02models:[^\x03]*\x03", body.type.shown)
        found = [names.resolve(one) for one in dict.fromkeys(marks)]
        if body.type.code not in marks:
            found += [name for kind, name in CLASSES.items() if kind in body.type.kinds]
        return found[0] if len(found) == 1 else f"({', '.join(found)})"

    def _parser(self, media: Media, names: Names) -> str:
        decoding = names.use("", "decoding")
        if media.kind != "json" or media.type is None:
            return f"{decoding}.{'nothing' if media.kind == 'json' else media.kind}"
        struct = re.fullmatch("\x02models:([^\x03]*)\x03", media.type.shown)
        if struct:
            return f"{decoding}.body({names.resolve(media.type.shown)}.from_json)"
        if media.type.is_exact:
            code = names.resolve(media.type.code)
            return f"{decoding}.body({decoding}.Decoder(lambda: {code}).decode)"
        literal = self.literal(media.schema)
        settle = f"{names.use('', 'validation')}.Settler({literal})"
        code = names.resolve(media.type.code)
        return f"{decoding}.body({decoding}.CheckedDecoder(lambda: {code}, {settle}).decode)"


class _Plain(ast.NodeTransformer):
    """Leaves of `Annotated` what is annotated."""

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        self.generic_visit(node)
        is_annotated = isinstance(node.value, ast.Name) and node.value.id.lstrip("_") == "Annotated"
        if is_annotated and isinstance(node.slice, ast.Tuple):
            return node.slice.elts[0]
        return node


def _plain(code: str) -> str:
    """Return an annotation without bounds: those of a signature bind nobody."""
    tree = _Plain().visit(ast.parse(code, mode="eval"))
    parts = dict.fromkeys(ast.unparse(part) for part in _members(tree.body))
    return " | ".join(parts)


def _members(node: ast.expr) -> list[ast.expr]:
    """Return the members of a union."""
    if isinstance(node, ast.BinOp):
        return [*_members(node.left), *_members(node.right)]
    return [node]


def _parsed(media: Media) -> str:
    if media.kind == "json":
        return media.type.shown if media.type is not None else "None"
    return {"text": "str", "file": mark("types", "File")}.get(media.kind, "None")


def _request_line(one: Parameter) -> str:
    usual = {"path": ("simple", False), "query": ("form", True), "header": ("simple", False)}
    extra = ""
    if one.is_json:
        return f"query_json({one.key!r}, {one.name})"
    if one.location != "cookie" and (one.style, one.explode) != usual[one.location]:
        extra = f", explode={one.explode}"
        if one.location != "header":
            extra = f", style={one.style!r}{extra}"
    return f"{one.location}({one.key!r}, {one.name}{extra})"


def _quoted(path: str) -> str:
    """Return a path with its fixed parts as a URL has them."""
    return re.sub(r"[^{}]+(?![^{]*\})", lambda m: quote(m[0], safe="/:@!$&'()*+,;=~-._%"), path)


def _endpoint_docstring(endpoint: Endpoint) -> str:
    paragraphs = [endpoint.summary, endpoint.description]
    if endpoint.parameters:
        lines = []
        for one in endpoint.parameters:
            text = " ".join(one.description.split()) or f"The {one.location} parameter `{one.key}`."
            lines.append(
                textwrap.fill(
                    f"{one.name}: {text}",
                    WIDTH,
                    initial_indent="    ",
                    subsequent_indent="        ",
                )
            )
        paragraphs.append("\n".join(["Args:", *lines]))
    if endpoint.server:
        paragraphs.append(f"The document has it on {endpoint.server}: give that to the client.")
    paragraphs.append(RAISES)
    return "\n\n".join(text for text in paragraphs if text.strip())


def import_line(module: str, name: str, alias: str, root: str) -> str:
    """Return the statement that imports a name of a module, or of this package if it has one."""
    local = {"decoding", "encoding", "validation"}
    if module in ("types", "client"):
        return f"from {root}{module} import {_as(name, alias)}"
    if module == "" and name in local:
        return f"from {root} import {_as(name, alias)}" if root else f"from . import {name}"
    return (
        f"import {_as(name, alias)}" if module == "" else f"from {module} import {_as(name, alias)}"
    )


def _as(name: str, alias: str) -> str:
    return name if name == alias else f"{name} as {alias}"


def docstring(text: str, indent: int) -> str:
    """Return text of the document as a docstring that says the same and nothing else."""
    kept = "".join(
        c for c in text if c == "\n" or unicodedata.category(c)[0] not in "CZ" or c == " "
    )
    lines: list[str] = []
    for line in kept.strip().split("\n"):
        lines += (
            textwrap.wrap(line, WIDTH, break_on_hyphens=False) or [""]
            if len(line) > WIDTH
            else [line.rstrip()]
        )
    escaped = "\n".join(lines).replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    escaped = re.sub(r'(?<!\\)((?:\\\\)*)"$', r'\1\\"', escaped)
    body = escaped.replace("\n", "\n" + " " * indent)
    body = re.sub(r"[ \t]+$", "", body, flags=re.MULTILINE)
    closing = "\n" + " " * indent if "\n" in body else ""
    return f'"""{body}{closing}"""'
