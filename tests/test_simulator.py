"""The simulator: its lives, its control API, its fixture."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from nexus_operations import Client, Operation
from nexus_operations.simulator import Life, Service, Simulator, Trouble
from nexus_operations.testing import VirtualClock, VirtualTransport

from tests.conftest import PROJECT, SECRET


@pytest.mark.parametrize("outcome", ["Finished", "Errored", "Cancelled"])
@pytest.mark.parametrize("shape", ["linear", "front", "back", "stall", "burst"])
def test_a_life_from_queue_to_end(shape: Any, outcome: Any) -> None:
    life = Life(duration=100, queued=20, items=50, shape=shape, outcome=outcome)
    statuses = [life.status(age) for age in range(0, 120, 10)]
    assert statuses == ["Queued"] * 2 + ["Running"] * 8 + [outcome] * 2
    done = [life.done(age) for age in range(120)]
    assert done == sorted(done)
    assert done[19] == 0
    assert life.counts(99)["Finished"] < 50
    assert life.counts(100)[outcome] >= 1
    assert sum(life.counts(100).values()) == 50


def test_a_stuck_life_never_ends() -> None:
    life = Life(duration=1, items=5, outcome="Running")
    assert life.status(1e9) == "Running"
    assert life.done(1e9) == 4


def test_dates_and_speed() -> None:
    clock = VirtualClock()
    service = clock.service(speed=10)
    service.start(Life(duration=100, items=10, age=50))
    first = service.operations()[0]
    clock.now += 1
    second = service.operations()[0]
    clock.now += 4
    last = service.operations()[0]
    assert first["status"]["progress"]["withStatus"]["Finished"] == 5
    assert first["updateDate"] == first["createDate"] == int((clock.time() - 5 - 50) * 1000)
    assert second["status"]["progress"]["withStatus"]["Finished"] == 6
    assert second["updateDate"] > second["createDate"]
    assert last["status"]["overview"] == "Finished"


@pytest.fixture
def http(nexus_simulator: Simulator) -> Any:
    with httpx.Client(base_url=nexus_simulator.endpoint, headers={"Secret-Key": "x"}) as client:
        yield client


class TestControlApi:
    def test_start_an_operation(self, http: httpx.Client) -> None:
        body = {"life": {"duration": 0, "outcome": "Errored"}, "kind": "nexus.assets.upload"}
        started = http.post("/_simulator/operations", json=body)
        assert started.status_code == 201
        op_id = started.json()["id"]
        found = http.get(f"/projects/{PROJECT}/operations/{op_id}")
        operation = Operation.from_json(found.content)
        assert (operation.kind, operation.status.overview) == ("nexus.assets.upload", "Errored")
        assert http.get("/_simulator/operations").json() == [found.json()]

    def test_script_trouble(self, http: httpx.Client) -> None:
        body = {"troubles": [{"kind": "status", "status": 502}]}
        op_id = http.post("/_simulator/operations", json=body).json()["id"]
        path = f"/projects/{PROJECT}/operations/{op_id}"
        assert http.get(path).status_code == 502
        assert http.get(path).status_code == 200
        trouble = {"kind": "status", "status": 429, "retry_after": "7", "times": 2}
        assert http.post("/_simulator/troubles", json=[trouble]).status_code == 204
        assert [http.get(path).headers.get("retry-after") for _ in range(3)] == ["7", "7", None]

    def test_forget(self, http: httpx.Client) -> None:
        http.post("/_simulator/operations")
        assert http.delete("/_simulator").status_code == 204
        assert http.get("/_simulator/operations").json() == []

    @pytest.mark.parametrize(
        ("body", "path"),
        [
            ({"life": {"duration": -1}}, "$.life.duration"),
            ({"life": {"items": 0}}, "$.life.items"),
            ({"life": {"colour": "red"}}, "colour"),
            ({"troubles": [{"kind": "flood"}]}, "$.troubles[0].kind"),
        ],
    )
    def test_bad_scripts_are_refused(self, http: httpx.Client, body: Any, path: str) -> None:
        answer = http.post("/_simulator/operations", json=body)
        assert answer.status_code == 400
        assert path in answer.json()["message"]

    def test_ten_thousand_operations_are_started_and_shown_in_no_time(
        self, http: httpx.Client, nexus_simulator: Simulator
    ) -> None:
        def seconds(count: int) -> float:
            began = time.perf_counter()
            for _ in range(count):
                http.post("/_simulator/operations", json={"troubles": [{"kind": "reset"}]})
            return time.perf_counter() - began

        first = seconds(200)
        for _ in range(10_000):
            nexus_simulator.start()
        assert seconds(200) < 5 * first + 1  # it does not grow with what is there
        began = time.perf_counter()
        state = http.get("/_simulator/state").json()
        assert time.perf_counter() - began < 5
        assert len(state["operations"]) == 200
        assert sum(state["counts"].values()) == 10_400

    @pytest.mark.parametrize(
        "path", ["/", "/_simulator/state", f"/projects/{PROJECT}/operations/op_1"]
    )
    @pytest.mark.parametrize(
        ("header", "value"),
        [
            ("Host", "evil.example"),
            ("Host", "evil.example:80"),
            ("Host", "127.0.0.1.evil.example"),
            ("Host", "[::1"),
            ("Origin", "https://evil.example"),
            ("Origin", "http://127.0.0.1:1"),
            ("Origin", "null"),
        ],
    )
    def test_it_answers_only_its_own_host_and_page(
        self, http: httpx.Client, path: str, header: str, value: str
    ) -> None:
        assert http.get(path, headers={header: value}).status_code == 403

    @pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "[::1]", "LOCALHOST"])
    def test_its_own_names(self, http: httpx.Client, name: str) -> None:
        host = f"{name}:{http.base_url.port}"
        own = {"Host": host, "Origin": f"http://{host}"}
        assert http.get("/_simulator/state", headers=own).status_code == 200


class TestArguments:
    """What cannot be is refused where it is written, not where it is played."""

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            (lambda: Life(duration=-1), r"Life\(duration=-1\)"),
            (lambda: Life(duration=math.inf), "finite"),
            (lambda: Life(items=0), "items=0"),
            (lambda: Life(items=2.5), "items=2.5"),  # type: ignore[arg-type]
            (lambda: Life(outcome="Lost"), "outcome='Lost'"),  # type: ignore[arg-type]
            (lambda: Trouble(kind="flood"), "kind='flood'"),  # type: ignore[arg-type]
            (lambda: Trouble(kind="status", times=0), "times=0"),
            (lambda: Trouble(kind="status", retry_after=5), "retry_after=5"),  # type: ignore[arg-type]
            (lambda: Service(speed=0), "speed must be more than 0"),
            (lambda: Service(speed="1"), "speed must be"),  # type: ignore[arg-type]
            (lambda: Service(secret=""), "secret must not be empty"),
            (lambda: Simulator(port=70000), "port must be 0 to 65535"),
            (lambda: Service().start("op_1"), "life must be"),  # type: ignore[arg-type]
            (lambda: Service().start(op_id=""), "op_id must not be empty"),
            (lambda: Service().trouble("reset"), "troubles must be"),  # type: ignore[arg-type]
            (lambda: VirtualTransport("x", VirtualClock()), "service must be"),  # type: ignore[arg-type]
        ],
    )
    def test_it_is_refused(self, wrong: Callable[[], object], said: str) -> None:
        with pytest.raises((ValueError, TypeError), match=said):
            wrong()


class TestApi:
    def test_the_secret_is_asked_for(self) -> None:
        with Simulator(secret="right") as simulator:
            path = f"{simulator.endpoint}/projects/{PROJECT}/operations/{simulator.start()}"
            assert httpx.get(path).status_code == 401
            assert httpx.get(path, headers={"Secret-Key": "wrong"}).status_code == 401
            assert httpx.get(path, headers={"Secret-Key": "right"}).status_code == 200

    def test_other_paths_and_methods(self, http: httpx.Client, nexus_simulator: Simulator) -> None:
        path = f"/projects/{PROJECT}/operations/{nexus_simulator.start()}"
        assert http.get("/projects").json() == {"message": "No such resource"}
        assert http.get(f"/projects/proj_other/operations/{path[-39:]}").status_code == 404
        assert http.delete(path).headers["allow"] == "GET, HEAD"

    def test_a_port_that_is_taken(self, nexus_simulator: Simulator) -> None:
        port = int(nexus_simulator.endpoint.rpartition(":")[2])
        with pytest.raises(OSError, match="in use"), Simulator(port=port):
            pass

    def test_down_twice_does_no_harm(self) -> None:
        with Simulator() as simulator:
            simulator.down()
            simulator.down()
        assert "http://127.0.0.1:" in repr(simulator)


def test_the_fixture_in_a_users_suite(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from nexus_operations import Client
        from nexus_operations.simulator import Life

        def test_export(nexus_simulator):
            op_id = nexus_simulator.start(Life(duration=0))
            with Client("secret", endpoint=nexus_simulator.endpoint) as client:
                operations = client.get_project("proj_simulated").operations
                assert operations.wait_until_done(op_id).status.overview == "Finished"

        def test_a_fresh_start(nexus_simulator):
            assert nexus_simulator.service.operations() == []
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=2)


LOADED = """
import sys, pytest
import {module}
heavy = {heavy}
print(sorted(heavy & {{name.partition(".")[0] for name in sys.modules}}))
"""


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("nexus_operations.testing", {"starlette", "uvicorn", "typer", "aiohttp", "airflow"}),
        # Every test run of its users loads the plugin, whether or not they use its fixture.
        ("nexus_operations.pytest_plugin", {"httpx", "msgspec", "starlette", "uvicorn", "attrs"}),
    ],
)
def test_a_module_loads_nothing_heavy(
    pytester: pytest.Pytester, module: str, heavy: set[str]
) -> None:
    done = pytester.run(sys.executable, "-c", LOADED.format(module=module, heavy=heavy))
    assert done.outlines == ["[]"]


def test_the_missing_extra_is_named(pytester: pytest.Pytester) -> None:
    code = (
        "import sys; sys.modules['uvicorn'] = None\n"
        "from nexus_operations.simulator import Simulator"
    )
    done = pytester.run(sys.executable, "-c", code)
    assert done.errlines[-1] == (
        "ModuleNotFoundError: the simulator needs the extra `simulator`:"
        " pip install 'nexus-operations[simulator]'"
    )


def test_an_unknown_name_of_the_package() -> None:
    import nexus_operations.simulator as module

    with pytest.raises(AttributeError, match="Nonsense"):
        _ = module.Nonsense


def test_the_queue_of_troubles_is_in_order(nexus_simulator: Simulator) -> None:
    op_id = nexus_simulator.start(Life(duration=0))
    nexus_simulator.trouble(
        Trouble(kind="overview", overview="A"), Trouble(kind="overview", overview="B")
    )
    with Client(SECRET, endpoint=nexus_simulator.endpoint) as client:
        get = client.get_project(PROJECT).operations.get
        assert [get(op_id).status.overview for _ in range(3)] == ["A", "B", "Finished"]
