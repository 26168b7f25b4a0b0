"""The marker and the fixture `nexus_contract`: a test's responses must keep the contract.

Loaded by pytest's plugin, so nothing heavy is imported before a test asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
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
            ContractError: If a response breaks the contract, or none was recorded.
        """
        for response in self.responses:
            self.check(response)

    def record(self, request: httpx.Request, response: httpx.Response) -> None:
        """Keep a response if the contract has the resource; its body is kept as it is read."""
        import httpx

        from ._schema import find_read

        path = request.url.raw_path.decode("ascii").partition("?")[0]
        if request.method != "GET" or find_read(path) is None:
            return
        kept = httpx.Response(response.status_code, headers=response.headers, request=request)
        self.responses.append(kept)
        raw = bytearray()

        def keep(chunk: bytes) -> None:
            raw.extend(chunk)

        def done() -> None:
            # A body read to its end is decoded as the test's client decodes it.
            full = httpx.Response(
                response.status_code, headers=response.headers, content=bytes(raw), request=request
            )
            self.responses[self.responses.index(kept)] = full

        response.stream = _tee(response.stream, keep, done)


def _tee(stream: Any, keep: Callable[[bytes], None], done: Callable[[], None]) -> Any:
    """Return a stream that passes each chunk on and keeps it."""
    import httpx

    class Tee(httpx.SyncByteStream, httpx.AsyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            for chunk in stream:
                keep(chunk)
                yield chunk
            done()

        async def __aiter__(self) -> Any:
            async for chunk in stream:
                keep(chunk)
                yield chunk
            done()

        def close(self) -> None:
            stream.close()

        async def aclose(self) -> None:
            await stream.aclose()

    return Tee()


@contextmanager
def recording(recorder: Recorder) -> Iterator[None]:
    """Record what every client of httpx receives, whatever its transport."""
    import httpx

    send, send_awaited = httpx.Client.send, httpx.AsyncClient.send

    def sent(self: httpx.Client, request: httpx.Request, **options: Any) -> httpx.Response:
        stream = options.pop("stream", False)
        response = send(self, request, stream=True, **options)
        recorder.record(request, response)
        if not stream:
            response.read()
        return response

    async def awaited(
        self: httpx.AsyncClient, request: httpx.Request, **options: Any
    ) -> httpx.Response:
        stream = options.pop("stream", False)
        response = await send_awaited(self, request, stream=True, **options)
        recorder.record(request, response)
        if not stream:
            await response.aread()
        return response

    with ExitStack() as stack:
        patch = pytest.MonkeyPatch()
        stack.callback(patch.undo)
        patch.setattr(httpx.Client, "send", sent)
        patch.setattr(httpx.AsyncClient, "send", awaited)
        yield


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
