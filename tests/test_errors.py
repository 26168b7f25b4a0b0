"""The errors as objects."""

from __future__ import annotations

import pickle

import nexus_operations
import pytest
from nexus_operations import (
    BadRequestError,
    InvalidResponseError,
    NetworkConnectionError,
    NexusError,
    Operation,
    OperationFailedError,
    TooManyRequestsError,
)
from nexus_operations._core.errors import error_type

from tests.test_reference_page import BODY

PUBLIC = [getattr(nexus_operations, name) for name in nexus_operations.__all__]
ERRORS = [each for each in PUBLIC if isinstance(each, type) and each.__name__.endswith("Error")]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_all_are_nexus_errors(error: type[Exception]) -> None:
    assert issubclass(error, NexusError)


@pytest.mark.parametrize(
    "error",
    [
        NexusError("a", {"b": 1}),
        TooManyRequestsError("slow down", status_code=429, retry_after=5.0),
        NetworkConnectionError("gone", transient=False, reached=False),
        InvalidResponseError("broken", path="$.id"),
        OperationFailedError(Operation.from_json(BODY.encode())),
    ],
)
def test_they_survive_pickling(error: NexusError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert vars(copy) == vars(error)
    assert str(copy) == str(error)
    assert repr(copy) == repr(error)
    assert copy.args == error.args


def test_the_vendors_constructor_works() -> None:
    error = BadRequestError("wrong", {"message": "wrong"})
    assert (error.message, error.detail) == ("wrong", {"message": "wrong"})
    assert repr(error) == "BadRequestError(message='wrong', detail={'message': 'wrong'})"


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (204, "UnexpectedStatusError"),
        (302, "UnexpectedStatusError"),
        (400, "BadRequestError"),
        (418, "UnexpectedStatusError"),
        (499, "UnexpectedStatusError"),
        (500, "InternalServerError"),
        (503, "ServiceUnavailableError"),
        (599, "InternalServerError"),
        (600, "UnexpectedStatusError"),
    ],
)
def test_the_class_for_a_status(status: int, name: str) -> None:
    assert error_type(status) is getattr(nexus_operations, name)


def test_a_failed_operation_without_a_message() -> None:
    body = BODY.replace('"Operation finished"', '""')
    error = OperationFailedError(Operation.from_json(body.encode()))
    assert str(error) == (
        "Operation op_d52ab4e6-7760-4d12-9c43-7fc1b8ce1616 (nexus.annotations.export) is Finished:"
        " the service gave no message [1 finished, 0 errored, 0 cancelled, of whole operation]"
    )
