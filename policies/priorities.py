"""The weights behind the named hints, and the policy that holds where none was published."""

from __future__ import annotations

import msgspec

from policies.content import content_hash
from policies.objective import Weights
from policies.policy import Policy

__all__ = ("DEFAULT_POLICY", "DEFAULT_PRIORITIES", "RATIO_PRIORITIES")

DEFAULT_PRIORITIES: dict[str, Weights] = {
    "speed": Weights(accuracy=1.0, speed=0.05, cost=0.005, keep=0.9),
    "cost": Weights(accuracy=1.0, cost=0.05, speed=0.005, keep=0.9),
    "accuracy": Weights(accuracy=1.0, speed=0.001, cost=0.001),
    "balanced": Weights(accuracy=1.0, speed=0.5, cost=0.5),
}
"""`accuracy` gives up at most 0.1 % of the frontier's spread in quality for all of its money, and as much for all of
its time. `balanced` pays half of the price at which the cheapest (fastest) variant and the best one would be equals,
for each of the two: the knee. `speed` and `cost` take the fastest (cheapest) variant that keeps 90 % of the best
quality. No hint ignores anything entirely, so that equals are told apart by what was not asked for."""

RATIO_PRIORITIES: dict[str, Weights] = {
    "speed": Weights(speed=0.90, cost=0.05, accuracy=0.05),
    "cost": Weights(speed=0.05, cost=0.90, accuracy=0.05),
    "accuracy": Weights(speed=0.02, cost=0.02, accuracy=0.96),
    "balanced": Weights(speed=0.20, cost=0.20, accuracy=0.60),
}
"""The hints of policy documents of schema version 1, which go by `Formula.RATIO`."""


_unnamed = Policy(hash="", priorities=DEFAULT_PRIORITIES)
DEFAULT_POLICY = msgspec.structs.replace(_unnamed, hash=content_hash(_unnamed))
