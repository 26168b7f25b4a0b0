from typing import Annotated

import msgspec

from ..models.operation_status import OperationStatus


class Operation(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    rename={
        "create_date": "createDate",
        "update_date": "updateDate",
    },
):
    """A long-running job and how far it has come."""

    id: Annotated[str, msgspec.Meta(min_length=1)]
    """The id of the operation."""
    kind: str
    """What the operation does, for example `nexus.annotations.export`."""
    status: OperationStatus
    """The status of an operation."""
    create_date: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    """When the operation was created, in milliseconds since the Unix epoch."""
    update_date: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    """When the operation last changed, in milliseconds since the Unix epoch."""

    @classmethod
    def from_json(cls, content: bytes) -> "Operation":
        """Decode and validate a JSON document in one pass.

        Raises:
            msgspec.ValidationError: If the document breaks the contract; the message names the JSON path.
            msgspec.DecodeError: If the content is not JSON.
        """
        return _decoder.decode(content)


_decoder = msgspec.json.Decoder(Operation)
