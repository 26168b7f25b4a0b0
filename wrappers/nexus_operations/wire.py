"""A wait in JSON: its bounds, its state and its result, for another process or engine.

The command's resume line and Airflow's trigger are the first users. Nothing here holds a secret.

    state = interruption.states[0]            # what an interrupted call had not ended
    text = json.dumps(state.to_json())
    …
    state = WaitState.from_json(json.loads(text))
    operations.wait_until_done(state)         # polls made and the instant of the start count on
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ._core import checks

if TYPE_CHECKING:
    from ._core.errors import NexusError
    from ._core.models import Operation

__all__ = ["WaitState", "error_from_json", "error_to_json", "result_from_json", "result_to_json"]

Json = dict[str, Any]

KEPT_OF_ERRORS = ("message", "status_code", "retry_after", "transient", "reached", "path")
"""What is kept of an error; `detail` is not, for a body can be large."""


@dataclass(frozen=True, slots=True)
class WaitState:
    """What is known of a wait that has not ended; accepted wherever an operation's id is.

    Attributes:
        op_id: The operation's id.
        started_at: When the wait began, in seconds since the Unix epoch.
        polls: Polls made so far, failed ones included.
        reached: Whether the endpoint was ever reached: such a wait tolerates `max_outage`.

    Raises:
        TypeError, ValueError: For a field that is wrong; the error names it.
    """

    op_id: str
    started_at: float
    polls: int = 0
    reached: bool = False

    def __post_init__(self) -> None:
        checked: Json = {
            "op_id": checks.operation_identifier("state.op_id", self.op_id),
            "started_at": checks.seconds("state.started_at", self.started_at),
            "polls": checks.count("state.polls", self.polls),
            "reached": checks.boolean("state.reached", self.reached),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    def to_json(self) -> Json:
        """Return the state as a JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: object) -> WaitState:
        """Return the state that `to_json` wrote.

        Raises:
            TypeError, ValueError: If it is none; the error names the key.
        """
        given = checks.mapping("state", value)
        if not {"op_id", "started_at"} <= given.keys():
            raise ValueError(
                f"state must be an object with op_id and started_at, not {checks.show(value)}"
            )
        known = ("op_id", "started_at", "polls", "reached")
        return cls(**{name: given[name] for name in known if name in given})


def result_to_json(operation: Operation | None, error: NexusError | None = None) -> Json:
    """Return what a wait ended in as a JSON object.

    Args:
        operation: The operation, or `None` if it was still running at a bound.
        error: The error that ended it, if one did.
    """
    if error is not None:
        operation = getattr(error, "operation", operation)
    result: Json = {"operation": None if operation is None else operation.to_dict()}
    if error is not None:
        result["error"] = error_to_json(error)
    return result


def result_from_json(value: Json) -> Operation | None:
    """Return the operation that `result_to_json` wrote, or `None`; raise the error it wrote.

    Raises:
        NexusError: In its own class, with the operation if it had one.
    """
    from ._core.errors import OperationFailedError
    from ._core.models import Operation

    body, error = value.get("operation"), value.get("error")
    operation = None if body is None else Operation.from_dict(body)
    if error is None:
        return operation
    if operation is not None:
        raise OperationFailedError(operation)
    raise error_from_json(error)


def error_to_json(error: NexusError) -> Json:
    """Return an error as a JSON object, without its `detail`."""
    kept = {name: getattr(error, name, None) for name in KEPT_OF_ERRORS}
    return {"type": type(error).__name__, **kept}


def error_from_json(value: Json) -> NexusError:
    """Return the error that `error_to_json` wrote, in its own class."""
    from ._core import errors

    kind = getattr(errors, str(value.get("type")), None)
    if not (isinstance(kind, type) and issubclass(kind, errors.NexusError)):
        kind = errors.NexusError
    error = kind.__new__(kind)
    options = {name: value.get(name) for name in ("status_code", "retry_after")}
    errors.NexusError.__init__(
        error,
        str(value.get("message", "")),
        transient=value.get("transient"),
        reached=value.get("reached", True),
        **options,
    )
    if value.get("path") is not None:
        vars(error)["path"] = value["path"]
    return error
