"""Generate `generated/nexus_operations_api` from `openapi/operations.yaml`, or another package.

    python openapi/generate.py                          regenerate in place
    python openapi/generate.py --check                  regenerate elsewhere; fail on any difference
    python openapi/generate.py --document D --output O  generate the package O from the document D

What cannot be expressed exactly is named before anything is touched, one line for each place: a
JSON pointer, the keyword, and what to write instead. The package is written to a temporary folder,
every module of it is imported there, and only then does it replace the old one.
"""

from __future__ import annotations

import argparse
import difflib
import shutil
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
if str(HERE) not in sys.path:
    sys.path.insert(0, str(HERE))

from generator import package  # noqa: E402
from generator.document import DocumentError, load  # noqa: E402

DOCUMENT = HERE / "operations.yaml"
TARGET = HERE.parent / "generated" / "nexus_operations_api"


def generate(
    document: Path, target: Path, *, skip_unsupported: bool = False, type_check: bool = False
) -> list[str]:
    """Generate a package; return what was left out, one line each.

    Args:
        document: The OpenAPI document, YAML or JSON.
        target: The folder of the package; it is replaced at the end, or stays as it is.
        skip_unsupported: Whether to leave out what cannot be expressed, rather than fail.
        type_check: Whether to check the package's types before it replaces the old one.

    Raises:
        DocumentError: If the document cannot be read.
        package.GenerationError: If the package cannot be made; the text has a line for each reason.
    """
    if not target.name.isidentifier():
        raise package.GenerationError(
            f"{target}: the folder's name is the package's: an identifier"
        )
    if target.exists() and not (target.is_dir() and package.is_generated(target)):
        raise package.GenerationError(f"{target}: not a generated package; it is left as it is")
    read = load(document)
    try:
        content = package.read(read)
    except RecursionError:
        raise package.GenerationError(f"{document}: its schemas are nested too deeply") from None
    lines = [str(refusal) for refusal in sorted(read.refusals)]
    if lines and not skip_unsupported:
        raise package.GenerationError("\n".join(lines))
    parent = target.resolve().parent
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".generate-", dir=parent) as folder:
        fresh = Path(folder) / target.name
        package.write(read, content, fresh)
        shutil.copyfile(document, fresh / DOCUMENT.name)
        package.try_imports(fresh)
        if type_check:
            package.check_types(fresh)
        package.swap(fresh, target.resolve())
    return lines


def read_tree(folder: Path) -> dict[str, str]:
    """Return the text of every file below `folder` by its relative path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return {path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in files}


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


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--document", type=Path, default=DOCUMENT, help="the OpenAPI document")
    parser.add_argument("--output", type=Path, default=TARGET, help="the folder of the package")
    parser.add_argument("--check", action="store_true", help="compare instead of replacing")
    parser.add_argument(
        "--skip-unsupported", action="store_true", help="leave out what cannot be expressed"
    )
    parser.add_argument("--type-check", action="store_true", help="check the package with mypy")
    given = parser.parse_args(arguments)
    options = {"skip_unsupported": given.skip_unsupported, "type_check": given.type_check}
    try:
        if not given.check:
            for line in generate(given.document, given.output, **options):
                print(f"left out: {line}")
            return 0
        with tempfile.TemporaryDirectory() as folder:
            fresh = Path(folder) / given.output.name
            generate(given.document, fresh, **options)
            committed = read_tree(given.output) if given.output.is_dir() else {}
            changed = differences(committed, read_tree(fresh))
    except (DocumentError, package.GenerationError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    sys.stdout.writelines(changed)
    if changed:
        print(f"{given.output} differs from what the document generates: run `make generate`")
    return 1 if changed else 0


if __name__ == "__main__":
    sys.exit(main())
