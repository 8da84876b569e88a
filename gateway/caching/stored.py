"""An answer as it is kept: what was said, who said it, how good that is; and its bytes.

The bytes begin with a mark of their version and the quality as eight fixed characters, so that Redis can tell the
better of two answers without reading the rest.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from backends.protocol import Usage
from policies.objective import Ratio

__all__ = ("HEAD_BYTES", "MARK", "Said", "StoredAnswer", "decoded", "encoded", "ranked")

MARK = b"A2"
"""Version of the format; bytes that begin otherwise are no answer."""

HEAD_BYTES = len(MARK) + len("0.000000")

Count = Annotated[int, Meta(ge=0)]


class Said(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One choice of an answer."""

    index: Count
    texts: dict[str, str]
    """Text by the name of its field: `content` of a chat, `text` of a completion, and whatever else was text."""
    finish_reason: str


class StoredAnswer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One complete answer."""

    tenant: str
    """Whose it is; it is nobody else's."""
    decision_id: str
    """Of the request that it was made for."""
    variant: str
    """Who gave it."""
    quality: Ratio | None
    """Predicted when it was made; None where nothing could be, which keeps no floor."""
    quality_se: Annotated[float, Meta(ge=0)] = 0.0
    """Standard error of the predicted quality."""
    accuracy: Ratio
    """How much accuracy counted where it was made."""
    made_at_s: float
    """Unix time."""
    said: tuple[Said, ...]
    prompt_tokens: Count
    completion_tokens: Count
    fingerprint: str | None = None
    """The `system_fingerprint` that its server told."""

    @property
    def usage(self) -> Usage:
        """Tokens it took."""
        prompt, completion = self.prompt_tokens, self.completion_tokens
        return Usage(prompt_tokens=prompt, completion_tokens=completion, total_tokens=prompt + completion)


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(StoredAnswer)


def ranked(answer: StoredAnswer) -> bytes:
    """The quality as it stands in the head; an unknown one is below every other."""
    return b"%.6f" % (answer.quality or 0.0)


def encoded(answer: StoredAnswer) -> bytes:
    """Its bytes."""
    return MARK + ranked(answer) + _encoder.encode(answer)


def decoded(data: bytes) -> StoredAnswer | None:
    """The answer that the bytes are; None where they are none, whatever else they may be."""
    if not data.startswith(MARK):
        return None
    try:
        return _decoder.decode(memoryview(data)[HEAD_BYTES:])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
