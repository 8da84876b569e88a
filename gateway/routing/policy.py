"""The policy in force: the built-in one, as the configuration changes it."""

from __future__ import annotations

import msgspec

from gateway.settings import Settings
from policies.content import content_hash
from policies.policy import Policy
from policies.priorities import DEFAULT_POLICY

__all__ = ("policy_from",)


def policy_from(settings: Settings) -> Policy:
    """The default policy with the configured exploration, weights and fall-back order."""
    stated = settings.policy
    policy = msgspec.structs.replace(
        DEFAULT_POLICY,
        exploration=stated.explored(),
        priorities=DEFAULT_POLICY.priorities | stated.priorities,
        fallback=stated.fallback or tuple(variant.name for variant in settings.variants if not variant.embeds_only),
    )
    return msgspec.structs.replace(policy, hash=content_hash(policy))
