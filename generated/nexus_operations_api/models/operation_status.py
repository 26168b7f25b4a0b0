from typing import Annotated

import msgspec

from ..models.operation_progress import OperationProgress


class OperationStatus(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    rename={},
):
    """The status of an operation."""

    overview: Annotated[str, msgspec.Meta(min_length=1)]
    """The status in one word. `Finished`, `Cancelled` and `Errored` are terminal. The set
    is open: the service may add values."""
    message: str
    """The status in a sentence, for people."""
    progress: OperationProgress
    """How far the operation has come, counted in `unit`."""

    @classmethod
    def from_json(cls, content: bytes) -> "OperationStatus":
        """Decode and validate a JSON document in one pass.

        Raises:
            msgspec.ValidationError: If the document breaks the contract; the message names the JSON path.
            msgspec.DecodeError: If the content is not JSON.
        """
        return _decoder.decode(content)


_decoder = msgspec.json.Decoder(OperationStatus)
