"""Answers that break the contract are refused whole, and the error says where."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from nexus_operations import InvalidResponseError, NexusError, OperationFailedError
from nexus_operations.simulator import Life, Reply, Trouble

from tests.conftest import Driver
from tests.test_reference_page import BODY

VALID: dict[str, Any] = json.loads(BODY)


def changed(path: str, *value: Any) -> str:
    """Return the valid body with the spot at a path replaced, or removed without a value."""
    body = copy.deepcopy(VALID)
    *parents, last = path.split(".")[1:]
    spot = body
    for key in parents:
        spot = spot[key]
    if value:
        spot[last] = value[0]
    else:
        del spot[last]
    return json.dumps(body)


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ("<html><body>Sign in</body></html>", "$"),
        ("", "$"),
        (BODY[:120], "$"),
        (BODY + "}", "$"),
        ("[]", "$"),
        ("null", "$"),
        ('{"x": ' + "[" * 100_000, "$"),
        (changed("$.id"), "$"),
        (changed("$.status"), "$"),
        (changed("$.status.progress.withStatus.Errored"), "$.status.progress.withStatus"),
        (changed("$.id", ""), "$.id"),
        (changed("$.id", 5), "$.id"),
        (changed("$.status", None), "$.status"),
        (changed("$.status.overview", ""), "$.status.overview"),
        (changed("$.status.message", None), "$.status.message"),
        (changed("$.status.progress.withStatus.Queued", -1), "$.status.progress.withStatus.Queued"),
        (
            changed("$.status.progress.withStatus.Queued", "1"),
            "$.status.progress.withStatus.Queued",
        ),
        (
            changed("$.status.progress.withStatus.Queued", 0.5),
            "$.status.progress.withStatus.Queued",
        ),
        (
            changed("$.status.progress.withStatus.Queued", True),
            "$.status.progress.withStatus.Queued",
        ),
        (changed("$.createDate", "2023-12-07"), "$.createDate"),
        (changed("$.updateDate", 2**63), "$.updateDate"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else None,
)
def test_a_broken_body_is_refused(nexus: Driver, body: str, path: str) -> None:
    op_id = nexus.service.start()
    nexus.service.trouble(Trouble(kind="body", body=body), op_id=op_id)
    with pytest.raises(InvalidResponseError) as caught:
        nexus.get(op_id)
    assert caught.value.path == path
    assert f"`{path}`" in str(caught.value)
    assert not caught.value.transient


def test_keys_that_the_service_adds_are_ignored(nexus: Driver) -> None:
    op_id = nexus.service.start(op_id=VALID["id"])
    body = changed("$.status.progress.withStatus.Paused", 3)
    nexus.service.trouble(Trouble(kind="body", body=body), op_id=op_id)
    assert nexus.get(op_id).status.progress.with_status.Finished == 1


@pytest.mark.parametrize("kind", ["oversized", "bomb"])
def test_a_body_is_bounded(nexus: Driver, kind: Any) -> None:
    op_id = nexus.service.start()
    nexus.service.trouble(Trouble(kind=kind, size=3 << 20), op_id=op_id)
    with pytest.raises(InvalidResponseError, match=r"larger|gzip"):
        nexus.get(op_id)


@pytest.mark.parametrize(
    ("body", "message", "detail"),
    [
        (
            '{"message": "No such thing", "code": 7}',
            "No such thing",
            {"message": "No such thing", "code": 7},
        ),
        ('{"message": 7}', "answered 404 Not Found", {"message": 7}),
        ('{"error": "x"}', "answered 404 Not Found", {"error": "x"}),
        ("[1]", "answered 404 Not Found", [1]),
        ("", "answered 404 Not Found", None),
        ("<h1>Gone</h1>", "answered 404 Not Found", "<h1>Gone</h1>"),
        ("x" * 5000, "answered 404 Not Found", "x" * 500),
    ],
)
def test_an_error_keeps_what_the_service_said(
    nexus: Driver, body: str, message: str, detail: Any
) -> None:
    op_id = nexus.service.start()
    nexus.service.trouble(Trouble(kind="status", status=404, body=body), op_id=op_id)
    with pytest.raises(NexusError) as caught:
        nexus.get(op_id)
    assert message in caught.value.message
    assert caught.value.detail == detail
    assert "HTTP 404" in str(caught.value)
    assert "Check the project id" in str(caught.value)


@pytest.mark.parametrize(
    ("status", "body", "message", "transient"),
    [
        (404, '{"message": 7}', "The service answered 404 Not Found", False),
        (404, '{"message": [1]}', "The service answered 404 Not Found", False),
        (599, "", "The service answered 599", True),
        (408, "", "The service answered 408 Request Timeout", True),
        (425, "", "The service answered 425 Too Early", True),
        (426, "", "The service answered 426 Upgrade Required", False),
    ],
)
def test_the_message_where_the_service_gave_none(
    nexus: Driver, status: int, body: str, message: str, transient: bool
) -> None:
    op_id = nexus.service.start()
    nexus.service.trouble(Trouble(kind="status", status=status, body=body), op_id=op_id)
    with pytest.raises(NexusError) as caught:
        nexus.get(op_id)
    assert caught.value.message == message
    assert caught.value.transient is transient


def test_a_redirect_says_so(nexus: Driver) -> None:
    op_id = nexus.service.start()
    moved = Trouble(kind="status", status=302, body="", location="https://elsewhere.test/")
    nexus.service.trouble(moved, op_id=op_id)
    with pytest.raises(NexusError) as caught:
        nexus.get(op_id)
    assert caught.value.message == "The service answered 302 Found; redirects are not followed"


def test_a_body_that_is_no_text_is_kept_as_far_as_it_is(nexus: Driver) -> None:
    op_id = nexus.service.start()
    answer = nexus.service.answer

    def spoilt(*args: Any) -> Reply:
        return Reply(502, b"\xff\xfe oops", answer(*args).headers)

    nexus.service.answer = spoilt  # type: ignore[method-assign]
    with pytest.raises(NexusError) as caught:
        nexus.get(op_id)
    assert caught.value.detail == "\ufffd\ufffd oops"


def test_a_status_survives_a_body_that_cannot_be_read(nexus: Driver) -> None:
    op_id = nexus.service.start()
    answer = nexus.service.answer

    def spoilt(*args: Any) -> Reply:
        reply = answer(*args)
        headers = {**reply.headers, "Content-Encoding": "gzip"}
        return Reply(404, b"\x1f\x8b broken", headers)

    nexus.service.answer = spoilt  # type: ignore[method-assign]
    with pytest.raises(NexusError) as caught:
        nexus.get(op_id)
    assert caught.value.status_code == 404


def test_a_failed_operation_says_what_failed(nexus: Driver) -> None:
    life = Life(duration=0, queued=0, items=8, outcome="Errored", message="", unit="assets")
    with pytest.raises(OperationFailedError) as caught:
        nexus.wait(nexus.service.start(life))
    assert "no message" in str(caught.value)
    assert "0 finished, 8 errored, 0 cancelled, of assets" in str(caught.value)
