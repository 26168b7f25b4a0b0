from __future__ import annotations

from typing import Annotated

import msgspec

from .. import decoding


class OperationStatus(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    repr_omit_defaults=True,
):
    """The status of an operation."""

    overview: Annotated[str, msgspec.Meta(min_length=1)]
    """The status in one word. `Finished`, `Cancelled` and `Errored` are terminal. The set
    is open: the service may add values.
    """
    message: str
    """The status in a sentence, for people."""
    progress: OperationProgress
    """How far the operation has come, counted in `unit`."""
    payload: str | msgspec.UnsetType = msgspec.UNSET
    """What came of it, for people; sent by some operations that have ended."""

    @classmethod
    def from_json(cls, content: bytes) -> OperationStatus:
        """Decode and validate a JSON document.

        Raises:
            msgspec.ValidationError: If it breaks the contract; the message ends with the JSON path.
            msgspec.DecodeError: If it is not JSON.
        """
        try:
            return _decoder.strict(content)
        except decoding.MALFORMED as error:
            return _decoder.decode_again(content, error)


_decoder: decoding.Decoder[OperationStatus] = decoding.Decoder(lambda: OperationStatus)

from ..models.operation_progress import OperationProgress
