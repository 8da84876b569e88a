"""The policy in force in this process: one frozen value, read once by each request and swapped as a whole."""

from __future__ import annotations

from policies.policy import Policy

__all__ = ("ActivePolicy",)


class ActivePolicy:
    """Holds the policy that requests taken up from now on are decided by."""

    def __init__(self, policy: Policy) -> None:
        self._current = policy

    @property
    def current(self) -> Policy:
        """The policy in force; a request keeps the one it began with."""
        return self._current
