from __future__ import annotations

import msgspec

from .. import decoding


class Error(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    repr_omit_defaults=True,
):
    """What went wrong. The service may add keys."""

    message: str
    """What went wrong, for people."""
    code: str | msgspec.UnsetType = msgspec.UNSET
    """What went wrong, in one word; not always sent. The set is open; seen were the values
    listed here.
    """

    @classmethod
    def from_json(cls, content: bytes) -> Error:
        """Decode and validate a JSON document.

        Raises:
            msgspec.ValidationError: If it breaks the contract; the message ends with the JSON path.
            msgspec.DecodeError: If it is not JSON.
        """
        try:
            return _decoder.strict(content)
        except decoding.MALFORMED as error:
            return _decoder.decode_again(content, error)


_decoder: decoding.Decoder[Error] = decoding.Decoder(lambda: Error)
