"""Checked by mypy, never run: the types that callers see."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta

from nexus_operations import (
    AsyncClient,
    Client,
    Fixed,
    History,
    NexusError,
    Operation,
    Outcome,
    Schedule,
    Update,
)


class Hourly:
    """A schedule of one's own needs no base class."""

    def next_delay(self, history: History) -> float:
        return 3600.0 if history.queued else history.age


def sync(client: Client) -> None:
    operations = client.get_project("proj_x").operations
    got: Operation = operations.get("op_x")
    waited: Operation | None = operations.wait_until_done("op_x", 10, ("Errored", "Cancelled"))
    waited = operations.wait_until_done("op_x", None, None, max_wait=timedelta(hours=1))
    schedule: Schedule = Hourly()
    watched: Iterator[Operation] = operations.watch("op_x", schedule=schedule)
    count: int = got.status.progress.with_status.Finished
    overview: str = got.status.overview
    created: datetime = got.created_at
    print(waited, watched, count, overview, created, got.is_done, got.fraction_done)


def tell(update: Update) -> None:
    operation: Operation | None = update.operation
    error: NexusError | None = update.error
    left: float | None = update.remaining
    print(operation, error, left)


def many(client: Client, op_ids: Iterator[str]) -> None:
    operations = client.get_project("proj_x").operations
    raised: list[Operation | None] = operations.wait_all(["op_x"], progress=True)
    first: list[Operation | None] = operations.wait_all(["op_x"], on_error="first")
    results: list[Operation | Exception | None] = operations.wait_all(["op_x"], on_error="return")
    outcomes: Iterator[Outcome] = operations.as_completed(op_ids, progress=tell)
    for outcome in outcomes:
        ended: Operation | None = outcome.result()
        print(ended, raised, first, results)


async def awaited() -> None:
    async with AsyncClient("secret", endpoint="https://host.test") as client:
        operations = client.get_project("proj_x").operations
        got: Operation = await operations.get("op_x")
        waited: Operation | None = await operations.wait_until_done("op_x", schedule=Fixed(8))
        watched: AsyncIterator[Operation] = operations.watch("op_x", max_outage=60)
        print(got, waited, watched)


def failed(error: NexusError) -> tuple[str, int | None, float | None, bool]:
    return error.message, error.status_code, error.retry_after, error.transient
