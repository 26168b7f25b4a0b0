"""The marker and the fixture `nexus_contract`: a test's responses must keep the contract.

Loaded by pytest's plugin, so nothing heavy is imported before a test asks for it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import httpx

NAME = "nexus_contract"


class Recorder:
    """The responses of one test to requests that the contract has.

    Attributes:
        responses: What was recorded, oldest first.
    """

    def __init__(self) -> None:
        self.responses: list[httpx.Response] = []
        self._requests: list[httpx.Request] = []

    def check(self, response: Any) -> None:
        """Check a response now: one of httpx or of requests.

        Raises:
            ContractError: If it breaks the contract.
        """
        from . import check_response

        check_response(response)

    def check_recorded(self) -> None:
        """Check everything that was recorded.

        Raises:
            ContractError: If a response breaks the contract.
        """
        for response in self.responses:
            self.check(response)

    def record(self, request: httpx.Request, response: httpx.Response) -> None:
        """Record a response if the contract has the resource, once its body is there."""

        from ._schema import find_read

        path = request.url.raw_path.decode("ascii").partition("?")[0]
        # A transport may pass a request on to another: what the inner one gave is recorded.
        if request.method != "GET" or any(request is known for known in self._requests):
            return
        if find_read(path) is None:
            return
        self._requests.append(request)
        if hasattr(response, "_content"):  # made of bytes: nobody reads its stream
            self._keep(request, response, response.content, {})
            return
        raw = bytearray()

        def done() -> None:
            self._keep(request, response, bytes(raw), response.headers)

        response.stream = tee(response.stream, raw, done)

    def _keep(self, request: Any, response: Any, content: bytes, headers: Any) -> None:
        import httpx

        plain = httpx.Response(response.status_code, headers=headers, content=content)
        kept = httpx.Response(
            response.status_code,
            headers=without_coding(response.headers),
            content=plain.content,
            request=request,
        )
        self.responses.append(kept)


def without_coding(headers: httpx.Headers) -> dict[str, str]:
    """Return headers without those that say how the body travelled."""
    from ._schema import BODY_HEADERS

    return {name: value for name, value in headers.items() if name.lower() not in BODY_HEADERS}


def tee(stream: Any, raw: bytearray, done: Callable[[], None]) -> Any:
    """Return a stream that keeps what it passes on, and says when it has passed on all."""
    import httpx

    class Tee(httpx.SyncByteStream, httpx.AsyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            for chunk in stream:
                raw.extend(chunk)
                yield chunk
            done()

        async def __aiter__(self) -> AsyncIterator[bytes]:
            async for chunk in stream:
                raw.extend(chunk)
                yield chunk
            done()

        def close(self) -> None:
            stream.close()

        async def aclose(self) -> None:
            await stream.aclose()

    return Tee()


@contextmanager
def recording(recorder: Recorder) -> Generator[None]:
    """Record what comes through any transport of httpx; those of this library are such, too."""
    import httpx

    import nexus_operations

    def sync(original: Any) -> Any:
        def handle_request(self: Any, request: httpx.Request) -> httpx.Response:
            response: httpx.Response = original(self, request)
            recorder.record(request, response)
            return response

        return handle_request

    def awaited(original: Any) -> Any:
        async def handle_async_request(self: Any, request: httpx.Request) -> httpx.Response:
            response: httpx.Response = await original(self, request)
            recorder.record(request, response)
            return response

        return handle_async_request

    _ = nexus_operations.Client  # with it the library's transports are loaded
    patch = pytest.MonkeyPatch()
    try:
        for base, name, wrapper in (
            (httpx.BaseTransport, "handle_request", sync),
            (httpx.AsyncBaseTransport, "handle_async_request", awaited),
        ):
            for transport in subclasses(base):
                if name in vars(transport):
                    patch.setattr(transport, name, wrapper(vars(transport)[name]))
        yield
    finally:
        patch.undo()


def subclasses(base: type) -> set[type]:
    """Return every class that is made from one."""
    found: set[type] = set(base.__subclasses__())
    return found.union(*map(subclasses, found))


KEY: pytest.StashKey[Recorder] = pytest.StashKey()


@pytest.fixture
def nexus_contract(request: pytest.FixtureRequest) -> Recorder:
    """What this test's clients received from the service; the test fails if it breaks the contract.

    Needs the extra `contract`. `@pytest.mark.nexus_contract` does the same for a test, a class or
    a module.
    """
    found: Recorder = request.node.stash.setdefault(KEY, Recorder())
    return found


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    text = f"{NAME}: fail the test if a recorded response breaks the contract of Nexus operations"
    config.addinivalue_line("markers", text)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Record while the test runs; let it fail afterwards if it passed against the contract."""
    asked = item.get_closest_marker(NAME) or NAME in getattr(item, "fixturenames", ())
    if not asked:
        return (yield)
    recorder = item.stash.setdefault(KEY, Recorder())
    with recording(recorder):
        result = yield
    recorder.check_recorded()
    return result
