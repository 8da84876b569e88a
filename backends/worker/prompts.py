"""From a prompt to tokens, so that what a user writes cannot pose as part of the chat template."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from backends.worker.engine import Tokenizer
from backends.worker.errors import RequestError
from backends.worker.messages import Turn

__all__ = ("encode_prompt",)

_PRIVATE_USE = range(0xE000, 0xF900)


def encode_prompt(tokenizer: Tokenizer, prompt: str | Sequence[Turn]) -> list[int]:
    """Tokens of a raw prompt or of a conversation.

    In a conversation, a control token spelled out in a message (`<|im_end|>`) is encoded as ordinary text: the
    rendered prompt is cut inside it, and the parts are encoded one by one. A raw prompt is the caller's own template,
    so there control tokens keep their meaning.

    Raises:
        RequestError: The model's template does not take such a conversation.
    """
    if isinstance(prompt, str):
        return tokenizer.encode(prompt)
    texts = [turn.content for turn in prompt]
    spelled = [token for token in tokenizer.control_tokens if any(token in text for text in texts)]
    if not spelled:
        return tokenizer.encode(_render(tokenizer, prompt))
    cut = _unused_character("".join(texts))
    marked = [msgspec.structs.replace(turn, content=_mark(turn.content, spelled, cut)) for turn in prompt]
    return [token for part in _render(tokenizer, marked).split(cut) if part for token in tokenizer.encode(part)]


def _render(tokenizer: Tokenizer, turns: Sequence[Turn]) -> str:
    try:
        return tokenizer.render(turns)
    except Exception as error:
        # Templates raise errors of their own, as on roles that do not alternate.
        raise RequestError(f"the model's chat template refuses the messages: {error}", param="messages") from error


def _mark(text: str, tokens: Sequence[str], cut: str) -> str:
    for token in tokens:
        text = text.replace(token, token[0] + cut + token[1:])
    return text


def _unused_character(text: str) -> str:
    used = set(text)
    return next(chr(code) for code in _PRIVATE_USE if chr(code) not in used)
