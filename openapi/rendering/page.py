"""The page: operations, schemas, examples, and everything else that a document may say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from difference.document import METHODS, Document, listed, mapping

from .schemas import note, rows, words
from .text import cell, code, details, dumps, prose, table

KEYS = ("key", "type", "required", "")
ROOT = ("info", "paths", "components", "servers", "tags", "security", "webhooks")
KINDS = {
    "parameters": "parameter",
    "headers": "header",
    "responses": "response",
    "requestBodies": "request body",
    "callbacks": "callback",
    "links": "link",
    "pathItems": "path item",
    "securitySchemes": "security scheme",
}


class Page:
    """Renders one document."""

    def __init__(self, root: Any, name: str) -> None:
        self.document = Document(root, name)
        self.root = self.document.root

    def render(self) -> str:
        """Return the document as Markdown.

        Raises:
            CannotTellError: If a reference leads nowhere.
        """
        return "\n".join([*self._head(), *self._paths(), *self._schemas(), *self._rest()])

    def _head(self) -> Iterator[str]:
        info = mapping(self.root.get("info"))
        title, version = info.get("title", "Untitled"), info.get("version", "")
        yield f"# The contract\n\n{prose(title)}, version {prose(version)}.\n"
        for key in ("summary", "description"):
            if info.get(key):
                yield f"{prose(info[key])}\n"
        more = details(info, ("title", "version", "summary", "description"))
        more += details(self.root, ROOT)
        yield from _bullets(more)
        yield from self._servers(self.root, "The servers")
        for tag in map(mapping, listed(self.root.get("tags"))):
            parts = [cell(tag[key]) for key in ("summary", "description") if tag.get(key)]
            parts += details(tag, ("name", "summary", "description"))
            yield f"- tag {code(tag.get('name', ''))}: {', '.join(parts)}"
        yield ""

    def _servers(self, holder: Any, what: str) -> Iterator[str]:
        """Yield the servers, with their variables."""
        servers = [mapping(server) for server in listed(mapping(holder).get("servers"))]
        if not servers:
            return
        yield f"{what}:\n"
        for server in servers:
            about = [cell(server["description"])] if server.get("description") else []
            about += details(server, ("url", "description", "variables"))
            yield f"- {code(server.get('url', ''))} {', '.join(about)}".rstrip()
            for name, variable in mapping(server.get("variables")).items():
                about = details(mapping(variable), ("description",))
                about += [cell(variable["description"])] if variable.get("description") else []
                yield f"    - {code(name)}: {', '.join(about)}"
        yield ""

    def _paths(self) -> Iterator[str]:
        for path, item in mapping(self.root.get("paths")).items():
            yield from self._item(str(path), item)
        for name, item in mapping(self.root.get("webhooks")).items():
            yield from self._item(f"webhook {name}", item)

    def _item(self, path: str, raw: Any) -> Iterator[str]:
        """Yield what a path offers."""
        item = mapping(self.document.resolve(raw, path))
        for method in METHODS:
            if method in item:
                yield from self._operation(f"{method.upper()} {path}", item, mapping(item[method]))
        more = [cell(item[key]) for key in ("summary", "description") if item.get(key)]
        shown = {*METHODS, "summary", "description", "parameters", "servers"}
        if more := more + details(item, shown):
            yield f"On {code(path)}:\n"
            yield from _bullets(more)

    def _operation(self, heading: str, item: Any, found: Any) -> Iterator[str]:
        yield f"## {prose(heading)}\n"
        if found.get("deprecated"):
            yield "**Deprecated.**\n"
        for key in ("summary", "description"):
            if found.get(key):
                yield f"{prose(found[key])}\n"
        shown = ("summary", "description", "deprecated", "parameters", "requestBody", "responses")
        more = details(found, (*shown, "security", "servers", "callbacks"))
        yield from _bullets(more)
        yield from self._servers({"servers": found.get("servers") or item.get("servers")}, "At")
        raw = [*listed(item.get("parameters")), *listed(found.get("parameters"))]
        yield from self._parameters([self.document.resolve(one, heading) for one in raw])
        yield from self._security(found)
        if "requestBody" in found:
            yield from self._body(self.document.resolve(found["requestBody"], heading))
        yield from self._responses(found)
        for name, callback in mapping(found.get("callbacks")).items():
            for path, nested in mapping(self.document.resolve(callback, heading)).items():
                yield from self._item(f"callback {name} {path}", nested)

    def _parameters(self, parameters: list[Any]) -> Iterator[str]:
        lines, nested = [], []
        for parameter in map(mapping, parameters):
            name = str(parameter.get("name", ""))
            kind, below = self._value(name, parameter)
            nested += below
            needed = "yes" if parameter.get("required") else ""
            shown = ("name", "in", "required", "schema", "content", *TEXTS)
            extra = ", ".join([kind, *details(parameter, shown)])
            where = cell(parameter.get("in", ""))
            lines.append((code(name), where, extra, needed, self._text(parameter)))
        yield from table(("parameter", "in", "type", "required", ""), lines)
        yield from table(KEYS, nested)

    def _value(self, path: str, holder: Any) -> tuple[str, list[tuple[str, str, str, str]]]:
        """Return the type of a parameter or a header, and the rows of what is nested in it."""
        if "schema" in holder:
            schema = holder["schema"]
            own = note({k: v for k, v in mapping(schema).items() if k != "$ref"})
            below = [(code(path), words(schema), "", own)] if own else []
            return words(schema), [*below, *rows(schema, path)]
        kinds, nested = [], []
        for media, content in mapping(holder.get("content")).items():
            content = mapping(content)
            kinds.append(f"{code(media)}: {self._media(content)}")
            nested += list(rows(content.get("schema"), path))
        return ", ".join(kinds) or "any", nested

    def _text(self, holder: Any) -> str:
        """Return what a parameter or a header says for people, with its examples."""
        own = {key: value for key, value in holder.items() if key != "examples"}
        parts = [note(own)]
        for name, example in mapping(holder.get("examples")).items():
            parts.append(f"Example {code(name)}: {code(self.document.resolve(example))}")
        return " ".join(part for part in parts if part)

    def _security(self, found: Any) -> Iterator[str]:
        ways = found.get("security", self.root.get("security"))
        if not ways:
            yield "It is open: nothing has to be presented.\n"
            return
        yield "One of these opens it:\n"
        schemes = self.document.component("securitySchemes")
        for way in map(mapping, ways):
            parts = []
            for name, scopes in way.items():
                scheme = mapping(self.document.resolve(schemes.get(str(name))))
                scope = f" with {', '.join(map(code, scopes))}" if scopes else ""
                parts.append(f"{_presented(scheme, str(name))}{scope}")
            yield f"- {' and '.join(parts) or 'nothing at all'}"
        yield ""

    def _body(self, body: Any) -> Iterator[str]:
        body = mapping(body)
        needed = "required" if body.get("required") else "optional"
        yield f"The body, {needed}: {cell(body.get('description', ''))}\n"
        yield from _bullets(details(body, ("required", "description", "content")))
        yield from self._contents("the body", body.get("content"))

    def _contents(self, what: str, contents: Any) -> Iterator[str]:
        """Yield the media types of a body, what is nested in each, and its examples."""
        lines = [
            (code(media), self._media(mapping(content)))
            for media, content in mapping(contents).items()
        ]
        yield from table(("content", "type"), lines)
        yield from self._below(what, contents)

    def _media(self, content: Any) -> str:
        """Return a media type's schema in words."""
        parts = [words(content["schema"])] if "schema" in content else ["any"]
        return ", ".join(parts + details(content, ("schema", "example", "examples")))

    def _below(self, what: str, contents: Any) -> Iterator[str]:
        """Yield what has no place in a line about a body."""
        for media, raw in mapping(contents).items():
            content = mapping(raw)
            schema = content.get("schema")
            own = note({k: v for k, v in mapping(schema).items() if k != "$ref"})
            below = [(code("$"), words(schema), "", own)] if own else []
            if below := [*below, *rows(schema)]:
                yield f"Of {what}, {code(media)}:\n"
                yield from table(KEYS, below)
            if "example" in content:
                yield from _example("example", {"value": content["example"]})
            for name, example in mapping(content.get("examples")).items():
                if "$ref" not in mapping(example):
                    yield from _example(str(name), mapping(example))

    def _responses(self, found: Any) -> Iterator[str]:
        answers = {
            str(status): mapping(self.document.resolve(raw, f"response {status}"))
            for status, raw in mapping(found.get("responses")).items()
        }
        lines, nested = [], []
        for status, response in answers.items():
            contents = [
                f"{code(media)}: {self._media(mapping(content))}"
                for media, content in mapping(response.get("content")).items()
            ]
            headers = []
            for name, raw in mapping(response.get("headers")).items():
                header = mapping(self.document.resolve(raw, f"header {name}"))
                kind, below = self._value(str(name), header)
                kind = ", ".join(
                    [kind, *details(header, ("schema", "content", "required", *TEXTS))]
                )
                needed = "yes" if header.get("required") else ""
                nested += [(status, code(name), kind, needed, self._text(header))]
                nested += [(status, *row) for row in below]
                headers.append(code(name))
            more = [cell(response.get("description", "")), *details(response, RESPONSE)]
            text = " ".join(part for part in more if part)
            lines.append((cell(status), "; ".join(contents), ", ".join(headers), text))
        yield from table(("status", "content", "headers", ""), lines)
        yield from table(("status", "header", "type", "required", ""), nested)
        told: list[Any] = []
        for status, response in answers.items():
            if response.get("content") not in told:
                told.append(response.get("content"))
                yield from self._below(status, response.get("content"))

    def _schemas(self) -> Iterator[str]:
        schemas = self.document.component("schemas")
        if schemas:
            yield "## Schemas\n"
        for name, found in schemas.items():
            yield f"### {prose(name)}\n"
            titled = mapping(found).get("title") not in (None, name)
            text = note(found if titled else {**mapping(found), "title": None})
            if text:
                yield f"{text}\n"
            yield f"Type: {words(found)}\n"
            yield from table(KEYS, rows(found))

    def _rest(self) -> Iterator[str]:
        """Yield the examples, and the components that nothing on the page refers to."""
        components = mapping(self.root.get("components"))
        for name, example in mapping(components.get("examples")).items():
            yield from _example(str(name), mapping(self.document.resolve(example)))
        used = self._references()
        for kind, word in KINDS.items():
            for name, found in mapping(components.get(kind)).items():
                names = _scheme_names(self.root) if kind == "securitySchemes" else used
                key = str(name) if kind == "securitySchemes" else f"#/components/{kind}/{name}"
                if key not in names:
                    yield f"The {word} {code(name)}, which nothing uses: {code(found)}\n"
        for key in [key for key in components if key not in {*KINDS, "schemas", "examples"}]:
            yield f"{cell(key)}: {code(components[key])}\n"

    def _references(self) -> set[str]:
        """Return the references that lead from operations and schemas to what is shown there."""
        found: set[str] = set()
        waiting: list[Any] = [self.root.get("paths"), self.root.get("webhooks")]
        waiting.append(self.document.component("schemas"))
        seen: set[int] = set()
        while waiting:
            here = waiting.pop()
            if id(here) in seen:
                continue
            seen.add(id(here))
            if isinstance(here, list):
                waiting.extend(here)
            elif isinstance(here, dict):
                waiting.extend(here.values())
                reference = here.get("$ref")
                if isinstance(reference, str) and reference not in found:
                    found.add(reference)
                    if reference.startswith("#/components/"):
                        waiting.append(self.document.target(reference))
        return found


TEXTS = ("description", "example", "examples", "deprecated", "title", "externalDocs")
RESPONSE = ("description", "content", "headers")


def _presented(scheme: Any, name: str) -> str:
    """Return what a caller presents to be let in."""
    kind = cell(scheme.get("type", "not described"))
    where = ""
    if scheme.get("type") == "apiKey":
        where = f" in the {cell(scheme.get('in', ''))} {code(scheme.get('name', ''))}"
    shown = ("type", "in", "name", "description") if where else ("type", "description")
    text = ", ".join([f"{code(name)}, {kind}{where}", *details(scheme, shown)])
    return f"{text}: {cell(scheme['description'])}" if scheme.get("description") else text


def _example(name: str, example: Any) -> Iterator[str]:
    """Yield an example with its value, or with where it is."""
    yield "## Example\n"
    texts = [prose(example[key]) for key in ("summary", "description") if example.get(key)]
    yield "\n\n".join(texts or [code(name)]) + "\n"
    if "value" in example:
        yield f"```json\n{dumps(example['value'], indent=2)}\n```\n"
    yield from _bullets(details(example, ("summary", "description", "value")))


def _bullets(lines: list[str]) -> Iterator[str]:
    yield from (f"- {line}" for line in lines)
    if lines:
        yield ""


def _scheme_names(root: Any) -> set[str]:
    """Return the security schemes that something asks for."""
    found: set[str] = set()
    waiting = [root.get("security"), root.get("paths"), root.get("webhooks")]
    waiting.append(mapping(root.get("components")).get("pathItems"))
    while waiting:
        here = waiting.pop()
        if isinstance(here, dict):
            found |= {str(name) for way in listed(here.get("security")) for name in mapping(way)}
            waiting.extend(here.values())
        elif isinstance(here, list):
            found |= {str(name) for way in here for name in mapping(way)}
            waiting.extend(here)
    return found
