"""OpenTelemetry: a span a wait, with the requests' spans below it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from nexus_operations import AsyncClient, Client, Fixed, NexusError
from nexus_operations.simulator import Life, Simulator, Trouble

pytest.importorskip("opentelemetry.sdk")

from opentelemetry import trace
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.conftest import PROJECT, SECRET, Driver

WAIT = "nexus_operations.wait"


@pytest.fixture(scope="module")
def exporter() -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    provider = trace.get_tracer_provider()
    if not isinstance(provider, TracerProvider):  # it can be set once in a process
        provider = TracerProvider()
        trace.set_tracer_provider(provider)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return exporter


@pytest.fixture
def spans(exporter: InMemorySpanExporter) -> Iterator[InMemorySpanExporter]:
    exporter.clear()
    yield exporter
    exporter.clear()


def waits(exporter: InMemorySpanExporter) -> list[ReadableSpan]:
    return [span for span in exporter.get_finished_spans() if span.name == WAIT]


def test_one_span_a_wait(nexus: Driver, spans: InMemorySpanExporter) -> None:
    op_id = nexus.service.start(Life(duration=60))
    nexus.wait(op_id)
    (span,) = waits(spans)
    assert dict(span.attributes or {}) == {
        "nexus.operation.id": op_id,
        "nexus.project.id": PROJECT,
        "nexus.polls": nexus.service.request_count,
        "nexus.operation.status": "Finished",
    }
    assert span.status.is_unset


def test_a_failed_wait_says_why(nexus: Driver, spans: InMemorySpanExporter) -> None:
    op_id = nexus.service.start(Life(duration=0, outcome="Errored", message="Disk quota exceeded"))
    with pytest.raises(NexusError):
        nexus.wait(op_id)
    (span,) = waits(spans)
    assert "Disk quota exceeded" in str(span.status.description)
    assert span.events[0].name == "exception"
    assert SECRET not in repr([span.to_json(), span.events])


def test_watching_is_a_wait(nexus: Driver, spans: InMemorySpanExporter) -> None:
    nexus.watch(nexus.service.start(Life(duration=60, items=10)))
    assert len(waits(spans)) == 1


def test_a_fleet_has_one_for_each(nexus: Driver, spans: InMemorySpanExporter) -> None:
    lives = [Life(duration=n, outcome="Errored" if n else "Finished") for n in range(3)]
    ids = [nexus.service.start(life) for life in lives]
    nexus.call("wait_all", ids, on_error="return")
    shown = waits(spans)
    assert sorted((span.attributes or {})["nexus.operation.id"] for span in shown) == sorted(ids)
    assert [span.status.is_unset for span in shown] == [True, False, False]


def test_an_interrupted_wait_ends_its_span(nexus: Driver, spans: InMemorySpanExporter) -> None:
    def stop(_: Any) -> None:
        raise LookupError

    ids = [nexus.service.start(Life(outcome="Running")) for _ in range(3)]
    for method, given in (("wait_until_done", ids[0]), ("wait_all", ids)):
        with pytest.raises(LookupError):
            nexus.call(method, given, progress=stop)
    assert len(waits(spans)) >= 2
    assert all("nexus.operation.status" not in (span.attributes or {}) for span in waits(spans))


@pytest.mark.parametrize("kind", ["sync", "fleet", "abort_event", "async"])
def test_requests_are_below_their_wait(
    kind: str,
    nexus_simulator: Simulator,
    spans: InMemorySpanExporter,
) -> None:
    import threading

    op_id = nexus_simulator.start(Life(duration=0.2))
    nexus_simulator.trouble(Trouble(kind="overview", overview="Running"), op_id=op_id)
    options: dict[str, Any] = {"schedule": Fixed(0.1)}

    async def awaited() -> None:
        async with AsyncClient(SECRET, endpoint=nexus_simulator.endpoint) as client:
            await client.get_project(PROJECT).operations.wait_until_done(op_id, **options)

    HTTPXClientInstrumentor().instrument()
    try:
        with trace.get_tracer("test").start_as_current_span("caller"):
            if kind == "async":
                asyncio.run(awaited())
            else:
                with Client(SECRET, endpoint=nexus_simulator.endpoint) as client:
                    operations = client.get_project(PROJECT).operations
                    if kind == "fleet":
                        operations.wait_all([op_id], **options)
                    else:
                        event = threading.Event() if kind == "abort_event" else None
                        operations.wait_until_done(op_id, abort_event=event, **options)
    finally:
        HTTPXClientInstrumentor().uninstrument()
    (span,) = waits(spans)
    finished = spans.get_finished_spans()
    (caller,) = [each for each in finished if each.name == "caller"]
    assert span.parent is not None
    assert span.parent.span_id == caller.context.span_id
    requests = [each for each in finished if each not in (span, caller)]
    assert len(requests) >= 2
    assert {each.parent.span_id for each in requests if each.parent} == {span.context.span_id}
    assert SECRET not in "".join(each.to_json() for each in finished)


def test_the_library_does_not_import_it() -> None:
    program = "import sys, nexus_operations; print('opentelemetry' in sys.modules)"
    printed = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert printed.stdout.strip() == "False"
