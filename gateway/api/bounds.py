"""Bounds on what decoding a body may cost, looked at before it is decoded.

Decoding text is quick: 4 MiB of it take 20 ms. The same bytes as a million small lists took 2.3 s of the event loop.
So everything of a body besides its texts is bounded apart, by a pass that makes no objects of it.
"""

from __future__ import annotations

import msgspec

from gateway.errors import InvalidRequestError

__all__ = ("MAX_JSON_BYTES", "bound_json", "clipped")

MAX_JSON_BYTES = 256 * 1024
"""Of a body without its prompt, its messages' contents and its texts to embed: tools, schemas, checks, all names."""

MAX_JSON_VALUES = 16 * 1024
"""Values in the same, counted by commas and opening brackets."""

MAX_MESSAGE_CHARS = 400
"""Of an error's message; it may quote what the caller sent."""

_NOTHING = msgspec.Raw(b"")


class _Part(msgspec.Struct, gc=False):
    text: msgspec.Raw = _NOTHING


class _Message(msgspec.Struct, gc=False):
    content: msgspec.Raw = _NOTHING


class _Texts(msgspec.Struct):
    """Where the texts of every route are."""

    prompt: msgspec.Raw = _NOTHING
    input: msgspec.Raw = _NOTHING
    messages: list[_Message] = []


_decoder = msgspec.json.Decoder(_Texts)
_parts_decoder = msgspec.json.Decoder(list[_Part] | None)


def bound_json(body: bytes) -> None:
    """Refuse a body that holds too much besides texts.

    Raises:
        InvalidRequestError: It does.
        msgspec.MsgspecError: It cannot be decoded, as its own type would find too.
    """
    values = _values(body)
    if len(body) <= MAX_JSON_BYTES and values <= MAX_JSON_VALUES:
        return
    texts = _texts(_decoder.decode(body))
    beside = len(body) - sum(map(len, texts))
    if beside > MAX_JSON_BYTES:
        raise _too_much(f"{beside} bytes", f"{MAX_JSON_BYTES} bytes")
    values -= sum(map(_values, texts))
    if values > MAX_JSON_VALUES:
        raise _too_much(f"{values} values", f"{MAX_JSON_VALUES}")


def _texts(found: _Texts) -> list[bytes]:
    """The raw texts of a body: its prompts, its inputs, its messages' contents or the texts of their parts."""
    texts = [bytes(found.prompt), bytes(found.input)]
    for message in found.messages:
        content = bytes(message.content)
        parts = [] if content[:1] in {b"", b'"'} else _parts_decoder.decode(content) or []
        texts += [bytes(part.text) for part in parts] or [content]
    return texts


def _values(data: bytes) -> int:
    return data.count(b",") + data.count(b"[") + data.count(b"{")


def _too_much(found: str, most: str) -> InvalidRequestError:
    message = f"the body has {found} besides its texts, in tools, schemas, names and the like; at most {most}"
    return InvalidRequestError(message, param="body")


def clipped(text: str) -> str:
    """A message of bounded length: its beginning and its end."""
    half = MAX_MESSAGE_CHARS // 2
    return text if len(text) <= MAX_MESSAGE_CHARS else f"{text[:half]}…{text[-half:]}"
