from __future__ import annotations

from typing import Annotated

import msgspec

from .. import decoding


class OperationProgressWithStatus(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    repr_omit_defaults=True,
):
    """The number of units in each status."""

    Queued: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    """Units that have not begun."""
    Running: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    """Units under way."""
    Finished: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    """Units that are done."""
    Cancelled: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    """Units that were cancelled."""
    Errored: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    """Units that failed."""

    @classmethod
    def from_json(cls, content: bytes) -> OperationProgressWithStatus:
        """Decode and validate a JSON document.

        Raises:
            msgspec.ValidationError: If it breaks the contract; the message ends with the JSON path.
            msgspec.DecodeError: If it is not JSON.
        """
        try:
            return _decoder.strict(content)
        except decoding.MALFORMED as error:
            return _decoder.decode_again(content, error)


_decoder: decoding.Decoder[OperationProgressWithStatus] = decoding.Decoder(
    lambda: OperationProgressWithStatus
)
