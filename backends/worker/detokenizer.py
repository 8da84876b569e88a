"""Text out of tokens as they come, never half a character."""

from __future__ import annotations

from collections.abc import Sequence

from backends.worker.engine import Tokenizer

__all__ = ("Detokenizer", "decode_together")

_INCOMPLETE = "\ufffd"


class Detokenizer:
    """The tokens of one answer, and how much of them was already turned into text.

    What is new is the difference between two decodings that start a few tokens back: some tokenizers join tokens
    differently at the start of a text than inside it. Both start where a character began.
    """

    __slots__ = ("_ids", "_shown", "_start")

    def __init__(self) -> None:
        self._ids: list[int] = []
        self._start = 0
        self._shown = 0

    def windows(self, new_ids: Sequence[int]) -> tuple[list[int], list[int]]:
        """Take new tokens; the tokens to decode before and after them."""
        self._ids.extend(new_ids)
        return self._ids[self._start : self._shown], self._ids[self._start :]

    def advance(self, before: str, after: str, *, last: bool) -> str:
        """The text to show, given the decoded windows; all that is left when this was the last time."""
        if len(after) <= len(before) or (after.endswith(_INCOMPLETE) and not last):
            return ""
        self._start, self._shown = self._shown, len(self._ids)
        return after[len(before) :]


def decode_together(tokenizer: Tokenizer, added: Sequence[tuple[Detokenizer, Sequence[int], bool]]) -> list[str]:
    """New text of several answers, with one call of the tokenizer.

    Args:
        tokenizer: The model's.
        added: Per answer its state, its new tokens, and whether they are its last.
    """
    windows = [window for state, ids, _ in added for window in state.windows(ids)]
    decoded = iter(tokenizer.decode([window for window in windows if window]))
    texts = [next(decoded) if window else "" for window in windows]
    return [state.advance(texts[2 * i], texts[2 * i + 1], last=last) for i, (state, _, last) in enumerate(added)]
