"""Valid is valid: numbers in other spellings, harmless dress, HTTP as it may be spoken."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from typing import Any

from nexus_operations import InvalidResponseError, Operation

from tests.support.checks import each, ended, failed, within
from tests.support.clocks import client_of
from tests.support.paths import (
    Path,
    on_every_path,
    row_of,
)
from tests.support.replies import JSON, Reply, good, operation
from tests.support.server import Reaction, Request, Server, Then
from tests.support.worlds import World

Serve = Callable[..., Server]

OK = b"HTTP/1.1 200 OK\r\n"


def head(op_id: str, *headers: bytes, line: bytes = OK, body: bytes | None = None) -> bytes:
    """Return an answer with these header lines, and its length."""
    body = good(op_id).body if body is None else body
    lines = b"".join(header + b"\r\n" for header in headers)
    return line + lines + b"Content-Length: %d\r\n\r\n" % len(body) + body


def chunked(
    op_id: str, *, size: bytes = b"%x", extension: bytes = b"", trailers: bytes = b""
) -> bytes:
    """Return an answer in two chunks."""
    body = good(op_id).body
    parts = (body[:40], body[40:])
    chunks = b"".join(size % len(part) + extension + b"\r\n" + part + b"\r\n" for part in parts)
    return OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n" + trailers + b"\r\n"


SPOKEN: dict[str, Callable[[str], Any]] = {
    "no reason phrase": lambda i: head(i, line=b"HTTP/1.1 200 \r\n"),
    "not even a blank for it": lambda i: head(i, line=b"HTTP/1.1 200\r\n"),
    "a reason phrase in Latin-1": lambda i: head(
        i, line="HTTP/1.1 200 R\u00e9ussi\r\n".encode("latin-1")
    ),
    "a reason phrase in UTF-8": lambda i: head(i, line="HTTP/1.1 200 完了\r\n".encode()),
    "header names in capitals": lambda i: head(i).replace(b"Content-Length", b"CONTENT-LENGTH"),
    "header names in small letters": lambda i: head(i).replace(
        b"Content-Length", b"content-length"
    ),
    "no blank after a colon": lambda i: head(i, b"X:1"),
    "blanks round a value": lambda i: head(i, b"X: \t 1 \t "),
    "an empty value": lambda i: head(i, b"X:"),
    "a value in Latin-1": lambda i: head(i, "X: \u00e9".encode("latin-1")),
    "a value in UTF-8": lambda i: head(i, "X: 完了".encode()),
    "the same header thrice": lambda i: head(i, b"X: 1", b"X: 2", b"X: 3"),
    "a hundred and fifty headers": lambda i: head(i, *[b"X-%d: 1" % n for n in range(150)]),
    "a header of 12 KiB": lambda i: head(i, b"X: " + b"x" * 12_288),
    "headers of 40 KiB together": lambda i: head(
        i, *[b"X-%d: %s" % (n, b"x" * 1000) for n in range(40)]
    ),
    "the same length twice": lambda i: head(i, b"Content-Length: %d" % len(good(i).body)),
    "chunks": lambda i: chunked(i),
    "chunk sizes in capitals": lambda i: chunked(i, size=b"%X"),
    "chunk sizes with zeros": lambda i: chunked(i, size=b"%06x"),
    "chunk extensions": lambda i: chunked(i, extension=b';name="value"'),
    "trailers": lambda i: chunked(i, trailers=b"X-Checksum: 1\r\nX-Other: 2\r\n"),
    "early hints first": lambda i: b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + head(i),
    "102 twice": lambda i: b"HTTP/1.1 102 Processing\r\n\r\n" * 2 + head(i),
    "HTTP/1.0": lambda i: iter((head(i, line=b"HTTP/1.0 200 OK\r\n"), Then.CLOSE)),
    "HTTP/1.0 until the end": lambda i: iter(
        (b"HTTP/1.0 200 OK\r\n\r\n" + good(i).body, Then.CLOSE)
    ),
    "HTTP/1.1 until the end": lambda i: iter(
        (OK + b"Connection: close\r\n\r\n" + good(i).body, Then.CLOSE)
    ),
    "keep-alive as HTTP/1.0 says it": lambda i: head(
        i, b"Connection: Keep-Alive", b"Keep-Alive: timeout=5"
    ),
    "Vary, Via, Age, Alt-Svc": lambda i: head(
        i, b"Vary: *", b"Via: 1.1 x", b"Age: 7", b'Alt-Svc: h3=":443"'
    ),
    "Strict-Transport-Security": lambda i: head(i, b"Strict-Transport-Security: max-age=31536000"),
    "WWW-Authenticate on a 200": lambda i: head(i, b"WWW-Authenticate: Basic realm=x"),
}


@on_every_path
def test_http_as_it_may_be_spoken(path: Path, serve: Serve) -> None:
    def answer(request: Request) -> Reaction:
        return SPOKEN[row_of(SPOKEN, request.op_id)](request.op_id)

    bounds = {"timeout": 1} if path.waits else {}
    results = within(lambda: path.table(SPOKEN, client_of(serve(answer)), **bounds))
    each(SPOKEN, lambda row: ended(results[row], f"op_{list(SPOKEN).index(row):04d}"))


def deflated(body: bytes, bits: int) -> bytes:
    packer = zlib.compressobj(wbits=bits)
    return packer.compress(body) + packer.flush()


ENCODED: dict[str, Callable[[bytes], tuple[str, bytes]]] = {
    "empty": lambda body: ("", body),
    "identity": lambda body: ("identity", body),
    "Identity": lambda body: ("Identity", body),
    "identity twice": lambda body: ("identity, identity", body),
    "none": lambda body: ("none", body),
    "utf-8": lambda body: ("utf-8", body),
    "UTF-8": lambda body: ("UTF-8", body),
    "gzip": lambda body: ("gzip", gzip.compress(body)),
    "GZIP": lambda body: ("GZIP", gzip.compress(body)),
    "x-gzip": lambda body: ("x-gzip", gzip.compress(body)),
    "gzip with blanks": lambda body: ("  gzip  ", gzip.compress(body)),
    "gzip in two members": lambda body: (
        "gzip",
        gzip.compress(body[:50]) + gzip.compress(body[50:]),
    ),
}


@on_every_path
def test_encodings_that_encode_nothing_or_gzip(path: Path, serve: Serve) -> None:
    def answer(request: Request) -> Reaction:
        encoding, body = ENCODED[row_of(ENCODED, request.op_id)](good(request.op_id).body)
        return Reply(200, body, {**JSON, "Content-Encoding": encoding})

    bounds = {"timeout": 1} if path.waits else {}
    results = within(lambda: path.table(ENCODED, client_of(serve(answer)), **bounds))
    each(ENCODED, lambda row: ended(results[row], f"op_{list(ENCODED).index(row):04d}"))


SPOILT: dict[str, tuple[str, bytes]] = {
    "a gzip bomb": ("gzip", gzip.compress(b"[" * (64 << 20), 1)),
    "a gzip bomb of an operation": (
        "gzip",
        gzip.compress(operation("op_0001", message="m" * (8 << 20)), 1),
    ),
    "gzip that is none": ("gzip", b"\x1f\x8b nonsense"),
    "gzip that is plain": ("gzip", b"nonsense"),
    "gzip cut short": ("gzip", gzip.compress(good("op_0004").body)[:-60]),
    "brotli": ("br", b"\x0b\x02\x80nonsense"),
    "nobody knows it": ("sdch", b"nonsense"),
}


@on_every_path
def test_encodings_that_cannot_be_read(path: Path, serve: Serve) -> None:
    def answer(request: Request) -> Reaction:
        encoding, body = SPOILT[row_of(SPOILT, request.op_id)]
        return Reply(200, body, {**JSON, "Content-Encoding": encoding})

    bounds = {"timeout": 1} if path.waits else {}
    client = client_of(serve(answer), request_timeout=20)
    results = within(lambda: path.table(SPOILT, client, **bounds))
    each(SPOILT, lambda row: failed(results[row]))


TYPES = [
    None,
    "",
    "application/json; charset=utf-8",
    "application/json;charset=UTF8",
    "APPLICATION/JSON",
    "application/problem+json",
    "text/plain",
    "text/html; charset=iso-8859-1",
    "application/octet-stream",
    "nonsense",
    ";;;",
    "application/json; charset=nonsense",
]


@on_every_path
def test_the_content_type_does_not_matter(path: Path) -> None:
    def check(value: str | None) -> None:
        headers = {} if value is None else {"Content-Type": value}
        body = operation("op_1", "Finished", message="完了 é")
        result = path.one("op_1", World(lambda _: Reply(200, body, headers)).client)
        assert ended(result, "op_1").status.message == "完了 é"

    each(TYPES, check)


NUMBERS: dict[str, tuple[str, int]] = {
    "1.0": ("1.0", 1),
    "1e0": ("1e0", 1),
    "10e-1": ("10e-1", 1),
    "1.00000": ("1.00000", 1),
    "0.0": ("0.0", 0),
    "-0": ("-0", 0),
    "-0.0": ("-0.0", 0),
    "1.7E12": ("1.7E12", 1_700_000_000_000),
    "1.701927649302e12": ("1.701927649302e12", 1_701_927_649_302),
    "17019276493020e-1": ("17019276493020e-1", 1_701_927_649_302),
    "beyond a float's whole numbers": ("9007199254740993", 9_007_199_254_740_993),
}


@on_every_path
def test_whole_numbers_in_other_spellings(path: Path) -> None:
    def check(row: str) -> None:
        text, value = NUMBERS[row]
        body = operation("op_1", "Finished", counts={"Finished": 111}, created=222, updated=333)
        body = body.replace(b"111", text.encode()).replace(b"222", text.encode())
        result = ended(path.one("op_1", World(lambda _: Reply(200, body)).client), "op_1")
        assert result.status.progress.with_status.Finished == value
        assert result.create_date == value
        assert type(result.create_date) is int

    each(NUMBERS, check)


BODIES: dict[str, bytes] = {
    "a byte order mark": b"\xef\xbb\xbf" + operation("op_1", "Finished"),
    "blanks round it": b"\r\n\t " + operation("op_1", "Finished") + b" \r\n",
    "half a surrogate pair": operation("op_1", "Finished", message="X").replace(
        b'"X"', b'"cut \\ud83d"'
    ),
    "the other half": operation("op_1", "Finished", message="X").replace(b'"X"', b'"\\ude00 cut"'),
    "a pair the wrong way round": operation("op_1", "Finished", message="X").replace(
        b'"X"', b'"\\ude00\\ud83d"'
    ),
    "half a pair in the unit": operation("op_1", "Finished").replace(
        b'"whole operation"', b'"\\ud83d"'
    ),
    "an escaped id": operation("op_1", "Finished").replace(b'"op_1"', b'"\\u006fp_\\u0031"'),
    "escaped keys": operation("op_1", "Finished").replace(b'"id"', b'"\\u0069d"'),
    "NUL in the message": operation("op_1", "Finished", message="a\x00b"),
    "more keys": operation("op_1", "Finished", object="operation", extra={"a": [1, {"b": None}]}),
    "more keys below": operation("op_1", "Finished").replace(
        b'"overview"', b'"payload": "Number of files imported: 1", "overview"'
    ),
    "more counts": operation("op_1", "Finished", counts={"Skipped": 3, "Paused": "x"}),
    "a key twice": operation("op_1", "Finished").replace(b'"id"', b'"id": "op_1", "id"'),
    "an empty message": operation("op_1", "Finished", message=""),
    "a long message": operation("op_1", "Finished", message="m" * 100_000),
    "dates of 0": operation("op_1", "Finished", created=0, updated=0),
}


@on_every_path
def test_harmless_dress(path: Path) -> None:
    def check(row: str) -> None:
        result = path.one("op_1", World(lambda _: Reply(200, BODIES[row])).client)
        assert ended(result, "op_1").kind == "nexus.annotations.export"

    each(BODIES, check)


@on_every_path
def test_sizes_at_the_bound(path: Path) -> None:
    mebibyte = 1 << 20
    whole = operation("op_1", "Finished", message="X")
    fits = whole.replace(b'"X"', b'"%s"' % (b"m" * (mebibyte - len(whole) + 1)))
    assert len(fits) == mebibyte
    ended(path.one("op_1", World(lambda _: Reply(200, fits)).client), "op_1")
    bounds = {"timeout": 1} if path.waits else {}
    result = path.one("op_1", World(lambda _: Reply(200, fits + b" ")).client, **bounds)
    failed(result, InvalidResponseError)
    assert not isinstance(result, Operation)
