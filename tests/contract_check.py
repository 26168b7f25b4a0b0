"""Contract tests against a service of one's own: read-only, bounded. Run by `make contract`.

    NEXUS_SECRET=… python tests/contract_check.py --url URL --project PROJECT --op OP

schemathesis retrieves the operation that is named, and ids that do not exist, and compares each
answer with `openapi/operations.yaml`. The secret comes from the environment, and goes to
schemathesis the same way, never on a command line.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

UNKNOWN = "op_00000000-0000-0000-0000-000000000000"
DOCUMENT = Path(__file__).parent.parent / "openapi/operations.yaml"
CONFIG = """
base-url = "${NEXUS_CONTRACT_URL}"
rate-limit = "5/s"
request-timeout = 30
[auth.openapi.SecretKey]
api_key = "${NEXUS_SECRET}"
[generation]
max-examples = 20
mode = "positive"
[phases.stateful]
enabled = false
[phases.coverage]
enabled = false
"""


def main() -> int:
    """Run schemathesis; return its exit code."""
    parser = argparse.ArgumentParser(description="Contract tests against a service.")
    parser.add_argument("--url", required=True, help="the base URL of the service")
    parser.add_argument("--project", required=True, help="a project's id")
    parser.add_argument("--op", required=True, help="the id of one of its operations")
    arguments = parser.parse_args()
    if not os.environ.get("NEXUS_SECRET"):
        parser.error("the environment variable NEXUS_SECRET must hold the secret key")
    document = yaml.safe_load(DOCUMENT.read_text())
    parameters = document["components"]["parameters"]
    parameters["ProjectId"]["example"] = arguments.project
    # Both kinds of id are asked for every time; what else is made up depends on luck.
    del parameters["OpId"]["example"]
    parameters["OpId"]["examples"] = {
        "known": {"value": arguments.op},
        "unknown": {"value": UNKNOWN},
    }
    # Ids that are made up stay in the project that is named: nobody else's is asked for.
    parameters["ProjectId"]["schema"] = {"type": "string", "enum": [arguments.project]}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "operations.yaml").write_text(yaml.safe_dump(document))
        (folder / "schemathesis.toml").write_text(CONFIG)
        command = [str(Path(sys.executable).parent / "schemathesis"), "run", "operations.yaml"]
        environment = {**os.environ, "NEXUS_CONTRACT_URL": arguments.url}
        return subprocess.run(command, cwd=folder, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
