"""Airflow's real parts on loopback: api-server, scheduler, dag-processor, triggerers, a database.

Every process that is started here is ended by its pid, and all files are in a temporary folder,
however the run is stopped: at its end, by Ctrl-C, or by SIGTERM and SIGHUP (see `orderly`).
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import sqlalchemy
from nexus_operations.simulator import Simulator

ROOT = Path(__file__).parent.parent.parent
PROJECT = "proj_simulated"
PATIENCE = 600.0
"""Seconds that a step of a run may take, unless it says otherwise."""

POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
PARTS = ("api-server", "scheduler", "dag-processor")
ENDED = {"success", "failed", "skipped", "upstream_failed"}
DAGS = (
    "examples/airflow_dag.py",
    "examples/airflow_dag_start.py",
    "tests/airflow/dags/nexus_lives.py",
)


def orderly() -> None:
    """Make SIGTERM and SIGHUP end the run as its end does: what was started is ended first."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: sys.exit(128 + received))


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
    url = f"postgresql+psycopg2://airflow@127.0.0.1:{port}/postgres"
    with contextlib.ExitStack() as stack:
        log = stack.enter_context((folder / "postgres.log").open("w"))
        process = subprocess.Popen(
            command, stdout=log, stderr=log, cwd=data, start_new_session=True, **run_as
        )
        stack.callback(process.wait, 30)
        stack.callback(process.send_signal, signal.SIGINT)
        engine = sqlalchemy.create_engine(url)

        def answers() -> bool:
            with contextlib.suppress(sqlalchemy.exc.OperationalError), engine.connect():
                return True
            return False

        until(answers, "PostgreSQL answers", 30, 0.2)
        engine.dispose()
        yield url


class Airflow:
    """Airflow's parts, each a process; a context manager.

    Args:
        folder: Where all files are.
        database: The SQLAlchemy URL of its database.
        simulator: The service that the connection leads to.
        max_rate: The connection's bound on requests per second.
        capacity: Triggers that a triggerer holds, at most.
        settings: More of Airflow's settings, as variables of the environment.
    """

    def __init__(
        self,
        folder: Path,
        database: str,
        simulator: Simulator,
        max_rate: float | None = None,
        capacity: int = 1000,
        **settings: str,
    ) -> None:
        port = free_port()
        self.folder = folder
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._engine = sqlalchemy.create_engine(database)
        dags = folder / "dags"
        dags.mkdir()
        for name in DAGS:
            shutil.copy(ROOT / name, dags)
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
            "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": str(2 * capacity),
            "AIRFLOW__CORE__MAX_MAP_LENGTH": str(2 * capacity),
            "AIRFLOW__CORE__PARALLELISM": "8",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
            "AIRFLOW__TRIGGERER__CAPACITY": str(capacity),
            "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
            "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "10",
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
            **settings,
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
        runs_tasks = part in ("scheduler", "triggerer")
        skip = ["--skip-serve-logs"] if runs_tasks else []
        env = {**self.env, "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO" if runs_tasks else "WARNING"}
        with (self.folder / f"{name}.log").open("w") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "airflow", part, *skip],
                env=env,
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
        until(lambda: self.rows(known, dag_id=dag_id), f"{dag_id} is known", 240)
        self.run("dags", "trigger", dag_id, "--conf", json.dumps(conf))

    def tasks(self, dag_id: str, task_id: str = "wait") -> dict[int, tuple[str, int]]:
        """Return state and try of a task's mapped instances."""
        query = "select map_index, state, try_number from task_instance"
        query += " where dag_id = :dag_id and task_id = :task_id and map_index >= 0"
        found = self.rows(query, dag_id=dag_id, task_id=task_id)
        return {index: (state or "none", tried) for index, state, tried in found}

    def have_ended(self, dag_id: str, count: int) -> bool:
        """Return whether all of a task's mapped instances have ended."""
        tasks = self.tasks(dag_id)
        return len(tasks) == count and {state for state, _ in tasks.values()} <= ENDED

    def holders(self) -> dict[int, int]:
        """Return how many triggers each triggerer holds."""
        query = (
            "select triggerer_id, count(*) from trigger where triggerer_id is not null group by 1"
        )
        return {row[0]: row[1] for row in self.rows(query)}

    def said(self, name: str, text: str) -> list[str]:
        """Return the lines of a part's log that hold a text."""
        lines = (self.folder / f"{name}.log").read_text(errors="replace").splitlines()
        return [line for line in lines if text in line]

    def task_log(self, dag_id: str, task_id: str, map_index: int) -> str:
        """Return what a person reads of a task: its worker's log and its triggerer's."""
        logs = sorted((self.folder / "logs").rglob(f"dag_id={dag_id}/**/*.log*"))
        wanted = [f"task_id={task_id}", f"map_index={map_index}"]
        return "\n".join(
            log.read_text(errors="replace") for log in logs if set(wanted) <= set(log.parts)
        )

    def __enter__(self) -> Airflow:
        with contextlib.ExitStack() as stack:
            stack.callback(self._stop)
            self.run("db", "migrate")
            for part in PARTS:
                self.start(part)
            self.start("triggerer")
            stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._stop()
        if kind is not None and issubclass(kind, Exception):
            for log in self.folder.glob("*.log"):
                print(f"--- {log.name}\n{log.read_text(errors='replace')[-2000:]}")

    def _stop(self) -> None:
        """End every part and its children."""
        for process in self.processes.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        give_up = time.monotonic() + 20
        for process in self.processes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(give_up - time.monotonic(), 0.1))
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)
        self._engine.dispose()


@contextlib.contextmanager
def running(*, needs_postgres: bool, **options: Any) -> Iterator[tuple[Airflow, Simulator]]:
    """Give a running Airflow and the simulator that it waits on."""
    with (
        tempfile.TemporaryDirectory(prefix="nexus-airflow-", ignore_cleanup_errors=True) as name,
        contextlib.ExitStack() as stack,
    ):
        folder = Path(name)
        database = f"sqlite:///{folder}/airflow.db"
        if needs_postgres:
            database = stack.enter_context(postgres(folder))
        simulator = stack.enter_context(Simulator())
        yield stack.enter_context(Airflow(folder, database, simulator, **options)), simulator


def group(pid: int) -> list[Path]:
    """Return the folders in /proc of a process and of its children."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.getpgid(int(folder.name)) == pid:
                found.append(folder)
    return found


def peak_memory(pid: int) -> float:
    """Return the peak memory of a process and of its children, in MB: the largest of them."""
    peaks = [0]
    for folder in group(pid):
        with contextlib.suppress(OSError):
            lines = (folder / "status").read_text().splitlines()
            fields = dict(line.split(":", 1) for line in lines if ":" in line)
            peaks.append(int(fields.get("VmHWM", "0 kB").split()[0]))
    return max(peaks) / 1024


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process and of its children that run, in seconds."""
    ticks = 0
    for folder in group(pid):
        with contextlib.suppress(OSError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
