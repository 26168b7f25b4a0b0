"""Schemas that `validation` checks values against, by their place in the document."""

from typing import Any

SCHEMAS: dict[str, Any] = {}
