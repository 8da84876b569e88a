"""How long an answer takes: the parts of `policies.estimators.times`, each with the weight that the log gives it.

A time is a sum of parts with weights of at least 0, one set for the median and one for the upper quantile. So it
never falls when the queue or the prompt grows, follows a variant whose card is measured anew, and comes down to the
card's own estimate where the weights are the card's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from policies.estimators.artifact import Artifact, checked
from policies.estimators.corrections import TimeFactors
from policies.estimators.times import Parts

__all__ = ("CARD", "CARD_TPOT", "CARD_TTFT", "KIND", "LatencyModel", "Times", "tpot_terms", "ttft_terms")

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

KIND = "latency"

CARD_TTFT = (1.0, 1.0, 1.0, 0.0, 0.0)
CARD_TPOT = (1.0, 1.0, 0.0, 0.0)
"""The weights with which the terms come to the card's estimate."""

_KILO = 1e-3
_WAITS = 2
"""The first so many of `ttft_terms` are waiting: for a start, and for requests ahead."""


class Times(NamedTuple):
    """Seconds, one entry per asked variant."""

    wait_s: F64
    """Of the median TTFT what passes before the variant works on the request: nobody pays for it."""
    ttft_s: F64
    ttft_high_s: F64
    tpot_s: F64
    latency_s: F64
    latency_high_s: F64


class LatencyModel(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The weights of one fit for k variants, followed by those of the card."""

    names: tuple[str, ...]
    ttft: F32
    """Weights of `ttft_terms` for the median and the upper quantile; shape (2, 5, k + 1)."""
    tpot: F32
    """Weights of `tpot_terms`, likewise; shape (2, 4, k + 1)."""
    stretch: F32
    """Brings the upper quantile of the whole latency to its level; shape (k + 1,)."""

    @classmethod
    def from_artifact(cls, artifact: Artifact) -> Self:
        """Check the arrays and keep them.

        Raises:
            ArtifactError: One is missing, misshapen or out of range.
        """
        k = len(artifact.variants)
        return cls(
            names=artifact.variants,
            ttft=_with_card(checked(artifact, "ttft", shape=(2, len(CARD_TTFT), k), low=0.0, high=1e3), CARD_TTFT),
            tpot=_with_card(checked(artifact, "tpot", shape=(2, len(CARD_TPOT), k), low=0.0, high=1e3), CARD_TPOT),
            stretch=np.append(checked(artifact, "stretch", shape=(k,), low=1e-2, high=1e2), np.float32(1.0)),
        )

    def predict(
        self,
        parts: Sequence[Parts],
        *,
        prompt_tokens: float,
        variants: Sequence[int | None],
        median_tokens: F64,
        high_tokens: F64,
        corrected: Sequence[TimeFactors] | None = None,
    ) -> Times:
        """The times of some variants.

        Args:
            parts: Of each variant asked for; n of them.
            prompt_tokens: Of the request.
            variants: Positions in `names`; n of them. None weighs the parts as the card does.
            median_tokens: Length of the answer; shape (n,).
            high_tokens: Its upper quantile; shape (n,).
            corrected: Live corrections; n of them, or None for none. They apply to the work on the request, not to
                what it waits for: `parts` has corrected the queue, and a start takes as long as it takes.
        """
        rows = np.array([len(self.names) if row is None else row for row in variants], np.intp)
        table = np.array(parts).T
        by_term = self.ttft.take(rows, axis=2) * ttft_terms(table)
        tpot = (self.tpot.take(rows, axis=2) * tpot_terms(table, prompt_tokens)).sum(axis=1)
        if corrected is not None:
            factors = np.array(corrected).T
            by_term[:, _WAITS:] *= factors[0]
            tpot *= factors[1]
        ttft = by_term.sum(axis=1)
        latency_s = ttft[0] + np.maximum(median_tokens - 1.0, 0.0) * tpot[0]
        # Two quantiles that were fitted apart may cross; the upper one is then the median.
        slow, slower = np.maximum(ttft[1], ttft[0]), np.maximum(tpot[1], tpot[0])
        high_s = self.stretch[rows] * (slow + np.maximum(high_tokens - 1.0, 0.0) * slower)
        return Times(
            by_term[0, :_WAITS].sum(axis=0), ttft[0], slow, tpot[0], latency_s, np.maximum(high_s, latency_s)
        )


def _with_card(weights: F32, card: tuple[float, ...]) -> F32:
    return np.concatenate((weights, np.tile(np.array(card, np.float32)[:, None], (2, 1, 1))), axis=2)


CARD = LatencyModel(
    names=(),
    ttft=_with_card(np.zeros((2, len(CARD_TTFT), 0), np.float32), CARD_TTFT),
    tpot=_with_card(np.zeros((2, len(CARD_TPOT), 0), np.float32), CARD_TPOT),
    stretch=np.ones(1, np.float32),
)
"""Knows no variant: every one of them by its card."""


def ttft_terms(parts: F64) -> F64:
    """Start, queue, prefill, prefill slowed by the load, and a constant second; shape (5, n) from (6, n)."""
    start, queue, prefill, _, _, load = parts
    return np.array((start, queue, prefill, load * prefill, np.ones_like(load)))


def tpot_terms(parts: F64, prompt_tokens: F64 | float) -> F64:
    """A token, crowding, a token slowed by the load, and by every 1,000 tokens of the prompt; shape (4, n)."""
    _, _, _, tpot, crowding, load = parts
    return np.array((tpot, crowding, load * tpot, _KILO * prompt_tokens * tpot))
