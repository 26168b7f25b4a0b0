"""The statuses that the contract names, in one table; the service may send others."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["KNOWN_STATUSES", "STATUSES", "TERMINAL_STATUSES", "Status", "status_of"]


class Status(NamedTuple):
    """One status.

    Attributes:
        name: The word in `status.overview`.
        terminal: Whether an operation in it no longer changes.
        unsuccessful: Whether an operation in it did not do its job.
        colour: Its colour in a terminal: a word that every terminal knows.
        background: Its colour in a page, behind white text.
    """

    name: str
    terminal: bool
    unsuccessful: bool
    colour: str
    background: str


STATUSES = {
    status.name: status
    for status in (
        Status("Queued", False, False, "bright_black", "#6e7781"),
        Status("Running", False, False, "bright_blue", "#0969da"),
        Status("Finished", True, False, "green", "#1a7f37"),
        Status("Cancelled", True, True, "yellow", "#9a6700"),
        Status("Errored", True, True, "red", "#cf222e"),
    )
}
"""Every known status by its name, in the contract's order (`x-extensible-enum`)."""

KNOWN_STATUSES = tuple(STATUSES)
"""The names of the statuses that the contract lists."""

TERMINAL_STATUSES = frozenset(name for name, status in STATUSES.items() if status.terminal)
"""The statuses after which an operation no longer changes."""


def status_of(name: str) -> Status:
    """Return a status by its name; an unknown one is not terminal."""
    return STATUSES.get(name) or Status(name, False, False, "magenta", "#8250df")
