"""`examples/demo.py`: what `make demo` shows."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from tests.terminal import Terminal

DEMO = Path(__file__).parent.parent / "examples/demo.py"


def test_the_demo_shows_the_board_the_failure_and_how_to_resume() -> None:
    env = {key: value for key, value in os.environ.items() if key != "CI"}
    with Terminal([sys.executable, str(DEMO)], env, columns=120, lines=60) as terminal:
        terminal.until(lambda text: "0 of 4 ended" in text or "1 of 4 ended" in text)
        terminal.until(lambda text: "HTTP 429, retry in" in text)
        assert terminal.end() == 0
        text = terminal.text
    assert re.search(r"its page: http://127\.0\.0\.1:\d+/", text)
    assert "4 of 4 ended" in text
    assert "Errored: Disk quota exceeded" in text
    assert "Exit code 1" in text
    assert "nexus-operations wait --max-wait 1h30m '{" in text.partition("To resume:")[2]
    assert "Exit code 130" in text
