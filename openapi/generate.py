"""Generate `generated/nexus_operations_api` from `openapi/operations.yaml`.

    python openapi/generate.py            regenerate in place
    python openapi/generate.py --check    regenerate elsewhere; fail on any difference

The generator does the work; this script pins how it is called, and does the two things it has no
setting for: it adds `py.typed`, and makes the client importable on Python 3.10, which has no
`typing.Self`.
"""

from __future__ import annotations

import argparse
import difflib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
DOCUMENT = HERE / "operations.yaml"
TARGET = HERE.parent / "generated" / "nexus_operations_api"

SELF_IMPORT = "from typing import Any, Self\n"
SELF_IMPORT_ANY_PYTHON = """from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Self
"""


def generate(document: Path, target: Path) -> None:
    """Write the package generated from `document` to the folder `target`, which is replaced."""
    tools = str(Path(sys.executable).parent)
    environment = {**os.environ, "PATH": os.pathsep.join([tools, os.environ.get("PATH", "")])}
    command = [sys.executable, "-m", "openapi_python_client", "generate"]
    command += ["--path", str(document), "--config", str(HERE / "generator.yaml")]
    command += ["--custom-template-path", str(HERE / "templates")]
    command += ["--meta", "none", "--output-path", str(target), "--overwrite", "--fail-on-warning"]
    shutil.rmtree(target, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(command, env=environment, check=True)

    client = target / "client.py"
    source = client.read_text()
    if SELF_IMPORT not in source:
        raise SystemExit(f"{client} no longer imports Self as expected: adapt openapi/generate.py")
    source = source.replace(SELF_IMPORT, SELF_IMPORT_ANY_PYTHON, 1)
    client.write_text("from __future__ import annotations\n\n" + source)
    (target / "py.typed").touch()
    for hook in (["check", "--select", "I,F401", "--fix-only"], ["format"]):
        arguments = [*hook, "--isolated", "--no-cache", "--quiet", "."]
        subprocess.run(["ruff", *arguments], cwd=target, env=environment, check=True)


def read_tree(folder: Path) -> dict[str, str]:
    """Return the text of every file below `folder` by its relative path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return {path.relative_to(folder).as_posix(): path.read_text() for path in files}


def differences(old: dict[str, str], new: dict[str, str]) -> list[str]:
    """Return a unified diff of two trees, as lines; empty when they are the same."""
    lines: list[str] = []
    for name in sorted(old.keys() | new.keys()):
        before = old.get(name, "").splitlines(keepends=True)
        after = new.get(name, "").splitlines(keepends=True)
        if name not in old or name not in new:
            lines.append(f"{'only generated' if name in new else 'not generated'}: {name}\n")
        lines += difflib.unified_diff(before, after, f"committed/{name}", f"generated/{name}")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="compare instead of replacing")
    arguments = parser.parse_args()
    if sys.version_info < (3, 11):
        raise SystemExit("the pinned generator needs Python 3.11 or newer")
    if not arguments.check:
        generate(DOCUMENT, TARGET)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder) / TARGET.name
        generate(DOCUMENT, fresh)
        changed = differences(read_tree(TARGET), read_tree(fresh))
    sys.stdout.writelines(changed)
    if changed:
        print("generated/ differs from what the document generates: run `make generate`")
    return 1 if changed else 0


if __name__ == "__main__":
    sys.exit(main())
