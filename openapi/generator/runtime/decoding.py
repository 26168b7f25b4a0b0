"""Decoders of response bodies."""

import json
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any, Generic, TypeVar, cast

import httpx
import msgspec

from .types import File

T = TypeVar("T")

BOM = b"\xef\xbb\xbf"
MALFORMED = (msgspec.DecodeError, UnicodeDecodeError)
"""What msgspec raises for a body that it does not take."""


class Decoder(Generic[T]):
    """Decodes and validates JSON in one pass.

    Args:
        annotation: Returns the type to decode; called once, when all models are known.

    Attributes:
        strict: Decodes what msgspec takes as it is; `decode` takes a little more.
    """

    def __init__(self, annotation: Callable[[], Any]) -> None:
        self._annotation = annotation
        self.strict: Callable[[bytes], T] = self._first

    def _first(self, content: bytes) -> T:
        decoder: msgspec.json.Decoder[T] = msgspec.json.Decoder(self._annotation())
        self.strict = decoder.decode
        return self.strict(content)

    def decode(self, content: bytes) -> T:
        """Decode a JSON document.

        Raises:
            msgspec.ValidationError: If it breaks the contract; the message ends with the JSON path.
            msgspec.DecodeError: If it is not JSON.
        """
        try:
            return self.strict(content)
        except MALFORMED as error:
            return self.decode_again(content, error)

    def decode_again(self, content: bytes, error: Exception) -> T:
        """Decode what msgspec refuses, though it is as valid; raise the first error otherwise.

        Such are an integer that is written `1.0`, a byte order mark and a lone surrogate.
        """
        try:
            value = msgspec.json.decode(content)
        except MALFORMED:
            value = _lenient(content, error)
        try:
            return cast(T, msgspec.convert(_with_integers(value), self._annotation()))
        except msgspec.ValidationError as mended:
            raise msgspec.ValidationError(_one_path(str(mended))) from None


class CheckedDecoder(Decoder[T]):
    """Checks JSON before it decodes it, for what msgspec's types cannot say.

    Args:
        annotation: Returns the type to decode; called once, when all models are known.
        settle: Checks a plain JSON value and returns it with its structs.
    """

    def __init__(self, annotation: Callable[[], Any], settle: Callable[[Any], Any]) -> None:
        super().__init__(annotation)
        self._settle = settle

    def decode(self, content: bytes) -> T:
        """Decode a JSON document, as `Decoder.decode` does."""
        try:
            value = msgspec.json.decode(content)
        except MALFORMED as error:
            value = _lenient(content, error)
        try:
            return cast(T, self._settle(_with_integers(value)))
        except (ValueError, msgspec.ValidationError) as error:
            raise msgspec.ValidationError(_one_path(str(error))) from None


def _lenient(content: bytes, error: Exception) -> Any:
    """Parse JSON with a byte order mark or lone surrogates, or raise the error."""
    try:
        value = json.loads(content.removeprefix(BOM).decode(), parse_constant=_no_constant)
        halves = json.dumps(value, ensure_ascii=False).encode("utf-16", "surrogatepass")
        return msgspec.json.decode(halves.decode("utf-16", "replace"))
    except (ValueError, RecursionError):
        raise error from None


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _with_integers(value: Any) -> Any:
    """Return a value with its whole numbers as integers: JSON has one kind of number."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_with_integers(item) for item in value]
    if isinstance(value, dict):
        return {key: _with_integers(item) for key, item in value.items()}
    return value


def _one_path(message: str) -> str:
    """Return an error's message with the path inside a struct appended to that of the struct."""
    text, *paths = message.split(" - at `")
    inner = [path.rstrip("`").removeprefix("$") for path in paths]
    return f"{text} - at `${''.join(reversed(inner))}`" if paths else text


def text(response: httpx.Response) -> str:
    """Return a body as text."""
    return response.text


def file(response: httpx.Response) -> File:
    """Return a body as a file."""
    return File(payload=BytesIO(response.content))


def nothing(response: httpx.Response) -> None:
    """Return nothing: the document names no body."""


def body(decoder: Callable[[bytes], T]) -> Callable[[httpx.Response], T]:
    """Return a parser of responses whose bodies a decoder reads."""
    return lambda response: decoder(response.content)


Parser = Callable[[httpx.Response], Any]


class Responses(Generic[T]):
    """The documented responses of an endpoint.

    Args:
        parsers: By status (`200`, `4XX`, `default`): how to read a body, by media type.
    """

    def __init__(self, parsers: Mapping[str, Mapping[str, Parser]]) -> None:
        self._parsers = parsers

    def parse(
        self, response: httpx.Response, unexpected: Callable[[int, bytes], Exception] | None
    ) -> T | None:
        """Return what a response holds; `None` for one that the document does not name.

        Args:
            response: The response, read.
            unexpected: The error to raise for one that the document does not name, or `None`.

        Raises:
            Exception: The error, if the document does not name it.
            msgspec.DecodeError: If a documented body breaks the contract or is no JSON.
        """
        status = str(response.status_code)
        names = (status, f"{status[0]}XX", "default")
        documented = next((self._parsers[name] for name in names if name in self._parsers), None)
        if documented is not None:
            try:
                return cast(T, _parser(documented, response)(response))
            except MALFORMED as error:
                # A status of trouble is worth more than the trouble with its body.
                if response.is_success and (unexpected or not _is_other_type(error)):
                    raise
        if unexpected is not None:
            raise unexpected(response.status_code, response.content)
        return None


def _is_other_type(error: Exception) -> bool:
    """Return whether a body is of another JSON type than the documented list."""
    return str(error).startswith("Expected `array`, got `object`") and " - at " not in str(error)


def _parser(parsers: Mapping[str, Parser], response: httpx.Response) -> Parser:
    """Return the parser for a response's media type, or the first."""
    media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type in parsers:
        return parsers[media_type]
    for name in (media_type.partition("/")[0] + "/*", "*/*"):
        if name in parsers:
            return parsers[name]
    return next(iter(parsers.values()), nothing)
