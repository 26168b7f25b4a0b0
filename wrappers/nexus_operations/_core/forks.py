"""What a forked child begins anew: a lock may be held by a thread that the child does not have."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Renewable(Protocol):
    """What holds a lock."""

    def renew(self) -> None:
        """Take a new lock, and forget what other threads of the parent were about to do."""


_holders: weakref.WeakSet[Renewable] = weakref.WeakSet()


def renew_in_children(holder: Renewable) -> None:
    """Have `holder.renew()` called in every child that this process forks."""
    _holders.add(holder)


def _renew_all() -> None:
    for holder in list(_holders):
        holder.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
