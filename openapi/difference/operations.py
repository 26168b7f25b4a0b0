"""Compare what two documents offer: operations, what goes in, what comes out, what opens them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Set
from datetime import date
from functools import cached_property
from typing import Any

from .document import EXTERNAL, CannotTellError, Document, Operation, listed, mapping, snake
from .generated import Function, Generated, nameless
from .rules import default, say
from .schemas import Change, SchemaDiffer, Travels, nodes
from .security import SecurityDiffer
from .shapes import Shapes, bare

DATE = re.compile(r"\d{4}-\d\d-\d\d")


class Differ:
    """Compares two documents."""

    def __init__(self, old: Document, new: Document) -> None:
        self.old = old
        self.new = new
        self.schemas = SchemaDiffer(Shapes(old), Shapes(new))
        self.security = SecurityDiffer(old, new)

    def run(self) -> Iterator[Change]:
        """Yield every change.

        Raises:
            CannotTellError: Where a document cannot be read.
        """
        old = {nameless(found.method, found.path): found for found in self.old.operations()}
        new = {nameless(found.method, found.path): found for found in self.new.operations()}
        for key in [*old, *(key for key in new if key not in old)]:
            before, after = old.get(key), new.get(key)
            if _elsewhere(f"path {key[1]}", before and before.node, after and after.node):
                continue
            if before and after:
                where = f"{key[0].upper()} {before.path}"
                yield from _guarded(where, self._operation(where, before, after))
            elif before:
                yield self._removed(before)
            elif after:
                yield Change(False, f"{key[0].upper()} {after.path}", "added")
        yield from self.security.schemes()
        yield from self._classes(old.keys() & new.keys())
        if bare(self.old.root.get("webhooks"), named=True) != bare(
            self.new.root.get("webhooks"), named=True
        ):
            yield Change(False, "webhooks", "changed: the generated client has none")

    def _removed(self, found: Operation) -> Change:
        """An operation that was announced to end, and whose day has come, surprises nobody."""
        sunset = DATE.match(str(found.node.get("x-sunset", "")))
        past = bool(sunset) and sunset is not None and sunset[0] < date.today().isoformat()
        announced = found.node.get("deprecated") is True and past
        words = f"removed after its sunset, {sunset[0]}" if announced and sunset else "removed"
        return Change(not announced, f"{found.method.upper()} {found.path}", words)

    @cached_property
    def _generated(self) -> tuple[Generated, Generated]:
        return Generated(self.old), Generated(self.new)

    def _classes(self, kept: Set[tuple[str, str]]) -> Iterator[Change]:
        """Compare the classes that callers of the operations that are still there know by name."""
        old, new = self._generated
        reached = old.reached(found for key, found in old.functions.items() if key in kept)
        for name in old.classes:
            where = f"class {name}"
            if name not in new.classes:
                words = "removed" if name in reached else "removed; nothing that is left used it"
                yield Change(name in reached, where, words)
            elif name in reached and (words := old.replaced(new, name)):
                yield Change(True, where, words)

    def _operation(self, where: str, before: Operation, after: Operation) -> Iterator[Change]:
        if bool(before.node.get("deprecated")) != bool(after.node.get("deprecated")):
            word = "deprecated" if after.node.get("deprecated") else "no longer deprecated"
            yield Change(False, where, word)
        yield from self.security.operation(where, before, after)
        old, new = (
            [
                (s.get("url"), bare(s.get("variables"), named=True))
                for s in map(mapping, found.servers)
            ]
            for found in (before, after)
        )
        if old != new:
            words = f"servers changed from {_urls(old)} to {_urls(new)}; callers name theirs"
            yield Change(False, where, words)
        yield from self._parameters(where, before, after)
        yield from self._body(where, before.node.get("requestBody"), after.node.get("requestBody"))
        yield from self._responses(where, before.node, after.node)
        if bare(before.node.get("callbacks"), named=True) != bare(
            after.node.get("callbacks"), named=True
        ):
            yield Change(False, where, "callbacks changed: the generated client has none")
        yield from self._names(where, before, after)

    def _names(self, where: str, before: Operation, after: Operation) -> Iterator[Change]:
        """Compare what the names of the generated module and function are made of."""
        if before.path != after.path:
            yield Change(False, where, f"path written as {after.path}")
        old, new = (self._function(side, found) for side, found in enumerate((before, after)))
        ids = [found.node.get("operationId") for found in (before, after)]
        moved = old.module != new.module
        if ids[0] != ids[1]:
            words = f"operationId changed from {say(ids[0])} to {say(ids[1])}"
            yield Change(moved, where, words + ": generated names change with it" * moved)
        elif moved:
            yield Change(True, where, f"generated as {new.module}, was {old.module}")
        tags = [list(map(str, listed(found.node.get("tags")))) for found in (before, after)]
        if old.folder != new.folder:
            words = f"generated in api.{new.folder}, was api.{old.folder} (first tag)"
            yield Change(True, where, words)
        elif tags[0] != tags[1]:
            yield Change(False, where, f"tags changed from {say(tags[0])} to {say(tags[1])}")
        removed = [key for key in before.parameters if key not in after.parameters]
        gone = sorted(old.arguments - new.arguments)
        if len(gone) > len([place for place, _ in removed if place != "path"]):
            yield Change(True, where, f"arguments are called otherwise: no {', '.join(gone)}")

    def _function(self, side: int, found: Operation) -> Function:
        """Return what the generator makes of an operation, or would if it could express it."""
        made = self._generated[side].function(found.method, found.path)
        if made is not None:
            return made
        tags = listed(found.node.get("tags")) or ["default"]
        name = found.node.get("operationId") or f"{found.method}_{found.path}"
        return Function(snake(str(tags[0])), snake(str(name)), frozenset(), frozenset())

    def _parameters(self, where: str, before: Operation, after: Operation) -> Iterator[Change]:
        renamed = dict(zip(_braces(before.path), _braces(after.path), strict=True))
        old = {
            ("path", renamed.get(n, n)) if i == "path" else (i, n): parameter
            for (i, n), parameter in before.parameters.items()
        }
        new = after.parameters
        for place, name in [*old, *(key for key in new if key not in old)]:
            at = f"{where} parameter {name} in {place}"
            was, now = old.get((place, name)), new.get((place, name))
            if _elsewhere(at, was, now):
                continue
            if was and now:
                yield from self._parameter(at, place, was, now)
            elif was:
                elsewhere = next((p for p, n in new if n == name and (p, n) not in old), None)
                words = f"moved to {elsewhere}" if elsewhere else "removed"
                sunset = DATE.match(str(was.get("x-sunset", "")))
                past = sunset is not None and sunset[0] < date.today().isoformat()
                yield Change(not (was.get("deprecated") is True and past), at, words)
            elif now:
                required = bool(now.get("required")) or place == "path"
                yield Change(required, at, f"added, {'required' if required else 'optional'}")

    def _parameter(self, at: str, place: str, was: Any, now: Any) -> Iterator[Change]:
        if place != "path" and bool(was.get("required")) != bool(now.get("required")):
            needed = bool(now.get("required"))
            yield Change(needed, at, "became required" if needed else "became optional")
        if bool(was.get("deprecated")) != bool(now.get("deprecated")):
            yield Change(False, at, f"deprecated {'added' if now.get('deprecated') else 'removed'}")
        old, new = _written(place, was), _written(place, now)
        if old != new:
            words = f"style and explode changed from {say(old)} to {say(new)}"
            yield Change(self._style_matters(was, now, old, new), at, words)
        if bool(was.get("allowReserved")) != bool(now.get("allowReserved")):
            yield Change(False, at, "allowReserved changed")
        if ("content" in was) != ("content" in now):
            yield Change(True, at, "is written in another way: schema and content are two")
            return
        if "content" in was:
            yield from self._contents(at, was["content"], now["content"], Travels.REQUEST)
            return
        yield from self.schemas.compare(f"{at} $", nodes(was), nodes(now), Travels.PARAMETER)
        sides = ((self.schemas.old, was), (self.schemas.new, now))
        defaults = [_defaults(shapes.of(nodes(holder), at)) for shapes, holder in sides]
        for _, words in default("default", *defaults):
            yield Change(True, at, f"{words}: a call without it means something else")

    def _style_matters(self, was: Any, now: Any, old: Any, new: Any) -> bool:
        """A single value is written alike in every style of a query."""
        alike = {"form", "spaceDelimited", "pipeDelimited", "deepObject", "simple"}
        kinds = {shape.kind for shape in self.schemas.old.of(nodes(was), "")}
        kinds |= {shape.kind for shape in self.schemas.new.of(nodes(now), "")}
        return bool(kinds & {"array", "object", "any"}) or not {old[0], new[0]} <= alike

    def _body(self, where: str, before: Any, after: Any) -> Iterator[Change]:
        old = mapping(self.old.resolve(before, f"{where} requestBody"))
        new = mapping(self.new.resolve(after, f"{where} requestBody"))
        at = f"{where} body"
        if _elsewhere(at, old, new):
            return
        if before is None or after is None:
            if after is not None:
                needed = bool(new.get("required"))
                yield Change(needed, at, f"added, {'required' if needed else 'optional'}")
            elif before is not None:
                yield Change(True, at, "removed")
            return
        if bool(old.get("required")) != bool(new.get("required")):
            needed = bool(new.get("required"))
            yield Change(needed, at, "became required" if needed else "became optional")
        yield from self._contents(at, old.get("content"), new.get("content"), Travels.REQUEST)

    def _responses(self, where: str, before: Any, after: Any) -> Iterator[Change]:
        old, new = (
            {
                str(s).upper(): r
                for s, r in mapping(node.get("responses")).items()
                if not str(s).startswith("x-")
            }
            for node in (before, after)
        )
        for status in [*old, *(status for status in new if status not in old)]:
            at = f"{where} -> {status.lower() if status == 'DEFAULT' else status}"
            if status in old and status in new:
                yield from self._response(at, old[status], new[status])
            elif status in new and (wider := _wider(status, old)):
                yield Change(False, at, f"status added: it was one of {wider}")
                yield from self._response(at, old[wider], new[status])
            elif status in new:
                yield Change(False, at, "status added")
            elif wider := _wider(status, new):
                yield Change(False, at, f"status removed: it is one of {wider} now")
                yield from self._response(at, old[status], new[wider])
            else:
                only = status == "DEFAULT" and not any(known[0] == "2" for known in old)
                yield Change(status[0] == "2" or only, at, "status removed")

    def _response(self, at: str, before: Any, after: Any) -> Iterator[Change]:
        before = mapping(self.old.resolve(before, at))
        after = mapping(self.new.resolve(after, at))
        if _elsewhere(at, before, after):
            return
        old, new = (
            {
                str(n).lower(): (str(n), h)
                for n, h in mapping(holder.get("headers")).items()
                if str(n).lower() != "content-type"
            }
            for holder in (before, after)
        )
        for key in [*old, *(key for key in new if key not in old)]:
            name = (old.get(key) or new[key])[0]
            where = f"{at} headers {name}"
            if key not in old or key not in new:
                yield Change(key in old, where, "removed" if key in old else "added")
                continue
            was = mapping(self.old.resolve(old[key][1], where))
            now = mapping(self.new.resolve(new[key][1], where))
            if _elsewhere(where, was, now):
                continue
            if bool(was.get("required")) != bool(now.get("required")):
                gone = not now.get("required")
                words = "no longer always there" if gone else "now always there"
                yield Change(gone, where, words)
            yield from self.schemas.compare(f"{where} $", nodes(was), nodes(now), Travels.ANSWER)
        yield from self._contents(at, before.get("content"), after.get("content"), Travels.ANSWER)
        if bare(before.get("links"), named=True) != bare(after.get("links"), named=True):
            yield Change(False, at, "links changed: the generated client follows none")

    def _contents(self, at: str, before: Any, after: Any, way: Travels) -> Iterator[Change]:
        """Compare the media types of a body, and the schema of each."""
        sides = [{str(n): c for n, c in mapping(side).items()} for side in (before, after)]
        # Parameters count only where they tell two media types apart.
        tells = any(len({*map(_essence, side)}) < len(side) for side in sides)
        key_of = _spelt if tells else _essence
        old, new = ({key_of(n): (n, c) for n, c in side.items()} for side in sides)
        special = {
            a: b
            for a in old
            for b in new
            if a not in new
            and b not in old
            and a.startswith("application/")
            and _suffix(a) == _suffix(b)
        }
        for key in [*old, *(key for key in new if key not in old)]:
            where = f"{at} content {(old.get(key) or new[key])[0]}"
            other = special.get(key, key)
            if key in old and other in new:
                if old[key][0] != new[other][0]:
                    general = other != key and "+" not in other
                    yield Change(
                        general or (other != key and way is not Travels.ANSWER),
                        where,
                        f"written as {new[other][0]}",
                    )
                was, now = mapping(old[key][1]), mapping(new[other][1])
                yield from self._media(where, was, now, way)
            elif key in old:
                yield Change(True, where, "removed")
            elif key not in special.values():
                yield Change(False, where, "added")

    def _media(self, where: str, was: Any, now: Any, way: Travels) -> Iterator[Change]:
        if bare(was.get("encoding"), named=True) != bare(now.get("encoding"), named=True):
            yield Change(way is not Travels.ANSWER, where, "encoding changed")
        if way is Travels.REQUEST and was.get("schema") is not None:
            one, other = (
                shapes.union(nodes(side))
                for shapes, side in ((self.schemas.old, was), (self.schemas.new, now))
            )
            if other == "oneOf" and one is None:
                words = "is one of several now: the type of the generated argument changes"
                yield Change(True, f"{where} $", words)
        for key in ("schema", "itemSchema"):
            yield from self.schemas.compare(f"{where} $", nodes(was, key), nodes(now, key), way)


def _guarded(where: str, changes: Iterator[Change]) -> Iterator[Change]:
    """Yield changes; what cannot be compared is said with its place.

    Raises:
        CannotTellError: If comparing fails, which is so of no document that is valid.
    """
    try:
        yield from changes
    except (CannotTellError, RecursionError):
        raise
    except Exception as error:
        raise CannotTellError(where, f"{type(error).__name__}: {error}") from error


def _wider(status: str, known: Iterable[str]) -> str | None:
    """Return the status by which a response is read where its own is not among the known."""
    return next((s for s in (f"{status[0]}XX", "DEFAULT") if s in known and s != status), None)


def _elsewhere(at: str, old: Any, new: Any) -> bool:
    """Tell whether both are the same thing in another document, which is not read.

    Raises:
        CannotTellError: If one is there, and the other is not the same.
    """
    references = [mapping(node).get(EXTERNAL) for node in (old, new)]
    if references[0] != references[1]:
        raise CannotTellError(at, "a reference out of the document changed")
    return references[0] is not None


def _braces(path: str) -> list[str]:
    return re.findall(r"\{([^{}]*)\}", path)


def _written(place: str, parameter: Any) -> tuple[str, bool]:
    """Return the style and explode of a parameter, defaults filled in."""
    style = parameter.get("style") or ("form" if place in {"query", "cookie"} else "simple")
    # A deep object has a pair for each property, whatever `explode` says.
    return style, style == "deepObject" or bool(parameter.get("explode", style == "form"))


def _defaults(shapes: Any) -> Any:
    return next((s.facts["default"] for s in shapes if "default" in s.facts), None)


def _essence(media: str) -> str:
    """Return a media type without its parameters."""
    return media.partition(";")[0].strip().lower()


def _spelt(media: str) -> str:
    """Return a media type with its parameters, in one spelling."""
    return "".join(media.split()).lower()


def _suffix(media: str) -> str:
    """Return the syntax that a media type is written in: `json` for `application/problem+json`."""
    return media.rpartition("/")[2].rpartition("+")[2]


def _urls(servers: list[Any]) -> str:
    return ", ".join(str(url) for url, _ in servers)
