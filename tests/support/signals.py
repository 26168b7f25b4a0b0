"""Signals as a person at a terminal sends them."""

from __future__ import annotations

import signal


def hear_ctrl_c() -> None:
    """Undo what a shell does to its background jobs: they, and what they start, ignore Ctrl-C."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
