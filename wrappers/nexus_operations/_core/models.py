"""The generated models, and what people reach for on an `Operation` beyond its fields."""

from __future__ import annotations

import html
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import msgspec
from nexus_operations_api.models import (
    Operation as GeneratedOperation,
)
from nexus_operations_api.models import (
    OperationProgress,
    OperationProgressWithStatus,
    OperationStatus,
)

__all__ = [
    "KNOWN_STATUSES",
    "TERMINAL_STATUSES",
    "Operation",
    "OperationProgress",
    "OperationProgressWithStatus",
    "OperationStatus",
]

KNOWN_STATUSES = ("Queued", "Running", "Finished", "Cancelled", "Errored")
"""The statuses that the contract names (`x-extensible-enum`); the service may send others."""

TERMINAL_STATUSES = frozenset({"Finished", "Cancelled", "Errored"})
"""The statuses after which an operation no longer changes."""

COLOURS = {"Finished": "#1a7f37", "Running": "#0969da", "Errored": "#cf222e"}
OTHER_COLOUR = "#6e7781"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Operation(GeneratedOperation, frozen=True, kw_only=True):
    """A long-running job and how far it has come.

    Attributes:
        id: The id of the operation.
        kind: What it does, for example `nexus.annotations.export`.
        status: Its status: `overview` (one word), `message`, and `progress`.
        create_date: When it was created, in milliseconds since the Unix epoch.
        update_date: When it last changed, in milliseconds since the Unix epoch.
    """

    @classmethod
    def from_json(cls, content: bytes) -> Operation:
        """Decode and validate a JSON document, as the service sends it.

        Raises:
            msgspec.ValidationError: If it breaks the contract; the message names the JSON path.
            msgspec.DecodeError: If it is not JSON.
        """
        return cls.of(super().from_json(content))

    @classmethod
    def of(cls, generated: GeneratedOperation) -> Operation:
        """Return a generated model as this class."""
        return cls(**msgspec.structs.asdict(generated))

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Operation:
        """Return the operation that `to_dict` wrote."""
        return msgspec.convert(value, cls)

    def to_dict(self) -> dict[str, Any]:
        """Return the operation as the service sends it, as Python objects."""
        return cast("dict[str, Any]", msgspec.to_builtins(self))

    @property
    def is_done(self) -> bool:
        """Whether the operation has ended: it is Finished, Cancelled or Errored."""
        return self.status.overview in TERMINAL_STATUSES

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

    def _repr_html_(self) -> str:
        """Return the view that notebooks show."""
        status, progress = self.status, self.status.progress
        colour = COLOURS.get(status.overview, OTHER_COLOUR)
        counts = msgspec.structs.asdict(progress.with_status).items()
        rows = {
            "kind": html.escape(self.kind),
            "message": html.escape(status.message),
            html.escape(progress.unit): ", ".join(f"{n} {name}" for name, n in counts if n),
            "created": _shown(self.create_date),
            "updated": _shown(self.update_date),
        }
        cells = "".join(
            f'<tr><th style="text-align:left">{name}</th>'
            f'<td style="text-align:left">{value}</td></tr>'
            for name, value in rows.items()
        )
        return (
            f"<div><strong>{html.escape(self.id)}</strong>"
            f' <span style="background:{colour};color:#fff;border-radius:3px;padding:1px 6px">'
            f"{html.escape(status.overview)}</span><br>"
            f'<progress max="1" value="{self.fraction_done:.4f}" style="width:20em"></progress>'
            f" {self.fraction_done:.0%}<table>{cells}</table></div>"
        )


def _instant(milliseconds: int) -> datetime:
    """Return an instant; raise `OverflowError` past the year 9999."""
    return EPOCH + timedelta(milliseconds=milliseconds)


def _shown(milliseconds: int) -> str:
    """Return an instant for people, or the bare number where no calendar has it."""
    try:
        return f"{_instant(milliseconds):%Y-%m-%d %H:%M:%S} UTC"
    except OverflowError:
        return str(milliseconds)
