"""Every name that spans and their attributes have, each with what it says: the one place to change them.

The `gen_ai.*`, `http.*`, `url.*` and `error.*` names are those of OpenTelemetry's semantic conventions up to 1.41.
Those of GenAI are still in development there, so they are pinned here instead of taken from a package that may rename
them. There is no convention for gateways yet: one span for the request, one below it for each attempt, and
`trilemma.*` for what the decision was made of.
"""

from __future__ import annotations

__all__ = ("ATTRIBUTES",)

COST_USD = "trilemma.cost_usd"
CONFIDENCE = "trilemma.confidence"
ERROR_TYPE = "error.type"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
PROPENSITY = "trilemma.propensity"
REQUEST_MODEL = "gen_ai.request.model"
ROLE = "trilemma.attempt.role"
VARIANT = "trilemma.variant"

ATTRIBUTES: dict[str, str] = {
    COST_USD: "US dollars",
    CONFIDENCE: "exp of the mean token log-probability, in [0, 1]",
    ERROR_TYPE: "why it failed",
    INPUT_TOKENS: "tokens of the prompt, as the variant counted them",
    OUTPUT_TOKENS: "tokens of the answer, as the variant counted them",
    PROPENSITY: "probability with which the variant had been chosen",
    REQUEST_MODEL: "what was asked for; of an attempt, the variant",
    ROLE: "why the variant was asked: first, retry, fallback, hedge, escalation",
    VARIANT: "the variant",
}
"""Each attribute, and what it says."""
