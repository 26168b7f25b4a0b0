"""What an `Operation` has beyond the documented fields, and how it shows in a notebook."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from nexus_operations import Operation, OperationProgress, OperationProgressWithStatus
from nexus_operations import OperationStatus as Status

NONE = dict.fromkeys(("Queued", "Running", "Finished", "Cancelled", "Errored"), 0)


def operation(overview: str = "Running", **changes: Any) -> Operation:
    counts = changes.pop("counts", {"Running": 1})
    progress = OperationProgress(
        unit=changes.pop("unit", "assets"),
        with_status=OperationProgressWithStatus(**{**NONE, **counts}),
    )
    fields = {
        "id": "op_1",
        "kind": "nexus.annotations.export",
        "create_date": 1701927649302,
        "update_date": 1701927650000,
        "status": Status(
            overview=overview, message=changes.pop("message", "Operation runs"), progress=progress
        ),
    }
    return Operation(**{**fields, **changes})


@pytest.mark.parametrize(
    ("overview", "done"),
    [
        ("Queued", False),
        ("Running", False),
        ("Finished", True),
        ("Cancelled", True),
        ("Errored", True),
        ("Paused", False),
    ],
)
def test_is_done(overview: str, done: bool) -> None:
    assert operation(overview).is_done is done


@pytest.mark.parametrize(
    ("overview", "counts", "fraction"),
    [
        ("Running", {"Queued": 5, "Running": 2, "Finished": 3}, 0.3),
        ("Running", {"Running": 2, "Finished": 1, "Errored": 2, "Cancelled": 3}, 0.75),
        ("Running", {}, 0.0),
        ("Finished", {"Finished": 1}, 1.0),
        ("Finished", {}, 1.0),
        ("Errored", {"Finished": 1, "Queued": 3}, 0.25),
    ],
)
def test_fraction_done(overview: str, counts: dict[str, int], fraction: float) -> None:
    assert operation(overview, counts=counts).fraction_done == fraction


def test_dates_are_aware_datetimes() -> None:
    shown = operation()
    assert shown.created_at == datetime(2023, 12, 7, 5, 40, 49, 302000, tzinfo=UTC)
    assert shown.updated_at == datetime(2023, 12, 7, 5, 40, 50, tzinfo=UTC)


def test_the_repr_and_the_json_are_those_of_the_documented_fields() -> None:
    shown = operation()
    assert repr(shown).startswith("Operation(id='op_1', kind='nexus.annotations.export', status=")
    assert "is_done" not in repr(shown)
    assert Operation.from_json(msgspec.json.encode(shown)) == shown
    assert pickle.loads(pickle.dumps(shown)) == shown


def test_it_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        operation().id = "op_2"  # type: ignore[misc]


class TestNotebookView:
    def test_it_shows_status_progress_and_dates(self) -> None:
        page = operation(counts={"Running": 1, "Finished": 3})._repr_html_()
        for shown in ("op_1", "Running", "75%", 'value="0.7500"', "2023-12-07 05:40:49 UTC"):
            assert shown in page
        assert "3 Finished" in page
        assert "Cancelled" not in page

    def test_nothing_of_the_service_becomes_markup(self) -> None:
        evil = "<script>alert(1)</script>"
        page = operation(evil, id=evil, kind=evil, message=evil, unit=evil)._repr_html_()
        assert "<script" not in page
        assert page.count("&lt;script&gt;") == 5

    def test_a_date_that_no_calendar_has(self) -> None:
        assert str(2**62) in operation(update_date=2**62)._repr_html_()
