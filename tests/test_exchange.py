"""Requests built and responses read, for any endpoint; what an error says and what it keeps."""

from __future__ import annotations

import gzip
import html
import json
import re
import ssl
import threading
import time
import traceback
import zlib
from collections.abc import Callable
from email.utils import formatdate
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from nexus_operations import (
    BadRequestError,
    InternalServerError,
    InvalidResponseError,
    NetworkConnectionError,
    NexusError,
    RequestTimeoutError,
    UnexpectedStatusError,
)
from nexus_operations._http.exchange import Secret, Settings, http_date, retry_after
from nexus_operations._http.transports import Aborted, Answer
from nexus_operations_api.api.operations import get_operation

from tests.http_paths import ENDPOINT, SECRET, Path, at, operation


@pytest.fixture(params=Path, ids=lambda path: path.value)
def path(request: pytest.FixtureRequest) -> Path:
    return request.param


Answering = Callable[[httpx.Request], httpx.Response]


class UnknownStatus(Exception):
    """Stands for the generated package's own."""


def endpoint(
    method: str = "get",
    url: str = "/things",
    success: tuple[int, ...] = (200,),
    parse: Callable[[httpx.Response], Any] = lambda response: response.json(),
    **parts: Any,
) -> Any:
    """Return a module as the generator writes one."""

    def _parse_response(*, client: Any, response: httpx.Response) -> Any:
        if response.status_code in success:
            return parse(response)
        assert client.raise_on_unexpected_status
        raise UnknownStatus(response.status_code)

    return SimpleNamespace(
        _get_kwargs=lambda **kwargs: {"method": method, "url": url, **parts, **kwargs},
        _parse_response=_parse_response,
        errors=SimpleNamespace(UnexpectedStatus=UnknownStatus),
    )


class TestRequests:
    def sent(self, path: Path, module: Any, *args: Any, **kwargs: Any) -> httpx.Request:
        seen: list[httpx.Request] = []

        def answer(request: httpx.Request) -> httpx.Response:
            request.read()
            seen.append(request)
            return httpx.Response(200, json=1)

        with at(path, answer) as transport:
            transport.call(module, *args, timeout=5, **kwargs)
        return seen[0]

    def test_every_part_of_it_is_sent(self, path: Path) -> None:
        request = self.sent(
            path,
            endpoint("post", "/things/a%2Fb"),
            params={"page": 2, "name": "x y&z"},
            json={"a": "ü"},
            headers={"If-Match": "7", "Secret-Key": "another"},
            cookies={"theme": "dark"},
        )
        assert request.method == "POST"
        assert request.url.raw_path == b"/base/things/a%2Fb?page=2&name=x+y%26z"
        assert json.loads(request.content) == {"a": "ü"}
        assert request.headers["content-type"] == "application/json"
        assert request.headers["if-match"] == "7"
        assert request.headers["cookie"] == "theme=dark"
        assert request.headers["secret-key"] == SECRET
        assert request.headers["accept-encoding"] == "identity"
        assert request.headers["user-agent"].startswith("nexus-operations/")
        assert "authorization" not in request.headers

    @pytest.mark.parametrize(
        ("parts", "content_type", "body"),
        [
            ({"data": {"a": "1 2"}}, "application/x-www-form-urlencoded", b"a=1+2"),
            ({"content": b"\x00\xff"}, None, b"\x00\xff"),
            (
                {"files": [("f", ("n.txt", b"text", "text/plain"))]},
                "multipart/form-data; boundary=",
                b'name="f"; filename="n.txt"\r\nContent-Type: text/plain\r\n\r\ntext',
            ),
        ],
    )
    def test_every_kind_of_body(
        self, path: Path, parts: dict[str, Any], content_type: str | None, body: bytes
    ) -> None:
        request = self.sent(path, endpoint("put"), **parts)
        assert request.headers.get("content-type", "None").startswith(str(content_type))
        assert body in request.content

    def test_a_netrc_and_a_cookie_of_an_answer_change_nothing(
        self, path: Path, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        netrc = tmp_path / "netrc"
        netrc.write_text("machine host.test login me password mine\n")
        monkeypatch.setenv("NETRC", str(netrc))
        seen: list[httpx.Request] = []

        def answer(request: httpx.Request) -> httpx.Response:
            seen.append(request)
            return httpx.Response(200, json=1, headers={"Set-Cookie": "lb=sticky; Path=/"})

        with at(path, answer) as transport:
            for _ in range(2):
                transport.call(endpoint(), timeout=5)
        assert all(not {"cookie", "authorization"} & set(r.headers) for r in seen)

    @pytest.mark.parametrize("url", ["/a/../b", "/a/.", "/..", "/a//b", "/./b", "/things/.."])
    def test_a_path_that_would_lead_elsewhere(self, path: Path, url: str) -> None:
        with (
            at(path, lambda _: httpx.Response(200)) as transport,
            pytest.raises(ValueError, match="a part of the path must not be"),
        ):
            transport.call(endpoint(url=url), timeout=5)

    @pytest.mark.parametrize("op_id", ["..;", "a:b@c", "two words", "完了", "%2e%2e", "a/b?c#d"])
    def test_an_id_is_one_segment(self, path: Path, op_id: str) -> None:
        def answer(request: httpx.Request) -> httpx.Response:
            target = quote(op_id, safe="").encode()
            assert request.url.raw_path == b"/base/projects/p%20q/operations/" + target
            return httpx.Response(200, content=operation(op_id))

        with at(path, answer) as transport:
            assert transport.retrieve("p q", op_id, 5).value.id == op_id

    def test_no_call_after_the_end(self, path: Path) -> None:
        with at(path, lambda _: httpx.Response(200, json=1)) as transport:
            assert transport.call(endpoint(), timeout=5).value == 1
            transport.close()
            with pytest.raises(ValueError, match=r"^the client is closed$"):
                transport.call(endpoint(), timeout=5)


class TestSuccess:
    @pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
    def test_what_the_parser_knows(self, path: Path, status: int) -> None:
        module = endpoint(success=(status,), parse=lambda response: response.content)
        with at(path, lambda _: httpx.Response(status, content=b"text")) as transport:
            assert transport.call(module, timeout=5) == Answer(b"text", None)

    @pytest.mark.parametrize("status", [201, 204, 299])
    def test_what_it_does_not_know(self, path: Path, status: int) -> None:
        with (
            at(path, lambda _: httpx.Response(status, content=b"text")) as transport,
            pytest.raises(UnexpectedStatusError) as caught,
        ):
            transport.call(endpoint(), timeout=5)
        assert caught.value.status_code == status
        assert not caught.value.transient

    @pytest.mark.parametrize("status", [304, 404, 520, 599])
    def test_no_other_status_is_one(self, path: Path, status: int) -> None:
        with (
            at(path, lambda _: httpx.Response(status, json={})) as transport,
            pytest.raises(NexusError) as caught,
        ):
            transport.call(endpoint(success=(200, status)), timeout=5)
        assert caught.value.status_code == status

    def test_its_date(self, path: Path) -> None:
        date = {"Date": "Sun, 06 Nov 1994 08:49:37 GMT"}
        with at(path, lambda _: httpx.Response(200, json=1, headers=date)) as transport:
            assert transport.call(endpoint(), timeout=5).date == 784111777.0
            assert transport.settings.contact.reached

    @pytest.mark.parametrize(
        "parse",
        [
            lambda response: response.json()["absent"],
            lambda response: int(response.text),
            lambda response: response.json(),
        ],
    )
    def test_a_body_that_the_parser_cannot_read(
        self, path: Path, parse: Callable[[httpx.Response], Any]
    ) -> None:
        with (
            at(path, lambda _: httpx.Response(200, content=b"{}]")) as transport,
            pytest.raises(InvalidResponseError) as caught,
        ):
            transport.call(endpoint(parse=parse), timeout=5)
        assert (caught.value.path, caught.value.status_code) == ("$", 200)
        assert caught.value.__cause__ is caught.value.__context__ is None


DRESSED: dict[str, tuple[str | None, Callable[[bytes], bytes]]] = {
    "a mark": (None, lambda body: b"\xef\xbb\xbf" + body),
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("X-GZIP", gzip.compress),
    "two members": ("gzip", lambda body: gzip.compress(body[:9]) + gzip.compress(body[9:])),
    "deflate": ("deflate", zlib.compress),
    "raw deflate": ("deflate", lambda body: zlib.compress(body)[2:-4]),
    "both": ("deflate, gzip", lambda body: gzip.compress(zlib.compress(body))),
    "gzip in name alone": ("gzip", lambda body: body),
    "deflate in name alone": ("deflate", lambda body: body),
    "utf-8": ("utf-8", lambda body: body),
    "none": ("none", lambda body: body),
    "Identity": ("Identity", lambda body: body),
    "empty": ("", lambda body: body),
    "a mark in gzip": ("gzip", lambda body: gzip.compress(b"\xef\xbb\xbf" + body)),
}


class TestDress:
    @pytest.mark.parametrize("what", DRESSED)
    def test_it_is_taken_off(self, path: Path, what: str) -> None:
        encoding, dress = DRESSED[what]
        headers = {} if encoding is None else {"Content-Encoding": encoding}
        body = dress(operation("op_1"))
        stream = httpx.ByteStream(body)
        with at(path, lambda _: httpx.Response(200, headers=headers, stream=stream)) as transport:
            assert transport.retrieve("p", "op_1", 5).value.id == "op_1"

    @pytest.mark.parametrize("encoding", ["gzip", "deflate", "gzip, gzip"])
    def test_a_bomb_is_not_inflated(self, path: Path, encoding: str) -> None:
        body = bytes(64 << 20)
        for name in encoding.split(", "):
            body = gzip.compress(body) if name == "gzip" else zlib.compress(body)
        stream = httpx.ByteStream(body)
        headers = {"Content-Encoding": encoding}
        with (
            at(path, lambda _: httpx.Response(200, headers=headers, stream=stream)) as transport,
            pytest.raises(InvalidResponseError, match="larger than 1048576 bytes"),
        ):
            transport.call(endpoint(), timeout=20)

    def test_a_body_in_another_dress_is_named(self, path: Path) -> None:
        stream = httpx.ByteStream(b"\x1b\x03\x00")
        headers = {"Content-Encoding": "br"}
        with (
            at(path, lambda _: httpx.Response(200, headers=headers, stream=stream)) as transport,
            pytest.raises(InvalidResponseError, match="Content-Encoding: br"),
        ):
            transport.call(endpoint(), timeout=5)

    @pytest.mark.parametrize(
        ("written", "read"),
        [
            (rb"\ud83d", "\ufffd"),
            (rb"\uD83D\uDE00", "\U0001f600"),
            (rb"\udE00\uD83d!", "\ufffd\ufffd!"),
            (rb"\\ud83d", "\\ud83d"),
            (rb"\"\ud83d\ud83d\ude00", '"\ufffd\U0001f600'),
            (b"\xed\xa0\xbd", "\ufffd"),
            (b"\xed\xa0\xbd\xed\xb8\x80", "\U0001f600"),
        ],
    )
    def test_half_a_surrogate_pair(self, path: Path, written: bytes, read: str) -> None:
        body = operation("op_1").replace(b'"m"', b'"' + written + b'"')
        with at(path, lambda _: httpx.Response(200, content=body)) as transport:
            message = transport.retrieve("p", "op_1", 5).value.status.message
            assert re.sub("\ufffd+", "\ufffd", message) == re.sub("\ufffd+", "\ufffd", read)

    def test_half_a_surrogate_pair_in_an_errors_message(self, path: Path) -> None:
        body = rb'{"message": "cut \ud83d", "code": 1}'
        with (
            at(path, lambda _: httpx.Response(404, content=body)) as transport,
            pytest.raises(NexusError) as caught,
        ):
            transport.retrieve("p", "op_1", 5)
        assert caught.value.message == "cut \ufffd"
        assert caught.value.detail == {"message": "cut \ufffd", "code": 1}

    def test_what_is_no_text_stays_refused(self, path: Path) -> None:
        body = operation("op_1").replace(b'"m"', b'"\xff\\ud83d"')
        with (
            at(path, lambda _: httpx.Response(200, content=body)) as transport,
            pytest.raises(InvalidResponseError),
        ):
            transport.retrieve("p", "op_1", 5)


class TestIdentity:
    def test_another_operations_answer_is_a_broken_exchange(self, path: Path) -> None:
        with (
            at(path, lambda _: httpx.Response(200, content=operation("op_other"))) as transport,
            pytest.raises(NetworkConnectionError, match="for another operation") as caught,
        ):
            transport.retrieve("p", "op_mine", 5)
        assert caught.value.transient
        assert caught.value.reached
        assert caught.value.op_id == "op_mine"


MESSAGE = "x" * 3000


class TestErrors:
    def failure(self, path: Path, answer: Answering, module: Any = None, **kwargs: Any) -> Any:
        with at(path, answer) as transport, pytest.raises(NexusError) as caught:
            transport.call(module or endpoint(), timeout=5, **kwargs)
        return caught.value

    def test_each_names_operation_and_endpoint(self, path: Path) -> None:
        with (
            at(path, lambda _: httpx.Response(404, json={"message": "gone"})) as transport,
            pytest.raises(NexusError) as caught,
        ):
            transport.call(get_operation, "p", op_id="op_7", timeout=5)
        error = caught.value
        assert (error.op_id, error.endpoint, error.proxy) == ("op_7", ENDPOINT, None)
        assert str(error).startswith("gone (HTTP 404)")
        assert str(error).endswith(f" [operation op_7, {ENDPOINT}]")

    @pytest.mark.parametrize(
        "body",
        [
            {"message": MESSAGE},
            {"message": "m", "rest": "y" * 1_000_000},
            {"message": "m", "rest": [[]] * 1000},
            json.loads("[" * 300 + "]" * 300),
            ["z" * 5000],
        ],
        ids=lambda _: "",
    )
    def test_what_is_kept_of_a_body_is_bounded(self, path: Path, body: Any) -> None:
        error = self.failure(path, lambda _: httpx.Response(400, json=body))
        assert type(error) is BadRequestError
        assert len(repr(error)) < 6000
        assert len(str(error)) < 1500
        if isinstance(body, dict):
            assert error.message == body["message"][:500]

    def test_a_body_too_large_to_read_does_not_hide_the_status(self, path: Path) -> None:
        error = self.failure(path, lambda _: httpx.Response(500, content=b"e" * (2 << 20)))
        assert type(error) is InternalServerError
        assert error.detail == "e" * 500

    @pytest.mark.parametrize(
        "spelled",
        [
            lambda secret: secret,
            lambda secret: quote(secret, safe=""),
            lambda secret: "".join(f"%{ord(char):02x}" for char in secret),
            lambda secret: html.escape(secret),
            lambda secret: "".join(f"&#{ord(char)};" for char in secret),
            lambda secret: "".join(f"\\u{ord(char):04x}" for char in secret),
        ],
    )
    @pytest.mark.parametrize("shape", ["message", "nested", "text", "reason", "large", "key"])
    def test_an_echo_of_the_secret(
        self, path: Path, shape: str, spelled: Callable[[str], str]
    ) -> None:
        secret = 'k&y/"5aa41e8b'
        echo = spelled(secret)
        body: Any = {
            "message": {"message": echo, "x": 1},
            "nested": {"message": "m", "seen": [{"headers": [f"Secret-Key: {echo}"]}]},
            "large": {"message": "m", "a": echo, "rest": "y" * 9000},
            "key": {"message": "m", echo: 1},
        }.get(shape)
        content = f"<p>{echo}</p>".encode() if body is None else json.dumps(body).encode()
        reason = echo.encode() if shape == "reason" else b"Bad"

        def answer(_: httpx.Request) -> httpx.Response:
            return httpx.Response(400, content=content, extensions={"reason_phrase": reason})

        with at(path, answer, secret=secret) as transport, pytest.raises(BadRequestError) as caught:
            transport.call(endpoint(), timeout=5)
        shown = f"{caught.value!s} {caught.value!r} {vars(caught.value)} {caught.value.args}"
        for spelling in (secret, echo, json.dumps(secret)[1:-1], repr(secret)[1:-1]):
            assert spelling not in shown
        assert "***" in shown

    def test_a_secret_in_what_a_parser_says(self, path: Path) -> None:
        def parse(response: httpx.Response) -> Any:
            raise ValueError(f"no {response.text}")

        module = endpoint(parse=parse)
        error = self.failure(path, lambda _: httpx.Response(200, content=SECRET.encode()), module)
        assert "no ***" in error.message
        assert SECRET not in f"{error!s}{error!r}{vars(error)}"

    @pytest.mark.parametrize(
        ("raised", "kind", "message", "transient", "reached"),
        [
            (OSError(113, "No route"), NetworkConnectionError, "broke (No route)", True, True),
            (ssl.SSLEOFError(8, "EOF"), NetworkConnectionError, "broke (EOF)", True, True),
            (EOFError("end"), NetworkConnectionError, "broke (end)", True, True),
            (
                TimeoutError(),
                RequestTimeoutError,
                "in time (no answer within the request's time)",
                True,
                True,
            ),
            (httpx.PoolTimeout("pool"), NetworkConnectionError, "reached (pool)", True, False),
            (httpx.WriteTimeout("w"), RequestTimeoutError, "in time (w)", True, True),
            (httpx.ConnectError("no"), NetworkConnectionError, "reached (no)", True, False),
            (httpx.InvalidURL("u"), NetworkConnectionError, "not be made (u)", False, True),
            (httpx.DecodingError("d"), NetworkConnectionError, "broke (d)", True, True),
            (httpx.StreamClosed(), NetworkConnectionError, "broke (", True, True),
            (
                httpx.UnsupportedProtocol("ftp"),
                NetworkConnectionError,
                "not be made (ftp)",
                False,
                True,
            ),
            (
                httpx.ProxyError("407 Auth"),
                NetworkConnectionError,
                "The proxy did not connect (407 Auth)",
                False,
                False,
            ),
            (
                httpx.ProxyError("503 Busy"),
                NetworkConnectionError,
                "The proxy did not connect (503 Busy)",
                True,
                False,
            ),
        ],
        ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
    )
    def test_what_other_libraries_raise(
        self,
        path: Path,
        raised: Exception,
        kind: type[NexusError],
        message: str,
        transient: bool,
        reached: bool,
    ) -> None:
        def answer(_: httpx.Request) -> httpx.Response:
            raise raised

        error = self.failure(path, answer)
        assert type(error) is kind
        assert message in error.message
        assert (error.transient, error.reached) == (transient, reached)
        assert error.__cause__ is error.__context__ is None

    def test_certificates_are_no_passing_trouble(self, path: Path) -> None:
        refusal = ssl.SSLError(1, "alert")
        refusal.reason = "TLSV13_ALERT_CERTIFICATE_REQUIRED"

        def answer(_: httpx.Request) -> httpx.Response:
            raise httpx.ReadError("alert") from refusal

        assert not self.failure(path, answer).transient

    def test_a_chain_that_bites_its_tail(self, path: Path) -> None:
        def answer(_: httpx.Request) -> httpx.Response:
            error = httpx.ReadError("gone")
            error.__cause__ = error
            raise error

        assert self.failure(path, answer).transient

    def test_a_defect_of_a_callers_transport_is_left_alone(self, path: Path) -> None:
        def answer(_: httpx.Request) -> httpx.Response:
            raise LookupError("defect")

        with at(path, answer) as transport, pytest.raises(LookupError, match="defect") as caught:
            transport.call(endpoint(), timeout=5)
        assert "answer" in [
            frame.name for frame in traceback.extract_tb(caught.value.__traceback__)
        ]

    def test_no_frame_and_no_attribute_shows_the_secret(self, path: Path) -> None:
        def answer(request: httpx.Request) -> httpx.Response:
            raise httpx.ReadError("gone", request=request)

        error = self.failure(path, answer)
        assert SECRET not in "".join(
            repr(value)
            for frame, _ in traceback.walk_tb(error.__traceback__)
            if "/tests/" not in frame.f_code.co_filename
            for value in frame.f_locals.values()
        )

    def test_control_characters_are_escaped_in_text(self, path: Path) -> None:
        said = "a\x1b[2J\r\n::error::\u202e\u2028b\x9b"
        error = self.failure(path, lambda _: httpx.Response(400, json={"message": said}))
        assert error.message == said
        assert str(error).isprintable()
        assert r"a\x1b[2J\r\n::error::\u202e\u2028b\x9b" in str(error)


class TestRetryAfter:
    NOW = 784111777.0  # Sun, 06 Nov 1994 08:49:37 GMT

    @pytest.mark.parametrize(
        ("value", "seconds"),
        [
            (None, None),
            ("", None),
            ("soon", None),
            ("1.5", None),
            ("nan", None),
            ("٣", None),
            ("120", 120.0),
            (" 7 ", 7.0),
            ("0", 0.0),
            ("-5", 0.0),
            ("+5", 5.0),
            ("31536000", 31536000.0),
            ("9" * 400, 31622400.0),
            ("Sun, 06 Nov 1994 08:50:07 GMT", 30.0),
            ("Sun, 06 Nov 1994 08:50:07", 30.0),
            ("Sun, 06 Nov 1994 08:50:07 -0000", 30.0),
            ("Sun, 06 Nov 1994 09:50:07 +0100", 30.0),
            ("Sunday, 06-Nov-94 08:50:07 GMT", 30.0),
            ("Sun Nov  6 08:50:07 1994", 30.0),
            ("Sun, 06 Nov 1994 08:49:60 GMT", 22.0),
            ("Wed, 21 Oct 1987 07:28:00 GMT", 0.0),
            ("Fri, 31 Dec 9999 23:59:59 GMT", 31622400.0),
            ("Wed, 99 Oct 2015 07:28:00 GMT", None),
            ("Wed, 21 Xyz 2015 07:28:00 GMT", None),
        ],
    )
    def test_its_seconds(
        self, monkeypatch: pytest.MonkeyPatch, value: str | None, seconds: float | None
    ) -> None:
        monkeypatch.setenv("TZ", "America/New_York")
        time.tzset()
        try:
            assert retry_after(value, self.NOW, 0.0) == seconds
        finally:
            monkeypatch.undo()
            time.tzset()

    def test_without_a_date_the_machines_clock_counts(self) -> None:
        assert retry_after("Sun, 06 Nov 1994 08:50:07 GMT", None, self.NOW - 10) == 40.0

    def test_a_date_is_read_as_it_is_written(self) -> None:
        assert http_date(formatdate(self.NOW, usegmt=True)) == self.NOW
        assert http_date("") is None
        assert http_date("yesterday") is None

    def test_it_comes_with_the_error(self, path: Path) -> None:
        headers = {"Retry-After": "Sun, 06 Nov 1994 08:50:07", "Date": "Sun Nov  6 08:49:37 1994"}
        with (
            at(path, lambda _: httpx.Response(503, headers=headers)) as transport,
            pytest.raises(NexusError) as caught,
        ):
            transport.call(endpoint(), timeout=5)
        assert caught.value.retry_after == 30.0


class TestStopping:
    def test_an_event_ends_a_request_over_a_callers_transport(self) -> None:
        event, release = threading.Event(), threading.Event()

        def answer(_: httpx.Request) -> httpx.Response:
            event.set()
            release.wait(10)
            return httpx.Response(200, json=1)

        with at(Path.SYNC, answer) as transport:
            began = time.monotonic()
            with pytest.raises(Aborted):
                transport.call(endpoint(), timeout=30, abort_event=event)
            assert time.monotonic() - began < 5
        release.set()


def test_the_environment_is_not_asked_where_a_transport_is_given(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "gopher://x")
    with at(path, lambda _: httpx.Response(200, json=1)) as transport:
        assert transport.call(endpoint(), timeout=5).value == 1


def test_settings_are_not_pickled() -> None:
    import pickle

    with pytest.raises(TypeError):
        pickle.dumps(Settings(ENDPOINT, Secret(SECRET)))
