"""An outage belongs to the endpoint: what a client has reached once is given its time."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path as File
from typing import Any

import httpx
import pytest
import trustme
from nexus_operations import (
    AsyncClient,
    Client,
    NetworkConnectionError,
    NexusError,
    ServiceUnavailableError,
)

from tests.conftest import PROJECT, SECRET
from tests.support.checks import each, ended, failed, within
from tests.support.clocks import client_of
from tests.support.names import BlackHole, Names
from tests.support.paths import (
    Path,
    on_every_path,
    on_every_wait,
    on_fleets,
)
from tests.support.replies import Reply, good
from tests.support.server import Server, Then, finished, free_port
from tests.support.worlds import (
    Answer,
    World,
    answers,
    is_broken,
    is_finished,
    is_refused,
    is_running,
    script,
)

Serve = Callable[..., Server]
Dig = Callable[..., BlackHole]

FIRST_REACHED = {
    "get": lambda operations: operations.get("op_first"),
    "wait_until_done": lambda operations: operations.wait_until_done("op_first"),
    "watch": lambda operations: list(operations.watch("op_first")),
    "wait_all": lambda operations: operations.wait_all(["op_first"]),
    "as_completed": lambda operations: list(operations.as_completed(["op_first"])),
}


async def first_reached(operations: Any, how: str) -> None:
    argument = ["op_first"] if how in ("wait_all", "as_completed") else "op_first"
    if how in ("watch", "as_completed"):
        async for _ in getattr(operations, how)(argument):
            pass
    else:
        await getattr(operations, how)(argument)


def after_reaching(path: Path, how: str, world: World, **bounds: Any) -> Any:
    """Reach the service in one way, then wait in another; return what that ended in."""

    async def awaited() -> Any:
        async with AsyncClient(SECRET, **world.client) as client:
            operations = client.get_project(PROJECT).operations
            await first_reached(operations, how)
            return await path.aon(operations, ["op_1"], **bounds)

    if path.awaited:
        return asyncio.run(awaited())[0]
    with Client(SECRET, **world.client) as client:
        operations = client.get_project(PROJECT).operations
        FIRST_REACHED[how](operations)
        return path.on(operations, ["op_1"], **bounds)[0]


@pytest.mark.parametrize("how", FIRST_REACHED)
@on_every_wait
def test_a_new_wait_of_a_client_that_has_reached_it(path: Path, how: str) -> None:
    """It outlives more than the minute that an endpoint is given which was never reached."""

    def answer(asked: Any) -> Any:
        if asked.op_id == "op_first":
            return is_finished(asked)
        return is_refused(asked) if asked.at < 900 else is_finished(asked)

    world = World(answer)
    ended(after_reaching(path, how, world), "op_1")
    assert world.elapsed >= 900


@on_every_wait
def test_it_has_its_bound_nevertheless(path: Path) -> None:
    world = World(lambda a: is_finished(a) if a.op_id == "op_first" else is_refused(a))
    error = failed(after_reaching(path, "get", world), NetworkConnectionError)
    assert not error.reached
    assert world.elapsed == pytest.approx(1800, rel=0.01)


NEVER: dict[str, Answer] = {
    "refused": is_refused,
    "a connect timeout": lambda _: httpx.ConnectTimeout("nobody there"),
}
REACHED: dict[str, Answer] = {
    "an error of the service": answers(503),
    "a rate limit": answers(429),
    "a broken connection": is_broken,
    "an answer that did not come": lambda _: httpx.ReadTimeout("late"),
    "another operation": lambda _: good("op_other"),
    "a broken protocol": lambda _: httpx.RemoteProtocolError("garbage"),
}


@on_every_wait
def test_one_that_was_never_reached_is_given_a_minute(path: Path) -> None:
    def check(row: str) -> None:
        world = World(NEVER[row])
        assert not failed(path.one("op_1", world.client)).reached
        assert 45 <= world.elapsed <= 75
        assert len(world.asked) >= 4

    each(NEVER, check)


@on_every_wait
def test_whatever_answers_has_been_reached(path: Path) -> None:
    def check(row: str) -> None:
        world = World(script(REACHED[row], *[is_refused] * 25, is_finished))
        ended(path.one("op_1", world.client), "op_1")
        assert world.elapsed > 600

    each(REACHED, check)


@on_every_wait
def test_a_new_client_has_reached_nothing(path: Path) -> None:
    world = World(lambda a: is_finished(a) if a.op_id == "op_first" else is_refused(a))
    ended(path.one("op_first", world.client), "op_first")
    failed(path.one("op_1", world.client), NetworkConnectionError)
    assert world.elapsed <= 75


@on_fleets
def test_one_of_many_reaches_it_for_all(path: Path) -> None:
    def answer(asked: Any) -> Any:
        if asked.op_id == "op_0":
            return is_running(asked) if asked.at < 1000 else is_finished(asked)
        return is_refused(asked) if asked.at < 1000 else is_finished(asked)

    world = World(answer, max_concurrency=1)
    ids = [f"op_{n}" for n in range(4)]
    for op_id, result in zip(ids, path.run(ids, world.client), strict=True):
        ended(result, op_id)


OUTAGES: dict[str, tuple[Any, float]] = {
    "300": (300, 300),
    "a timedelta": (timedelta(minutes=5), 300),
    "an hour": (3600.0, 3600),
}


@on_every_wait
def test_how_long_one_may_last_can_be_set(path: Path) -> None:
    def check(row: str) -> None:
        bound, seconds = OUTAGES[row]
        world = World(script(is_running, answers(503)))
        failed(path.one("op_1", world.client, max_outage=bound), ServiceUnavailableError)
        assert world.elapsed - world.times[1] == pytest.approx(seconds, abs=0.1)

    each(OUTAGES, check)


@on_every_wait
def test_none_at_all(path: Path) -> None:
    world = World(script(is_running, answers(503), is_finished))
    failed(path.one("op_1", world.client, max_outage=0), ServiceUnavailableError)
    assert len(world.asked) == 2


@on_every_wait
def test_one_without_bound(path: Path) -> None:
    world = World(script(is_running, *[is_broken] * 500, is_finished))
    ended(path.one("op_1", world.client, max_outage=None, max_wait=None, timeout=None), "op_1")
    assert world.elapsed > 480 * 55


@on_every_wait
def test_good_answers_part_two_outages(path: Path) -> None:
    """Each has its own time: what is bounded is the time without a good answer."""
    world = World(script(*([*[is_broken] * 25, is_running] * 4), is_finished))
    ended(path.one("op_1", world.client), "op_1")
    assert world.elapsed > 3600


@on_every_path
def test_a_name_that_nobody_knows(path: Path, names: Names) -> None:
    bounds = {"timeout": 1} if path.waits else {}
    for code in (socket.EAI_NONAME, socket.EAI_AGAIN, socket.EAI_FAIL):
        names.fail("nobody.example", code)
        client = client_of("http://nobody.example:81")
        error = failed(within(lambda: path.one("op_1", client, **bounds)), NetworkConnectionError)  # noqa: B023
        assert not error.reached
        assert error.transient
        assert "nobody.example:81" in str(error)


@on_every_path
@pytest.mark.parametrize("name", ["a..b", "a" * 64 + ".example", "-.example", "xn--\u00e9.example"])
def test_a_name_that_cannot_be_one(path: Path, plain_environment: None, name: str) -> None:
    """A bad argument, or a connection that fails, in words that name it."""
    bounds = {"timeout": 1} if path.waits else {}
    client = client_of(f"http://{name}")
    try:
        result = within(lambda: path.one("op_1", client, **bounds))
    except ValueError as error:
        assert "endpoint" in str(error)  # noqa: PT017
    else:
        assert name[:20] in str(failed(result, NetworkConnectionError))


@on_every_path
def test_an_address_that_swallows_connections(path: Path, black_hole: Dig) -> None:
    bounds = {"timeout": 1} if path.waits else {}
    hole = black_hole()
    client = client_of(hole.url, request_timeout=0.3)
    error = failed(within(lambda: path.one("op_1", client, **bounds)), NetworkConnectionError)
    assert not error.reached
    assert f"127.0.0.1:{hole.port}" in str(error)


@on_every_wait
def test_a_service_that_comes_up_late(path: Path, serve: Serve) -> None:
    port = free_port()
    client = client_of(f"http://127.0.0.1:{port}")
    import threading

    up: list[Server] = []
    timer = threading.Timer(0.1, lambda: up.append(Server(finished, port=port)))
    timer.start()
    try:
        ended(within(lambda: path.one("op_1", client)), "op_1")
    finally:
        timer.join()
        for server in up:
            server.close()


@on_every_path
def test_a_certificate_that_nobody_trusts(path: Path, serve: Serve) -> None:
    """It would not pass by itself: a wait ends at once."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    server = serve(finished, tls=context)
    error = failed(within(lambda: path.one("op_1", client_of(server))), NetworkConnectionError)
    assert not error.transient
    assert "certificate" in str(error).lower()
    assert not server.requests


@on_every_path
def test_a_certificate_of_another_name(
    path: Path, serve: Serve, authority: trustme.CA, trusted: File
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("other.example").configure_cert(context)
    server = serve(finished, tls=context)
    error = failed(within(lambda: path.one("op_1", client_of(server))), NetworkConnectionError)
    assert not error.transient
    assert not server.requests


@on_every_path
def test_a_certificate_that_is_trusted(
    path: Path, serve: Serve, server_tls: ssl.SSLContext
) -> None:
    server = serve(finished, tls=server_tls)
    ended(within(lambda: path.one("op_1", client_of(server))), "op_1")


@on_every_path
def test_plain_http_where_tls_was_expected(path: Path, serve: Serve) -> None:
    server = serve(finished)
    bounds = {"timeout": 1} if path.waits else {}
    client = client_of(server.url.replace("http", "https"))
    error = failed(within(lambda: path.one("op_1", client, **bounds)), NetworkConnectionError)
    assert f"127.0.0.1:{server.port}" in str(error)


@on_every_path
@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_certificate_that_is_refused(
    path: Path,
    serve: Serve,
    server_tls: ssl.SSLContext,
    authority: trustme.CA,
    tmp_path: File,
    newest: ssl.TLSVersion,
) -> None:
    server_tls.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(server_tls)
    server_tls.maximum_version = newest
    stranger = trustme.CA().issue_cert("me@example.com")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    stranger.cert_chain_pems[0].write_to_path(str(certificate))
    stranger.private_key_pem.write_to_path(str(key))
    server = serve(finished, tls=server_tls)
    client = client_of(
        server,
        secret_key=None,
        mtls_certificate_file_path=certificate,
        mtls_private_key_file_path=key,
    )
    error = failed(within(lambda: path.one("op_1", client)))
    assert not error.transient
    assert not server.requests


PROXIES: dict[str, tuple[Any, bool]] = {
    "407": (lambda _: Reply(407, b"denied", {"Proxy-Authenticate": "Basic realm=x"}), False),
    "403": (lambda _: Reply(403, b"not for you"), False),
    "502": (lambda _: Reply(502, b"no route"), True),
    "503": (lambda _: Reply(503, b"busy"), True),
    "garbage": (lambda _: iter((b"garbage\r\n\r\n", Then.CLOSE)), True),
    "nothing": (lambda _: Then.CLOSE, True),
    "a reset": (lambda _: Then.RESET, True),
}


@pytest.mark.parametrize("what", PROXIES)
@on_every_path
def test_a_proxy_that_does_not_connect(
    path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """What would not pass ends a wait at once; the proxy is named, its password is not."""
    answer, transient = PROXIES[what]
    proxy = serve(answer)
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:{SECRET}@127.0.0.1:{proxy.port}")
    bounds = {"timeout": 1 if transient else 50} if path.waits else {}
    client = client_of("https://nexus.example", secret_key="another-secret")
    error = failed(within(lambda: path.one("op_1", client, **bounds)))
    assert error.transient is transient
    assert "proxy" in str(error).lower()
    assert f"127.0.0.1:{proxy.port}" in str(error)
    assert "another-secret" not in repr(proxy.requests)
    if not transient:
        assert len(proxy.requests) == 1


@on_every_path
def test_a_proxy_that_is_not_there(
    path: Path, monkeypatch: pytest.MonkeyPatch, names: Names
) -> None:
    port = free_port()
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
    bounds = {"timeout": 1} if path.waits else {}
    client = client_of("https://nexus.example")
    error = failed(within(lambda: path.one("op_1", client, **bounds)), NetworkConnectionError)
    assert f"127.0.0.1:{port}" in str(error)
    assert "nexus.example" in str(error)
    assert not error.reached


@on_every_wait
def test_connections_that_are_reset_again_and_again(path: Path, serve: Serve) -> None:
    server = serve(lambda r: Then.RESET if r.nth < 8 else finished(r))
    ended(within(lambda: path.one("op_1", client_of(server))), "op_1")


@on_every_wait
def test_a_server_that_keeps_no_connection(path: Path, serve: Serve) -> None:
    headers = {"Connection": "close"}
    server = serve(lambda r: good(r.op_id, "Finished" if r.nth > 5 else "Running", headers))
    with contextlib.suppress(NexusError):
        ended(within(lambda: path.one("op_1", client_of(server))), "op_1")
    assert server.connections == 6
