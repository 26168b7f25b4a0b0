"""What the generated client calls things, as the generator itself says it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from typing import Any, NamedTuple
from urllib.parse import unquote

from generator import document as generator
from generator import package

from .document import CannotTellError, Document

WORD = re.compile(r"\w+")


class Function(NamedTuple):
    """An operation of the client: where it is, and its keyword arguments."""

    folder: str
    module: str
    arguments: frozenset[str]
    imports: frozenset[str]


class Class(NamedTuple):
    """A class of the client: the code of each field by its JSON key, and what it refers to."""

    fields: dict[str, str]
    imports: frozenset[str]

    def names(self) -> dict[str, str]:
        """Return the name of each field by its JSON key."""
        return {key: code.partition(":")[0] for key, code in self.fields.items()}


class Generated:
    """The names of the client that is generated from a document.

    Attributes:
        classes: Each class by its name.
        functions: Each operation by its method and its path, parameters nameless.
    """

    def __init__(self, document: Document) -> None:
        try:
            content = package.read(generator.Document(document.root))
        except RecursionError:
            raise
        except Exception as error:
            why = f"the generator cannot read it: {type(error).__name__}: {error}"
            raise CannotTellError(document.name, why) from error
        self.classes = {model.class_info.name: _class(model) for model in content.models}
        self.functions: dict[tuple[str, str], Function] = {}
        for folder, modules in content.endpoints.items():
            for module in modules:
                context: dict[str, Any] = module.context
                path = {line.partition(":")[0] for line in context["signature"]["path"]}
                key = ast.literal_eval(context["method"]), ast.literal_eval(context["path"])
                self.functions[nameless(*key)] = Function(
                    folder,
                    module.name,
                    frozenset(context["arguments"]) - path,
                    _words(context["imports"]),
                )

    def function(self, method: str, path: str) -> Function | None:
        """Return an operation, if the generator can express it."""
        return self.functions.get(nameless(method, path))

    def reached(self, functions: Iterable[Function]) -> set[str]:
        """Return the names of the classes that callers of some operations meet."""
        found: set[str] = set()
        waiting = [function.imports for function in functions]
        while waiting:
            for name in waiting.pop() & self.classes.keys():
                if name not in found:
                    found.add(name)
                    waiting.append(self.classes[name].imports)
        return found

    def replaced(self, new: Generated, name: str) -> str | None:
        """Return what a class of this name is now, if it is not what it was."""
        before, after = self.classes[name].fields, new.classes[name].fields
        if before == after:
            return None
        for other, found in new.classes.items():
            was = self.classes[other].fields if other in self.classes else None
            # The same fields elsewhere mean little by themselves: small classes are often alike.
            if found.fields == before != was and (was == after or before.keys() - after.keys()):
                return f"is what {other} is now"
        if before and after and not before.keys() & after.keys():
            return "is another class now: it has none of its fields"
        was_named, now_named = self.classes[name].names(), new.classes[name].names()
        for key in was_named.keys() & now_named.keys():
            if was_named[key] != now_named[key]:
                return f"has the field {was_named[key]} as {now_named[key]} now"
        return None


def nameless(method: str, path: str) -> tuple[str, str]:
    """Return what an operation is found by: parameters of a path count by their place."""
    return method, re.sub(r"\{[^{}]*\}", "{}", unquote(path))


def _class(model: Any) -> Class:
    names = {name: model.rename.get(name, name) for name, _, _ in map(_field, model.fields)}
    fields = {
        names[name]: f"{name}: {model.statics.get(kind, kind)}{default}"
        for name, kind, default in map(_field, model.fields)
    }
    return Class(fields, _words([*model.imports, *model.late_imports]))


def _field(line: Any) -> tuple[str, str, str]:
    """Return the name of a field, its type, and what else its line has."""
    name, _, rest = line.code.partition(": ")
    kind, separator, default = rest.partition(" | ")
    return name, kind, separator + default


def _words(lines: list[str]) -> frozenset[str]:
    return frozenset(WORD.findall(" ".join(lines)))
