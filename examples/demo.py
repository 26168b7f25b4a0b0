"""The main job, against the embedded simulator: wait for an export, then for one that fails."""

import sys

from nexus_operations import Client, Operation, OperationFailedError
from nexus_operations.simulator import Life, Simulator

BAR = 30


def show(operation: Operation) -> None:
    counts = operation.status.progress.with_status
    total = counts.Queued + counts.Running + counts.Finished + counts.Cancelled + counts.Errored
    filled = BAR * counts.Finished // max(total, 1)
    bar = "#" * filled + "." * (BAR - filled)
    print(f"  [{bar}] {counts.Finished}/{total}  {operation.status.overview}", flush=True)


def main() -> int:
    with Simulator() as simulator, Client("demo-secret", endpoint=simulator.endpoint) as client:
        operations = client.get_project("proj_simulated").operations

        export = simulator.start(Life(duration=5, queued=0.5, items=200, unit="assets"))
        print(f"Waiting for the export {export} on {client.endpoint}")
        for snapshot in operations.watch(export):
            show(snapshot)
        print(operations.wait_until_done(export))

        failing = simulator.start(
            Life(duration=2, items=50, outcome="Errored", message="Disk quota exceeded")
        )
        print(f"\nWaiting for {failing}, which will fail")
        try:
            operations.wait_until_done(failing)
        except OperationFailedError as error:
            print(f"  {type(error).__name__}: {error}")
            return 0
    print("the failing operation did not raise", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
