"""The arguments of a wait, checked when the DAG is parsed: before anything has been started."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow.sdk.configuration import conf

from nexus_operations import Adaptive, WaitState

from .._core import checks

FIRST_POLL_AFTER = 8.0
"""Seconds from the deferral to the triggerer's first poll, by default and at least. An event that
comes while the scheduler still settles the deferral can be taken for a state mismatch, which fails
the task: until the scheduler has heard that the worker is done, the task must not run again."""

SLOW_START = 5.0
"""How many times as long as the worker took to get to its task the first poll waits by default: how
long the scheduler takes cannot be seen from here, but it tends to share the worker's machine, or
its load."""

FIRST_POLL_BY = 40.0
"""Seconds from the deferral by which the first poll comes by default, however slow the worker."""

ESTABLISHED = 120.0
"""Seconds after which a wait that goes on has reached the service: one that never did ends after 60
s."""

TEMPLATE_MARKS = ("{{", "{%", "{#")


@dataclass(frozen=True)
class Bounds:
    """The bounds of a wait, as they are serialised: all numbers are seconds or counts.

    Attributes:
        max_wait: Seconds that the wait may take, from when the task began it; `None` for no bound.
        max_polls: The most polls made; `None` for no bound.
        max_outage: Seconds without an answer that are tolerated; `None` for no bound.
        raise_exception_if: The statuses that fail the task.
        pace: Multiplies the delays between polls.
    """

    max_wait: float | None = 36000.0
    max_polls: int | None = None
    max_outage: float | None = 1800.0
    raise_exception_if: tuple[str, ...] = ("Errored", "Cancelled")
    pace: float = 1.0

    @classmethod
    def checked(cls, given: Mapping[str, Any]) -> Bounds:
        """Return the bounds among some arguments; the others are ignored.

        Raises:
            ValueError, TypeError: For a bad value; the message names the argument.
        """
        defaults = cls()
        named = checks.status_names(
            "raise_exception_if", given.get("raise_exception_if", defaults.raise_exception_if)
        )
        max_wait = given.get("max_wait", defaults.max_wait)
        max_outage = given.get("max_outage", defaults.max_outage)
        return cls(
            max_wait=checks.optional_seconds("max_wait", max_wait),
            max_polls=checks.optional_positive_int("max_polls", given.get("max_polls")),
            max_outage=checks.optional_seconds("max_outage", max_outage),
            raise_exception_if=tuple(sorted(named)),
            pace=checks.seconds("pace", given.get("pace", defaults.pace), positive=True),
        )

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of `wait_until_done`."""
        return {
            "timeout": self.max_polls,
            "max_wait": self.max_wait,
            "max_outage": self.max_outage,
            "raise_exception_if": self.raise_exception_if,
            "schedule": Adaptive(pace=self.pace),
        }

    def resumed(self, state: WaitState) -> WaitState:
        """Return the state that a wait goes on from, in this process or in another.

        However late that is, one more poll is made. That the service was reached is known of a wait
        that has gone on for long, even where the process that reached it is gone.
        """
        now, started_at = time.time(), state.started_at
        reached = state.reached or now - started_at > ESTABLISHED
        if self.max_wait is not None:
            started_at = max(started_at, now - self.max_wait)
        return dataclasses.replace(state, started_at=started_at, reached=reached)


def check(given: Mapping[str, Any]) -> None:
    """Check the arguments of an operator or a sensor, those of a mapped one included.

    Raises:
        ValueError, TypeError: For a bad value; the message names the argument.
    """
    Bounds.checked(given)
    checks.optional_seconds("first_poll_after", given.get("first_poll_after"))
    for name in ("op_id", "project_id", "nexus_conn_id"):
        value = given.get(name)
        if hasattr(value, "resolve"):  # another task's result, or what a task is mapped over
            continue
        if value is not None and not (isinstance(value, str) and is_template(value)):
            (operation_id if name == "op_id" else _identifier)(name, value)
        elif name in given and (value is None and name != "project_id"):
            raise TypeError(f"{name} must be a str, not None")
    for name in ("deferrable", "retry_failed_operation"):
        value = given.get(name)
        if value is not None and not isinstance(value, bool):
            raise TypeError(f"{name} must be True or False, not {checks.show(value)}")


def first_poll_after(value: Any, starting: float) -> float:
    """Return the seconds from the deferral to the triggerer's first poll.

    Args:
        value: The argument, checked: a duration, or `None`.
        starting: Seconds that the worker took to get to its task.
    """
    if value is not None:
        return seconds("first_poll_after", value)
    return min(max(FIRST_POLL_AFTER, SLOW_START * starting), FIRST_POLL_BY)


def _identifier(name: str, value: object) -> str:
    return checks.identifier(name, value)


def seconds(name: str, value: object) -> float:
    """Return a duration in seconds, 0 or more."""
    return checks.seconds(name, value)


def is_template(text: str) -> bool:
    """Return whether a text is to be rendered before it means anything."""
    return any(mark in text for mark in TEMPLATE_MARKS)


def operation_id(name: str, value: object) -> str:
    """Return the id of what names an operation: an id, a link, or the operation itself.

    Raises:
        ValueError, TypeError: If `value` names none.
    """
    if isinstance(value, Mapping):
        value = value.get("id")
    elif not isinstance(value, str):
        value = getattr(value, "id", value)
    if not isinstance(value, str):
        raise TypeError(
            f"{name} must be an operation's id, its link or the operation, not {checks.show(value)}"
        )
    return checks.operation_identifier(name, value)


def default_deferrable() -> bool:
    """Return whether a task waits in a triggerer where it does not say.

    It does, unless Airflow is configured otherwise (`[operators] default_deferrable`). The `false`
    of a configuration file that Airflow generated is nobody's word: it lists every option there is.
    """
    section, option = "operators", "default_deferrable"
    sources = conf.as_dict(
        display_source=True,
        display_sensitive=True,
        include_cmds=False,
        include_secret=False,
        raw=True,
    )
    where = {name: source for name, (_, source) in sources.get(section, {}).items()}
    source = where.get(option, "default")
    generated = source == "airflow.cfg" and "default" not in where.values()
    return source == "default" or generated or bool(conf.getboolean(section, option))
