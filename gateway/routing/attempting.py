"""What all tries at a variant have in common, whatever is asked of it: it is started, put on record, and paid."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from backends.errors import BackendError, UpstreamTimeoutError
from backends.protocol import Usage
from backends.types import Variant, WorkerState
from gateway.ledger.ledger import Hold
from gateway.routing.attempts import Attempt, Call
from gateway.routing.catalogue import Catalogue
from gateway.routing.exchange import Exchange
from gateway.telemetry.attributes import attempt_attributes
from gateway.telemetry.spans import lay_start, lay_worker_spans

__all__ = ("paid", "recorded", "started")


async def started(exchange: Exchange, call: Call, catalogue: Catalogue, *, timeout_s: float) -> None:
    """Wait until the variant is warm; what its start took is shown inside the attempt.

    Raises:
        BackendError: It is not warm in time.
    """
    assert call.variant is not None
    warm = catalogue.view(call.variant).status.state is WorkerState.WARM
    with exchange.stage("load", within=call.span):
        await catalogue.start(call.variant, timeout_s=timeout_s)
    if not warm and call.span is not None:
        took_s = catalogue.view(call.variant).status.started_in_s
        lay_start(exchange.timeline, call.span, took_s=took_s)


@contextmanager
def recorded(exchange: Exchange, call: Call, hold: Hold) -> Iterator[None]:
    """Put the block on record as an attempt, and settle what it cost; a hedge is only shown once it has won."""
    assert call.variant is not None
    if call.role != "hedge":
        exchange.call = call
    exchange.tries += 1
    began_s = exchange.clock.monotonic_s()
    span = call.span = exchange.timeline.begin("attempt")
    error_type: str | None = None
    try:
        yield
    except BackendError as error:
        error_type = error.error_type
        raise
    except BaseException:
        error_type = call.broken_off
        raise
    finally:
        exchange.timeline.end(span)
        hold.settle(call.cost_usd)
        exchange.cost_usd += call.cost_usd
        exchange.total_tokens += call.usage.prompt_tokens + call.usage.completion_tokens
        attempt = Attempt(
            variant=call.variant,
            role=call.role,
            propensity=call.propensity,
            latency_s=exchange.clock.monotonic_s() - began_s,
            cost_usd=call.cost_usd,
            confidence=call.confidence.value,
            error_type=error_type,
        )
        exchange.attempts.append(attempt)
        span.attributes = attempt_attributes(call, attempt)
        lay_worker_spans(exchange.timeline, span, call.timings)


@contextmanager
def paid(exchange: Exchange, call: Call, variant: Variant, *, most_s: float) -> Iterator[None]:
    """Find what the block cost; one that failed, or that we broke off, was paid for too.

    Past its time a call is only open while a slow caller has not read what is there: those seconds are not charged.
    """
    began_s = exchange.clock.monotonic_s()
    try:
        yield
    except (asyncio.CancelledError, GeneratorExit, UpstreamTimeoutError):
        if not call.usage.prompt_tokens:
            # It was at work on the prompt, and did not come to tell its length.
            tokens = exchange.request.prompt_tokens
            call.usage = Usage(prompt_tokens=tokens, total_tokens=tokens)
        raise
    finally:
        call.cost_usd = variant.price.cost_usd(
            prompt_tokens=call.usage.prompt_tokens,
            completion_tokens=call.usage.completion_tokens,
            busy_s=min(most_s, exchange.clock.monotonic_s() - began_s),
        )
