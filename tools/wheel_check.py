"""Build the wheel, install it alone into an empty environment, wait with it, and weigh it.

Run by `make wheel-check`. The simulator runs here; the wheel's environment has only the library.
A second environment has the extras `cli` and `contract` and checks the simulator with the command.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

from nexus_operations.simulator import Life, Simulator

ROOT = Path(__file__).parent.parent
MAX_MEGABYTES = 20
MAX_DIRECT_DEPENDENCIES = 4
SECRET = "canary-5aa41e8ba"
INSTALLERS = ("pip", "setuptools", "_distutils_hack")

WAIT = """
import sys
from nexus_operations import Client
with Client("secret", endpoint=sys.argv[1]) as client:
    operation = client.get_project("proj_simulated").operations.wait_until_done(sys.argv[2])
print(operation)
assert operation.status.overview == "Finished"
"""


def run(*command: str | Path) -> str:
    """Run a command and return what it printed."""
    result = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, check=True)
    return result.stdout.decode()


def check_contract(folder: Path, wheel: Path) -> None:
    """Check the simulator with the command of the installed wheel; the document is in it."""
    venv.create(folder / "contract", with_pip=True)
    python = folder / "contract" / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run(*install, f"{wheel}[cli,contract]")
    with Simulator(secret=SECRET) as simulator:
        op_id = simulator.start(Life(duration=1))
        environment = {
            "PATH": os.defpath,
            "NEXUS_SECRET": SECRET,
            "NEXUS_PROJECT": "proj_simulated",
        }
        environment["DATATURE_API_BASE_URL"] = simulator.endpoint
        done = subprocess.run(
            [str(python.with_name("nexus-operations")), "contract", op_id],
            env=environment,
            cwd=folder,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
    print(done.stdout, end="")
    assert done.returncode == 0, done.returncode
    assert SECRET not in done.stdout


def main() -> int:
    """Check the wheel; raise if it falls short."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
        run(*build, "--no-build-isolation", "-w", folder, ROOT)
        (wheel,) = folder.glob("nexus_operations-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            names = archive.namelist()
            (metadata_name,) = (n for n in names if n.endswith(".dist-info/METADATA"))
            metadata = archive.read(metadata_name).decode()
        assert {"nexus_operations/py.typed", "nexus_operations_api/py.typed"} <= set(names), names
        assert "nexus_operations_api/operations.yaml" in names, names
        assert not any(n.startswith(("datature/", "tests/", "openapi/")) for n in names), names
        direct = [
            r
            for r in re.findall(r"^Requires-Dist: (.*)$", metadata, re.MULTILINE)
            if "extra ==" not in r
        ]
        assert len(direct) <= MAX_DIRECT_DEPENDENCIES, direct

        venv.create(folder / "venv", with_pip=True)
        python = folder / "venv" / "bin" / "python"
        run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel)
        with Simulator() as simulator:
            print(
                run(python, "-c", WAIT, simulator.endpoint, simulator.start(Life(duration=1))),
                end="",
            )
        (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
        files = [
            path
            for path in site.rglob("*")
            if path.is_file() and not path.relative_to(site).parts[0].startswith(INSTALLERS)
        ]
        megabytes = sum(path.stat().st_size for path in files) / 1e6
        print(f"{len(direct)} direct dependencies, {megabytes:.1f} MB installed without pip")
        assert megabytes < MAX_MEGABYTES, megabytes
        check_contract(folder, wheel)
    return 0


if __name__ == "__main__":
    sys.exit(main())
