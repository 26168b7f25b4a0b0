from typing import Annotated

import msgspec


class OperationProgressWithStatus(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    rename={},
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
    def from_json(cls, content: bytes) -> "OperationProgressWithStatus":
        """Decode and validate a JSON document in one pass.

        Raises:
            msgspec.ValidationError: If the document breaks the contract; the message names the JSON path.
            msgspec.DecodeError: If the content is not JSON.
        """
        return _decoder.decode(content)


_decoder = msgspec.json.Decoder(OperationProgressWithStatus)
