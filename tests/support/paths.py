"""Every way to ask for an operation, called by the same words.

on_every_path     the eight ways to wait, and `get`, sync and awaited
on_every_wait     the eight ways to wait
on_fleets         the four that take many ids
on_gets           the two of `get`
on_sync, …        those of a sync client; with `_fleets` or `_paths` as above
on_awaited, …     those of an awaited one
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any

import pytest
from nexus_operations import AsyncClient, Client, NexusError, Operation

from tests.conftest import PROJECT, SECRET

Result = Operation | Exception | None


@dataclass(frozen=True)
class Path:
    """One way to ask for an operation or several.

    Attributes:
        method: The method of `operations` that is called.
        awaited: Whether it is the awaited client's.
    """

    method: str
    awaited: bool

    def __str__(self) -> str:
        return f"{'await ' if self.awaited else ''}{self.method}"

    @property
    def many(self) -> bool:
        """Whether it takes many ids."""
        return self.method in ("wait_all", "as_completed")

    @property
    def waits(self) -> bool:
        """Whether it waits."""
        return self.method != "get"

    def run(self, op_ids: Any, client: dict[str, Any], **bounds: Any) -> list[Any]:
        """Return what each id ended in: the operation, `None`, or the library's error.

        Anything else that is raised is let through. `client` holds the client's arguments.
        """
        if self.awaited:
            return asyncio.run(self._awaited(op_ids, client, bounds))
        return self._sync(op_ids, client, bounds)

    def table(self, rows: Iterable[str], client: dict[str, Any], **bounds: Any) -> dict[str, Any]:
        """Return what the operation of each row of a table ended in; see `row_of`.

        Fleets wait for all rows at once, the others for one after the other.
        """
        names = list(rows)
        op_ids = [f"op_{number:04d}" for number in range(len(names))]
        return dict(zip(names, self.run(op_ids, client, **bounds), strict=True))

    def one(self, op_id: str, client: dict[str, Any], **bounds: Any) -> Any:
        """Return what one operation ended in."""
        (result,) = self.run([op_id], client, **bounds)
        return result

    def _sync(self, op_ids: Any, client: dict[str, Any], bounds: dict[str, Any]) -> list[Any]:
        with Client(**{"secret_key": SECRET, **client}) as made:
            operations = made.get_project(PROJECT).operations
            return self.on(operations, op_ids, **bounds)

    def on(self, operations: Any, op_ids: Any, **bounds: Any) -> list[Any]:
        """Do the same with the operations of a sync client."""
        if self.method == "wait_all":
            return operations.wait_all(op_ids, **{"on_error": "return", **bounds})
        if self.method == "as_completed":
            return in_order(op_ids, list(operations.as_completed(op_ids, **bounds)))
        return [self._single(operations, op_id, bounds) for op_id in op_ids]

    def _single(self, operations: Any, op_id: str, bounds: dict[str, Any]) -> Any:
        try:
            if self.method == "get":
                return operations.get(op_id)
            if self.method == "watch":
                snapshots = list(
                    operations.watch(op_id, **{"raise_exception_if": "Errored", **bounds})
                )
                return last_of(snapshots, bounds)
            return operations.wait_until_done(op_id, **bounds)
        except NexusError as error:
            return error

    async def _awaited(
        self, op_ids: Any, client: dict[str, Any], bounds: dict[str, Any]
    ) -> list[Any]:
        async with AsyncClient(**{"secret_key": SECRET, **client}) as made:
            operations = made.get_project(PROJECT).operations
            return await self.aon(operations, op_ids, **bounds)

    async def aon(self, operations: Any, op_ids: Any, **bounds: Any) -> list[Any]:
        """Do the same with the operations of an awaited client."""
        if self.method == "wait_all":
            return await operations.wait_all(op_ids, **{"on_error": "return", **bounds})
        if self.method == "as_completed":
            iterator = operations.as_completed(op_ids, **bounds)
            async with contextlib.aclosing(iterator):
                return in_order(op_ids, [outcome async for outcome in iterator])
        return [await self._asingle(operations, op_id, bounds) for op_id in op_ids]

    async def _asingle(self, operations: Any, op_id: str, bounds: dict[str, Any]) -> Any:
        try:
            if self.method == "get":
                return await operations.get(op_id)
            if self.method == "watch":
                iterator = operations.watch(op_id, **{"raise_exception_if": "Errored", **bounds})
                async with contextlib.aclosing(iterator):
                    return last_of([snapshot async for snapshot in iterator], bounds)
            return await operations.wait_until_done(op_id, **bounds)
        except NexusError as error:
            return error

    def coroutine(self, operations: Any, op_ids: Any, **bounds: Any) -> Coroutine[Any, Any, Any]:
        """Return the call itself, as a user would await it: errors are raised."""

        async def call() -> Any:
            if self.method in ("watch", "as_completed"):
                argument = op_ids if self.many else op_ids[0]
                return [item async for item in getattr(operations, self.method)(argument, **bounds)]
            argument = op_ids if self.many else op_ids[0]
            return await getattr(operations, self.method)(argument, **bounds)

        return call()

    def call(self, operations: Any, op_ids: Any, **bounds: Any) -> Any:
        """Make the call itself, as a user would: errors are raised."""
        argument = op_ids if self.many else op_ids[0]
        result = getattr(operations, self.method)(argument, **bounds)
        return list(result) if self.method in ("watch", "as_completed") else result


def row_of(rows: Iterable[str], op_id: str) -> str:
    """Return the row of a table that an id stands for."""
    return list(rows)[int(op_id.removeprefix("op_"))]


def in_order(op_ids: Any, outcomes: list[Any]) -> list[Any]:
    """Return what outcomes hold, in the order of the ids; `None` for one that did not come."""
    by_id = {o.op_id: o.operation if o.error is None else o.error for o in outcomes}
    order = op_ids if isinstance(op_ids, (list, tuple)) else list(by_id)
    return [by_id.get(op_id) for op_id in order]


def last_of(snapshots: list[Operation], bounds: dict[str, Any]) -> Operation | None:
    """Return what `wait_until_done` would have returned: the last snapshot if it is the end."""
    ended = snapshots and snapshots[-1].status.overview in ("Finished", "Errored", "Cancelled")
    return snapshots[-1] if ended else None


SINGLE = [Path(m, a) for a in (False, True) for m in ("wait_until_done", "watch")]
FLEETS = [Path(m, a) for a in (False, True) for m in ("wait_all", "as_completed")]
GETS = [Path("get", a) for a in (False, True)]
WAITS = [*SINGLE, *FLEETS]
EVERY = [*WAITS, *GETS]


def _param(paths: list[Path]) -> Any:
    return pytest.mark.parametrize("path", paths, ids=str)


def _where(test: Callable[[Path], bool], paths: list[Path]) -> list[Path]:
    return [path for path in paths if test(path)]


on_every_path = _param(EVERY)
on_every_wait = _param(WAITS)
on_fleets = _param(FLEETS)
on_gets = _param(GETS)
on_sync = _param(_where(lambda path: not path.awaited, WAITS))
on_sync_fleets = _param(_where(lambda path: not path.awaited, FLEETS))
on_sync_paths = _param(_where(lambda path: not path.awaited, EVERY))
on_awaited = _param(_where(lambda path: path.awaited, WAITS))
on_awaited_fleets = _param(_where(lambda path: path.awaited, FLEETS))
on_awaited_paths = _param(_where(lambda path: path.awaited, EVERY))
