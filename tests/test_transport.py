"""HTTP over a real socket: what is sent, to whom, and what comes of broken connections."""

from __future__ import annotations

import asyncio
import logging
import pickle
import re
import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from nexus_operations import (
    AsyncClient,
    Client,
    InvalidResponseError,
    NetworkConnectionError,
    NexusError,
    NotFoundError,
    Operation,
    RequestTimeoutError,
    UnexpectedStatusError,
)
from nexus_operations._http import transports as _transport
from nexus_operations.simulator import Life, Simulator, Trouble

from tests.conftest import PROJECT, SECRET


class Caller:
    """Makes one call with a fresh sync or async client."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __repr__(self) -> str:
        return f"Caller({self.kind})"

    def __call__(self, method: str, *args: Any, client: dict[str, Any], **kwargs: Any) -> Any:
        secret = client.pop("secret", SECRET)
        if self.kind == "sync":
            with Client(secret, **client) as sync:
                return getattr(sync.get_project(PROJECT).operations, method)(*args, **kwargs)

        async def run() -> Any:
            async with AsyncClient(secret, **client) as awaited:
                operations = awaited.get_project(PROJECT).operations
                return await getattr(operations, method)(*args, **kwargs)

        return asyncio.run(run())


@pytest.fixture(params=["sync", "async"])
def call(request: pytest.FixtureRequest) -> Caller:
    return Caller(request.param)


@pytest.mark.parametrize(
    "op_id", ["../x", "a/b?c#d", "%2e%2e", "..;/", "a b", "ü/ä", "op_1", "a\\b"]
)
def test_an_id_cannot_leave_its_path_segment(
    call: Caller, nexus_simulator: Simulator, op_id: str
) -> None:
    nexus_simulator.start(op_id=op_id)
    operation = call("get", op_id, client={"endpoint": nexus_simulator.endpoint})
    assert operation.id == op_id
    assert [request.op_id for request in nexus_simulator.service.requests] == [op_id]


def test_what_is_sent(call: Caller) -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(404, json={"message": "no"})

    with pytest.raises(NotFoundError):
        call(
            "get",
            "op_1",
            client={
                "transport": httpx.MockTransport(answer),
                "endpoint": "https://host.test/base/",
            },
        )
    request = seen[0]
    assert str(request.url) == f"https://host.test/base/projects/{PROJECT}/operations/op_1"
    assert request.headers["secret-key"] == SECRET
    assert "authorization" not in request.headers
    assert request.headers["accept-encoding"] == "identity"
    assert request.headers["user-agent"].startswith("nexus-operations/")
    assert set(request.extensions["timeout"]) == {"connect", "read", "write", "pool"}
    assert all(29 < seconds <= 30 for seconds in request.extensions["timeout"].values())


def test_a_redirect_is_not_followed(call: Caller, nexus_simulator: Simulator) -> None:
    with Simulator() as elsewhere:
        op_id = nexus_simulator.start()
        elsewhere.start(op_id=op_id)
        location = f"{elsewhere.endpoint}/projects/{PROJECT}/operations/{op_id}"
        for status in (301, 302, 303, 307, 308):
            trouble = Trouble(kind="status", status=status, location=location)
            nexus_simulator.trouble(trouble, op_id=op_id)
            with pytest.raises(UnexpectedStatusError, match="redirects are not followed"):
                call("get", op_id, client={"endpoint": nexus_simulator.endpoint})
        assert elsewhere.service.request_count == 0


@pytest.mark.parametrize(
    ("trouble", "error"),
    [
        (Trouble(kind="reset"), NetworkConnectionError),
        (Trouble(kind="reset", at="headers"), NetworkConnectionError),
        (Trouble(kind="reset", at="body"), NetworkConnectionError),
        (Trouble(kind="cut"), NetworkConnectionError),
        (Trouble(kind="stall"), RequestTimeoutError),
        (Trouble(kind="drip"), RequestTimeoutError),
        (Trouble(kind="oversized"), InvalidResponseError),
        (Trouble(kind="bomb", size=64 << 20), InvalidResponseError),
        (
            Trouble(kind="body", body="<html></html>", content_type="text/html"),
            InvalidResponseError,
        ),
        (Trouble(kind="status", status=204), UnexpectedStatusError),
    ],
    ids=lambda value: f"{value.kind}-{value.at}" if isinstance(value, Trouble) else None,
)
def test_trouble_with_the_connection(
    call: Caller, nexus_simulator: Simulator, trouble: Trouble, error: type[NexusError]
) -> None:
    op_id = nexus_simulator.start()
    nexus_simulator.trouble(trouble, op_id=op_id)
    patience = 0.3 if error is RequestTimeoutError else 20
    client = {"endpoint": nexus_simulator.endpoint, "request_timeout": patience}
    with pytest.raises(error) as caught:
        call("get", op_id, client=client)
    assert type(caught.value) is error
    assert caught.value.reached
    if error is NetworkConnectionError:
        assert re.match(r"The connection to the service broke \(.+\)", str(caught.value))
    if error is RequestTimeoutError:
        assert "in time" in str(caught.value)


def test_a_slow_answer_within_the_time_is_taken(call: Caller, nexus_simulator: Simulator) -> None:
    op_id = nexus_simulator.start()
    nexus_simulator.trouble(Trouble(kind="drip", seconds=0.1), op_id=op_id)
    client = {"endpoint": nexus_simulator.endpoint, "request_timeout": 20}
    assert call("get", op_id, client=client).id == op_id


def test_nobody_listens(call: Caller) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(NetworkConnectionError, match="could not be reached") as caught:
            call("get", "op_1", client={"endpoint": endpoint})
    assert caught.value.transient
    assert not caught.value.reached


def test_a_host_without_a_name(call: Caller) -> None:
    with pytest.raises(NetworkConnectionError) as caught:
        call("get", "op_1", client={"endpoint": "http://no-such-host.invalid"})
    assert caught.value.transient
    assert not caught.value.reached


def test_a_wait_outlives_a_restart_of_the_server(call: Caller) -> None:
    with Simulator() as simulator:
        op_id = simulator.start(Life(duration=0.5))
        simulator.trouble(Trouble(kind="status", retry_after="0"), op_id=op_id)
        restarted = threading.Thread(target=lambda: (simulator.down(), simulator.up()))
        restarted.start()
        operation = call("wait_until_done", op_id, client={"endpoint": simulator.endpoint})
        restarted.join()
        assert operation.status.overview == "Finished"


@pytest.mark.parametrize(
    ("raised", "error", "message", "reached"),
    [
        (
            httpx.ReadTimeout("slow"),
            RequestTimeoutError,
            "The service did not answer in time (slow)",
            True,
        ),
        (
            httpx.ReadTimeout(""),
            RequestTimeoutError,
            "The service did not answer in time (ReadTimeout)",
            True,
        ),
        (
            httpx.ReadError("gone"),
            NetworkConnectionError,
            "The connection to the service broke (gone)",
            True,
        ),
        (
            httpx.ConnectError("no"),
            NetworkConnectionError,
            "The service could not be reached (no)",
            False,
        ),
        (
            httpx.ConnectTimeout("slow"),
            NetworkConnectionError,
            "The service could not be reached (slow)",
            False,
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_what_httpx_raises(
    raised: httpx.RequestError, error: type[NexusError], message: str, reached: bool
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise raised

    for kind in ("sync", "async"):
        with pytest.raises(error) as caught:
            Caller(kind)("get", "op_1", client={"transport": httpx.MockTransport(answer)})
        assert (caught.value.message, caught.value.reached) == (message, reached)
        assert caught.value.transient


def test_a_callers_sync_transport_serves_a_fleet(nexus_simulator: Simulator) -> None:
    op_id = nexus_simulator.start(Life(duration=0))
    options = {"endpoint": nexus_simulator.endpoint, "transport": httpx.HTTPTransport()}
    with Client(SECRET, **options) as client:
        operations = client.get_project(PROJECT).operations
        found, unknown = operations.wait_all([op_id, "op_unknown"], on_error="return")
    assert isinstance(found, Operation)
    assert found.id == op_id
    assert isinstance(unknown, NotFoundError)
    assert unknown.message == "Operation not found"


def test_a_callers_sync_transport_keeps_what_headers_say(nexus_simulator: Simulator) -> None:
    op_id = nexus_simulator.start()
    nexus_simulator.trouble(Trouble(kind="status", status=429, retry_after="7"), op_id=op_id)
    options = {"endpoint": nexus_simulator.endpoint, "transport": httpx.HTTPTransport()}
    with Client(SECRET, **options) as client:
        operations = client.get_project(PROJECT).operations
        (error,) = operations.wait_all([op_id], 1, on_error="return")
    assert isinstance(error, NexusError)
    assert error.retry_after == 7.0


def test_threads_share_a_client(nexus_simulator: Simulator) -> None:
    ids = [nexus_simulator.start(Life(duration=0.05)) for _ in range(40)]
    with Client(SECRET, endpoint=nexus_simulator.endpoint) as client:
        operations = client.get_project(PROJECT).operations
        with ThreadPoolExecutor(8) as pool:
            results = list(pool.map(operations.wait_until_done, ids))
    assert [operation.id for operation in results if operation is not None] == ids


class TestStopping:
    def test_an_event_ends_a_sleep(self, nexus_simulator: Simulator) -> None:
        event = threading.Event()
        op_id = nexus_simulator.start(Life(outcome="Running"))
        with Client(SECRET, endpoint=nexus_simulator.endpoint) as client:
            operations = client.get_project(PROJECT).operations
            threading.Timer(0.2, event.set).start()
            started = time.monotonic()
            assert operations.wait_until_done(op_id, abort_event=event) is None
            assert time.monotonic() - started < 60

    def test_an_event_ends_a_request_under_way(self, nexus_simulator: Simulator) -> None:
        event = threading.Event()
        op_id = nexus_simulator.start()
        nexus_simulator.trouble(Trouble(kind="stall", seconds=30), op_id=op_id)
        with Client(SECRET, endpoint=nexus_simulator.endpoint, request_timeout=2) as client:
            operations = client.get_project(PROJECT).operations
            threading.Timer(0.2, event.set).start()
            assert list(operations.watch(op_id, abort_event=event)) == []
            assert nexus_simulator.service.request_count == 1
            names = [thread.name for thread in threading.enumerate()]
            assert not [name for name in names if name.startswith("nexus-operations-re")]

    def test_an_event_set_before_makes_no_request(self, nexus_simulator: Simulator) -> None:
        event = threading.Event()
        event.set()
        with Client(SECRET, endpoint=nexus_simulator.endpoint) as client:
            operations = client.get_project(PROJECT).operations
            assert operations.wait_until_done("op_1", abort_event=event) is None
        assert nexus_simulator.service.request_count == 0

    def test_an_event_does_not_hide_errors_or_results(self, nexus_simulator: Simulator) -> None:
        event = threading.Event()
        op_id = nexus_simulator.start(Life(duration=0))
        with Client(SECRET, endpoint=nexus_simulator.endpoint) as client:
            operations = client.get_project(PROJECT).operations
            operation = operations.wait_until_done(op_id, abort_event=event)
            assert operation is not None
            with pytest.raises(NotFoundError):
                operations.wait_until_done("op_absent", abort_event=event)

    @pytest.mark.parametrize("life", [Life(outcome="Running"), None], ids=["sleeping", "in flight"])
    def test_cancellation_ends_a_wait(self, nexus_simulator: Simulator, life: Life | None) -> None:
        op_id = nexus_simulator.start(life)
        if life is None:
            nexus_simulator.trouble(Trouble(kind="stall", seconds=30), op_id=op_id)

        async def run() -> None:
            async with AsyncClient(SECRET, endpoint=nexus_simulator.endpoint) as client:
                operations = client.get_project(PROJECT).operations
                task = asyncio.ensure_future(operations.wait_until_done(op_id))
                while not nexus_simulator.service.request_count:
                    await asyncio.sleep(0.01)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert len(asyncio.all_tasks()) == 1

        asyncio.run(run())


class TestSecret:
    def test_it_shows_nowhere(
        self, call: Caller, nexus_simulator: Simulator, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(1)
        for name in ("httpx", "httpcore", "nexus_operations"):
            caplog.set_level(1, logger=name)
        op_id = nexus_simulator.start(Life(duration=0.1))
        troubles = [Trouble(kind="status"), Trouble(kind="reset"), Trouble(kind="cut")]
        for trouble in troubles:
            nexus_simulator.trouble(trouble, op_id=op_id)
            with pytest.raises(NexusError) as caught:
                call("get", op_id, client={"endpoint": nexus_simulator.endpoint})
            assert SECRET not in everything_of(caught.value)
            assert SECRET.encode() not in pickle.dumps(caught.value)
        op_id = nexus_simulator.start(Life(duration=0.1))
        nexus_simulator.trouble(Trouble(kind="status", retry_after="0"), op_id=op_id)
        call("wait_until_done", op_id, client={"endpoint": nexus_simulator.endpoint})
        assert caplog.text
        assert SECRET not in caplog.text

    def test_its_holder_shows_stars_and_is_not_pickled(self) -> None:
        secret = _transport.Secret(SECRET)
        assert repr(secret) == "Secret('***')"
        with pytest.raises(TypeError, match=r"^a secret is not pickled"):
            pickle.dumps(secret)

    @pytest.mark.parametrize("client", [Client(SECRET), AsyncClient(SECRET)])
    def test_clients_keep_it_to_themselves(self, client: Any) -> None:
        operations = client.get_project(PROJECT).operations
        transport = client._transport
        shown = [client, operations, client.get_project(PROJECT), transport]
        shown += [vars(transport), vars(transport._exchange), client._settings.__dict__]
        shown += [vars(transport._exchange.errors)]
        assert SECRET not in repr(shown)
        for value in (client, client._settings, operations):
            with pytest.raises(TypeError):
                pickle.dumps(value)


def everything_of(error: BaseException) -> str:
    """Return all that a verbose traceback could print of an error: locals and causes included."""
    shown: list[str] = []
    current: BaseException | None = error
    while current is not None:
        shown.append(f"{current} {current!r} {vars(current)!r}")
        request = getattr(current, "_request", None)
        shown.append(repr(getattr(request, "headers", None)))
        traceback = current.__traceback__
        while traceback is not None:
            if "/tests/" not in traceback.tb_frame.f_code.co_filename:
                shown += [repr(value) for value in traceback.tb_frame.f_locals.values()]
            traceback = traceback.tb_next
        current = current.__cause__ or current.__context__
    return "\n".join(shown)


class TestCertificates:
    @pytest.fixture
    def authority(self) -> trustme.CA:
        return trustme.CA()

    @pytest.fixture
    def files(self, authority: trustme.CA, tmp_path: Path) -> dict[str, Path]:
        server = authority.issue_cert("127.0.0.1")
        client = authority.issue_cert("someone@example.org")
        files = {name: tmp_path / name for name in ("server", "client", "client_key", "authority")}
        server.private_key_and_cert_chain_pem.write_to_path(str(files["server"]))
        client.private_key_pem.write_to_path(str(files["client_key"]))
        client.cert_chain_pems[0].write_to_path(str(files["client"]))
        authority.cert_pem.write_to_path(str(files["authority"]))
        return files

    def test_an_unknown_authority_raises_at_once(
        self, call: Caller, files: dict[str, Path]
    ) -> None:
        with Simulator(ssl={"ssl_certfile": str(files["server"])}) as simulator:
            op_id = simulator.start()
            with pytest.raises(NetworkConnectionError, match="certificate verify failed") as caught:
                call("wait_until_done", op_id, client={"endpoint": simulator.endpoint})
        assert not caught.value.transient

    def test_a_client_certificate_instead_of_a_secret(
        self, call: Caller, files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(files["authority"]))
        options = {
            "ssl_certfile": str(files["server"]),
            "ssl_ca_certs": str(files["authority"]),
            "ssl_cert_reqs": ssl.CERT_REQUIRED,
        }
        with Simulator(ssl=options, ask_for_secret=False) as simulator:
            op_id = simulator.start(Life(duration=0))
            client = {
                "secret": None,
                "mtls_certificate_file_path": files["client"],
                "mtls_private_key_file_path": str(files["client_key"]),
                "endpoint": simulator.endpoint,
            }
            operation = call("wait_until_done", op_id, client=client)
            assert isinstance(operation, Operation)
            with pytest.raises(NexusError):
                call("get", op_id, client={"endpoint": simulator.endpoint})


def test_the_library_logs_nothing_by_default(nexus_simulator: Simulator) -> None:
    assert logging.getLogger("nexus_operations").handlers == []
    assert logging.getLogger("nexus_operations").level == logging.NOTSET
