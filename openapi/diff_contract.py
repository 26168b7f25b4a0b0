"""Tell what changed in the contract since a git revision, and whether it breaks callers.

    python openapi/diff_contract.py BASE

Prints a line for each change and exits with 1 if one of them breaks callers: something that answers
used to have is gone or of another type, or requests must carry something new.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

DOCUMENT = Path(__file__).resolve().parent / "operations.yaml"
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
NOTES = ("description", "summary", "title", "example", "examples", "externalDocs")


class Change(NamedTuple):
    """One difference between two documents."""

    breaking: bool
    where: str
    what: str


class Differ:
    """Compares two documents, references resolved."""

    def __init__(self, old: dict[str, Any], new: dict[str, Any]) -> None:
        self.old = old
        self.new = new

    def run(self) -> Iterator[Change]:
        """Yield every change."""
        old, new = self.old.get("paths", {}), self.new.get("paths", {})
        for path in sorted(old.keys() | new.keys()):
            for method in METHODS:
                before, after = old.get(path, {}).get(method), new.get(path, {}).get(method)
                where = f"{method.upper()} {path}"
                if before and after:
                    yield from self.operation(where, before, after)
                elif before or after:
                    yield Change(after is None, where, "added" if after else "removed")

    def operation(self, where: str, before: Any, after: Any) -> Iterator[Change]:
        """Compare one operation."""
        if before.get("operationId") != after.get("operationId"):
            yield Change(True, where, "operationId changed: generated names change with it")
        yield from self.security(where, before, after)
        yield from self.parameters(where, before, after)
        old, new = before.get("responses", {}), after.get("responses", {})
        for status in sorted(old.keys() | new.keys()):
            at = f"{where} -> {status}"
            if status in old and status in new:
                yield from self.response(at, old[status], new[status])
            else:
                gone = status in old
                yield Change(gone, at, "status removed" if gone else "status added")

    def security(self, where: str, before: Any, after: Any) -> Iterator[Change]:
        """Compare what opens the operation."""
        old = {name for way in before.get("security", []) for name in way}
        new = {name for way in after.get("security", []) for name in way}
        schemes = [d.get("components", {}).get("securitySchemes", {}) for d in (self.old, self.new)]
        for name in sorted(old | new):
            if name not in new or name not in old:
                gone = name in old
                yield Change(gone, where, f"security {name} {'removed' if gone else 'added'}")
            elif bare(schemes[0].get(name)) != bare(schemes[1].get(name)):
                yield Change(True, where, f"security {name} changed")

    def parameters(self, where: str, before: Any, after: Any) -> Iterator[Change]:
        """Compare the parameters by name and place."""
        old, new = self.by_name(self.old, before), self.by_name(self.new, after)
        for name in sorted(old.keys() | new.keys()):
            at = f"{where} parameter {name[0]} in {name[1]}"
            if name not in old:
                required = bool(new[name].get("required"))
                yield Change(required, at, f"added, {'required' if required else 'optional'}")
            elif name not in new:
                yield Change(True, at, "removed")
            else:
                if new[name].get("required") and not old[name].get("required"):
                    yield Change(True, at, "became required")
                if bare(old[name].get("schema")) != bare(new[name].get("schema")):
                    yield Change(True, at, "accepts other values")

    def by_name(self, document: Any, operation: Any) -> dict[tuple[str, str], Any]:
        """Return an operation's parameters."""
        found = [resolve(document, p) for p in operation.get("parameters", [])]
        return {(p["name"], p["in"]): p for p in found}

    def response(self, where: str, before: Any, after: Any) -> Iterator[Change]:
        """Compare the answers of one status."""
        before, after = resolve(self.old, before), resolve(self.new, after)
        for part in ("headers", "content"):
            old, new = before.get(part, {}), after.get(part, {})
            for name in sorted(old.keys() | new.keys()):
                at = f"{where} {part} {name}"
                if name not in old or name not in new:
                    yield Change(name in old, at, "removed" if name in old else "added")
                else:
                    old_schema = resolve(self.old, old[name]).get("schema", {})
                    new_schema = resolve(self.new, new[name]).get("schema", {})
                    yield from self.schema(f"{at} $", old_schema, new_schema)

    def schema(self, where: str, before: Any, after: Any) -> Iterator[Change]:
        """Compare what callers read."""
        before, after = resolve(self.old, before), resolve(self.new, after)
        for key in sorted((before.keys() | after.keys()) - set(NOTES)):
            old, new = before.get(key), after.get(key)
            if key == "properties":
                yield from self.properties(where, before, after)
            elif key == "items" and old and new:
                yield from self.schema(f"{where}[]", old, new)
            elif key == "required":
                for name in sorted(set(old or []) - set(new or [])):
                    yield Change(True, f"{where}.{name}", "no longer always there")
                for name in sorted(set(new or []) - set(old or [])):
                    yield Change(False, f"{where}.{name}", "now always there")
            elif key == "x-extensible-enum":
                for value in sorted(set(old or []) ^ set(new or [])):
                    gone = value in (old or [])
                    yield Change(gone, where, f"value {value} {'removed' if gone else 'added'}")
            elif old != new:
                yield Change(True, where, f"{key} changed from {old!r} to {new!r}")

    def properties(self, where: str, before: Any, after: Any) -> Iterator[Change]:
        """Compare an object's properties."""
        old, new = before.get("properties", {}), after.get("properties", {})
        for name in sorted(old.keys() | new.keys()):
            at = f"{where}.{name}"
            if name in old and name in new:
                yield from self.schema(at, old[name], new[name])
            else:
                yield Change(name in old, at, "removed" if name in old else "added")


def resolve(document: Any, node: Any) -> Any:
    """Follow a reference within the document."""
    while isinstance(node, dict) and "$ref" in node:
        target = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part.replace("~1", "/").replace("~0", "~")]
        node = target
    return node


def bare(node: Any) -> Any:
    """Return a node without its notes for people."""
    if isinstance(node, dict):
        return {key: bare(value) for key, value in node.items() if key not in NOTES}
    return node


def main() -> int:
    """Print the changes; return 1 if one breaks callers."""
    parser = argparse.ArgumentParser(description="What changed in the contract.")
    parser.add_argument("base", help="the git revision to compare with")
    base = parser.parse_args().base
    command = ["git", "show", f"{base}:./{DOCUMENT.name}"]
    old = subprocess.run(command, cwd=DOCUMENT.parent, stdout=subprocess.PIPE, check=False)
    if old.returncode:
        parser.error(f"git has no {DOCUMENT.name} at {base!r}")
    changes = list(Differ(yaml.safe_load(old.stdout), yaml.safe_load(DOCUMENT.read_text())).run())
    for change in changes:
        print(f"{'BREAKING' if change.breaking else 'ok      '}  {change.where}: {change.what}")
    if not changes:
        print(f"the contract is that of {base}")
    return int(any(change.breaking for change in changes))


if __name__ == "__main__":
    sys.exit(main())
