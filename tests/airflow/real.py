"""Airflow's real parts on loopback: api-server, scheduler, dag-processor, triggerers.

    python -m tests.airflow.real --check            operations of every kind, one triggerer, SQLite
    python -m tests.airflow.real --demo             the example DAG, told as it goes
    python -m tests.airflow.real --scale 500        many deferred at once in one triggerer
    python -m tests.airflow.real --kill 500         two triggerers; the one with the waits is killed

The last two need PostgreSQL (Debian's package `postgresql`). Every process that is started here is
ended by its pid, and all files are in a temporary folder.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import sqlalchemy
from nexus_operations.simulator import Life, Simulator

ROOT = Path(__file__).parent.parent.parent
PROJECT = "proj_simulated"
PATIENCE = 600.0
"""Seconds that a run may take."""

POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
PARTS = ("api-server", "scheduler", "dag-processor")
ENDED = {"success", "failed", "skipped", "upstream_failed"}


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def until(
    seen: Callable[[], Any], what: str, patience: float = PATIENCE, pause: float = 1.0
) -> Any:
    """Return what is seen once it is true; raise after the patience."""
    give_up = time.monotonic() + patience
    while not (found := seen()):
        if time.monotonic() > give_up:
            raise TimeoutError(f"not within {patience:.0f} s: {what}")
        time.sleep(pause)
    return found


@contextlib.contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """Run a PostgreSQL of our own; give its SQLAlchemy URL."""
    if not POSTGRES:
        raise SystemExit("PostgreSQL is needed: apt-get install postgresql")
    data, port = folder / "postgres", free_port()
    data.mkdir()
    run_as: dict[str, Any] = {}
    if os.getuid() == 0:  # PostgreSQL does not run as root
        folder.chmod(0o755)
        shutil.chown(data, "postgres", "postgres")
        run_as = {"user": "postgres", "group": "postgres", "extra_groups": []}
    initdb = [str(POSTGRES[-1] / "initdb"), "-D", str(data), "-A", "trust", "-U", "airflow"]
    subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, cwd=data, **run_as)
    command = [str(POSTGRES[-1] / "postgres"), "-D", str(data), "-h", "127.0.0.1", "-p", str(port)]
    command += ["-k", str(data), "-c", "max_connections=200", "-c", "fsync=off"]
    with (folder / "postgres.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=data, **run_as)
    url = f"postgresql+psycopg2://airflow@127.0.0.1:{port}/postgres"
    try:
        engine = sqlalchemy.create_engine(url)

        def answers() -> bool:
            with contextlib.suppress(sqlalchemy.exc.OperationalError), engine.connect():
                return True
            return False

        until(answers, "PostgreSQL answers", 30, 0.2)
        engine.dispose()
        yield url
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


class Airflow:
    """Airflow's parts, each a process; a context manager.

    Args:
        folder: Where all files are.
        database: The SQLAlchemy URL of its database.
        simulator: The service that the connection leads to.
        max_rate: The connection's bound on requests per second.
    """

    def __init__(
        self, folder: Path, database: str, simulator: Simulator, max_rate: float | None = None
    ) -> None:
        port = free_port()
        self.folder = folder
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._engine = sqlalchemy.create_engine(database)
        dags = folder / "dags"
        dags.mkdir()
        shutil.copy(ROOT / "examples/airflow_dag.py", dags)
        shutil.copy(ROOT / "tests/airflow/dags/nexus_lives.py", dags)
        connection = {
            "conn_type": "nexus",
            "host": simulator.endpoint,
            "login": PROJECT,
            "password": "any",
            "extra": {"max_rate": max_rate},
        }
        self.env = {
            **os.environ,
            "AIRFLOW_HOME": str(folder),
            "AIRFLOW_CONN_NEXUS_DEFAULT": json.dumps(connection),
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "AIRFLOW__CORE__AUTH_MANAGER": "airflow.api_fastapi.auth.managers.simple."
            "simple_auth_manager.SimpleAuthManager",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": "1000",
            "AIRFLOW__CORE__PARALLELISM": "8",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
            "AIRFLOW__TRIGGERER__CAPACITY": "1000",
            "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
            "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "10",
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
        }

    def run(self, *words: str) -> None:
        """Run one of Airflow's commands to its end."""
        done = subprocess.run(
            [sys.executable, "-m", "airflow", *words],
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"airflow {' '.join(words)} failed:\n{done.stdout[-3000:]}")

    def start(self, part: str, name: str | None = None) -> int:
        """Start a part; return its pid."""
        name = name or part
        skip = ["--skip-serve-logs"] if part in ("scheduler", "triggerer") else []
        with (self.folder / f"{name}.log").open("w") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "airflow", part, *skip],
                env=self.env,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self.processes[name].pid

    def kill(self, name: str) -> None:
        """Kill a part and its children, as a machine that dies does."""
        os.killpg(self.processes[name].pid, signal.SIGKILL)
        self.processes.pop(name).wait(30)

    def rows(self, query: str, **values: Any) -> list[Any]:
        """Return the rows of a query of Airflow's database."""
        with self._engine.connect() as connection:
            return list(connection.execute(sqlalchemy.text(query), values))

    def trigger(self, dag_id: str, conf: dict[str, Any]) -> None:
        """Start a run of a DAG once it is known."""
        known = "select 1 from dag where dag_id = :dag_id"
        until(lambda: self.rows(known, dag_id=dag_id), f"{dag_id} is known", 90)
        self.run("dags", "trigger", dag_id, "--conf", json.dumps(conf))

    def tasks(self, dag_id: str, task_id: str = "wait") -> dict[int, tuple[str, int]]:
        """Return state and try of a task's mapped instances."""
        query = "select map_index, state, try_number from task_instance"
        query += " where dag_id = :dag_id and task_id = :task_id and map_index >= 0"
        found = self.rows(query, dag_id=dag_id, task_id=task_id)
        return {index: (state or "none", tried) for index, state, tried in found}

    def holders(self) -> dict[int, int]:
        """Return how many triggers each triggerer holds."""
        query = (
            "select triggerer_id, count(*) from trigger where triggerer_id is not null group by 1"
        )
        return {row[0]: row[1] for row in self.rows(query)}

    def __enter__(self) -> Airflow:
        self.run("db", "migrate")
        for part in PARTS:
            self.start(part)
        self.start("triggerer")
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for process in self.processes.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        give_up = time.monotonic() + 20
        for process in self.processes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(give_up - time.monotonic(), 0.1))
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        self._engine.dispose()
        if kind is not None:
            for log in self.folder.glob("*.log"):
                print(f"--- {log.name}\n{log.read_text()[-2000:]}")


@contextlib.contextmanager
def running(*, needs_postgres: bool, **options: Any) -> Iterator[tuple[Airflow, Simulator]]:
    """Give a running Airflow and the simulator that it waits on."""
    with (
        tempfile.TemporaryDirectory(prefix="nexus-airflow-") as name,
        contextlib.ExitStack() as stack,
    ):
        folder = Path(name)
        database = f"sqlite:///{folder}/airflow.db"
        if needs_postgres:
            database = stack.enter_context(postgres(folder))
        simulator = stack.enter_context(Simulator())
        yield stack.enter_context(Airflow(folder, database, simulator, **options)), simulator


def peak_memory(pid: int) -> float:
    """Return the peak memory of a process and of its children, in MB: the largest of them."""
    peaks: list[int] = []
    for status in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):
            fields = dict(
                line.split(":", 1) for line in status.read_text().splitlines() if ":" in line
            )
            if "VmHWM" in fields and os.getpgid(int(fields["Pid"])) == pid:
                peaks.append(int(fields["VmHWM"].split()[0]))
    return max(peaks) / 1024


def check() -> None:
    """Operations that finish, error, are cancelled, outlive their bound, or do not exist."""
    with running(needs_postgres=False) as (airflow, simulator):
        ids = {
            "finishes": simulator.start(Life(duration=60, items=100)),
            "errored": simulator.start(Life(duration=55, outcome="Errored", message="Quota")),
            "cancelled": simulator.start(Life(duration=55, outcome="Cancelled")),
            "outlives": simulator.start(Life(outcome="Running")),
            "unknown": "op_unknown",
        }
        bounds = {"outlives": 10.0}
        waits = [{"op_id": i, "max_wait": bounds.get(name, 600.0)} for name, i in ids.items()]
        airflow.trigger("nexus_lives", {"waits": waits})
        deferred: set[int] = set()

        def all_ended() -> bool:
            tasks = airflow.tasks("nexus_lives")
            deferred.update(index for index, (state, _) in tasks.items() if state == "deferred")
            return len(tasks) == len(ids) and {state for state, _ in tasks.values()} <= ENDED

        until(all_ended, "all tasks have ended", 300, 0.5)
        tasks = dict(
            zip(ids, (airflow.tasks("nexus_lives")[n] for n in range(len(ids))), strict=True)
        )
        print(json.dumps({"tasks": tasks, "deferred": sorted(deferred)}))
        assert tasks == {
            "finishes": ("success", 1),
            "errored": ("failed", 1),
            "cancelled": ("failed", 1),
            "outlives": ("failed", 2),  # retried: the second try waited on
            "unknown": ("failed", 2),
        }
        assert 0 in deferred
    print(f"{len(ids)} passed, 0 failed")


def demo() -> None:
    """The example DAG, told as it goes."""
    print("Starting Airflow: api-server, scheduler, dag-processor, triggerer …", flush=True)
    with running(needs_postgres=False) as (airflow, simulator):
        airflow.trigger("nexus_example", {})
        print("The example DAG runs; its exports are waited for in the triggerer.", flush=True)
        shown: list[str] = []

        def ended() -> bool:
            tasks = airflow.tasks("nexus_example")
            line = ", ".join(
                f"wait[{index}] {state}" for index, (state, _) in sorted(tasks.items())
            )
            held = sum(airflow.holders().values())
            exports = ", ".join(
                f"{operation['status']['overview']}"
                f" {operation['status']['progress']['withStatus']['Finished']}"
                for operation in simulator.service.operations()
            )
            told = f"  {line or 'start_exports'}; held by the triggerer: {held}; exports: {exports}"
            if told not in shown:
                shown.append(told)
                print(told, flush=True)
            return bool(tasks) and {state for state, _ in tasks.values()} <= ENDED

        until(ended, "the exports have ended", 240)
        assert {state for state, _ in airflow.tasks("nexus_example").values()} == {"success"}
    print("Every export has finished.")


def many(count: int, *, kill: bool) -> None:
    """Many operations deferred at once; on demand, the triggerer that holds them is killed."""
    luck = random.Random(1)
    lives = [
        luck.choices(["Finished", "Errored", "Cancelled"], [90, 6, 4])[0] for _ in range(count)
    ]
    with running(needs_postgres=True, max_rate=100) as (airflow, simulator):
        pid = airflow.processes["triggerer"].pid
        ids = [simulator.start(Life(outcome="Running", items=100)) for _ in lives]
        began = time.monotonic()
        waits = [{"op_id": op_id, "max_wait": 36000.0} for op_id in ids]
        airflow.trigger("nexus_lives", {"waits": waits})

        def all_deferred() -> bool:
            tasks = airflow.tasks("nexus_lives")
            held = sum(airflow.holders().values())
            return held == count == sum(state == "deferred" for state, _ in tasks.values())

        until(all_deferred, f"{count} are deferred")
        figures: dict[str, Any] = {"deferred": count, "seconds_to_defer": time.monotonic() - began}
        if kill:
            airflow.start("triggerer", "second")
            until(lambda: len(alive(airflow)) == 2, "the second triggerer is up", 90)
            (holder,) = airflow.holders()
            airflow.kill("triggerer")
            killed = time.monotonic()
            pid = airflow.processes["second"].pid
            until(lambda: moved(airflow, holder, count), "all waits are on the other", 120)
            figures["seconds_to_move"] = time.monotonic() - killed
        figures["requests_while_deferred"] = simulator.service.request_count
        for op_id, outcome in zip(ids, lives, strict=True):
            simulator.end(op_id, outcome)  # type: ignore[arg-type]
        ended_at = time.monotonic()

        def all_ended() -> bool:
            return {state for state, _ in airflow.tasks("nexus_lives").values()} <= ENDED

        until(all_ended, "all tasks have ended")
        figures["seconds_to_end"] = time.monotonic() - ended_at
        figures["triggerer_peak_mb"] = peak_memory(pid)
        figures["requests"] = simulator.service.request_count
        tasks = airflow.tasks("nexus_lives")
        expected = ["success" if outcome == "Finished" else "failed" for outcome in lives]
        figures["right"] = sum(tasks[n][0] == expected[n] for n in range(count))
        figures["tries"] = dict(Counter(tried for _, tried in tasks.values()))
        print(
            json.dumps(
                {key: round(v, 1) if isinstance(v, float) else v for key, v in figures.items()}
            )
        )
        assert figures["right"] == count
        assert figures["tries"] == {1: count}


def alive(airflow: Airflow) -> list[Any]:
    """Return the triggerers that run."""
    return airflow.rows("select id from job where job_type = 'TriggererJob' and state = 'running'")


def moved(airflow: Airflow, dead: int, count: int) -> bool:
    """Return whether another triggerer holds all waits."""
    holders = airflow.holders()
    return dead not in holders and sum(holders.values()) == count


def main() -> None:
    """Run one of the scenarios."""
    parser = argparse.ArgumentParser(description="Airflow's real parts.")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--check", action="store_true")
    which.add_argument("--demo", action="store_true")
    which.add_argument("--scale", type=int, metavar="OPERATIONS")
    which.add_argument("--kill", type=int, metavar="OPERATIONS")
    arguments = parser.parse_args()
    if arguments.check:
        check()
    elif arguments.demo:
        demo()
    else:
        many(arguments.scale or arguments.kill, kill=bool(arguments.kill))


if __name__ == "__main__":
    main()
