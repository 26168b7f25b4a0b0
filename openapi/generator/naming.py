"""Python's names for what the document names."""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Collection, Iterable

from openapi_python_client.strings import ClassName, PythonIdentifier

PREFIX = "field_"
METHODS = frozenset({"from_json"})
"""What generated structs define themselves."""


def identifier(name: str, taken: Collection[str] = ()) -> str:
    """Return a name in snake case that is an identifier, no keyword, no builtin, and not taken."""
    plain = unicodedata.normalize("NFKC", str(PythonIdentifier(name, PREFIX)))
    if not plain.isidentifier():
        plain = PREFIX + "".join(c for c in plain if c.isascii() and c.isidentifier())
    return distinct(plain, taken)


def field_name(name: str, taken: Collection[str] = ()) -> str:
    """Return a struct's name for a JSON key.

    A key that starts with a capital keeps its spelling; the others go to snake case.
    """
    is_capital = name[:1].isupper() and name.isidentifier() and not keyword.iskeyword(name)
    if is_capital and unicodedata.normalize("NFKC", name) == name:
        return distinct(name, taken)
    return identifier(name, {*taken, *METHODS})


def distinct(name: str, taken: Collection[str]) -> str:
    """Return a name, numbered if it is taken."""
    number, result = 1, name
    while result in taken:
        number += 1
        result = f"{name}{number}" if name[:1].isupper() else f"{name}_{number}"
    return result


class ClassNames:
    """Hands out class names and their modules' names, each once.

    Args:
        components: The names of the document's schemas; one that is a class name already keeps it.
    """

    def __init__(self, components: Iterable[str]) -> None:
        self._classes = set[str]()
        self._modules = set[str]()
        self._by_component: dict[str, tuple[str, str]] = {}
        ordered = sorted(components, key=lambda name: class_name(name) != name)
        for name in ordered:
            self._by_component[name] = self.take(name)

    def component(self, name: str) -> tuple[str, str]:
        """Return the class name and the module name of a component."""
        return self._by_component[name]

    def take(self, *words: str) -> tuple[str, str]:
        """Return a class name and a module name for what is called by some words."""
        name = distinct(class_name(" ".join(words)), self._classes)
        # File systems that ignore case have one file for two names that differ in it.
        module = distinct(identifier(name).lower(), self._modules)
        self._classes.add(name)
        self._modules.add(module)
        return name, module


def class_name(words: str) -> str:
    """Return a name in Pascal case that is an identifier."""
    name = unicodedata.normalize("NFKC", str(ClassName(words, "Model_")))
    return name if name.isidentifier() else "Model" + re.sub(r"\W|[^\x00-\x7f]", "", name)


class Names:
    """The names that one module imports, with an alias where another thing has the name.

    Args:
        taken: Names that the module needs for itself.
    """

    MARK = re.compile("\x02([^\x03]*):([^\x03]*)\x03")

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)
        self.imports: dict[tuple[str, str], str] = {}

    def resolve(self, code: str) -> str:
        """Return code with its marked names as this module has them."""
        return self.MARK.sub(lambda mark: self.use(mark[1], mark[2]), code)

    def use(self, module: str, name: str) -> str:
        """Return the name by which this module knows a name of another."""
        if (module, name) not in self.imports:
            alias = name
            while alias in self._taken:
                alias = f"_{alias}"
            self._taken.add(alias)
            self.imports[module, name] = alias
        return self.imports[module, name]


def mark(module: str, name: str) -> str:
    """Return a name for use in code that `Names.resolve` puts into a module."""
    return f"\x02{module}:{name}\x03"
