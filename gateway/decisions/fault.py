"""Whose fault it was that a request got no answer: what counts against availability, and what does not."""

from __future__ import annotations

from gateway import errors
from gateway.decisions.types import Ending

__all__ = ("CALLERS_OWN", "is_ours")

CALLERS_OWN = frozenset(
    error.error_type
    for error in (
        errors.InvalidRequestError,
        errors.AuthenticationError,
        errors.ForbiddenError,
        errors.ModelNotFoundError,
        errors.NotFoundError,
        errors.PayloadTooLargeError,
        errors.QuotaError,
    )
)
"""Error types that the request itself, or its tenant's budget, brought about."""


def is_ours(ending: Ending, error_type: str | None, *, decided: bool) -> bool:
    """Whether it is on us that a request got no answer. A caller that left got none by its own choice.

    Before a decision a rate limit is the tenant's own quota; after it, a variant's.
    """
    if ending is Ending.STOPPED:
        return True
    if ending is not Ending.FAILED or error_type in CALLERS_OWN:
        return False
    return decided or error_type != errors.RateLimitError.error_type
