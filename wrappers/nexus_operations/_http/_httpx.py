"""The one import of httpx in the wrappers: change it here to change the library of public types."""

from __future__ import annotations

import httpx

__all__ = ["httpx"]
