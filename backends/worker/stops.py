"""Stop strings in text that comes in pieces: no part of one is ever shown."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ("StopFilter",)


class StopFilter:
    """Passes text on, but holds back an end that may turn out to begin a stop string.

    The stop string that is complete first wins, whatever pieces the text comes in; of several that end together, the
    longest.
    """

    __slots__ = ("_held", "_stops", "matched")

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = [stop for stop in stops if stop]
        self._held = ""
        self.matched = False
        """A stop string was found; nothing more will be shown."""

    def feed(self, text: str) -> str:
        """The next piece; returns what can be shown of it and of what was held back."""
        if self.matched or not self._stops:
            return "" if self.matched else text
        text = self._held + text
        found = [(at + len(stop), at) for stop in self._stops if (at := text.find(stop)) >= 0]
        if found:
            self.matched, self._held = True, ""
            return text[: min(found)[1]]
        kept = max(_overlap(text, stop) for stop in self._stops)
        self._held = text[len(text) - kept :]
        return text[: len(text) - kept]

    def flush(self) -> str:
        """The text has ended; returns what was held back."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that begins `stop`."""
    longest = min(len(text), len(stop) - 1)
    return next((n for n in range(longest, 0, -1) if stop.startswith(text[-n:])), 0)
