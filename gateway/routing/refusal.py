"""Why nobody could be chosen, as the error that the caller is sent."""

from __future__ import annotations

from gateway.errors import ApiError, ContextLengthError, InvalidRequestError, QuotaError, UnavailableError
from gateway.routing.request import ValidRequest
from policies.types import Decision, ExclusionReason

__all__ = ("refusal",)

RETRY_AFTER_S = 2.0


def refusal(decision: Decision, request: ValidRequest, *, retry_after_s: float | None = None) -> ApiError:
    """The error for a decision without a choice, by the reasons that excluded those the request may use.

    Args:
        decision: With a reason for every variant.
        request: What was asked for.
        retry_after_s: When somebody may be able to answer again, where that is known.
    """
    reasons = {v.variant: v.excluded_because for v in decision.verdicts if v.excluded_because is not None}
    asked = {n: e for n, e in reasons.items() if e.reason is not ExclusionReason.NOT_REQUESTED}
    detail = "; ".join(f"{name}: {exclusion.detail}" for name, exclusion in asked.items())
    kinds = {exclusion.reason for exclusion in asked.values()}
    if kinds & {ExclusionReason.UNAVAILABLE, ExclusionReason.FAILED_BEFORE}:
        return UnavailableError(f"no variant can answer now ({detail})", retry_after_s=retry_after_s or RETRY_AFTER_S)
    if ExclusionReason.BUDGET in kinds:
        return QuotaError(f"the budget is not enough for a variant that could answer ({detail}); ask for less")
    if ExclusionReason.CONTEXT in kinds:
        return ContextLengthError(f"the prompt fits no variant's context ({detail})")
    if ExclusionReason.RULE in kinds:
        return InvalidRequestError(
            f"the policy lets no variant of `{request.model}` answer ({detail})", code="policy"
        )
    needs = ", ".join(sorted(request.needs))
    return InvalidRequestError(f"no variant of `{request.model}` can do {needs} ({detail})", code="unsupported")
