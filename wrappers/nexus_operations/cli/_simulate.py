"""`nexus-operations simulate`: the simulator until Ctrl-C, with something to look at."""

from __future__ import annotations

import shlex
import signal
import threading

import typer

from nexus_operations.simulator import Life

from ._output import write_line

try:
    from nexus_operations.simulator import Simulator
except ModuleNotFoundError as missing:
    raise typer.BadParameter(str(missing)) from missing

SAMPLES = (
    Life(duration=60, queued=3, items=200, unit="asset"),
    Life(duration=240, queued=10, items=2000, unit="asset", shape="back"),
    Life(duration=45, items=50, unit="asset", outcome="Errored", message="Disk quota exceeded"),
)
PROJECT = "proj_simulated"
EXAMPLE = "op_508fc5d1-e908-486d-9e7b-1dca99b80024"
"""The id in the documentation's examples, which can so be pasted: the first operation has it."""


def serve(port: int, speed: float, samples: bool, secret: str | None) -> None:
    """Serve until Ctrl-C; raise `KeyboardInterrupt` for another signal."""
    try:
        simulator = Simulator(port=port, speed=speed, secret=secret)
        simulator.up()
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    except OSError as error:
        raise typer.BadParameter(f"port {port} cannot be used: {error.strerror}") from None
    try:
        ids: list[str] = []
        for life in SAMPLES if samples else ():
            ids.append(simulator.start(life, op_id=None if ids else EXAMPLE))
        shown = shlex.quote(secret or "any")
        write_line(f"A simulated Nexus is on {simulator.endpoint} (Ctrl-C ends it).")
        write_line(f"Its operations are at {simulator.endpoint}/ in a browser. In another shell:")
        write_line(f"\n  export DATATURE_API_BASE_URL={simulator.endpoint}")
        write_line(f"  export NEXUS_SECRET={shown} NEXUS_PROJECT={PROJECT}")
        if ids:
            write_line(f"  nexus-operations wait {shlex.join(ids)}")
        threading.Event().wait()
    except KeyboardInterrupt as stop:
        write_line("")
        if stop.args not in ((), (signal.SIGINT,)):
            raise
    finally:
        simulator.down()
