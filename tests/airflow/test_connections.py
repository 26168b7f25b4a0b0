"""Connections, however they are written; what a test of one says; who looks one up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import quote

import pytest
from airflow.sdk import Connection
from nexus_operations.airflow import hooks
from nexus_operations.airflow._connection import ConnectionSettings
from nexus_operations.airflow.hooks import NexusHook
from nexus_operations.airflow.operators import NexusWaitOperator
from nexus_operations.simulator import Simulator, Trouble

from tests.airflow.support import (
    DONE,
    PROJECT,
    SECRET,
    STUCK,
    again,
    connection,
    deferred,
    fire,
    trigger,
)


def read(uri: str) -> ConnectionSettings:
    return ConnectionSettings.from_connection(Connection.from_uri(uri, conn_id="c"))


class TestSpellings:
    @pytest.mark.parametrize(
        ("uri", "endpoint"),
        [
            ("nexus://proj:secret@", None),
            ("nexus://proj:secret@nexus.test", "https://nexus.test"),
            ("nexus://proj:secret@nexus.test/", "https://nexus.test"),
            ("nexus://proj:secret@nexus.test:8443", "https://nexus.test:8443"),
            ("nexus://proj:secret@nexus.test/https", "https://nexus.test"),
            ("nexus://proj:secret@nexus.test:81/http", "http://nexus.test:81"),
            ("nexus://http://proj:secret@127.0.0.1:8000", "http://127.0.0.1:8000"),
            ("nexus://https://proj:secret@nexus.test", "https://nexus.test"),
            ("nexus://proj:secret@https%3A%2F%2Fnexus.test%2Fv1", "https://nexus.test/v1"),
            ("nexus://proj:secret@http%3A%2F%2Fnexus.test:81", "http://nexus.test:81"),
            ("nexus://proj:secret@[::1]:8000/http", "http://[::1]:8000"),
        ],
    )
    def test_a_uri(self, uri: str, endpoint: str | None) -> None:
        settings = read(uri)
        assert (settings.endpoint, settings.project_id, settings.secret) == (
            endpoint,
            "proj",
            "secret",
        )

    @pytest.mark.parametrize(
        ("parts", "endpoint"),
        [
            ({}, None),
            ({"host": ""}, None),
            ({"host": "nexus.test"}, "https://nexus.test"),
            ({"host": " https://nexus.test "}, "https://nexus.test"),
            ({"host": "nexus.test:8443"}, "https://nexus.test:8443"),
            ({"host": "nexus.test/v1", "port": 81}, "https://nexus.test:81/v1"),
            ({"host": "nexus.test", "port": 81, "schema": "HTTP"}, "http://nexus.test:81"),
            ({"host": "http://nexus.test:81", "port": 81}, "http://nexus.test:81"),
            ({"host": "::1", "port": 81, "schema": "http"}, "http://[::1]:81"),
        ],
    )
    def test_parts(self, parts: dict[str, Any], endpoint: str | None) -> None:
        settings = ConnectionSettings.from_connection(Connection(conn_id="c", **parts))
        assert settings.endpoint == endpoint

    @pytest.mark.parametrize(
        ("parts", "remedy"),
        [
            ({"host": "nexus.test", "schema": "v1"}, "write a base URL with a path as the host"),
            ({"port": 81}, "write the base URL as the host"),
            ({"host": "http://nexus.test", "schema": "https"}, "the host's scheme is http"),
            ({"host": "nexus.test:80", "port": 81}, "the host's port is 80, but port says 81"),
            ({"extra": "{no"}, "extra must be a JSON object"),
            ({"extra": "[1]"}, "extra must be a JSON object"),
            ({"extra": '{"max_rate": "fast"}'}, "max_rate must be requests per second.*'fast'"),
            ({"extra": '{"max_rate": 0}'}, "max_rate must be requests per second.*not 0"),
            ({"extra": '{"max_rate": true}'}, "max_rate must be requests per second.*not True"),
            ({"extra": '{"max_concurrency": 1.5}'}, "max_concurrency must be a count.*not 1.5"),
        ],
    )
    def test_what_cannot_be_understood_is_told(self, parts: dict[str, Any], remedy: str) -> None:
        with pytest.raises(ValueError, match=remedy):
            ConnectionSettings.from_connection(Connection(conn_id="c", **parts))

    def test_extras(self) -> None:
        settings = read("nexus://proj:secret@nexus.test?max_rate=5&max_concurrency=8&certificate=")
        assert (settings.max_rate, settings.max_concurrency) == (5.0, 8)
        assert settings.certificate is None

    def test_a_complaint_names_the_connection(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_NEXUS_DEFAULT", "nexus://proj:secret@nexus.test/v1")
        with pytest.raises(ValueError, match=r"^connection 'nexus_default': schema must be"):
            NexusHook().settings()
        monkeypatch.setenv("AIRFLOW_CONN_NEXUS_DEFAULT", "nexus://proj:@nexus.test")
        with pytest.raises(ValueError, match=r"^connection 'nexus_default': secret_key must be"):
            NexusHook().get_conn()

    def test_the_secret_shows_nowhere(self, simulator: Simulator) -> None:
        settings = NexusHook().settings()
        assert settings.secret == SECRET
        assert SECRET not in repr(settings)

    def test_a_project_is_needed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_NEXUS_DEFAULT", "nexus://:secret@nexus.test")
        with (
            pytest.raises(ValueError, match=r"'nexus_default': project_id must be given"),
            NexusHook().operations(),
        ):
            pass
        with NexusHook().operations("proj_2") as operations:
            assert "proj_2" in repr(operations)

    def test_a_client_of_the_connection(self, simulator: Simulator) -> None:
        op_id = simulator.start(DONE)
        with NexusHook().get_conn() as client:
            assert client.endpoint == simulator.endpoint
            assert client.get_project(PROJECT).operations.get(op_id).id == op_id


@contextmanager
def another_server(body: bytes, content_type: str = "application/json") -> Iterator[str]:
    """Serve a 404 to all requests; give the base URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(404)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


class TestTest:
    def test_a_nexus_that_knows_the_secret(
        self, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert NexusHook().test_connection() == (True, "The service knows the secret key")
        without_project = f"nexus://http://:any@{simulator.endpoint.removeprefix('http://')}"
        monkeypatch.setenv("AIRFLOW_CONN_NEXUS_DEFAULT", without_project)
        assert NexusHook().test_connection() == (True, "The service knows the secret key")

    def test_a_nexus_that_does_not(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with Simulator(secret="another") as strict:
            monkeypatch.setenv("AIRFLOW_CONN_NEXUS_DEFAULT", connection(strict.endpoint))
            good, said = NexusHook().test_connection()
        assert not good
        assert "Invalid secret key (HTTP 401)" in said

    @pytest.mark.parametrize(
        ("body", "content_type"),
        [
            (b"<h1>Not Found</h1>", "text/html"),
            (b'{"detail": "Not Found"}', "application/json"),
            (b'{"message": "Not Found"}', "application/json"),
            (b'{"message": "No such resource"}', "application/json"),
            (b'{"message": {"operation": 1}}', "application/json"),
            (b'["operation"]', "application/json"),
            (b"", "application/json"),
        ],
    )
    def test_another_server_that_answers_404(
        self, body: bytes, content_type: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with another_server(body, content_type) as endpoint:
            monkeypatch.setenv("AIRFLOW_CONN_NEXUS_DEFAULT", connection(endpoint))
            good, said = NexusHook().test_connection()
        assert not good
        assert "does not answer as the Nexus API does" in said

    def test_nobody(self, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_NEXUS_DEFAULT", connection("http://127.0.0.1:9"))
        assert NexusHook().test_connection()[0] is False
        monkeypatch.setenv("AIRFLOW_CONN_NEXUS_DEFAULT", connection("ftp://nexus.test"))
        good, said = NexusHook().test_connection()
        assert not good
        assert "must be an http or https URL" in said


class OwnHook(NexusHook):
    """Looks connections up in a place of its own, blocking."""

    found: Connection | None = None

    @classmethod
    def get_connection(cls, conn_id: str) -> Connection:
        assert cls.found is not None
        return cls.found


class OwnAwaitedHook(NexusHook):
    """The same, awaited."""

    @classmethod
    async def aget_connection(cls, conn_id: str) -> Connection:
        assert OwnHook.found is not None
        return OwnHook.found


class OwnOperator(NexusWaitOperator):
    hook_class = OwnHook


class TestLookUp:
    @pytest.fixture(autouse=True)
    def elsewhere(self, nexus_simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
        text = connection(nexus_simulator.endpoint)
        monkeypatch.setattr(OwnHook, "found", Connection.from_json(text, conn_id="elsewhere"))

    @pytest.mark.parametrize("hook", [OwnHook, OwnAwaitedHook])
    def test_a_subclasss_counts_in_an_event_loop(
        self, hook: type[NexusHook], nexus_simulator: Simulator
    ) -> None:
        settings = asyncio.run(hook("elsewhere").async_settings())
        assert settings.endpoint == nexus_simulator.endpoint

    def test_a_subclasss_counts_in_worker_and_triggerer(self, nexus_simulator: Simulator) -> None:
        op_id = nexus_simulator.start(STUCK)
        task = OwnOperator(
            task_id="wait", op_id=op_id, nexus_conn_id="elsewhere", first_poll_after=0
        )
        waiting = again(deferred(lambda: task.execute({})))
        nexus_simulator.end(op_id)
        event = asyncio.run(fire(waiting))
        assert event["operation"]["id"] == op_id

    def test_a_hook_that_the_triggerer_cannot_import(self) -> None:
        waiting = trigger("op_1")
        waiting.hook = "nowhere.Hook"
        event = asyncio.run(fire(waiting))
        assert event["error"]["type"] == "ImportError"
        assert "keep the hook class in a module" in event["error"]["message"]

    def test_a_connection_that_is_not_there(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("AIRFLOW_CONN_NEXUS_DEFAULT", raising=False)
        event = asyncio.run(fire(trigger("op_1")))
        assert event["error"]["type"] == "AirflowNotFoundException"
        assert "nexus_default" in event["error"]["message"]


class TestRotation:
    def test_a_rotated_secret_is_looked_up_once_more(
        self, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        op_id = simulator.start(DONE)

        async def main() -> dict[str, Any]:
            waiting = trigger(op_id)
            settings = waiting._settings
            looked_up: list[ConnectionSettings] = []

            async def look_up() -> ConnectionSettings:
                looked_up.append(await settings())
                rotated = connection(simulator.endpoint, secret="new")
                monkeypatch.setenv("AIRFLOW_CONN_NEXUS_DEFAULT", rotated)
                return looked_up[-1]

            waiting._settings = look_up
            event = await fire(waiting)
            assert [found.secret for found in looked_up] == [SECRET, "new"]
            return event

        simulator.trouble(Trouble(kind="status", status=401), op_id=op_id)
        assert asyncio.run(main())["operation"]["id"] == op_id
        assert simulator.service.request_count == 2

    def test_a_secret_that_is_wrong_is_told_at_once(self, simulator: Simulator) -> None:
        op_id = simulator.start(DONE)
        simulator.trouble(Trouble(kind="status", status=401), op_id=op_id)
        event = asyncio.run(fire(trigger(op_id)))
        assert event["error"]["type"] == "UnauthorizedError"
        assert simulator.service.request_count == 1


class TestSharing:
    def test_all_triggers_of_a_connection_share_a_client_and_its_rate(
        self, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        endpoint = simulator.endpoint
        monkeypatch.setenv("AIRFLOW_CONN_NEXUS_DEFAULT", connection(endpoint, max_rate=20))
        ids = [simulator.start(DONE) for _ in range(25)]

        async def main() -> int:
            tasks = [asyncio.create_task(fire(trigger(op_id))) for op_id in ids]
            clients = 0
            while not all(task.done() for task in tasks):
                clients = max(clients, len(hooks._clients.get(asyncio.get_running_loop(), {})))
                await asyncio.sleep(0.01)
            for task in tasks:
                assert (await task)["operation"]["status"]["overview"] == "Finished"
            assert not hooks._clients[asyncio.get_running_loop()]
            return clients

        assert asyncio.run(main()) == 1
        made = [request.at for request in simulator.service.requests]
        assert len(made) == 25
        # A connection is made before the first request: it may come that much closer to the rest.
        assert made[-1] - made[1] >= 23 / 20
        assert made[20] - made[0] >= 0.9

    def test_a_connection_that_was_changed_gets_a_client_of_its_own(
        self, simulator: Simulator
    ) -> None:
        settings = NexusHook().settings()
        changed = json.loads(connection(simulator.endpoint, max_rate=1))
        changed = ConnectionSettings.from_connection(
            Connection(conn_id="c", host=changed["host"], password="other")
        )

        async def main() -> None:
            async with (
                hooks.shared_operations("c", settings, None),
                hooks.shared_operations("c", changed, "proj_other"),
            ):
                assert len(hooks._clients[asyncio.get_running_loop()]) == 2

        asyncio.run(main())


def test_a_secret_with_odd_characters_survives_a_uri() -> None:
    secret = "a/b@c:d%e"
    assert read(f"nexus://proj:{quote(secret, safe='')}@nexus.test").secret == secret
