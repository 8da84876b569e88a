"""The weights behind the named hints, and the policy that holds where none was published."""

from __future__ import annotations

import msgspec

from policies.content import content_hash
from policies.objective import Weights
from policies.policy import Policy

__all__ = ("DEFAULT_POLICY", "DEFAULT_PRIORITIES")

DEFAULT_PRIORITIES: dict[str, Weights] = {
    "speed": Weights(speed=0.90, cost=0.05, accuracy=0.05),
    "cost": Weights(speed=0.05, cost=0.90, accuracy=0.05),
    "accuracy": Weights(speed=0.02, cost=0.02, accuracy=0.96),
    "balanced": Weights(speed=0.20, cost=0.20, accuracy=0.60),
}
"""No hint ignores anything entirely, so that equals are told apart by what was not asked for."""


_unnamed = Policy(hash="", priorities=DEFAULT_PRIORITIES)
DEFAULT_POLICY = msgspec.structs.replace(_unnamed, hash=content_hash(_unnamed))
