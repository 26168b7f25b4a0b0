"""Requests from arguments."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from .types import File

SEPARATORS = {"form": ",", "simple": ",", "spaceDelimited": " ", "pipeDelimited": "|"}


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
        self._query: list[tuple[str, str]] = []
        self._headers: dict[str, str] = {}
        self._cookies: list[str] = []

    def path(self, name: str, value: Any, style: str = "simple", explode: bool = False) -> None:
        """Put a value into the path.

        Raises:
            ValueError: If it would lead to another path: it is empty, `.` or `..`.
        """
        text = _delimited(msgspec.to_builtins(value), ",", explode)
        if text in ("", ".", ".."):
            raise ValueError(f"`{name}` cannot be {text!r}: it is a segment of the path")
        prefix = {"label": ".", "matrix": f";{name}="}.get(style, "")
        self._segments[name] = prefix + quote(text, safe="")

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

    def form(self, value: Any, media_type: str, styles: Mapping[str, tuple[str, bool]]) -> None:
        """Send a value as form fields, unless it is unset.

        Args:
            value: A struct or a map.
            media_type: Its media type.
            styles: By field: its `style`, and whether it explodes, where not as usual.
        """
        if value is msgspec.UNSET:
            return
        pairs: list[tuple[str, str]] = []
        for name, item in msgspec.to_builtins(value).items():
            style, explode = styles.get(name, ("form", True))
            if isinstance(item, dict) and style != "deepObject":
                pairs.append((name, msgspec.json.encode(item).decode()))
            elif item is not None:
                pairs += _pairs(name, item, style, explode)
        self._content(urlencode(pairs).encode(), media_type)

    def multipart(self, value: Any) -> None:
        """Send a struct or a map as the parts of a form, unless it is unset."""
        if value is not msgspec.UNSET:
            self._kwargs["files"] = list(_parts(value))

    def content(self, value: Any, media_type: str) -> None:
        """Send a file, bytes or text as it is, unless it is unset."""
        if isinstance(value, File):
            value = value.payload.read()
        if value is not msgspec.UNSET:
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
        if self._query:
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


def _delimited(value: Any, separator: str, explode: bool) -> str:
    """Return a value of several parts in one string."""
    if isinstance(value, dict):
        between = "=" if explode else separator
        return separator.join(f"{key}{between}{_text(item)}" for key, item in value.items())
    if isinstance(value, list):
        return separator.join(map(_text, value))
    return _text(value)


def _pairs(name: str, value: Any, style: str, explode: bool) -> Iterator[tuple[str, str]]:
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
    else:
        yield name, _delimited(value, SEPARATORS.get(style, ","), False)


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the parts of a multipart form."""
    if isinstance(value, msgspec.Struct):
        fields = msgspec.structs.fields(value)
        items = [(field.encode_name, getattr(value, field.name)) for field in fields]
    else:
        items = list(value.items())
    for name, item in items:
        for one in item if isinstance(item, list) else [item]:
            if isinstance(one, File):
                yield name, one.to_tuple()
            elif isinstance(one, bytes):
                yield name, (name, one, "application/octet-stream")
            elif one is not msgspec.UNSET:
                plain = msgspec.to_builtins(one)
                kind = "application/json" if isinstance(plain, dict | list) else "text/plain"
                yield name, (None, _text(plain).encode(), kind)
