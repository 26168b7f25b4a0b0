"""The models, as people use them: fields, keys in both spellings, and views of an `Operation`."""

from __future__ import annotations

import html
import json
import textwrap
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import msgspec
import nexus_operations_api.models as generated

from .statuses import KNOWN_STATUSES, TERMINAL_STATUSES, status_of

__all__ = [
    "KNOWN_STATUSES",
    "TERMINAL_STATUSES",
    "Operation",
    "OperationProgress",
    "OperationProgressWithStatus",
    "OperationStatus",
]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
INDENT = "    "
TABLE = "table-layout:auto;width:100%"
"""The style of a table: as wide as the notebook's cell, columns as wide as they need."""


class _Keyed:
    """Access by key, as the vendor's structs have it, and conversion to the service's JSON."""

    __slots__ = ()

    if TYPE_CHECKING:
        __struct_fields__: tuple[str, ...]
        __struct_encode_fields__: tuple[str, ...]

    def __getitem__(self, key: str) -> Any:
        """Return a field by its name, or by its name in the service's JSON.

        Raises:
            KeyError: If there is no such field, or the service did not send it.
        """
        value = getattr(self, self._field(key), msgspec.UNSET)
        if value is msgspec.UNSET:
            raise KeyError(key)
        return value

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self.get(key, msgspec.UNSET) is not msgspec.UNSET

    def get(self, key: str, default: Any = None) -> Any:
        """Return a field as `self[key]` does; `default` if it is missing."""
        try:
            return self[key]
        except KeyError:
            return default

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as the service spells and nests them; those not sent are left out."""
        return cast("dict[str, Any]", msgspec.to_builtins(self))

    def to_json(self) -> str:
        """Return the JSON document that the service sends, in ASCII."""
        return json.dumps(self.to_dict())

    def _field(self, key: object) -> str:
        """Return the name of the field that a key means; `""` for none."""
        if not isinstance(key, str):
            raise TypeError(f"keys are names of fields, not {key!r}")
        if key in self.__struct_fields__:
            return key
        for field, encoded in zip(
            self.__struct_fields__, self.__struct_encode_fields__, strict=True
        ):
            if encoded == key:
                return field
        return ""


class OperationProgressWithStatus(
    _Keyed, generated.OperationProgressWithStatus, frozen=True, kw_only=True
):
    """The number of units in each status.

    Attributes:
        Queued: Units that have not begun.
        Running: Units under way.
        Finished: Units that are done.
        Cancelled: Units that were cancelled.
        Errored: Units that failed.
    """


class OperationProgress(_Keyed, generated.OperationProgress, frozen=True, kw_only=True):
    """How far the operation has come.

    Attributes:
        unit: What the counts count, for example `whole operation` or `asset`.
        with_status: The number of units in each status.
    """

    with_status: OperationProgressWithStatus


class OperationStatus(_Keyed, generated.OperationStatus, frozen=True, kw_only=True):
    """The status of an operation.

    Attributes:
        overview: The status in one word; the service may send words that this version lacks.
        message: The status in a sentence.
        progress: How far the operation has come.
    """

    progress: OperationProgress


class Operation(_Keyed, generated.Operation, frozen=True, kw_only=True):
    """A long-running job and how far it has come.

    Fields are attributes and keys: `operation.create_date`, `operation["createDate"]`.

    Attributes:
        id: The id of the operation.
        kind: What it does, for example `nexus.annotations.export`.
        status: Its status: `overview` (one word), `message`, and `progress`.
        create_date: When it was created, in milliseconds since the Unix epoch.
        update_date: When it last changed, in milliseconds since the Unix epoch.
    """

    status: OperationStatus

    @classmethod
    def from_json(cls, content: bytes) -> Operation:
        """Decode and validate a JSON document, as the service sends it.

        Raises:
            msgspec.ValidationError: If it breaks the contract; the message names the JSON path.
            msgspec.DecodeError: If it is not JSON.
        """
        return cls.from_generated(generated.Operation.from_json(content))

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Operation:
        """Return the operation of which `to_dict` made `value`.

        Raises:
            msgspec.ValidationError: If it breaks the contract; the message names the JSON path.
        """
        return cls.from_generated(msgspec.convert(value, generated.Operation))

    @classmethod
    def from_generated(cls, model: generated.Operation) -> Operation:
        """Return a generated model as this class, its parts included."""
        return cast("Operation", _from_generated(model))

    @property
    def is_done(self) -> bool:
        """Whether the operation has ended: it is Finished, Cancelled or Errored."""
        return status_of(self.status.overview).terminal

    @property
    def units_done(self) -> int:
        """Units of progress that have ended, whichever way."""
        counts = self.status.progress.with_status
        return counts.Finished + counts.Cancelled + counts.Errored

    @property
    def units(self) -> int:
        """Units of progress in all."""
        counts = self.status.progress.with_status
        return self.units_done + counts.Queued + counts.Running

    @property
    def fraction_done(self) -> float:
        """The share of units that have ended, 0 to 1; 1 once the operation is Finished."""
        if self.status.overview == "Finished":
            return 1.0
        return self.units_done / self.units if self.units else 0.0

    @property
    def created_at(self) -> datetime:
        """When the operation was created, as an aware datetime in UTC."""
        return _instant(self.create_date)

    @property
    def updated_at(self) -> datetime:
        """When the operation last changed, as an aware datetime in UTC."""
        return _instant(self.update_date)

    def __repr__(self) -> str:
        """Return the reference page's text: a field a line, four spaces a level."""
        return _lines(self)

    def _repr_html_(self) -> str:
        """Return the view that notebooks show, for dark and light themes."""
        status, progress = self.status, self.status.progress
        counts = msgspec.structs.asdict(progress.with_status).items()
        rows = {
            "kind": html.escape(self.kind),
            "message": html.escape(status.message),
            html.escape(progress.unit): ", ".join(f"{n} {name}" for name, n in counts if n),
            "created": show_instant(self.create_date),
            "updated": show_instant(self.update_date),
        }
        cells = "".join(
            f'<tr><th style="text-align:left;white-space:nowrap">{name}</th>'
            f'<td style="text-align:left;width:100%;overflow-wrap:anywhere">{value}</td></tr>'
            for name, value in rows.items()
        )
        return (
            f'<div style="width:100%"><strong>{html.escape(self.id)}</strong>'
            f" {html_badge(status.overview)} {self.fraction_done:.0%}"
            f"{html_bar(self.fraction_done, status.overview)}"
            f'<table style="{TABLE}">{cells}</table></div>'
        )


_OURS: dict[type, type[msgspec.Struct]] = {
    generated.Operation: Operation,
    generated.OperationStatus: OperationStatus,
    generated.OperationProgress: OperationProgress,
    generated.OperationProgressWithStatus: OperationProgressWithStatus,
}


def _from_generated(value: object) -> Any:
    """Return a generated struct as the class of this module; any other value as it is."""
    ours = _OURS.get(type(value))
    if ours is None:
        return value
    return ours(**{name: _from_generated(getattr(value, name)) for name in ours.__struct_fields__})


def _lines(value: Any) -> str:
    """Return a struct with a field a line, its parts indented; any other value as `repr` does."""
    if not isinstance(value, msgspec.Struct):
        return repr(value)
    fields = [
        f"{name}={_lines(field)}"
        for name, field in msgspec.structs.asdict(value).items()
        if field is not msgspec.UNSET
    ]
    body = textwrap.indent(",\n".join(fields), INDENT)
    return f"{type(value).__name__}(\n{body}\n)"


def html_badge(status: str) -> str:
    """Return a status as HTML: white on its colour, in any theme."""
    return (
        f'<span style="background:{status_of(status).background};color:#fff;border-radius:3px;'
        f'padding:1px 6px">{html.escape(status)}</span>'
    )


def html_bar(fraction: float, status: str) -> str:
    """Return a bar as HTML, as wide as its place, in any theme."""
    return (
        f'<div role="progressbar" aria-valuemin="0" aria-valuemax="100"'
        f' aria-valuenow="{fraction * 100:.0f}"'
        ' style="background:rgba(128,128,128,.3);border-radius:3px;height:.6em;width:100%">'
        f'<div style="background:{status_of(status).background};border-radius:3px;height:100%;'
        f'width:{fraction:.2%}"></div></div>'
    )


def _instant(milliseconds: int) -> datetime:
    """Return an instant; raise `OverflowError` past the year 9999."""
    return EPOCH + timedelta(milliseconds=milliseconds)


def show_instant(milliseconds: int) -> str:
    """Return an instant for people, or the bare number where no calendar has it."""
    try:
        return f"{_instant(milliseconds):%Y-%m-%d %H:%M:%S} UTC"
    except OverflowError:
        return str(milliseconds)
