"""What a notebook shows of an error of the library: the caller's own lines, and the error."""

from __future__ import annotations

import os
import traceback
from itertools import takewhile
from pathlib import Path

PACKAGE = f"{Path(__file__).parent.parent}{os.sep}"
KERNEL = f"{os.sep}IPython{os.sep}"


def render_traceback(error: BaseException) -> list[str]:
    """Return the lines of a traceback that ends where the library was called."""
    frames = takewhile(
        lambda frame: not frame.filename.startswith(PACKAGE),
        traceback.extract_tb(error.__traceback__),
    )
    callers = [frame for frame in frames if KERNEL not in frame.filename]
    lines = traceback.format_list(callers) + traceback.format_exception_only(error)
    return [line.rstrip("\n") for line in lines]
