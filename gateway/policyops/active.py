"""The policy in force in this process: one frozen value, read once by each request and swapped as a whole."""

from __future__ import annotations

import logging

from policies.policy import Policy

__all__ = ("ActivePolicy",)

logger = logging.getLogger(__name__)


class ActivePolicy:
    """Holds the policy that requests taken up from now on are decided by."""

    def __init__(self, policy: Policy) -> None:
        self._current = policy

    @property
    def current(self) -> Policy:
        """The policy in force; a request keeps the one it began with."""
        return self._current

    def swap(self, policy: Policy) -> None:
        """Put another one in force."""
        if policy.hash != self._current.hash:
            logger.info("policy %s is in force after %s", policy.hash, self._current.hash)
        self._current = policy
