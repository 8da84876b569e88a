"""Every name that spans and their attributes have, each with what it says: the one place to change them.

The `gen_ai.*`, `http.*`, `url.*` and `error.*` names are those of OpenTelemetry's semantic conventions up to 1.41.
Those of GenAI are still in development there, so they are pinned here instead of taken from a package that may rename
them. There is no convention for gateways yet: one span for the request, one below it for each attempt, and
`trilemma.*` for what the decision was made of.
"""

from __future__ import annotations

__all__ = ("ATTRIBUTES", "HEADERS", "SPANS")

CACHE = "trilemma.cache"
CANDIDATES = "trilemma.candidates"
CAUSE = "trilemma.blamed"
CLIENT_WAIT_S = "trilemma.client_wait_s"
CONFIDENCE = "trilemma.confidence"
COST_USD = "trilemma.cost_usd"
DECISION = "trilemma.decision"
ERROR_TYPE = "error.type"
EXPLORED = "trilemma.explored"
FALLBACK_USED = "trilemma.fallback_used"
FINISH_REASONS = "gen_ai.response.finish_reasons"
HELD = "trilemma.attempt.held"
HINT = "trilemma.hint"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
KEPT = "trilemma.kept"
LIMITS = "trilemma.limits"
MAX_TOKENS = "gen_ai.request.max_tokens"
METHOD = "http.request.method"
OPERATION = "gen_ai.operation.name"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
POLICY = "trilemma.policy"
PREDICTED_COST_USD = "trilemma.predicted.cost_usd"
PREDICTED_LATENCY_S = "trilemma.predicted.latency_s"
PREDICTED_QUALITY = "trilemma.predicted.quality"
PREDICTED_TTFT_S = "trilemma.predicted.ttft_s"
PRICES = "trilemma.prices"
PROMPT = "gen_ai.input.messages"
ANSWER = "gen_ai.output.messages"
PROPENSITY = "trilemma.propensity"
PROVIDER = "gen_ai.provider.name"
QUEUE_PLACES = "trilemma.queue.places"
QUEUE_WAITING = "trilemma.queue.waiting"
REQUEST_ID = "trilemma.request_id"
REQUEST_MODEL = "gen_ai.request.model"
RESPONSE_ID = "gen_ai.response.id"
RESPONSE_MODEL = "gen_ai.response.model"
ROLE = "trilemma.attempt.role"
ROUTE = "http.route"
RULE = "trilemma.rule"
SEED = "gen_ai.request.seed"
SERVICE_TIER = "trilemma.service_tier"
STATE = "trilemma.attempt.state"
STATUS = "http.response.status_code"
STREAM = "trilemma.stream"
TAGS = "trilemma.tags"
TEMPERATURE = "gen_ai.request.temperature"
TENANT = "trilemma.tenant"
TOP_P = "gen_ai.request.top_p"
TTFT_S = "trilemma.ttft_s"
VARIANT = "trilemma.variant"
VIOLATED = "trilemma.violated"

HEADERS: dict[str, str] = {"user-agent": "user_agent.original"}
"""Headers of the caller that may be told, and as what. No others ever are."""

ATTRIBUTES: dict[str, str] = {
    CACHE: "exact, semantic, miss or bypass",
    CANDIDATES: "JSON: every candidate with its state, estimate, utility, propensity, or why it was excluded",
    CAUSE: "what is to blame for the time the request took",
    CLIENT_WAIT_S: "seconds for which the answer waited for its caller to read it",
    CONFIDENCE: "exp of the mean token log-probability, in [0, 1]",
    COST_USD: "US dollars",
    DECISION: "id of the decision in the log",
    ERROR_TYPE: "why it failed",
    EXPLORED: "whether the choice was made to learn from it",
    FALLBACK_USED: "whether the policy's static order decided, because estimates could not",
    FINISH_REASONS: "why the answer ended",
    HELD: "what a cascade judged the answer to be",
    HINT: "named priority of the request",
    INPUT_TOKENS: "tokens of the prompt, as the variant counted them",
    KEPT: "why the trace was kept: slow, failed, escalated or sampled",
    LIMITS: "JSON: what the answer had to keep",
    MAX_TOKENS: "most tokens the caller wants",
    METHOD: "of HTTP",
    OPERATION: "chat, text_completion or embeddings",
    OUTPUT_TOKENS: "tokens of the answer, as the variant counted them",
    POLICY: "hash of the policy that decided",
    PREDICTED_COST_USD: "what the attempt was predicted to cost, US dollars",
    PREDICTED_LATENCY_S: "predicted seconds to the last token",
    PREDICTED_QUALITY: "predicted quality, in [0, 1]",
    PREDICTED_TTFT_S: "predicted seconds to the first token",
    PRICES: "JSON: shadow prices the decision was made under",
    PROMPT: "the prompt; only where the tenant lets content be traced",
    ANSWER: "the answer; only where the tenant lets content be traced",
    PROPENSITY: "probability with which the variant had been chosen",
    PROVIDER: "engine that runs the variant",
    QUEUE_PLACES: "places of each variant that could have answered, all taken when the request came",
    QUEUE_WAITING: "requests that waited already when it came",
    REQUEST_ID: "`X-Request-Id`",
    REQUEST_MODEL: "what was asked for; of an attempt, the variant",
    RESPONSE_ID: "id of the answer",
    RESPONSE_MODEL: "variant that answered",
    ROLE: "why the variant was asked: first, retry, fallback, hedge, escalation",
    ROUTE: "path as it was declared",
    RULE: "rule of the policy that matched",
    SEED: "as the caller set it",
    SERVICE_TIER: "urgency asked for",
    STATE: "of the variant when it was chosen: cold, loading or warm",
    STATUS: "of the answer; 0 where none was begun",
    STREAM: "whether the answer was streamed",
    TAGS: "JSON: what the caller attached",
    TEMPERATURE: "as the caller set it",
    TENANT: "who asked",
    TOP_P: "as the caller set it",
    TTFT_S: "seconds to the first token",
    VARIANT: "the variant",
    VIOLATED: "limit that no candidate was predicted to keep",
    **{name: f"header `{header}`" for header, name in HEADERS.items()},
}
"""Each attribute, and what it says."""

SPANS: dict[str, str] = {
    "request": "the whole request, from its arrival to the last byte of its answer",
    "attempt": "one try at one variant",
    "redis": "one call to Redis",
    "worker.queue": "waiting in the worker, as it told",
    "worker.prefill": "reading the prompt, as the worker told",
    "worker.decode": "making the other tokens, as the worker told",
    "worker.load": "the start of the worker that the request waited for",
}
"""Spans that are no stages, and what each is."""
