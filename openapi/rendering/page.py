"""The page: operations, schemas, examples, and everything else that a document may say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from difference.document import METHODS, CannotTellError, Document, listed, mapping

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
        # What the page has shown so far: references, security schemes, callbacks.
        self._used: set[str] = set()
        self._asked: set[str] = set()
        self._called: set[str] = set()

    def _resolve(self, node: Any, place: str = "") -> Any:
        """Follow references to a node that is none, and put on it what stands beside them."""
        above: list[dict[Any, Any]] = []
        seen: set[str] = set()
        while isinstance(reference := mapping(node).get("$ref"), str):
            above.append({key: value for key, value in node.items() if key != "$ref"})
            if reference in seen or not reference.startswith("#"):
                node = {} if reference in seen else self.document.resolve(node, place)
                break
            seen.add(reference)
            self._used.add(reference)
            try:
                node = self.document.target(reference)
            except CannotTellError as error:
                raise CannotTellError(place or self.document.name, str(error)) from None
        for beside in reversed(above):
            own = mapping(node)
            for key in ("summary", "description"):
                if beside.get(key) and own.get(key) not in (None, "", beside[key]):
                    beside[key] = f"{beside[key]}\n\n{own[key]}"
            node = {**own, **beside} if beside else node
        return node

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
        found = mapping(holder).get("servers")
        servers = [mapping(server) for server in listed(found)]
        if found and not servers:
            yield from _bullets(details({"servers": found}, ()))
        if not servers:
            return
        yield f"{what}:\n"
        for server in servers:
            about = [cell(server["description"])] if server.get("description") else []
            named = isinstance(server.get("variables"), dict)
            about += details(server, ("url", "description", *(["variables"] if named else [])))
            yield f"- {code(server.get('url', ''))} {', '.join(about)}".rstrip()
            for name, variable in mapping(server.get("variables")).items():
                about = details(mapping(variable), ("description",))
                described = mapping(variable).get("description")
                about += [cell(described)] if described else []
                about += [] if isinstance(variable, dict) else [code(variable)]
                yield f"    - {code(name)}: {', '.join(about)}"
        yield ""

    def _paths(self) -> Iterator[str]:
        for key, prefix in (("paths", ""), ("webhooks", "webhook ")):
            items, more = _extended(self.root.get(key))
            for path, item in items.items():
                yield from self._item(f"{prefix}{path}", item)
            yield from _bullets(more)

    def _item(self, path: str, raw: Any) -> Iterator[str]:
        """Yield what a path offers."""
        item = mapping(self._resolve(raw, path))
        found = [mapping(item[method]) for method in METHODS if method in item]
        for method in METHODS:
            if method in item:
                yield from self._operation(f"{method.upper()} {path}", item, mapping(item[method]))
        more = [cell(item[key]) for key in ("summary", "description") if item.get(key)]
        shown = {*METHODS, "summary", "description", "parameters", "servers"}
        if more := more + details(item, shown):
            yield f"On {code(path)}:\n"
            yield from _bullets(more)
        # Operations show what is theirs: parameters of their path, and its servers if they use it.
        if not found:
            parameters = listed(item.get("parameters"))
            yield from self._parameters([self._resolve(one, path) for one in parameters])
        if not found or all(one.get("servers") for one in found):
            yield from self._servers(item, f"The servers of {code(path)}")

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
        yield from self._parameters([self._resolve(one, heading) for one in raw])
        yield from self._security(found)
        if "requestBody" in found:
            yield from self._body(self._resolve(found["requestBody"], heading))
        yield from self._responses(found)
        callbacks, more = _extended(found.get("callbacks"))
        yield from _bullets(more)
        for name, callback in callbacks.items():
            if self._again(callback):
                yield from _bullets([f"callback {code(name)}: {code(callback)}"])
                continue
            items, more = _extended(self._resolve(callback, heading))
            yield from _bullets(more)
            for path, nested in items.items():
                if self._again(nested):
                    yield from _bullets([f"callback {code(name)}, {code(path)}: {code(nested)}"])
                else:
                    yield from self._item(f"callback {name} {path}", nested)

    def _again(self, node: Any) -> bool:
        """Tell whether a callback is a reference to one that is shown: they may go in circles."""
        reference = mapping(node).get("$ref")
        if not isinstance(reference, str):
            return False
        if reference in self._called:
            return True
        self._called.add(reference)
        return False

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
            schema = content.get("schema")
            own = note({k: v for k, v in mapping(schema).items() if k != "$ref"})
            nested += [(code(path), words(schema), "", own)] if own else []
            nested += list(rows(schema, path))
        return ", ".join(kinds) or "any", nested

    def _text(self, holder: Any) -> str:
        """Return what a parameter or a header says for people, with its examples."""
        own = {key: value for key, value in holder.items() if key != "examples"}
        parts = [note(own)]
        for holding in (holder, *map(mapping, mapping(holder.get("content")).values())):
            if holding is not holder and "example" in holding:
                parts.append(f"Example: {code(holding['example'])}")
            for name, example in mapping(holding.get("examples")).items():
                parts.append(f"Example {code(name)}: {code(self._resolve(example))}")
        return " ".join(part for part in parts if part)

    def _security(self, found: Any) -> Iterator[str]:
        ways = found.get("security", self.root.get("security"))
        if not ways:
            yield "It is open: nothing has to be presented.\n"
            return
        if not isinstance(ways, list):
            yield from _bullets(details({"security": ways}, ()))
            return
        yield "One of these opens it:\n"
        schemes = self.document.component("securitySchemes")
        for way in map(mapping, ways):
            parts = []
            for name, scopes in way.items():
                self._asked.add(str(name))
                scheme = mapping(self._resolve(schemes.get(str(name)), f"security {name}"))
                listing = scopes if isinstance(scopes, list) else [scopes]
                scope = f" with {', '.join(map(code, listing))}" if scopes else ""
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
                if "$ref" in mapping(example):
                    yield from _bullets(
                        [f"example {code(name)}: {', '.join(details(example, ()))}"]
                    )
                else:
                    yield from _example(str(name), mapping(example))

    def _responses(self, found: Any) -> Iterator[str]:
        responses, extra = _extended(found.get("responses"))
        answers = {
            str(status): mapping(self._resolve(raw, f"response {status}"))
            for status, raw in responses.items()
        }
        lines, nested = [], []
        for status, response in answers.items():
            contents = [
                f"{code(media)}: {self._media(mapping(content))}"
                for media, content in mapping(response.get("content")).items()
            ]
            headers = []
            for name, raw in mapping(response.get("headers")).items():
                header = mapping(self._resolve(raw, f"header {name}"))
                kind, below = self._value(str(name), header)
                kind = ", ".join(
                    [kind, *details(header, ("schema", "content", "required", *TEXTS))]
                )
                needed = "yes" if header.get("required") else ""
                nested += [(status, code(name), kind, needed, self._text(header))]
                nested += [(status, *row) for row in below]
                headers.append(code(name))
            if isinstance(links := response.get("links"), dict):
                found_links = {name: self._resolve(link, "links") for name, link in links.items()}
                response = {**response, "links": found_links}
            more = [cell(response.get("description", "")), *details(response, RESPONSE)]
            text = " ".join(part for part in more if part)
            lines.append((cell(status), "; ".join(contents), ", ".join(headers), text))
        yield from table(("status", "content", "headers", ""), lines)
        yield from table(("status", "header", "type", "required", ""), nested)
        yield from _bullets(extra)
        told: set[str] = set()
        for status, response in answers.items():
            # As text: `1` and `true` are equal in Python.
            if (content := dumps(response.get("content"))) not in told:
                told.add(content)
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
            yield from _example(str(name), mapping(self._resolve(example)))
        for kind, word in KINDS.items():
            for name, found in mapping(components.get(kind)).items():
                used = f"#/components/{kind}/{name}" in self._used
                if not used and not (kind == "securitySchemes" and str(name) in self._asked):
                    yield f"The {word} {code(name)}, which nothing uses: {code(found)}\n"
        for key in [key for key in components if key not in {*KINDS, "schemas", "examples"}]:
            yield f"{cell(key)}: {code(components[key])}\n"


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


def _extended(node: Any) -> tuple[dict[Any, Any], list[str]]:
    """Return what a map of the document holds, and what extends it."""
    if not isinstance(node, dict):
        return {}, [] if node is None else [code(node)]
    extra = {key: value for key, value in node.items() if str(key).startswith("x-")}
    return {key: value for key, value in node.items() if key not in extra}, details(extra, ())
