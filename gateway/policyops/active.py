"""The policy in force in this process: one frozen value, read once by each request and swapped as a whole."""

from __future__ import annotations

import logging

from policies.escalation import Escalation, with_learned
from policies.policy import Policy

__all__ = ("ActivePolicy",)

logger = logging.getLogger(__name__)


class ActivePolicy:
    """Holds the policy that requests taken up from now on are decided by."""

    def __init__(self, policy: Policy) -> None:
        self._stated = policy
        self._learned: Escalation | None = None
        self._current = policy

    @property
    def current(self) -> Policy:
        """The policy in force; a request keeps the one it began with."""
        return self._current

    def swap(self, policy: Policy) -> None:
        """Put another one in force."""
        if policy.hash != self._stated.hash:
            logger.info("policy %s is in force after %s", policy.hash, self._stated.hash)
        self._stated = policy
        self._current = with_learned(policy, self._learned)

    def learn(self, escalation: Escalation | None) -> None:
        """Complete the cascade of this and later policies where they state no threshold."""
        self._learned = escalation
        self._current = with_learned(self._stated, escalation)
