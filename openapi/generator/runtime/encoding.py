"""Requests from arguments."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

import msgspec

from .types import File

SEPARATORS = {"spaceDelimited": " ", "pipeDelimited": "|"}
"""What stands between values, where it is encoded like the same within a value."""


class Request:
    """A request in the making.

    Args:
        method: The HTTP method.
        path: The path, with a `{name}` for each parameter in it.
    """

    def __init__(self, method: str, path: str) -> None:
        self._kwargs: dict[str, Any] = {"method": method}
        self._path = path
        self._segments: dict[str, str] = {}
        self._query: list[tuple[str, str | list[str]]] = []
        self._headers: dict[str, str] = {}
        self._cookies: list[str] = []

    def path(self, name: str, value: Any, style: str = "simple", explode: bool = False) -> None:
        """Put a value into the path.

        Raises:
            ValueError: If it would lead to another path: it is empty, `.` or `..`.
        """
        segment = _segment(name, msgspec.to_builtins(value), style, explode)
        if segment in ("", ".", ".."):
            raise ValueError(f"`{name}` cannot be {segment!r}: it is a segment of the path")
        self._segments[name] = segment

    def query(self, name: str, value: Any, style: str = "form", explode: bool = True) -> None:
        """Add a value to the query, unless it is unset or `None`."""
        if value is msgspec.UNSET or value is None:
            return
        self._query += _pairs(name, msgspec.to_builtins(value), style, explode)

    def query_json(self, name: str, value: Any) -> None:
        """Add a value to the query as JSON, unless it is unset."""
        if value is not msgspec.UNSET:
            self._query.append((name, msgspec.json.encode(value).decode()))

    def header(self, name: str, value: Any, explode: bool = False) -> None:
        """Add a header, unless its value is unset or `None`.

        Raises:
            ValueError: If the value has control characters.
        """
        if value is msgspec.UNSET or value is None:
            return
        text = _delimited(msgspec.to_builtins(value), ",", explode)
        if any(c < " " or c == "\x7f" for c in text):
            raise ValueError(f"the header `{name}` cannot have control characters")
        self._headers[name] = text

    def cookie(self, name: str, value: Any) -> None:
        """Add a cookie, unless its value is unset or `None`."""
        if value is not msgspec.UNSET and value is not None:
            text = quote(
                _delimited(msgspec.to_builtins(value), ",", False), safe="!#$&'()*+/:<=>?@[]^`{|}~"
            )
            self._cookies.append(f"{name}={text}")

    def json(self, value: Any, media_type: str = "application/json") -> None:
        """Send a value as JSON, unless it is unset."""
        if value is not msgspec.UNSET:
            self._content(msgspec.json.encode(value), media_type)

    def form(
        self,
        value: Any,
        media_type: str,
        styles: Mapping[str, tuple[str, bool]],
        types: Mapping[str, str] | None = None,
    ) -> None:
        """Send a value as form fields, unless it is unset.

        Args:
            value: A struct or a map.
            media_type: Its media type.
            styles: By field: its `style`, and whether it explodes, where not as usual.
            types: By field: the media type of its values, where not as usual.
        """
        if value is msgspec.UNSET:
            return
        pairs: list[tuple[str, str | list[str]]] = []
        for name, item in msgspec.to_builtins(value).items():
            style, explode = styles.get(name, ("form", True))
            if item is None:
                continue
            if types and name in types:
                texts = [_content_of(name, one, types[name]).decode() for one in _listed(item)]
                pairs += [(name, text) for text in texts]
            elif isinstance(item, dict) and style != "deepObject":
                pairs.append((name, msgspec.json.encode(item).decode()))
            else:
                pairs += _pairs(name, item, style, explode)
        self._content(_encoded(pairs).encode(), media_type)

    def multipart(self, value: Any, types: Mapping[str, str] | None = None) -> None:
        """Send a struct or a map as the parts of a form, unless it is unset.

        Args:
            value: A struct or a map.
            types: By part: its media type, where not as usual.
        """
        if value is not msgspec.UNSET:
            self._kwargs["files"] = list(_parts(value, types or {}))

    def content(self, value: Any, media_type: str) -> None:
        """Send a file, bytes or text as it is, unless it is unset.

        Raises:
            ValueError: If any of a range of media types may be sent, and it is not said which.
        """
        if value is msgspec.UNSET:
            return
        if "*" in media_type:
            given = value.mime_type if isinstance(value, File) else None
            if given is None and not (isinstance(value, str) and media_type.startswith("text/")):
                raise ValueError(f"`{media_type}`: pass a `File` with the `mime_type` that it has")
            media_type = given or "text/plain; charset=utf-8"
        if isinstance(value, File):
            value = value.payload.read()
        self._content(value.encode() if isinstance(value, str) else value, media_type)

    def _content(self, content: bytes, media_type: str) -> None:
        self._kwargs["content"] = content
        self._headers["Content-Type"] = media_type

    def kwargs(self) -> dict[str, Any]:
        """Return the keyword arguments of `httpx.Client.request`."""
        url = self._path
        for name, segment in self._segments.items():
            url = url.replace("{" + name + "}", segment)
        result = {**self._kwargs, "url": url}
        if any(isinstance(value, list) for _, value in self._query):
            # Elsewhere a comma between values would be written like one within a value.
            result["url"] = f"{url}?{_encoded(self._query)}"
        elif self._query:
            result["params"] = self._query
        if self._cookies:
            self._headers["Cookie"] = "; ".join(self._cookies)
        if self._headers:
            result["headers"] = self._headers
        return result


def is_instance(value: Any, *types: type) -> bool:
    """Return whether a body is one of some types, rather than of another media type's."""
    return isinstance(value, types)


def _text(value: Any) -> str:
    """Return a scalar as parameters are written, anything else as JSON."""
    if isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode() if value is not None else ""


def _segment(name: str, value: Any, style: str, explode: bool) -> str:
    """Return a value as it stands in a path."""
    if isinstance(value, dict):
        between = "=" if explode else ","
        pairs = [(quote(key, safe=""), quote(_text(item), safe="")) for key, item in value.items()]
        parts = [f"{key}{between}{item}" for key, item in pairs]
    else:
        parts = [quote(_text(item), safe="") for item in _listed(value)]
    if parts in ([], [""]):
        return ""
    if style == "label":
        return "." + ("." if explode else ",").join(parts)
    if style == "matrix" and explode:
        before = ";" if isinstance(value, dict) else f";{quote(name, safe='')}="
        return "".join(before + part for part in parts)
    return (f";{quote(name, safe='')}=" if style == "matrix" else "") + ",".join(parts)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _encoded(pairs: Iterable[tuple[str, str | list[str]]]) -> str:
    """Return names and values as a query has them; a comma stands between several values."""
    return "&".join(
        f"{quote_plus(name)}={','.join(map(quote_plus, _listed(value)))}" for name, value in pairs
    )


def _content_of(name: str, value: Any, media_type: str) -> bytes:
    """Return a value in its media type: as JSON, or a scalar as text."""
    bare = media_type.partition(";")[0].strip().lower()
    if bare == "application/json" or bare.endswith("+json"):
        return msgspec.json.encode(value)
    if isinstance(value, dict | list):
        raise ValueError(f"`{name}` is {media_type}: pass it as text")
    return _text(value).encode()


def _delimited(value: Any, separator: str, explode: bool) -> str:
    """Return a value of several parts in one string."""
    if isinstance(value, dict):
        between = "=" if explode else separator
        return separator.join(f"{key}{between}{_text(item)}" for key, item in value.items())
    if isinstance(value, list):
        return separator.join(map(_text, value))
    return _text(value)


def _pairs(
    name: str, value: Any, style: str, explode: bool
) -> Iterator[tuple[str, str | list[str]]]:
    """Yield the name and the text of each part of a value."""
    if style == "deepObject" and isinstance(value, dict):
        for key, item in value.items():
            yield from _pairs(f"{name}[{key}]", item, style, explode)
    elif isinstance(value, list) and style == "deepObject":
        for item in value:
            yield from _pairs(f"{name}[]", item, style, explode)
    elif isinstance(value, list) and explode:
        for item in value:
            yield name, _text(item)
    elif isinstance(value, dict) and explode:
        for key, item in value.items():
            if item is not None:
                yield from (
                    _pairs(key, item, "form", True)
                    if isinstance(item, list)
                    else [(key, _text(item))]
                )
    elif isinstance(value, list | dict):
        parts = value if isinstance(value, list) else [x for pair in value.items() for x in pair]
        texts = [_text(part) for part in parts]
        separator = SEPARATORS.get(style)
        if separator and any(separator in text for text in texts):
            raise ValueError(f"`{name}` cannot have {separator!r}: it stands between the values")
        yield name, separator.join(texts) if separator else texts
    else:
        yield name, _text(value)


def _parts(value: Any, types: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    """Yield the parts of a multipart form."""
    if isinstance(value, msgspec.Struct):
        fields = msgspec.structs.fields(value)
        items = [(field.encode_name, getattr(value, field.name)) for field in fields]
    else:
        items = list(value.items())
    for name, item in items:
        for one in _listed(item):
            kind = types.get(name)
            if isinstance(one, File):
                yield name, (one.file_name, one.payload, one.mime_type or kind)
            elif isinstance(one, bytes):
                yield name, (name, one, kind or "application/octet-stream")
            elif one is not msgspec.UNSET:
                plain = msgspec.to_builtins(one)
                usual = "application/json" if isinstance(plain, dict | list) else "text/plain"
                yield name, (None, _content_of(name, plain, kind or usual), kind or usual)
