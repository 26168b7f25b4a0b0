"""One rule a keyword: is the new bound wider than the old, narrower, or simply another?

A rule gets the two values of a keyword (absent: `None`) and returns what to say of them. Whether
that breaks a caller depends on the direction: answers must not get wider, since the client refuses
what the document it was generated from does not allow; requests must not get narrower.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any

from generator.patterns import FORMATS


class Relation(Enum):
    """How the values that are allowed now are related to those that were."""

    SAME = "same"
    WIDER = "wider"
    NARROWER = "narrower"
    OTHER = "other"


Verdict = tuple[Relation, str]
SAME, WIDER, NARROWER, OTHER = Relation

# Formats that hold all values of those before them, and no more.
CHAINS = (("float", "double"),)
# The generated client takes and gives a file where a `str` was.
FILES = {"binary"}


def say(value: Any) -> str:
    """Return a value as it is shown in a line."""
    text = repr(sorted(value, key=str)) if isinstance(value, set | frozenset) else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def bound(key: str, old: Any, new: Any) -> Iterator[Verdict]:
    """Compare a lower or an upper bound."""
    lower = key in {"low", "minLength", "minItems", "minProperties", "minContains"}
    absent: Any = (math.inf, True) if key in {"low", "high"} else math.inf
    if lower:
        absent = (-math.inf, False) if key == "low" else 0
    before, after = (absent if value is None else value for value in (old, new))
    if before == after:
        return
    wider = after < before if lower else after > before
    name, was = _bound_name(key, old)
    now_name, now = _bound_name(key, new)
    if old is None:
        words = f"{now_name} {now} added"
    elif new is None:
        words = f"{name} {was} removed"
    elif name == now_name:
        words = f"{name} changed from {was} to {now}"
    else:
        words = f"{name} {was} became {now_name} {now}"
    yield (WIDER if wider else NARROWER), words


def _bound_name(key: str, value: Any) -> tuple[str, Any]:
    """Return a bound's name in the document, and its number."""
    if value is None or key not in {"low", "high"}:
        return key, value
    number, flag = value
    if key == "low":
        return ("exclusiveMinimum" if flag else "minimum"), number
    return ("maximum" if flag else "exclusiveMaximum"), number


def each(key: str, old: Any, new: Any) -> Iterator[Verdict]:
    """Compare a keyword that narrows by being there, whatever its value."""
    before, after = old or [], new or []
    added = [value for value in after if value not in before]
    removed = [value for value in before if value not in after]
    if added and removed:
        yield OTHER, f"{key} changed from {_listed(removed)} to {_listed(added)}"
    elif added:
        yield NARROWER, f"{key} {_listed(added)} added"
    elif removed:
        yield WIDER, f"{key} {_listed(removed)} removed"


def _listed(values: list[Any]) -> str:
    return ", ".join(say(value) for value in values)


def format_(key: str, old: Any, new: Any) -> Iterator[Verdict]:
    """Compare formats: the client checks some; to the service, any may be a bound."""
    before, after = old or [], new or []
    for chain in CHAINS:
        if len(before) == len(after) == 1 and before[0] in chain and after[0] in chain:
            steps = chain.index(after[0]) - chain.index(before[0])
            if steps:
                words = f"format changed from {say(before[0])} to {say(after[0])}"
                yield (WIDER if steps > 0 else NARROWER), words
            return
    for relation, words in each(key, old, new):
        if FILES & ({*before} ^ {*after}):
            yield OTHER, f"{words}: the generated type changes"
        elif relation is NARROWER or FORMATS.keys() & ({*before} - {*after}):
            yield relation, words
        else:
            # The client let everything pass before; what the service takes now may be less.
            yield (SAME if relation is WIDER else NARROWER), words


def multiple(key: str, old: Any, new: Any) -> Iterator[Verdict]:
    """Compare `multipleOf`: a multiple of the old one is narrower."""
    if old and new and len(old) == len(new) == 1 and old != new:
        words = f"{key} changed from {say(old[0])} to {say(new[0])}"
        if _divides(old[0], new[0]):
            yield NARROWER, words
        elif _divides(new[0], old[0]):
            yield WIDER, words
        else:
            yield OTHER, words
    else:
        yield from each(key, old, new)


def _divides(small: Any, large: Any) -> bool:
    try:
        return math.isclose(large / small, round(large / small), rel_tol=1e-9)
    except (ValueError, ZeroDivisionError, OverflowError):
        return False


def values(key: str, old: Any, new: Any) -> Iterator[Verdict]:
    """Compare a closed set of values."""
    if old is None and new is not None:
        yield NARROWER, f"only these values now: {_listed(new)}"
    elif new is None and old is not None:
        yield WIDER, f"no longer only these values: {_listed(old)}"
    else:
        for value in [value for value in old or [] if not _among(value, new)]:
            yield NARROWER, f"{key} value {say(value)} removed"
        for value in [value for value in new or [] if not _among(value, old)]:
            yield WIDER, f"{key} value {say(value)} added"


def _among(value: Any, known: Any) -> bool:
    """Tell whether a JSON value is in a list, where `1` and `True` differ."""
    return any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in known)


def contents(key: str, old: Any, new: Any) -> Iterator[Verdict]:
    """Compare how the content of a string is encoded: what is encoded otherwise is read wrongly."""
    for _, words in each(key, old, new):
        yield OTHER, words


def flag(key: str, old: Any, new: Any) -> Iterator[Verdict]:
    """Compare a keyword that narrows by being true."""
    if bool(old) != bool(new):
        yield (NARROWER, f"{key} added") if new else (WIDER, f"{key} removed")


def needed(key: str, old: Any, new: Any) -> Iterator[Verdict]:
    """Compare `dependentRequired`."""
    before, after = old or {}, new or {}
    for name in sorted(before.keys() | after.keys()):
        was, now = before.get(name, set()), after.get(name, set())
        if was == now:
            continue
        words = f"{key} of {say(name)} changed from {say(was)} to {say(now)}"
        relation = NARROWER if was <= now else WIDER if now <= was else OTHER
        # A list that changes is another condition; one that comes or goes is a bound.
        yield (relation if name not in before or name not in after else OTHER), words


def told(key: str, old: Any, new: Any) -> Iterator[Verdict]:
    """Say what changed; it binds nobody."""
    if old == new:
        return
    if key in {"deprecated", "readOnly", "writeOnly"}:
        yield SAME, f"{key} {'added' if new else 'removed'}"
    elif old is None:
        yield SAME, f"{key} {say(new)} added"
    elif new is None:
        yield SAME, f"{key} {say(old)} removed"
    else:
        yield SAME, f"{key} changed from {say(old)} to {say(new)}"


def default(key: str, old: Any, new: Any) -> Iterator[Verdict]:
    """Say what another default is; it is in a list, since it may be any value."""
    if old != new:
        was, now = (say(side[0]) if side else "none" for side in (old, new))
        yield SAME, f"{key} changed from {was} to {now}"


Rule = Callable[[str, Any, Any], Iterator[Verdict]]
RULES: dict[str, Rule] = {
    **dict.fromkeys(("low", "high", "minLength", "maxLength", "minItems", "maxItems"), bound),
    **dict.fromkeys(("minProperties", "maxProperties"), bound),
    "pattern": each,
    "format": format_,
    "multipleOf": multiple,
    "enum": values,
    "uniqueItems": flag,
    "contentMediaType": contents,
    "contentEncoding": contents,
    "dependentRequired": needed,
    **dict.fromkeys(("discriminator", "deprecated", "readOnly", "writeOnly"), told),
    "default": default,
}
