"""The engines below the awaited paths: with the extra `fast`, and without it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

HIDDEN = ("httpx_aiohttp", "aiohttp")
"""Modules of the extra `fast`."""

ENGINES = ("fast", "stock")


@contextlib.contextmanager
def engine(name: str) -> Iterator[None]:
    """Let clients that are made meanwhile use an engine."""
    if name == "fast":
        yield
        return
    kept = {module: sys.modules.get(module) for module in HIDDEN}
    sys.modules.update(dict.fromkeys(HIDDEN))  # type: ignore[arg-type]  # imports fail
    try:
        yield
    finally:
        for module, was in kept.items():
            if was is None:
                del sys.modules[module]
            else:
                sys.modules[module] = was
