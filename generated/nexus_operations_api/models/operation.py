from __future__ import annotations

from typing import Annotated

import msgspec

from .. import decoding


class Operation(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    repr_omit_defaults=True,
    rename={
        "create_date": "createDate",
        "update_date": "updateDate",
        "object_": "object",
    },
):
    """A long-running job and how far it has come."""

    id: Annotated[str, msgspec.Meta(min_length=1)]
    """The id of the operation."""
    kind: str
    """What the operation does. The set is open; seen were the values listed here."""
    status: OperationStatus
    """The status of an operation."""
    create_date: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    """When the operation was created, in milliseconds since the Unix epoch."""
    update_date: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    """When the operation last changed, in milliseconds since the Unix epoch."""
    object_: str | msgspec.UnsetType = msgspec.UNSET
    """What kind of thing this is, `operation`; not always sent."""

    @classmethod
    def from_json(cls, content: bytes) -> Operation:
        """Decode and validate a JSON document.

        Raises:
            msgspec.ValidationError: If it breaks the contract; the message ends with the JSON path.
            msgspec.DecodeError: If it is not JSON.
        """
        try:
            return _decoder.strict(content)
        except decoding.MALFORMED as error:
            return _decoder.decode_again(content, error)


_decoder: decoding.Decoder[Operation] = decoding.Decoder(lambda: Operation)

from ..models.operation_status import OperationStatus
