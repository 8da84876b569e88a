"""What to do about a stage that takes too long: one or two sentences for each that may be blamed."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ("ADVICE",)

_QUEUE = (
    "Raise `max_running` of the variant if its machine has room, let the tenant use further variants, or run another"
    " replica. A tenant that may wait can ask for the `flex` tier."
)
_COLD = (
    "Set `warm: always` for the variant, or a longer `idle_stop_s`, if it is asked often; a limit on the time to"
    " first token in the tenant's SLA keeps it from being chosen cold."
)
_SLOW_DECODING = (
    "See on the page of variants whether it shares its machine with others or runs many requests at once. A limit on"
    " the latency makes the router choose another one when it is slow; the next training learns its pace."
)
_SLOW_PREFILL = (
    "A long prompt, or a variant that was busy with others. A limit on the time to first token makes the router look"
    " elsewhere; hedging asks a second one when the first keeps silent."
)
_REDIS = (
    "Look at Redis and at the network to it: `redis-cli --latency`, its slow log, its memory. `cache.timeout_s`"
    " bounds each call; quotas and caches go on without it when it stays silent."
)
_CACHE = "See whether Redis and the embedder are quick; `cache` in the configuration switches either cache off."
_OURS = "This is the gateway's own work: look whether its machine is short of processor time."

ADVICE: Mapping[str, str] = MappingProxyType(
    {
        "http": _OURS,
        "schedule": _OURS,
        "auth": _OURS,
        "body": "The request came in slowly, from its caller or over the network between.",
        "parse": _OURS,
        "terms": _OURS,
        "limits": _REDIS,
        "checks": "A check was new, and large or one of many: callers that repeat their checks do not wait for this.",
        "flight": "An identical request was being answered, and this one waited for the same answer: see that one.",
        "cache": _CACHE,
        "likeness": _CACHE,
        "queue": _QUEUE,
        "features": _OURS,
        "decide": _OURS,
        "reserve": "See whether the database is locked or slow: money is set aside in it first.",
        "load": _COLD,
        "first_token": _SLOW_PREFILL,
        "generate": _SLOW_DECODING,
        "hedge": "Two variants were asked at once and both were slow: see how many requests they have at work.",
        "embed": "See how many requests the embedder has at work; it can be stated with more places.",
        "backoff": "An attempt failed, and the next one was held back for a while: see why it failed.",
        "judge": "Judging a cascade's first answer takes long where its checks do: see the policy's cascade.",
        "keep": _CACHE,
        "respond": "The answer is large, or the gateway's machine is short of processor time.",
        "redis": _REDIS,
        "client": "Nothing to do here: the caller, or the network to it, reads slower than the variant writes.",
        "failed_attempt": "See what failed; a variant that fails often is left alone by its circuit for a while.",
        "worker": "Its worker takes up no more requests at once than it has places. " + _QUEUE,
        "other": _OURS,
    }
)
"""By what is to blame."""
