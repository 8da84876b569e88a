"""What an answer must keep to be given to a request, whoever gave it and whenever."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from policies.feasibility import breach
from policies.objective import Limits
from policies.policy import Policy
from policies.types import Estimate

__all__ = ("Terms",)


@dataclass(frozen=True, kw_only=True)
class Terms:
    """The terms of one request, as its tenant, its policy and itself set them. Equal ones accept the same answers."""

    policy: Policy = field(compare=False)
    """Set them."""
    limits: Limits = field(compare=False)
    """The request's, tightened by its tenant's promises and by the policy's rule."""
    variants: frozenset[str]
    """Who may answer."""
    accuracy: float = 0.0
    """How much accuracy counts among the objective's weights, in [0, 1]; times the share of the best that is kept."""
    quality_confidence: float | None = None
    """A floor holds only if the quality is above it with this probability; None compares the mean."""
    likeness: Literal["allowed", "refused"] = "allowed"
    """Whether the policy's rule lets an answer to a prompt that means the same do."""
    min_quality: float | None = field(init=False)
    """The floor."""

    def __post_init__(self) -> None:
        """Let the floor count where terms are compared."""
        object.__setattr__(self, "min_quality", self.limits.min_quality)

    def accept(self, *, variant: str, quality: float | None, quality_se: float, accuracy: float) -> bool:
        """Whether an answer of this variant and this predicted quality will do, made where accuracy counted so much.

        The more accuracy counts, the better the variant of highest utility is, or it is the same. So an answer that
        was made where accuracy counted less may be a worse one than this request would be given.
        """
        if variant not in self.variants or accuracy < self.accuracy:
            return False
        if self.min_quality is None or quality is None:
            return self.min_quality is None
        predicted = Estimate(
            quality=quality,
            quality_se=quality_se,
            ttft_s=0.0,
            tpot_s=0.0,
            completion_tokens=0.0,
            latency_s=0.0,
            cost_usd=0.0,
        )
        floor = Limits(min_quality=self.min_quality)
        return breach(predicted, floor, quality_confidence=self.quality_confidence) is None
