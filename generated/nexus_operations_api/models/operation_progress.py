from __future__ import annotations

import msgspec

from .. import decoding


class OperationProgress(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    repr_omit_defaults=True,
    rename={
        "with_status": "withStatus",
    },
):
    """How far the operation has come, counted in `unit`."""

    unit: str
    """What the counts count. The set is open; seen were the values listed here."""
    with_status: OperationProgressWithStatus
    """The number of units in each status."""

    @classmethod
    def from_json(cls, content: bytes) -> OperationProgress:
        """Decode and validate a JSON document.

        Raises:
            msgspec.ValidationError: If it breaks the contract; the message ends with the JSON path.
            msgspec.DecodeError: If it is not JSON.
        """
        try:
            return _decoder.strict(content)
        except decoding.MALFORMED as error:
            return _decoder.decode_again(content, error)


_decoder: decoding.Decoder[OperationProgress] = decoding.Decoder(
    lambda: OperationProgress
)

from ..models.operation_progress_with_status import OperationProgressWithStatus
