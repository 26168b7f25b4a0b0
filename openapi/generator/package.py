"""Write the package of a document to a folder, and try it."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openapi_python_client import Project
from openapi_python_client.config import Config, ConfigFile, MetaType
from openapi_python_client.parser import GeneratorData
from openapi_python_client.schema.untrusted_string import UntrustedString

from .annotations import Annotator
from .document import Document, Refusal, join
from .endpoints import Endpoints
from .naming import ClassNames
from .rendering import Model, Renderer
from .schemas import Schemas

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parent
RUNTIME = HERE / "runtime"
PACKAGE_FILES = ("__init__.py", "client.py", "errors.py", "types.py", "api", "models")

IMPORT_ALL = """
import importlib, pkgutil, sys
sys.path.insert(0, sys.argv[1])
package = importlib.import_module(sys.argv[2])
for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    importlib.import_module(module.name)
models = importlib.import_module(package.__name__ + ".models")
import msgspec
for name in models.__all__ if hasattr(models, "__all__") else ():
    msgspec.json.Decoder(getattr(models, name))
"""


class GenerationError(Exception):
    """The package cannot be made; the text is for people, one line for each reason."""


@dataclass
class Content:
    """What a package is made of: the models, and the endpoints by their tag's folder."""

    models: list[Model]
    endpoints: dict[str, list[Any]]
    schemas: dict[str, Any]
    uses_validation: bool


@dataclass
class _Collection:
    """The endpoints of a tag, as openapi-python-client's templates want them."""

    tag: str
    endpoints: list[Any]
    parse_errors: tuple[()] = ()


class _Module:
    """What `Project` asks of an endpoint beside what the template lays out."""

    def __init__(self, name: str, context: dict[str, Any]) -> None:
        self.name = name
        self.context = context

    def __getattr__(self, name: str) -> Any:
        if name not in self.context:
            raise AttributeError(name)
        return self.context[name]


def read(document: Document) -> Content:
    """Read all that a document describes; `document.refusals` says what was left out."""
    schemas = Schemas(document)
    components = (document.content.get("components") or {}).get("schemas") or {}
    pointers = {str(name): join("#/components/schemas", name) for name in components}
    left_out = set[str]()
    for name, pointer in pointers.items():
        schemas.reference(pointer, pointer)
        if any(
            refusal.pointer in (pointer, *_roots(pointer, refusal)) for refusal in document.refusals
        ):
            left_out.add(name)
    names = ClassNames(name for name in pointers if name not in left_out)
    annotator = Annotator(schemas, names)
    found = {
        name: annotator.component(pointer)
        for name, pointer in pointers.items()
        if name not in left_out
    }
    endpoints = Endpoints(document, schemas, annotator).read()
    modules = {struct.name: struct.module for struct in annotator.structs}
    renderer = Renderer(modules, schemas.named)
    models = [renderer.struct(struct) for struct in annotator.structs]
    for name, kind in found.items():
        class_name, module = names.component(name)
        if class_name not in modules:
            schema = schemas.named[pointers[name]]
            described = schema.get("description", "") if isinstance(schema, dict) else ""
            models.append(renderer.alias(class_name, module, kind, str(described)))
    by_tag: dict[str, list[Any]] = {}
    for endpoint in endpoints:
        made = _Module(endpoint.name, renderer.endpoint(endpoint))
        by_tag.setdefault(endpoint.tag, []).append(made)
    uses_validation = any(model.validation for model in models) or "Settler" in str(
        [[made.context["responses"] for made in group] for group in by_tag.values()]
    )
    return Content(models, by_tag, renderer.schemas(), uses_validation)


def _roots(pointer: str, refusal: Refusal) -> tuple[str, ...]:
    """Return the pointers of a schema's own keywords that hold no schema of a part of it."""
    return (join(pointer, refusal.keyword),)


def write(document: Document, content: Content, target: Path) -> None:
    """Write a package to a folder that does not exist.

    Raises:
        GenerationError: If a tool that formats the package fails.
    """
    info = document.content.get("info") or {}
    data = GeneratorData(
        title=UntrustedString(str(info.get("title") or "API")),
        description=None,
        version=UntrustedString(str(info.get("version") or "0")),
        models=content.models,  # type: ignore[arg-type]  # the templates are ours
        errors=[],
        enums=[],
        endpoint_collections_by_tag={
            tag: _Collection(tag, modules)  # type: ignore[misc]
            for tag, modules in content.endpoints.items()
        },
    )
    settings = ConfigFile.load_from_path(FOLDER / "generator.yaml")
    hooks, settings.post_hooks = settings.post_hooks or [], []
    config = Config.from_sources(
        settings,
        MetaType.NONE,
        document_source=target,
        file_encoding="utf-8",
        overwrite=False,
        output_path=target,
    )
    project = Project(openapi=data, config=config, custom_template_path=FOLDER / "templates")
    with contextlib.redirect_stdout(io.StringIO()):
        project.build()
    _write_runtime(content, target)
    for path in sorted(target.rglob("*.py")):
        try:
            compile(path.read_text("utf-8"), path.name, "exec", dont_inherit=True)
        except (SyntaxError, ValueError) as error:
            raise GenerationError(f"{path.relative_to(target)}: no Python: {error}") from error
    tools = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    for hook in hooks:
        command = hook.split()
        executable = shutil.which(command[0], path=tools)
        if executable is None:
            raise GenerationError(f"{command[0]} is not installed: it formats the package")
        done = subprocess.run(
            [executable, *command[1:]], cwd=target, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise GenerationError(f"{hook}: {(done.stderr or done.stdout).strip()[:2000]}")


def _write_runtime(content: Content, target: Path) -> None:
    for path in sorted(RUNTIME.glob("*.py")):
        if path.name == "__init__.py":
            continue
        if path.name in ("validation.py", "schemas.py") and not content.uses_validation:
            continue
        shutil.copyfile(path, target / path.name)
    if content.uses_validation:
        text = (RUNTIME / "schemas.py").read_text("utf-8")
        text = text.replace("= {}", f"= {content.schemas!r}")
        (target / "schemas.py").write_text(text, "utf-8")
    (target / "py.typed").touch()


def try_imports(target: Path) -> None:
    """Import every module of a package, in a process of its own, and build every decoder.

    Raises:
        GenerationError: If that fails.
    """
    command = [sys.executable, "-I", "-B", "-c", IMPORT_ALL, str(target.parent), target.name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise GenerationError(f"the generated package cannot be imported: {last}")


def check_types(target: Path) -> None:
    """Check a package with mypy, strict.

    Raises:
        GenerationError: If mypy finds fault with it.
    """
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--no-incremental",
        "--config-file",
        os.devnull,
    ]
    done = subprocess.run(
        [*command, "-p", target.name],
        cwd=target.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise GenerationError(f"the generated package has type errors:\n{done.stdout[:4000]}")


def is_generated(target: Path) -> bool:
    """Return whether a folder is one that may be replaced: empty, or a generated package."""
    names = {path.name for path in target.iterdir()} - {"__pycache__"}
    return not names or all((target / name).exists() for name in PACKAGE_FILES)


def swap(fresh: Path, target: Path) -> None:
    """Put a fresh package in the place of another, which stays if that fails."""
    target.parent.mkdir(parents=True, exist_ok=True)
    old = target.with_name(f".{target.name}.old-{os.getpid()}")
    if target.exists():
        target.rename(old)
    try:
        fresh.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)
