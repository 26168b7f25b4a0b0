"""One OpenTelemetry span a wait, where the application has loaded OpenTelemetry.

The library neither depends on it nor imports it: a program that traces has imported
`opentelemetry.trace` to say where spans go. Its httpx instrumentation then puts a span for each
request under the wait's.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Generator
from contextlib import AbstractContextManager
from typing import Any, Protocol

from .._core.poller import Done, Fail, Poller
from .._version import __version__

SPAN = "nexus_operations.wait"

_nothing: AbstractContextManager[None] = contextlib.nullcontext()


class Traced(Protocol):
    """A wait: its operation, what decides, and its span."""

    op_id: str
    poller: Poller
    span: Any


def polling(wait: Traced, project_id: str) -> AbstractContextManager[None]:
    """Make the wait's span the current one for a poll; end it with the wait."""
    trace = sys.modules.get("opentelemetry.trace")
    return _nothing if trace is None else _polling(trace, wait, project_id)


@contextlib.contextmanager
def _polling(trace: Any, wait: Traced, project_id: str) -> Generator[None]:
    if wait.span is None:
        attributes = {"nexus.operation.id": wait.op_id, "nexus.project.id": project_id}
        tracer = trace.get_tracer("nexus_operations", __version__)
        wait.span = tracer.start_span(SPAN, attributes=attributes)
    options = {"record_exception": False, "set_status_on_exception": False}
    try:
        with trace.use_span(wait.span, end_on_exit=False, **options):
            yield
    except BaseException:
        end(wait)
        raise
    if not wait.poller.pending:
        end(wait)


def end(wait: Traced) -> None:
    """End the wait's span, if it has one: the wait is over or was interrupted."""
    span, wait.span = wait.span, None
    if span is None:
        return
    step = wait.poller.step
    span.set_attribute("nexus.polls", wait.poller.polls)
    if isinstance(step, Done):
        span.set_attribute("nexus.operation.status", step.operation.status.overview)
    elif isinstance(step, Fail):
        span.record_exception(step.error)
        trace: Any = sys.modules["opentelemetry.trace"]
        span.set_status(trace.Status(trace.StatusCode.ERROR, str(step.error)))
    span.end()
