import msgspec


class Error(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    rename={},
):
    """What went wrong. The service may add keys."""

    message: str
    """What went wrong, for people."""

    @classmethod
    def from_json(cls, content: bytes) -> "Error":
        """Decode and validate a JSON document in one pass.

        Raises:
            msgspec.ValidationError: If the document breaks the contract; the message names the JSON path.
            msgspec.DecodeError: If the content is not JSON.
        """
        return _decoder.decode(content)


_decoder = msgspec.json.Decoder(Error)
