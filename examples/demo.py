"""The main job against the simulator: operations of every kind, waited for by the command."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from nexus_operations.simulator import Life, Simulator, Trouble

COMMAND = [str(Path(sys.executable).with_name("nexus-operations"))]
INTERRUPT_AFTER = 3.0
OUT_OF_QUOTA = "Disk quota exceeded"


def say(text: str) -> None:
    """Print a line before what the command prints next."""
    print(text, flush=True)


def start_operations(simulator: Simulator) -> list[str]:
    """Start an export, a slow one, one that fails, and one whose answers are rate-limited."""
    ids = [
        simulator.start(Life(duration=6, queued=1, items=200, unit="asset")),
        simulator.start(Life(duration=11, queued=2, items=2000, unit="asset", shape="back")),
        simulator.start(Life(duration=4, items=50, outcome="Errored", message=OUT_OF_QUOTA)),
        simulator.start(Life(duration=5, items=80, unit="asset"), kind="nexus.assets.upload"),
    ]
    limited = Trouble(kind="status", status=429, retry_after="2", times=2)
    simulator.trouble(limited, op_id=ids[-1])
    return ids


def show(*words: str) -> list[str]:
    """Print a command as one types it; return it as it runs here."""
    say(f"\n$ nexus-operations {' '.join(words)}")
    return [*COMMAND, *words]


def main() -> int:
    """Wait for four operations, then interrupt a wait; return 0 if both ended as they should."""
    with Simulator() as simulator:
        os.environ["DATATURE_API_BASE_URL"] = simulator.endpoint
        os.environ["NEXUS_SECRET"], os.environ["NEXUS_PROJECT"] = "demo-secret", "proj_simulated"
        say(f"A simulated Nexus runs for this demo; its page: {simulator.endpoint}/")
        say("Four operations: one fails, and the service limits the rate for a while.")
        waited = subprocess.run(show("wait", *start_operations(simulator)), check=False)
        say(f"\nExit code {waited.returncode}: one of them errored.")

        say("\nCtrl-C ends a wait, not the operation; the command says how to resume.")
        stuck = simulator.start(Life(duration=600, items=1000, age=100))
        with subprocess.Popen(show("wait", "--max-wait", "1h30m", stuck)) as process:
            threading.Timer(INTERRUPT_AFTER, process.send_signal, [signal.SIGINT]).start()
            process.wait()
        say(f"\nExit code {process.returncode}: interrupted.")
    say("\nNext: `nexus-operations simulate` keeps a simulated service running, or see README.md.")
    return 0 if (waited.returncode, process.returncode) == (1, 130) else 1


if __name__ == "__main__":
    sys.exit(main())
