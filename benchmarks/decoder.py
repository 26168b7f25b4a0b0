"""How long the generated models take to decode, against a struct that is written by hand.

    python benchmarks/decoder.py

Both decode the same operation, side by side, in turns; the ratio is that of the fastest rounds.
"""

from __future__ import annotations

import timeit
from collections.abc import Callable
from typing import Annotated

import msgspec
from nexus_operations_api.models import Operation

Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
ROUNDS = 3_000
CALLS = 200


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """The innermost object, as one would write it."""

    Queued: Count
    Running: Count
    Finished: Count
    Cancelled: Count
    Errored: Count


class Progress(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The progress, as one would write it."""

    unit: str
    with_status: Counts


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """The status, as one would write it."""

    overview: Annotated[str, msgspec.Meta(min_length=1)]
    message: str
    progress: Progress
    payload: str | msgspec.UnsetType = msgspec.UNSET


class Job(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The operation, as one would write it."""

    id: Annotated[str, msgspec.Meta(min_length=1)]
    kind: str
    status: Status
    create_date: Count
    update_date: Count
    object: str | msgspec.UnsetType = msgspec.UNSET


BODY = (
    b'{"id":"op_d52ab4e6-7760-4d12-9c43-7fc1b8ce1616","kind":"nexus.annotations.export",'
    b'"status":{"overview":"Finished","message":"Operation finished","progress":{"unit":'
    b'"whole operation","withStatus":{"Queued":0,"Running":0,"Finished":1,"Cancelled":0,'
    b'"Errored":0}}},"createDate":1701927649302,"updateDate":1701927649302}'
)


def seconds(decode: Callable[[bytes], object]) -> float:
    return timeit.timeit(lambda: decode(BODY), number=CALLS) / CALLS


def main() -> None:
    by_hand = msgspec.json.Decoder(Job).decode
    ways: dict[str, Callable[[bytes], object]] = {
        "a decoder of the generated model": msgspec.json.Decoder(Operation).decode,
        "Operation.from_json": Operation.from_json,
    }
    fastest = dict.fromkeys(["by hand", *ways], float("inf"))
    for _ in range(ROUNDS):
        fastest["by hand"] = min(fastest["by hand"], seconds(by_hand))
        for name, decode in ways.items():
            fastest[name] = min(fastest[name], seconds(decode))
    for name, time in fastest.items():
        print(f"{time * 1e6:6.3f} µs  {time / fastest['by hand']:5.2f}  {name}")


if __name__ == "__main__":
    main()
