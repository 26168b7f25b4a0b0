"""A memory of durations in a file, for commands, cron jobs and triggerers.

The memory saves time; it is never worth an error. A file that cannot be read or written, is broken
or was written by a newer version is a warning in the log, and the wait goes on without it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import stat
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
    """This version's; its kinds are decoded one by one, so that an odd one costs itself alone."""

    kinds: dict[str, msgspec.Raw]


class _LeftAloneError(OSError):
    """What is not to be replaced: no file, or one of a later version."""


def load_durations(path: str | os.PathLike[str]) -> Durations:
    """Return the memory in a file; an empty one if there is none.

    A file that cannot be used is a warning in the log.
    """
    try:
        return _read(Path(path))
    except FileNotFoundError:
        pass
    except (OSError, ValueError, TypeError, RecursionError) as error:
        logger.warning("durations are not read from %s: %s", path, error)
    return Durations()


def save_durations(durations: Durations, path: str | os.PathLike[str]) -> bool:
    """Write a memory to a file at once: readers find the old file or the new one, never half.

    What others have learnt in the file meanwhile stays; of a kind that both have seen, what was
    seen later is kept. A broken file is replaced, one of a newer version left alone, and so is what
    is no regular file. Links and permissions stay as they are.

    Returns:
        Whether it was written; if not, a warning in the log says why.
    """
    path = Path(path)
    try:
        try:
            durations.adopt(_read(path))
        except FileNotFoundError:
            pass
        except (ValueError, RecursionError) as error:
            logger.warning("%s is replaced: %s", path, error)
        _replace(Path(os.path.realpath(path)), durations)
    except (OSError, ValueError) as error:
        logger.warning("durations are not saved to %s: %s", path, error)
        return False
    return True


def _replace(path: Path, durations: Durations) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = msgspec.json.encode({"format": FORMAT, "kinds": durations.to_dict()})
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        # There may be no old file; Windows has no owners; only root gives files away.
        with contextlib.suppress(OSError, AttributeError):
            old = path.stat()
            Path(temporary).chmod(stat.S_IMODE(old.st_mode))
            os.chown(temporary, old.st_uid, old.st_gid)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _read(path: Path) -> Durations:
    if not stat.S_ISREG(path.stat().st_mode):  # a FIFO would block
        raise _LeftAloneError("it is no regular file")
    with path.open("rb") as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ValueError("it is too large")
    version = msgspec.json.decode(content, type=_Head).format
    if version > FORMAT:
        raise _LeftAloneError(f"it was written by a newer version (format {version})")
    durations, trouble = Durations(), None
    for name, raw in msgspec.json.decode(content, type=_File).kinds.items():
        try:
            numbers = msgspec.json.decode(raw, type=list[float])
            durations.adopt(Durations.from_dict({name: numbers}))
        except ValueError as error:
            trouble = error
    if trouble is not None:
        logger.warning("kinds in %s are left out, such as: %s", path, trouble)
    return durations
