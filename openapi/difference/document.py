"""An OpenAPI document: references, operations, and what applies to an operation from above it."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

from generator import document as generator

EXTERNAL = "$external"
"""The key of a node that stands for what is in another document, with the reference to it."""
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace", "query")


class CannotTellError(Exception):
    """A document, or a place in it, that cannot be read."""

    def __init__(self, place: str, why: str) -> None:
        super().__init__(f"{place}: {why}")


class Operation(NamedTuple):
    """One operation, with everything that its path and its document add to it."""

    method: str
    path: str
    node: dict[str, Any]
    parameters: dict[tuple[str, str], dict[str, Any]]
    security: list[dict[str, list[str]]]
    servers: list[Any]


class Document:
    """A document and the ways through it."""

    def __init__(self, root: Any, name: str = "the document") -> None:
        if not isinstance(root, dict):
            raise CannotTellError(name, "not an OpenAPI document: a mapping is expected")
        if not ({"openapi", "swagger"} & root.keys()) or "swagger" in root:
            raise CannotTellError(f"{name} /openapi", "not an OpenAPI 3 document")
        self.root: dict[str, Any] = root
        self.name = name
        # Beside a reference, 3.0 ignores every other keyword; 3.1 does not.
        self.siblings_count = not str(root["openapi"]).startswith("3.0")
        self._anchors: dict[str, Any] | None = None

    def component(self, kind: str) -> dict[str, Any]:
        """Return the components of a kind; empty if there are none."""
        found = mapping(mapping(self.root.get("components")).get(kind))
        return {str(name): value for name, value in found.items()}

    def target(self, reference: str) -> Any:
        """Return what a reference points to, one step.

        Raises:
            CannotTellError: If it points nowhere, or out of this document.
        """
        place = f"{self.name} {reference}"
        if not reference.startswith("#"):
            raise CannotTellError(place, "a reference out of the document is not followed")
        pointer = unquote(reference[1:])
        if pointer and not pointer.startswith("/"):
            return self._anchor(pointer, place)
        node: Any = self.root
        for part in pointer.split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            if isinstance(node, list) and key.isdigit() and int(key) < len(node):
                node = node[int(key)]
            elif isinstance(node, dict) and key in node:
                node = node[key]
            elif isinstance(node, dict) and key.isdigit() and int(key) in node:
                node = node[int(key)]  # YAML reads an unquoted status as a number
            else:
                raise CannotTellError(place, "nothing is there")
        return node

    def _anchor(self, name: str, place: str) -> Any:
        """Return the schema with a `$anchor`."""
        if self._anchors is None:
            self._anchors = {}
            waiting: list[Any] = [self.root]
            seen: set[int] = set()
            while waiting:
                node = waiting.pop()
                if id(node) in seen:
                    continue
                seen.add(id(node))
                if isinstance(node, dict):
                    for key in ("$anchor", "$dynamicAnchor"):
                        if isinstance(node.get(key), str):
                            self._anchors.setdefault(node[key], node)
                    waiting.extend(node.values())
                elif isinstance(node, list):
                    waiting.extend(node)
        if name not in self._anchors:
            raise CannotTellError(place, "nothing is there")
        return self._anchors[name]

    def resolve(self, node: Any, place: str = "") -> Any:
        """Follow references to a node that is none.

        A circle of references is an empty node; what is in another document is not read.
        """
        seen: set[str] = set()
        while isinstance(node, dict) and isinstance(node.get("$ref"), str):
            if node["$ref"] in seen:
                return {}
            if not node["$ref"].startswith("#"):
                return {EXTERNAL: node["$ref"]}
            seen.add(node["$ref"])
            try:
                node = self.target(node["$ref"])
            except CannotTellError as error:
                raise CannotTellError(place or self.name, str(error)) from None
        return node

    def operations(self) -> Iterator[Operation]:
        """Yield every operation of `paths`."""
        for path, raw in mapping(self.root.get("paths")).items():
            if str(path).startswith("x-"):
                continue
            item = mapping(self.resolve(raw, f"path {path}"))
            if EXTERNAL in item:
                yield Operation(EXTERNAL, str(path), item, {}, [], [])
            if isinstance(raw, dict) and "$ref" in raw:
                item = {**item, **{key: value for key, value in raw.items() if key != "$ref"}}
            others = mapping(item.get("additionalOperations"))
            for method, node in [*((m, item.get(m)) for m in METHODS), *others.items()]:
                if isinstance(node, dict):
                    yield self._operation(str(method), str(path), item, node)

    def _operation(self, method: str, path: str, item: Any, node: dict[str, Any]) -> Operation:
        place = f"{method.upper()} {path}"
        parameters: dict[tuple[str, str], dict[str, Any]] = {}
        for raw in [*listed(item.get("parameters")), *listed(node.get("parameters"))]:
            parameter = mapping(self.resolve(raw, f"{place} parameters"))
            if EXTERNAL in parameter:
                parameters[EXTERNAL, parameter[EXTERNAL]] = parameter
                continue
            name, where = str(parameter.get("name", "")), str(parameter.get("in", ""))
            if where == "header":
                name = name.lower()
                if name in {"accept", "content-type", "authorization"}:
                    continue  # OpenAPI says to ignore them
            parameters[where, name] = parameter
        security = next(
            (holder["security"] for holder in (node, self.root) if "security" in holder), []
        )
        servers = next(
            (h["servers"] for h in (node, item, self.root) if h.get("servers")), [{"url": "/"}]
        )
        return Operation(method, path, node, parameters, listed(security), listed(servers))


def load(text: str | bytes, name: str) -> Document:
    """Read a document from YAML or JSON, by the rules by which the generator reads it.

    Raises:
        CannotTellError: If it is neither, or not an OpenAPI 3 document.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "document")
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        try:
            return Document(generator.load(path).content, name)
        except generator.DocumentError as error:
            raise CannotTellError(name, str(error).removeprefix(f"{path}: ")) from None


def read(path: Path) -> Document:
    """Read a document from a file; see `load`."""
    try:
        return load(path.read_bytes(), str(path))
    except OSError as error:
        raise CannotTellError(str(path), error.strerror or str(error)) from None


def mapping(node: Any) -> dict[Any, Any]:
    """Return a mapping, or an empty one for anything else."""
    return node if isinstance(node, dict) else {}


def listed(node: Any) -> list[Any]:
    """Return a list, or an empty one for anything else."""
    return node if isinstance(node, list) else []


def snake(name: str) -> str:
    """Return the Python name that the generator makes of a name."""
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name))
    return re.sub(r"[^0-9a-zA-Z]+", "_", words).strip("_").lower()
