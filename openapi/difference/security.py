"""Compare what opens an operation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .document import Document, Operation, listed, mapping
from .schemas import Change
from .shapes import bare

# What a caller must know to present a secret; where it is got (flows, URLs) is not the client's.
PRESENTED = ("type", "in", "name", "scheme")
Way = frozenset[str]


class SecurityDiffer:
    """Compares the security of two documents."""

    def __init__(self, old: Document, new: Document) -> None:
        self.old = old.component("securitySchemes")
        self.new = new.component("securitySchemes")
        self.documents = old, new

    def operation(self, where: str, before: Operation, after: Operation) -> Iterator[Change]:
        """Compare the ways into an operation; a caller may use any of the old ones."""
        old, new = self._ways(0, before), self._ways(1, after)
        for way in [way for way in old if way not in new]:
            # Something else opens it now: enough for a caller who has all that it asks for.
            locked = not any(other <= way for other in new)
            yield Change(locked, where, f"security {old[way]} removed")
        for way in [way for way in new if way not in old]:
            yield Change(False, where, f"security {new[way]} added")
        if old.keys() & new.keys():
            yield from self._scopes(where, before, after)

    def schemes(self) -> Iterator[Change]:
        """Tell what changed in the schemes themselves."""
        for name in [*self.old, *(name for name in self.new if name not in self.old)]:
            where = f"security scheme {name}"
            if name not in self.new or name not in self.old:
                yield Change(False, where, "removed" if name in self.old else "added")
                continue
            old, new = (
                bare(mapping(document.resolve(schemes[name], where)))
                for document, schemes in zip(self.documents, (self.old, self.new), strict=True)
            )
            for key in [*old, *(key for key in new if key not in old)]:
                if old.get(key) != new.get(key) and not str(key).startswith("x-"):
                    yield Change(False, where, f"{key} changed")

    def _ways(self, side: int, found: Operation) -> dict[Way, str]:
        """Return each way in, as what a caller presents, with its name."""
        schemes = (self.old, self.new)[side]
        ways: dict[Way, str] = {}
        for requirement in found.security or [{}]:
            names = [str(name) for name in mapping(requirement)]
            way = frozenset(self._presented(side, name, schemes) for name in names)
            ways.setdefault(way, " and ".join(names) or "none (open)")
        return ways

    def _presented(self, side: int, name: str, schemes: dict[str, Any]) -> str:
        scheme = mapping(self.documents[side].resolve(schemes.get(name), f"security {name}"))
        if not scheme:
            return name
        # Names of headers and of HTTP schemes do not depend on case.
        return repr([str(scheme.get(key, "")).lower() for key in PRESENTED])

    def _scopes(self, where: str, before: Operation, after: Operation) -> Iterator[Change]:
        """Scopes belong to the token that a caller brings; the generated client knows none."""
        old, new = (
            {
                (str(name), str(scope))
                for requirement in found.security
                for name, scopes in mapping(requirement).items()
                for scope in listed(scopes)
            }
            for found in (before, after)
        )
        for name, scope in sorted(old ^ new):
            word = "removed" if (name, scope) in old else "added"
            yield Change(False, where, f"security {name}: scope {scope} {word}")
