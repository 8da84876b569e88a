"""The limit that predictions are held against, so that what really happens keeps a promise.

Predictions err: an upper quantile may be exceeded more often than its name says, or less. Whatever the cause, each
answer that breaks the promise moves the limit down by a step, and each that keeps it up by a small part of one, in
the proportion that balances at the share aimed at. This is integral control; as adaptive conformal inference it is
shown to bring the long-run share to its aim without any assumption on the predictions, the error being at most
(range + step) / (step * answers) (Gibbs and Candes, 2021).
"""

from __future__ import annotations

import math

__all__ = ("HeldLimit",)

STEP = 0.2
"""Of the logarithm of the limit, for one answer that breaks the promise."""

LEAST_AIM = 0.01
"""Share aimed at where none may be late: without it one late answer would tighten the limit for ever."""

TIGHTEST, LOOSEST = math.log(0.2), math.log(2.0)
"""Range of the logarithm: predictions that are further off than this are not to be put right here."""


class HeldLimit:
    """One limit. Mutable, and pure."""

    def __init__(self, promised: float) -> None:
        self._promised = promised
        self._log = 0.0

    def value(self, *, spare: float) -> float:
        """What a prediction is held against now; never above the promise while no answer may break it.

        Args:
            spare: Share of the coming answers that may.
        """
        return self._promised * math.exp(self._log if spare > 0.0 else min(0.0, self._log))

    def broke(self, value: float) -> bool:
        """Whether an answer broke the promise."""
        return value > self._promised

    def learn(self, value: float, *, spare: float) -> None:
        """An answer has taken so long."""
        moved = self._log + STEP * (max(spare, LEAST_AIM) - self.broke(value))
        self._log = min(LOOSEST, max(TIGHTEST, moved))
