"""What is told of a request and of its attempts, by the names of `names.py`."""

from __future__ import annotations

from typing import Any

from gateway.routing.attempts import Attempt, Call
from gateway.telemetry import names

__all__ = ("attempt_attributes",)


def attempt_attributes(call: Call, attempt: Attempt) -> dict[str, Any]:
    """Of one attempt that has ended."""
    found: dict[str, Any] = {
        names.VARIANT: attempt.variant,
        names.ROLE: attempt.role,
        names.PROPENSITY: attempt.propensity,
        names.COST_USD: attempt.cost_usd,
        names.INPUT_TOKENS: call.usage.prompt_tokens,
        names.OUTPUT_TOKENS: call.usage.completion_tokens,
        names.CONFIDENCE: attempt.confidence,
        names.ERROR_TYPE: attempt.error_type,
    }
    return {name: value for name, value in found.items() if value is not None}
