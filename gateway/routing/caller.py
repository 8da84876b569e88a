"""One try at one variant: start it if it is cold, call it, put on record what it took, what it cost, how it ended."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager

from backends.client import VariantClient
from backends.errors import BadRequestError
from backends.types import Capability, Variant
from gateway.ledger.bound import bound
from gateway.ledger.ledger import Hold, Ledger
from gateway.limits.limiter import Limiter
from gateway.routing.attempting import paid, recorded, started
from gateway.routing.attempts import Call
from gateway.routing.call import Event, LogProbs, encode_body, streamed, whole
from gateway.routing.candidates import capabilities
from gateway.routing.catalogue import Catalogue
from gateway.routing.exchange import Exchange
from gateway.routing.patience import Patience, patience_with
from gateway.routing.settings import CallSettings
from gateway.settings import ServerSettings

__all__ = ("Caller",)

Others = Callable[[], bool]
"""Whether somebody else may answer, should this variant keep silent."""


class Caller:
    """Makes the attempts of exchanges."""

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        limiter: Limiter,
        ledger: Ledger,
        settings: ServerSettings,
        calls: CallSettings,
    ) -> None:
        self._catalogue = catalogue
        self._limiter = limiter
        self._ledger = ledger
        self._settings = settings
        self._calls = calls

    def remaining_s(self, exchange: Exchange) -> float:
        """What is left of the request's time, for all attempts together."""
        return max(0.0, self._settings.request_timeout_s - exchange.elapsed_s)

    async def attempt(self, exchange: Exchange, call: Call, *, others: Others) -> AsyncGenerator[Event, None]:
        """The one answer of a variant, or the events of its stream from the first with content on.

        Raises:
            QuotaError: The tenant has not the money for it; then it was no attempt.
            UnavailableError: Nor was it one if nobody could say whether it has.
            RateLimitError: It was a further attempt, and the tenant has no tokens left for it; neither was it one.
            BackendError: It failed; the attempt is on record.
        """
        assert call.variant is not None
        variant = self._catalogue.view(call.variant).variant
        call.engine = variant.engine
        with _counted(exchange, variant.name):
            with exchange.stage("reserve"):
                most_s, hold = await self._reserved(exchange, call, variant)
            with recorded(exchange, call, hold), self._catalogue.health.watch(variant.name) as watch:
                async with aclosing(self._called(exchange, call, variant, most_s=most_s, others=others)) as events:
                    async for event in events:
                        watch.answered()
                        yield event

    async def _reserved(self, exchange: Exchange, call: Call, variant: Variant) -> tuple[float, Hold]:
        """Set aside what the call may take; the seconds that the money is enough for, and the money."""
        most = bound(
            exchange.tenant,
            variant,
            exchange.request,
            predicted_s=None if call.estimate is None else call.estimate.latency_held_s,
            remaining_s=self.remaining_s(exchange),
        )
        if exchange.tries:
            await self._limiter.more(exchange)
        return most.seconds, await self._ledger.hold(exchange.tenant, most.usd)

    async def _called(
        self, exchange: Exchange, call: Call, variant: Variant, *, most_s: float, others: Others
    ) -> AsyncGenerator[Event, None]:
        """The answer of a variant that is started where it has to be, with the names the caller knows it by."""
        start_s = min(self.remaining_s(exchange), self._settings.start_timeout_s)
        await started(exchange, call, self._catalogue, timeout_s=start_s)
        call.until_s = exchange.elapsed_s + most_s
        with self._catalogue.lease(variant.name) as client, paid(exchange, call, variant, most_s=most_s):
            async with aclosing(self._answer(exchange, call, variant, client, others=others)) as events:
                async for event in events:
                    event["id"], event["model"] = exchange.request_id, variant.name
                    if exchange.request.service_tier is not None:
                        event["service_tier"] = exchange.request.service_tier
                    yield event

    async def _answer(
        self, exchange: Exchange, call: Call, variant: Variant, client: VariantClient, *, others: Others
    ) -> AsyncGenerator[Event, None]:
        """The answer without log-probabilities that only we asked for; who refuses to tell them is asked without."""
        logprobs = _logprobs(exchange, variant)
        stream = exchange.request.stream

        def asked(logprobs: LogProbs) -> AsyncGenerator[Event, None]:
            body = encode_body(exchange.request, client, variant, stream=stream, logprobs=logprobs)
            patience = self._patience(exchange, call, others)
            return (streamed if stream else whole)(exchange, call, client, body, patience=patience)

        try:
            async with aclosing(asked(logprobs)) as events:
                async for event in events:
                    if logprobs == "added":
                        for choice in event["choices"]:
                            choice["logprobs"] = None
                    yield event
            return
        except BadRequestError:
            if logprobs == "as_asked" or call.usage.completion_tokens:
                raise
        async with aclosing(asked("as_asked")) as events:
            async for event in events:
                yield event

    def _patience(self, exchange: Exchange, call: Call, others: Others) -> Patience:
        return patience_with(
            call.estimate,
            exchange.limits,
            stream=exchange.request.stream,
            elapsed_s=exchange.elapsed_s,
            remaining_s=max(0.0, min(self.remaining_s(exchange), call.until_s - exchange.elapsed_s)),
            idle_timeout_s=self._settings.idle_timeout_s,
            settings=self._calls,
            others=others,
        )


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
def _counted(exchange: Exchange, variant: str) -> Iterator[None]:
    """Let it be known that a variant is being asked, from before the first wait: nobody asks it twice at once."""
    exchange.calling[variant] += 1
    try:
        yield
    finally:
        exchange.calling[variant] -= 1
