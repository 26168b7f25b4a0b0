"""The scripts that the simulator plays: how an operation lives, and what goes wrong.

Both are `msgspec.Struct`s, so that the control API reads them from JSON with the same checks.
"""

from __future__ import annotations

import functools
import math
from typing import Annotated, Any, Literal

import msgspec

Ending = Literal["Finished", "Errored", "Cancelled"]
Outcome = Literal["Finished", "Errored", "Cancelled", "Running"]
Shape = Literal["linear", "front", "back", "stall", "burst"]
Seconds = Annotated[float, msgspec.Meta(ge=0)]
Items = Annotated[int, msgspec.Meta(ge=1)]

COUNTED = ("Queued", "Running", "Finished", "Cancelled", "Errored")
"""The statuses that `withStatus` counts, in its order."""

PARALLEL = 4
"""Units that a simulated operation works on at a time."""


class Checked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A struct whose constructor checks its fields as decoding does."""

    def __post_init__(self) -> None:
        for name, kind in _types_of(type(self)):
            value: Any = getattr(self, name)
            label = f"{type(self).__name__}({name}={value!r})"
            try:
                msgspec.convert(value, kind)
            except msgspec.ValidationError as error:
                raise ValueError(f"{label}: {error}") from None
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"{label}: must be finite")


@functools.cache
def _types_of(struct: type[Checked]) -> list[tuple[str, Any]]:
    """Return the names and types of a struct's fields."""
    return [(field.name, field.type) for field in msgspec.structs.fields(struct)]


class Life(Checked, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an operation lives.

    Attributes:
        duration: Seconds from creation to end.
        queued: Seconds of these spent queued.
        items: Units of progress.
        unit: What the units are.
        shape: How progress runs: evenly (`linear`), fast at first (`front`), fast at last (`back`),
            with a standstill of a third of the run (`stall`), or in ten jumps (`burst`).
        outcome: The status it ends in; `Running` never ends (a stuck operation).
        message: The message of the last status; one that fits the outcome by default.
        payload: What the service adds to `status` once the operation has ended, if anything.
        age: Seconds that have passed since its creation when it is started.

    Raises:
        ValueError: If a field is out of its range, or of another type.
    """

    duration: Seconds = 3.0
    queued: Seconds = 0.0
    items: Items = 1
    unit: str = "whole operation"
    shape: Shape = "linear"
    outcome: Outcome = "Finished"
    message: str | None = None
    payload: str | None = None
    age: Seconds = 0.0

    def has_ended(self, age: float) -> bool:
        """Return whether the operation has ended at an age in seconds."""
        return age >= self.duration and self.outcome != "Running"

    def status(self, age: float) -> str:
        """Return the status in one word at an age in seconds."""
        if self.has_ended(age):
            return self.outcome
        return "Queued" if age < self.queued else "Running"

    def done(self, age: float) -> int:
        """Return how many units are done at an age in seconds."""
        if self.has_ended(age) and self.outcome == "Finished":
            return self.items
        span = max(self.duration - self.queued, 1e-9)
        share = progress(self.shape, min(max((age - self.queued) / span, 0.0), 1.0))
        return min(math.floor(share * self.items), self.items - 1)

    def counts(self, age: float) -> dict[str, int]:
        """Return `withStatus` at an age in seconds."""
        counts: dict[str, int] = dict.fromkeys(COUNTED, 0)
        status, done = self.status(age), self.done(age)
        rest = self.items - done
        counts["Finished"] = done
        if status == "Running":
            counts["Running"] = min(rest, PARALLEL)
            counts["Queued"] = rest - counts["Running"]
        else:
            counts[status] += rest
        return counts

    def text(self, status: str) -> str:
        """Return the message for a status."""
        if self.message is not None and status == self.outcome:
            return self.message
        return f"Operation {status.lower()}"


def progress(shape: Shape, x: float) -> float:
    """Return the share done, 0 to 1, at the share `x` of the run."""
    if shape == "front":
        return math.sqrt(x)
    if shape == "back":
        return x * x
    if shape == "stall":
        # A standstill from a third to two thirds of the run.
        return 1.5 * (x if x < 1 / 3 else max(x - 1 / 3, 1 / 3))
    if shape == "burst":
        return math.floor(x * 10) / 10
    return x


class Trouble(Checked, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that goes wrong with one or more answers.

    Attributes:
        kind: What goes wrong:
            `status` answers with `status`, `body`, `content_type` and the headers `retry_after`,
                `date` and `location`;
            `body` answers 200 with `body` as it is, `content_type` and `encoding`;
            `overview` answers the operation with the status word `overview`;
            `reset` resets the connection `at` a point of the answer;
            `refuse` refuses the connection (a real server resets it: see `Simulator.down`);
            `cut` sends half of a body and closes;
            `stall` sends nothing for `seconds`, then closes;
            `drip` sends the answer over `seconds`, piece by piece;
            `oversized` sends a body of `size` bytes; `bomb` sends that many, gzip-compressed.
        times: How many answers it spoils.

    Raises:
        ValueError: If a field is out of its range, or of another type.
    """

    kind: Literal[
        "status",
        "body",
        "overview",
        "reset",
        "refuse",
        "cut",
        "stall",
        "drip",
        "oversized",
        "bomb",
    ]
    times: Items = 1
    status: Annotated[int, msgspec.Meta(ge=200, le=599)] = 503
    body: str | None = None
    content_type: str = "application/json"
    encoding: str | None = None
    retry_after: str | None = None
    date: str | None = None
    location: str | None = None
    overview: str = "Paused"
    at: Literal["start", "headers", "body"] = "start"
    seconds: Seconds = 60.0
    size: Items = 4 << 20
