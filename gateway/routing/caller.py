"""One try at one variant: start it if it is cold, call it, put on record what it took, what it cost, how it ended."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager

from backends.client import Timeouts, VariantClient
from backends.errors import BackendError, BadRequestError
from backends.protocol import Usage
from backends.types import Capability, Variant
from gateway.learning.confidence import Confidence
from gateway.ledger.bound import most_usd
from gateway.ledger.ledger import Hold, Ledger
from gateway.routing.call import Event, LogProbs, encode_body, streamed, whole
from gateway.routing.candidates import capabilities
from gateway.routing.catalogue import Catalogue
from gateway.routing.exchange import Attempt, Exchange
from gateway.settings import ServerSettings

__all__ = ("Caller",)

INTERRUPTED = "interrupted"
"""Error type of an attempt during which the caller left, or we were told to stop."""


class Caller:
    """Makes the attempts of exchanges."""

    def __init__(self, *, catalogue: Catalogue, ledger: Ledger, settings: ServerSettings) -> None:
        self._catalogue = catalogue
        self._ledger = ledger
        self._settings = settings

    def remaining_s(self, exchange: Exchange) -> float:
        """What is left of the request's time."""
        return max(0.0, self._settings.request_timeout_s - exchange.elapsed_s)

    async def attempt(self, exchange: Exchange, variant: str, *, stream: bool) -> AsyncGenerator[Event, None]:
        """The one answer of a variant, or the events of its stream from the first with content on.

        Raises:
            BackendError: It failed; the attempt is on record.
        """
        with _recorded(exchange, variant):
            with exchange.stage("load"):
                start_s = min(self.remaining_s(exchange), self._settings.start_timeout_s)
                await self._catalogue.start(variant, timeout_s=start_s)
            stated = self._catalogue.view(variant).variant
            most = most_usd(stated, exchange.request, busy_s=self.remaining_s(exchange))
            hold = await self._ledger.hold(exchange.tenant, most)
            with self._catalogue.lease(variant) as client, _paid(exchange, stated, hold):
                async with aclosing(self._answer(exchange, stated, client, stream=stream)) as events:
                    async for event in events:
                        event["id"], event["model"] = exchange.request_id, variant
                        if exchange.request.service_tier is not None:
                            event["service_tier"] = exchange.request.service_tier
                        yield event

    async def _answer(
        self, exchange: Exchange, variant: Variant, client: VariantClient, *, stream: bool
    ) -> AsyncGenerator[Event, None]:
        """The answer without log-probabilities that only we asked for; who refuses to tell them is asked without."""
        logprobs = _logprobs(exchange, variant)
        try:
            async with aclosing(self._call(exchange, variant, client, stream=stream, logprobs=logprobs)) as events:
                async for event in events:
                    if logprobs == "added":
                        for choice in event["choices"]:
                            choice["logprobs"] = None
                    yield event
            return
        except BadRequestError:
            if logprobs == "as_asked" or exchange.usage.completion_tokens:
                raise
        async with aclosing(self._call(exchange, variant, client, stream=stream, logprobs="as_asked")) as events:
            async for event in events:
                yield event

    def _call(
        self, exchange: Exchange, variant: Variant, client: VariantClient, *, stream: bool, logprobs: LogProbs
    ) -> AsyncGenerator[Event, None]:
        body = encode_body(exchange.request, client, variant, stream=stream, logprobs=logprobs)
        timeouts = Timeouts(total_s=self.remaining_s(exchange), idle_s=self._settings.idle_timeout_s)
        return (streamed if stream else whole)(exchange, client, body, timeouts=timeouts)


def _logprobs(exchange: Exchange, variant: Variant) -> LogProbs:
    """Added for the variant that the policy's cascade begins with, also alone, so that its threshold can be learned.

    A text completion that repeats its prompt may not ask for them everywhere.
    """
    request = exchange.request
    cascade = None if exchange.policy is None else exchange.policy.cascade
    if cascade is None or cascade.first != variant.name or Capability.LOGPROBS not in capabilities(variant):
        return "as_asked"
    return "as_asked" if request.wants_logprobs or request.payload.get("echo") else "added"


@contextmanager
def _recorded(exchange: Exchange, variant: str) -> Iterator[None]:
    """Put the block on record as an attempt at this variant."""
    exchange.variant, exchange.tries = variant, exchange.tries + 1
    exchange.usage, exchange.confidence, exchange.finish_reason = Usage(), Confidence(), None
    began_s, cost_usd = exchange.clock.monotonic_s(), exchange.cost_usd
    error_type: str | None = INTERRUPTED
    try:
        yield
        error_type = None
    except BackendError as error:
        error_type = error.error_type
        raise
    finally:
        decision = exchange.decision
        exchange.attempts.append(
            Attempt(
                variant=variant,
                propensity=decision.propensities[decision.choice] if decision and decision.choice else 0.0,
                latency_s=exchange.clock.monotonic_s() - began_s,
                cost_usd=exchange.cost_usd - cost_usd,
                confidence=exchange.confidence.value,
                error_type=error_type,
            )
        )


@contextmanager
def _paid(exchange: Exchange, variant: Variant, hold: Hold) -> Iterator[None]:
    """Add what the block cost, and settle it; one that failed was paid for too."""
    began_s = exchange.clock.monotonic_s()
    try:
        yield
    finally:
        cost_usd = variant.price.cost_usd(
            prompt_tokens=exchange.usage.prompt_tokens,
            completion_tokens=exchange.usage.completion_tokens,
            busy_s=exchange.clock.monotonic_s() - began_s,
        )
        exchange.cost_usd += cost_usd
        hold.settle(cost_usd)
