"""The `calls` section: how variants are called, and what is done about one that fails."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from policies.objective import Ratio

__all__ = ("CallSettings",)

Seconds = Annotated[float, Meta(gt=0, le=3600)]


class CallSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `calls` section: how variants are called, and what is done about one that fails."""

    max_attempts: Annotated[int, Meta(ge=1, le=10)] = 3
    """Calls for one request at most, besides a hedge: those that failed and the one that answers."""
    backoff_s: Seconds = 0.2
    """A variant is asked again after a time drawn evenly between 0 and this, the next time between 0 and twice it."""
    longest_wait_s: Seconds = 5.0
    """A variant that asks for a longer wait (`Retry-After`) is not waited for: the caller is told so at once."""
    first_token_timeout_s: Seconds = 120.0
    """Longest wait for the first token of a stream, also where nobody else could answer."""
    patience_factor: Annotated[float, Meta(ge=1, le=1000)] = 8.0
    """A variant is left for another after so many times the predicted upper quantile of its time to first token, or
    of its latency where the answer is not streamed."""
    least_patience_s: Seconds = 10.0
    """It is never left sooner than this, unless the request's own limit on the first token says so."""
    stall_factor: Annotated[float, Meta(ge=1, le=100_000)] = 500.0
    """A stream has stalled after so many times the predicted time per token; `server.idle_timeout_s` at most."""
    least_stall_s: Seconds = 20.0
    """A stream is never taken for stalled sooner than this; others' prompts may hold up a local variant."""
    breaker_failures: Annotated[int, Meta(ge=1, le=1000)] = 5
    """Failures among a variant's latest 20 calls that open its circuit, if they are at least `breaker_share`."""
    breaker_share: Ratio = 0.5
    """Share of failures among the latest calls that opens the circuit."""
    open_s: Seconds = 1.0
    """A circuit stays open for about so long before one request probes the variant, and twice as long after each
    probe that fails."""
    longest_open_s: Seconds = 30.0
    """It never stays open for longer."""
