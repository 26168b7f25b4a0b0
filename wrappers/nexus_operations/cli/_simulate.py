"""`nexus-operations simulate`: the simulator until Ctrl-C, with something to look at."""

from __future__ import annotations

import sys
import threading

import typer

from nexus_operations.simulator import Life

try:
    from nexus_operations.simulator import Simulator
except ModuleNotFoundError as missing:
    raise typer.BadParameter(
        "the simulator needs the extra `simulator`: pip install 'nexus-operations[simulator]'"
    ) from missing

SAMPLES = (
    Life(duration=60, queued=3, items=200, unit="assets"),
    Life(duration=240, queued=10, items=2000, unit="assets", shape="back"),
    Life(duration=45, items=50, unit="assets", outcome="Errored", message="Disk quota exceeded"),
)
PROJECT = "proj_simulated"


def serve(port: int, speed: float, samples: bool) -> None:
    """Serve until Ctrl-C."""
    simulator = Simulator(port=port, speed=speed)
    try:
        simulator.up()
    except OSError as error:
        raise typer.BadParameter(f"port {port} cannot be used: {error.strerror}") from None
    try:
        ids = [simulator.start(life) for life in SAMPLES] if samples else []
        tell = sys.stdout.write
        tell(f"A simulated Nexus is on {simulator.endpoint} (Ctrl-C ends it).\n")
        tell(f"Its operations are at {simulator.endpoint}/ in a browser. Elsewhere:\n\n")
        tell(f"  export DATATURE_API_BASE_URL={simulator.endpoint}\n")
        tell(f"  export NEXUS_SECRET=any NEXUS_PROJECT={PROJECT}\n")
        if ids:
            tell(f"  nexus-operations wait {' '.join(ids)}\n")
        sys.stdout.flush()
        threading.Event().wait()
    except KeyboardInterrupt:
        sys.stdout.write("\n")
    finally:
        simulator.down()
