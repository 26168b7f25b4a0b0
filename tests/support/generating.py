"""Packages generated for tests: from a document to its imported modules."""

from __future__ import annotations

import importlib
import itertools
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import generate

_numbers = itertools.count()


def document(
    schemas: dict[str, Any] | None = None,
    paths: dict[str, Any] | None = None,
    version: str = "3.1.0",
    **more: Any,
) -> dict[str, Any]:
    """Return a document with some schemas and paths."""
    info = {"title": "Parcels", "version": "1"}
    return {
        "openapi": version,
        "info": info,
        "paths": paths or {},
        "components": {"schemas": schemas or {}},
        **more,
    }


class Package:
    """A package generated from a document, imported.

    Attributes:
        folder: Its folder.
        left_out: What was left out, one line each.
        models: Its models.
    """

    def __init__(self, content: dict[str, Any], folder: Path, *, skip: bool = False) -> None:
        name = f"parcels_{next(_numbers)}"
        source = folder / f"{name}.json"
        source.write_text(json.dumps(content))
        self.folder = folder / name
        self.left_out = generate.generate(source, self.folder, skip_unsupported=skip)
        self._name = name
        sys.path.insert(0, str(folder))
        try:
            self.models: Any = importlib.import_module(f"{name}.models")
        finally:
            sys.path.remove(str(folder))

    def module(self, name: str) -> ModuleType:
        """Return a module of the package."""
        return importlib.import_module(f"{self._name}.{name}")
