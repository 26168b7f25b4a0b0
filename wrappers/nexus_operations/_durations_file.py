"""A memory of durations in a file, for commands, cron jobs and triggerers.

The memory saves time; it is never worth an error. A file that cannot be read or written, is broken
or was written by a newer version is a warning in the log, and the wait goes on without it.
"""

from __future__ import annotations

import logging
import os
import tempfile
from pathlib import Path
from typing import Annotated

import msgspec

from ._core.durations import Durations

logger = logging.getLogger("nexus_operations")

FORMAT = 1
"""The version of the file's format; a reader leaves files of a later one alone."""

LARGEST = 10_000_000
"""Bytes beyond which a file is none of ours."""


class _Head(msgspec.Struct):
    """What every version of the file has."""

    format: Annotated[int, msgspec.Meta(ge=1)]


class _File(_Head):
    """This version's."""

    kinds: dict[str, list[float]]


class _NewerError(ValueError):
    """A file of a later version."""


def load_durations(path: str | os.PathLike[str]) -> Durations:
    """Return the memory in a file; an empty one if there is none.

    A file that cannot be used is a warning in the log.
    """
    try:
        return _read(Path(path))
    except FileNotFoundError:
        pass
    except (OSError, ValueError, TypeError) as error:
        logger.warning("durations are not read from %s: %s", path, error)
    return Durations()


def save_durations(durations: Durations, path: str | os.PathLike[str]) -> bool:
    """Write a memory to a file at once: readers find the old file or the new one, never half.

    What others have learnt in the file meanwhile stays; of a kind that both have seen, what was
    seen later is kept. A broken file is replaced, one of a newer version left alone.

    Returns:
        Whether it was written; if not, a warning in the log says why.
    """
    path = Path(path)
    try:
        try:
            durations.adopt(_read(path))
        except (_NewerError, FileNotFoundError, PermissionError) as error:
            if not isinstance(error, FileNotFoundError):
                raise
        except (ValueError, TypeError) as error:
            logger.warning("%s is replaced: %s", path, error)
        path.parent.mkdir(parents=True, exist_ok=True)
        content = msgspec.json.encode({"format": FORMAT, "kinds": durations.to_dict()})
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except (OSError, ValueError) as error:
        logger.warning("durations are not saved to %s: %s", path, error)
        return False
    return True


def _read(path: Path) -> Durations:
    with path.open("rb") as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ValueError("it is too large")
    version = msgspec.json.decode(content, type=_Head).format
    if version > FORMAT:
        raise _NewerError(f"it was written by a newer version (format {version})")
    return Durations.from_dict(msgspec.json.decode(content, type=_File).kinds)
