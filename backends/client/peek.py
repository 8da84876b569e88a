"""A quick look into an answer: is it JSON at all, does it report an error, which choices has it finished."""

from __future__ import annotations

from typing import Any

import msgspec

from backends.client.mapping import from_error_object
from backends.errors import ProtocolError

__all__ = ("Peek", "PeekedChoice", "peek")


class PeekedChoice(msgspec.Struct):
    """What matters of one choice; everything else is checked for syntax and skipped."""

    index: int = 0
    finish_reason: str | None = None


class Peek(msgspec.Struct):
    """What matters of an answer or an event."""

    error: Any = None
    choices: list[PeekedChoice] | None = None


_decoder = msgspec.json.Decoder(Peek)


def peek(data: bytes, *, secret: str | None) -> Peek:
    """Look into one JSON object.

    Args:
        data: The body of an answer, or the data of an event.
        secret: Our key, kept out of messages.

    Raises:
        ProtocolError: Not a JSON object of that shape.
        UpstreamError: The server reports an error in it.
    """
    try:
        found = _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(f"the answer cannot be read: {error}") from None
    if found.error is not None:
        raise from_error_object(found.error, secret=secret)
    return found
