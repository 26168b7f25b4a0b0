"""Shim."""

from __future__ import annotations

from typing import Any, Generic, NamedTuple, TypeVar

T = TypeVar("T")


class Aborted(Exception):
    """The caller's event was set while a request was under way."""


class Answer(NamedTuple, Generic[T]):
    value: T
    date: float | None


class Contact:
    def __init__(self) -> None:
        self.reached = False


class Secret:
    """Holds the secret key where no `repr`, log or pickle can show it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret('***')"

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("a secret is not pickled; build the client again from its source")
