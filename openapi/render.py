"""Render the contract for people: `docs/contract.md`, and a page that the simulator serves.

python openapi/render.py            write both
python openapi/render.py --check    fail if they are not what the document says
"""

from __future__ import annotations

import argparse
import html
import sys
from pathlib import Path
from typing import Any

import markdown
import yaml
from rendering.page import Page

HERE = Path(__file__).resolve().parent
DOCUMENT = HERE / "operations.yaml"
PAGE = HERE.parent / "docs/contract.md"
SERVED = HERE.parent / "wrappers/nexus_operations/simulator/static/contract.html"
FRAME = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/_simulator/page.css">
</head>
<body>
{body}
</body>
</html>
"""


def render(document: Any, name: str = DOCUMENT.name) -> str:
    """Return any document as Markdown, nothing left out.

    Raises:
        CannotTellError: If it is no OpenAPI 3 document, or refers to what is not there.
    """
    return Page(document, name).render()


def frame(document: Any, text: str) -> str:
    """Return the rendered document as a page that the simulator serves."""
    body = markdown.markdown(text, extensions=["tables", "fenced_code", "toc"])
    return FRAME.format(title=html.escape(str(document["info"]["title"])), body=body)


def main() -> int:
    parser = argparse.ArgumentParser(description="Render the contract for people.")
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    check = parser.parse_args().check
    document = yaml.safe_load(DOCUMENT.read_text())
    text = render(document)
    wanted = {PAGE: text, SERVED: frame(document, text)}
    stale = [path for path, content in wanted.items() if check and path.read_text() != content]
    for path in stale:
        print(f"{path.relative_to(HERE.parent)} is not what the document says: run `make generate`")
    if not check:
        for path, content in wanted.items():
            path.write_text(content)
    return int(bool(stale))


if __name__ == "__main__":
    sys.exit(main())
