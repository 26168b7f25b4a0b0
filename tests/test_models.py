"""What an `Operation` has beyond the documented fields, and how it shows in a notebook."""

from __future__ import annotations

import json
import pickle
import re
from datetime import UTC, datetime
from typing import Any

import msgspec
import nexus_operations
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nexus_operations import Operation, OperationProgress, OperationProgressWithStatus
from nexus_operations import OperationStatus as Status
from nexus_operations._core.statuses import KNOWN_STATUSES, STATUSES, TERMINAL_STATUSES, status_of
from nexus_operations._core.text import escape_text, is_unsafe

PUBLIC = {name: getattr(nexus_operations, name) for name in nexus_operations.__all__}
NONE = dict.fromkeys(("Queued", "Running", "Finished", "Cancelled", "Errored"), 0)


def operation(overview: str = "Running", **changes: Any) -> Operation:
    counts = changes.pop("counts", {"Running": 1})
    progress = OperationProgress(
        unit=changes.pop("unit", "asset"),
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


class TestKeys:
    """Fields are keys, too, in both spellings, on every struct."""

    def test_both_spellings(self) -> None:
        shown = operation(counts={"Finished": 3})
        assert shown["createDate"] == shown["create_date"] == shown.create_date
        assert shown["status"] is shown.status
        progress = shown["status"]["progress"]
        assert progress["withStatus"] is progress["with_status"] is progress.with_status
        assert progress["with_status"]["Finished"] == 3

    def test_get(self) -> None:
        shown = operation()
        assert shown.get("updateDate") == shown.update_date
        assert shown.status.get("overview") == "Running"
        assert shown.get("colour") is None
        assert shown.status.progress.with_status.get("Lost", 7) == 7

    @pytest.mark.parametrize("key", ["colour", "", "is_done", "to_dict", "__class__"])
    def test_only_fields_are_keys(self, key: str) -> None:
        assert key not in operation()
        with pytest.raises(KeyError):
            operation()[key]

    def test_what_can_be_asked_is_a_name(self) -> None:
        assert "status" in operation()
        assert 0 not in operation()
        with pytest.raises(TypeError, match="names of fields"):
            list(operation())  # type: ignore[call-overload]


class TestConversion:
    def test_to_json_and_back(self) -> None:
        shown = operation(message="完了 \u202e")
        assert shown.to_dict()["status"]["progress"]["withStatus"] == {**NONE, "Running": 1}
        assert set(shown.to_dict()) == {"id", "kind", "status", "createDate", "updateDate"}
        assert json.loads(shown.to_json()) == shown.to_dict()
        assert shown.to_json().isascii()
        assert Operation.from_json(shown.to_json().encode()) == shown
        assert Operation.from_dict(shown.to_dict()) == shown
        assert shown.status.to_dict() == shown.to_dict()["status"]
        assert pickle.loads(pickle.dumps(shown)) == shown

    def test_what_breaks_the_contract_is_refused_with_its_path(self) -> None:
        body = operation().to_dict()
        body["status"]["progress"]["withStatus"]["Queued"] = -1
        path = r"\$\.status\.progress\.withStatus\.Queued"
        with pytest.raises(msgspec.ValidationError, match=path):
            Operation.from_dict(body)
        with pytest.raises(msgspec.ValidationError, match=path):
            Operation.from_json(json.dumps(body).encode())

    def test_what_the_service_may_leave_out(self) -> None:
        body = operation("Finished", counts={"Finished": 1}).to_dict()
        assert "object" not in Operation.from_dict(body)
        body["object"] = "operation"
        body["status"]["payload"] = "Number of files imported: 1"
        shown = Operation.from_dict(body)
        assert shown["object"] == "operation"
        assert shown["status"]["payload"].endswith(": 1")
        assert shown.to_dict() == body
        lines = [line.strip(" ,") for line in repr(shown).splitlines()]
        assert "payload='Number of files imported: 1'" in lines
        assert eval(repr(shown), PUBLIC) == shown
        assert "payload" not in repr(operation())

    def test_every_part_is_of_the_documented_class(self) -> None:
        parts = Operation.from_json(operation().to_json().encode())
        assert type(parts.status) is Status
        assert type(parts.status.progress) is OperationProgress
        assert type(parts.status.progress.with_status) is OperationProgressWithStatus


class TestStatuses:
    """One table of statuses."""

    def test_the_names_are_the_contracts(self) -> None:
        assert tuple(STATUSES) == KNOWN_STATUSES == OperationProgressWithStatus.__struct_fields__
        assert {"Finished", "Cancelled", "Errored"} == TERMINAL_STATUSES

    def test_an_unknown_one_is_not_terminal(self) -> None:
        unknown = status_of("Paused")
        assert (unknown.name, unknown.terminal, unknown.unsuccessful) == ("Paused", False, False)


class TestText:
    """Text from outside, on one line, without what could steer a terminal, a log or a CI system."""

    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("Operation finished", "Operation finished"),
            ("完了 é ✓ \U0001f468\u200d\U0001f469", "完了 é ✓ \U0001f468\u200d\U0001f469"),
            ("a\nb\r\tc", r"a\nb\r\tc"),
            ("\x1b[31mred\x07\x9b", r"\x1b[31mred\x07\x9b"),
            ("\u202eabc\u2066\u200f", r"\u202eabc\u2066\u200f"),
            ("\u2028\u2029\u0085", r"\u2028\u2029\x85"),
            ("half \ud800", r"half \ud800"),
            ("::error::forged", r"\x3a:error::forged"),
            ("  ::warning::x", r"  \x3a:warning::x"),
            ("a::b", "a::b"),
            ("x ##vso[task.complete] ###", r"x #\x23vso[task.complete] #\x23\x23"),
            ("", ""),
        ],
    )
    def test_it_is_escaped(self, text: str, shown: str) -> None:
        assert escape_text(text) == shown

    @given(st.text(st.characters()))
    def test_nothing_unsafe_is_left(self, text: str) -> None:
        shown = escape_text(text)
        assert not any(is_unsafe(character) for character in shown)
        assert len(shown.splitlines()) <= 1
        assert "##" not in shown
        assert not shown.lstrip().startswith("::")
        shown.encode()


def test_it_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        operation().id = "op_2"  # type: ignore[misc]


class TestNotebookView:
    def test_it_shows_status_progress_and_dates(self) -> None:
        page = operation(counts={"Running": 1, "Finished": 3})._repr_html_()
        for shown in ("op_1", "Running", 'aria-valuenow="75"', "2023-12-07 05:40:49 UTC"):
            assert shown in page
        assert "3 Finished" in page
        assert "Cancelled" not in page

    def test_nothing_of_the_service_becomes_markup(self) -> None:
        evil = "<script>alert(1)</script>"
        page = operation(evil, id=evil, kind=evil, message=evil, unit=evil)._repr_html_()
        assert "<script" not in page
        assert page.count("&lt;script&gt;") == 5

    def test_it_takes_the_cells_width_and_the_themes_text_colour(self) -> None:
        page = operation()._repr_html_()
        assert page.count("width:100%") >= 2
        assert set(re.findall(r"[^-]color:([^;\"]+)", page)) == {"#fff"}  # on the badge alone

    def test_a_date_that_no_calendar_has(self) -> None:
        assert str(2**62) in operation(update_date=2**62)._repr_html_()
