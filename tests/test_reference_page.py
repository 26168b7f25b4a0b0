"""The reference page, as printed: examples, signatures, return values, repr."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import msgspec
import nexus_operations
import pytest
from nexus_operations import AsyncOperations, BadRequestError, Operation, Operations
from nexus_operations.simulator import Life, Simulator, Trouble

PUBLIC = {name: getattr(nexus_operations, name) for name in nexus_operations.__all__}
PAGE = (Path(__file__).parent / "reference_page.txt").read_text()
EXAMPLES = re.findall(
    r"^(from datature\.nexus import Client\n.*?)(?=^wait_until_done$|^Updated )",
    PAGE,
    re.MULTILINE | re.DOTALL,
)
PRINTED = re.findall(r"^Operation\(\n.*?^update_date=\d+\n\)$", PAGE, re.MULTILINE | re.DOTALL)
PROJECT = "proj_b705a........"
OP_ID = "op_508fc5d1-e908-486d-9e7b-1dca99b80024"
PRINTED_ID = "op_d52ab4e6-7760-4d12-9c43-7fc1b8ce1616"
BODY = """{"id": "op_d52ab4e6-7760-4d12-9c43-7fc1b8ce1616", "kind": "nexus.annotations.export",
 "status": {"overview": "Finished", "message": "Operation finished", "progress": {
 "unit": "whole operation", "withStatus": {
 "Queued": 0, "Running": 0, "Finished": 1, "Cancelled": 0, "Errored": 0}}},
 "createDate": 1701927649302, "updateDate": 1701927649302}"""


def stripped(text: str) -> list[str]:
    """Return lines without their indentation, which the page has lost."""
    return [line.strip() for line in text.splitlines()]


def test_the_page_has_what_these_tests_look_for() -> None:
    assert len(EXAMPLES) == len(PRINTED) == 2


@pytest.mark.parametrize("example", EXAMPLES, ids=["get", "wait_until_done"])
def test_an_example_runs_with_only_its_import_changed(
    example: str, nexus_simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    nexus_simulator.start(project_id=PROJECT, op_id=OP_ID)
    answer = BODY.replace(PRINTED_ID, OP_ID)  # a client refuses what answers another question
    nexus_simulator.trouble(Trouble(kind="body", body=answer), op_id=OP_ID)
    monkeypatch.setenv("DATATURE_API_BASE_URL", nexus_simulator.endpoint)
    first_line, rest = example.split("\n", 1)
    assert first_line == "from datature.nexus import Client"
    setup, call = rest.strip().split("\n", 1)
    namespace: dict[str, object] = {}
    exec(f"from nexus_operations import Client\n{setup}", namespace)
    operation = eval(call, namespace)
    assert isinstance(operation, msgspec.Struct)
    assert isinstance(operation, Operation)
    assert stripped(repr(operation)) == PRINTED[0].replace(PRINTED_ID, OP_ID).splitlines()


@pytest.mark.parametrize("printed", PRINTED)
def test_repr_is_the_pages_line_for_line(printed: str) -> None:
    operation = Operation.from_json(BODY.encode())
    assert stripped(repr(operation)) == printed.splitlines()
    depth = 0
    for line in repr(operation).splitlines():
        depth -= line.strip(" ,") == ")"
        assert len(line) - len(line.lstrip()) == 4 * depth
        depth += line.endswith("(")


def test_repr_is_code_that_gives_an_equal_operation() -> None:
    operation = Operation.from_json(BODY.encode())
    assert eval(repr(operation), PUBLIC) == operation
    assert eval(PRINTED[0], PUBLIC) == operation


def test_parts_of_an_operation_print_alone_on_one_line() -> None:
    operation = Operation.from_json(BODY.encode())
    assert repr(operation.status).startswith("OperationStatus(overview='Finished', message=")
    assert "\n" not in repr(operation.status)


@pytest.mark.parametrize("operations", [Operations, AsyncOperations])
def test_parameters_and_defaults_are_the_pages(operations: type) -> None:
    parameters = list(inspect.signature(operations.wait_until_done).parameters.values())[1:4]
    assert [p.name for p in parameters] == ["op_id", "timeout", "raise_exception_if"]
    assert [p.default for p in parameters[1:]] == [36000, "Errored"]
    assert all(p.kind is p.POSITIONAL_OR_KEYWORD for p in parameters)
    assert list(inspect.signature(operations.get).parameters) == ["self", "op_id"]


def test_an_errored_operation_is_a_bad_request_error(
    nexus_simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    nexus_simulator.start(Life(duration=0, outcome="Errored"), project_id=PROJECT, op_id=OP_ID)
    monkeypatch.setenv("DATATURE_API_BASE_URL", nexus_simulator.endpoint)
    with pytest.raises(BadRequestError):
        exec(EXAMPLES[1].replace("datature.nexus", "nexus_operations"), {})


def test_a_running_operation_is_none(
    nexus_simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nexus_operations import Client

    nexus_simulator.start(Life(outcome="Running"), project_id=PROJECT, op_id=OP_ID)
    monkeypatch.setenv("DATATURE_API_BASE_URL", nexus_simulator.endpoint)
    with Client("5aa41e8ba........") as client:
        assert client.get_project(PROJECT).operations.wait_until_done(OP_ID, 1, "Errored") is None
