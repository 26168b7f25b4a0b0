import msgspec

from ..models.operation_progress_with_status import OperationProgressWithStatus


class OperationProgress(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    rename={
        "with_status": "withStatus",
    },
):
    """How far the operation has come, counted in `unit`."""

    unit: str
    """What the counts count, for example `whole operation`."""
    with_status: OperationProgressWithStatus
    """The number of units in each status."""

    @classmethod
    def from_json(cls, content: bytes) -> "OperationProgress":
        """Decode and validate a JSON document in one pass.

        Raises:
            msgspec.ValidationError: If the document breaks the contract; the message names the JSON path.
            msgspec.DecodeError: If the content is not JSON.
        """
        return _decoder.decode(content)


_decoder = msgspec.json.Decoder(OperationProgress)
