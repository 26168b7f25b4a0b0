"""Take the pictures in `docs/` from the real thing. Run by `make screenshots`; needs Chromium.

The board is the command in a pseudo-terminal, the notebook is one that was executed, and the page
is the simulator's, all against a simulator.
"""

from __future__ import annotations

import html
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import nbclient
import nbconvert
import nbformat
from nexus_operations.simulator import Life, Simulator, Trouble

from tests.browser import browser
from tests.terminal import Terminal

if TYPE_CHECKING:
    from playwright.sync_api import Browser

DOCS = Path(__file__).parent.parent / "docs"
BIN = Path(sys.executable).parent
COMMAND = str(BIN / "nexus-operations")
PROJECT = "proj_simulated"
TERMINAL_STYLE = "background:#1e1e2e;color:#e6e6e6;font:15px/1.35 monospace;padding:16px;margin:0"
COLOURS = {"default": "inherit", "brown": "#e5c07b", "blue": "#61afef", "green": "#98c379"}
COLOURS.update({"brightblue": "#61afef", "brightblack": "#7f8490"})
COLOURS.update({"red": "#e06c75", "magenta": "#c678dd", "black": "#5c6370", "white": "#e6e6e6"})
NOTEBOOK = """\
from nexus_operations import Client

client = Client("5aa41e8ba........")
operations = client.get_project("proj_simulated").operations
operation = operations.wait_until_done("{}", progress=True)
operation"""


def as_html(terminal: Terminal) -> str:
    """Return a terminal's screen as HTML."""
    screen = terminal.screen
    last = max((row for row, line in enumerate(screen.display) if line.strip()), default=0)
    lines: list[str] = []
    for row in range(last + 1):
        spans: list[str] = []
        for column in range(screen.columns):
            cell = screen.buffer[row][column]
            colour = COLOURS.get(cell.fg, f"#{cell.fg}")
            weight = "bold" if cell.bold else "normal"
            style = f"color:{colour};font-weight:{weight}"
            spans.append(f'<span style="{style}">{html.escape(cell.data)}</span>')
        lines.append("".join(spans))
    return f'<pre style="{TERMINAL_STYLE}">' + "\n".join(lines) + "</pre>"


def board(started: Browser, simulator: Simulator) -> None:
    """Take the live board, in a narrow, a usual and a wide terminal."""
    lives = [
        Life(duration=60, items=200, unit="asset", age=25),
        Life(duration=9000, items=2000, unit="asset", shape="back", age=2000),
        Life(duration=0, items=50, outcome="Errored", message="Disk quota exceeded"),
        Life(duration=90, queued=80, items=10),
        Life(duration=600, items=80, age=100),
    ]
    ids = [simulator.start(life) for life in lives]
    env = {**os.environ, "NEXUS_SECRET": "any", "NEXUS_PROJECT": PROJECT}
    env = {key: value for key, value in env.items() if key != "CI"}
    env["DATATURE_API_BASE_URL"] = simulator.endpoint
    for columns, name in ((60, "board-60"), (100, "board"), (200, "board-200")):
        limited = Trouble(kind="status", status=429, retry_after="20")
        simulator.trouble(limited, op_id=ids[-1])
        with Terminal([COMMAND, "wait", *ids], env, columns=columns) as terminal:
            terminal.until(lambda text: "0:00:07" in text and "HTTP 429" in text)
            page = started.new_page(viewport={"width": columns * 10, "height": 400})
            page.set_content(as_html(terminal))
            page.locator("pre").screenshot(path=DOCS / f"{name}.png")
            terminal.interrupt()
            terminal.end()


def notebook(started: Browser, simulator: Simulator) -> None:
    """Take a notebook that was executed, in both themes."""
    os.environ["DATATURE_API_BASE_URL"] = simulator.endpoint
    os.environ["PATH"] = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    op_id = simulator.start(Life(duration=3, items=200, unit="asset"))
    cell = nbformat.v4.new_code_cell(NOTEBOOK.format(op_id))
    made = nbformat.v4.new_notebook(cells=[cell])
    nbclient.NotebookClient(made, kernel_name="python3", timeout=60).execute()
    for theme, name in (("light", "notebook"), ("dark", "notebook-dark")):
        exported, _ = nbconvert.HTMLExporter(theme=theme).from_notebook_node(made)
        # The exporter's scripts and style sheets from elsewhere are not needed for the picture.
        exported = re.sub(r"<script.*?</script>", "", exported, flags=re.DOTALL)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "notebook.html"
            file.write_text(exported)
            page = started.new_page(viewport={"width": 1100, "height": 500})
            page.route(re.compile("^https?:"), lambda route: route.abort())
            page.goto(file.as_uri(), wait_until="domcontentloaded")
            page.locator("main, body").first.screenshot(path=DOCS / f"{name}.png")


def live_page(started: Browser, simulator: Simulator) -> None:
    """Take the simulator's page, on a desktop and on a telephone."""
    for life in (
        Life(duration=60, items=200, age=40),
        Life(duration=300, items=2000, shape="back", age=200),
        Life(duration=0, items=50, outcome="Errored", message="Disk quota exceeded"),
        Life(duration=0, items=120),
    ):
        simulator.start(life)
    for width, height, name in ((1280, 640, "simulator"), (400, 900, "simulator-400")):
        page = started.new_page(viewport={"width": width, "height": height})
        page.goto(simulator.endpoint)
        page.wait_for_selector("tr[data-status=Errored]")
        page.screenshot(path=DOCS / f"{name}.png")


def main() -> None:
    """Take all three."""
    for take in (board, notebook, live_page):
        with Simulator() as simulator, browser() as started:
            take(started, simulator)


if __name__ == "__main__":
    main()
