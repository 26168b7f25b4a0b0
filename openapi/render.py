"""Render the contract for people: `docs/contract.md`, and a page that the simulator serves.

python openapi/render.py            write both
python openapi/render.py --check    fail if they are not what the document says
"""

from __future__ import annotations

import argparse
import html
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import markdown
import yaml
from diff_contract import METHODS, resolve

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


def one_line(text: str) -> str:
    """Return text as a table's cell."""
    return " ".join(text.split()).replace("|", "\\|")


def type_of(schema: dict[str, Any]) -> str:
    """Return a schema's type and bounds in words; a reference is a link."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    words = [schema.get("type", "any")]
    words += [schema["format"]] if "format" in schema else []
    words += [f"at least {schema['minimum']}"] if "minimum" in schema else []
    words += ["not empty"] if schema.get("minLength") else []
    words += [f"`{schema['pattern']}`"] if "pattern" in schema else []
    if known := schema.get("x-extensible-enum"):
        words.append("known: " + ", ".join(f"`{value}`" for value in known))
    return ", ".join(words)


def operation(document: Any, path: str, method: str, found: Any) -> Iterator[str]:
    """Yield the lines of one operation."""
    yield f"## {method.upper()} {path}\n"
    yield f"{found['description'].strip()}\n"
    yield "| parameter | in | type | |\n| --- | --- | --- | --- |"
    for reference in found.get("parameters", []):
        parameter = resolve(document, reference)
        text = one_line(parameter["description"])
        kind = type_of(parameter["schema"])
        yield f"| `{parameter['name']}` | {parameter['in']} | {kind} | {text} |"
    yield "\nOne of these opens it:\n"
    for way in found["security"]:
        for name in way:
            scheme = document["components"]["securitySchemes"][name]
            where = f"the {scheme['in']} `{scheme['name']}`" if "name" in scheme else scheme["type"]
            yield f"- {where}: {one_line(scheme['description'])}"
    yield "\n| status | content | headers | |\n| --- | --- | --- | --- |"
    for status, reference in found["responses"].items():
        response = resolve(document, reference)
        contents = [
            f"`{media}`: {type_of(content['schema'])}"
            for media, content in response["content"].items()
        ]
        headers = ", ".join(f"`{name}`" for name in response.get("headers", {}))
        text = one_line(response["description"])
        yield f"| {status} | {'; '.join(contents)} | {headers} | {text} |"
    yield ""


def schema(name: str, found: Any) -> Iterator[str]:
    """Yield the lines of one schema."""
    yield f"### {name}\n"
    yield f"{one_line(found['description'])}\n"
    yield "| key | type | required | |\n| --- | --- | --- | --- |"
    for key, value in found["properties"].items():
        required = "yes" if key in found.get("required", []) else ""
        text = one_line(value.get("description", ""))
        yield f"| `{key}` | {type_of(value)} | {required} | {text} |"
    yield ""


def render(document: Any) -> str:
    """Return the document as Markdown."""
    info = document["info"]
    lines = [f"# The contract\n\n{info['title']}, version {info['version']}.\n"]
    lines.append(f"{info['description'].strip()}\n")
    for path, methods in document["paths"].items():
        for method in METHODS:
            if method in methods:
                lines += operation(document, path, method, methods[method])
    lines.append("## Schemas\n")
    for name, found in document["components"]["schemas"].items():
        lines += schema(name, found)
    for example in document["components"]["examples"].values():
        shown = json.dumps(example["value"], indent=2)
        lines.append(f"## Example\n\n{example['summary']}\n\n```json\n{shown}\n```\n")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description="Render the contract for people.")
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    check = parser.parse_args().check
    document = yaml.safe_load(DOCUMENT.read_text())
    text = render(document)
    extensions = ["tables", "fenced_code", "toc"]
    body = markdown.markdown(text, extensions=extensions)
    title = html.escape(document["info"]["title"])
    wanted = {PAGE: text, SERVED: FRAME.format(title=title, body=body)}
    stale = [path for path, content in wanted.items() if check and path.read_text() != content]
    for path in stale:
        print(f"{path.relative_to(HERE.parent)} is not what the document says: run `make generate`")
    if not check:
        for path, content in wanted.items():
            path.write_text(content)
    return int(bool(stale))


if __name__ == "__main__":
    sys.exit(main())
