"""Calls the chosen variant, and another one where the first failed before anything was sent to the caller."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from backends.client import Timeouts
from backends.errors import BackendError, BadRequestError
from backends.protocol import Usage
from gateway.errors import ApiError, from_backend
from gateway.learning.confidence import Confidence
from gateway.routing.call import Event, encode_body, streamed, whole
from gateway.routing.catalogue import Catalogue
from gateway.routing.decider import Decider
from gateway.routing.exchange import Attempt, Exchange
from gateway.settings import ServerSettings

__all__ = ("Dispatcher",)

MAX_ATTEMPTS = 3
INTERRUPTED = "interrupted"
"""Error type of an attempt during which the caller left, or we were told to stop."""


class Dispatcher:
    """Runs the attempts of an exchange until one answers or none is left."""

    def __init__(self, *, catalogue: Catalogue, decider: Decider, settings: ServerSettings) -> None:
        self._catalogue = catalogue
        self._decider = decider
        self._settings = settings

    async def answer(self, exchange: Exchange) -> Event:
        """The whole answer of the variant that could give it.

        Raises:
            ApiError: Nobody could; the attempts are in the exchange.
        """
        async with aclosing(self._attempts(exchange, stream=False)) as events:
            [answer] = [event async for event in events]
        return answer

    async def stream(self, exchange: Exchange) -> AsyncGenerator[Event, None]:
        """The events of an answer, from the first that holds content on.

        Until that one has arrived a failing variant is replaced by another; nothing has been yielded by then. Later
        a failure is raised: what was sent cannot be taken back.

        Raises:
            ApiError: Nobody could answer, or the answer broke off; the attempts are in the exchange.
        """
        async with aclosing(self._attempts(exchange, stream=True)) as events:
            async for event in events:
                yield event

    async def _attempts(self, exchange: Exchange, *, stream: bool) -> AsyncGenerator[Event, None]:
        last: BackendError | None = None
        while True:
            variant = self._choose(exchange, last)
            exchange.variant, exchange.tries = variant, exchange.tries + 1
            began_s, sent = exchange.clock.monotonic_s(), False
            error_type: str | None = INTERRUPTED
            try:
                async with aclosing(self._attempt(exchange, variant, stream=stream)) as events:
                    async for event in events:
                        sent = True
                        yield event
                error_type = None
                return
            except BackendError as error:
                last, error_type = error, error.error_type
                if sent or not self._another(exchange, error):
                    raise from_backend(error) from error
            finally:
                exchange.attempts.append(_record(exchange, variant, began_s=began_s, error_type=error_type))

    def _choose(self, exchange: Exchange, last: BackendError | None) -> str:
        """The variant to try next; where none is left, the last failure says more than that."""
        try:
            with exchange.stage("decide"):
                return self._decider.choose(exchange)
        except ApiError:
            if last is None:
                raise
            raise from_backend(last) from last

    def _another(self, exchange: Exchange, error: BackendError) -> bool:
        """Whether to try a further variant; what one found wrong with the request itself all would."""
        in_time = self._remaining_s(exchange) > 0
        return in_time and exchange.tries < MAX_ATTEMPTS and not isinstance(error, BadRequestError)

    def _remaining_s(self, exchange: Exchange) -> float:
        return max(0.0, self._settings.request_timeout_s - exchange.elapsed_s)

    async def _attempt(self, exchange: Exchange, variant: str, *, stream: bool) -> AsyncGenerator[Event, None]:
        """One try at one variant: start it if it is cold, call it, account for what it did."""
        with exchange.stage("load"):
            start_s = min(self._remaining_s(exchange), self._settings.start_timeout_s)
            await self._catalogue.start(variant, timeout_s=start_s)
        timeouts = Timeouts(total_s=self._remaining_s(exchange), idle_s=self._settings.idle_timeout_s)
        began_s = exchange.clock.monotonic_s()
        exchange.usage, exchange.confidence = Usage(), Confidence()
        with self._catalogue.lease(variant) as client:
            body = encode_body(exchange.request, client, self._catalogue.view(variant).variant, stream=stream)
            call = streamed if stream else whole
            try:
                async with aclosing(call(exchange, client, body, timeouts=timeouts)) as events:
                    async for event in events:
                        event["id"], event["model"] = exchange.request_id, variant
                        if exchange.request.service_tier is not None:
                            event["service_tier"] = "default"
                        yield event
            finally:
                self._settle(exchange, variant, busy_s=exchange.clock.monotonic_s() - began_s)

    def _settle(self, exchange: Exchange, variant: str, *, busy_s: float) -> None:
        """Add what this attempt cost; a failed one was paid for too."""
        usage = exchange.usage
        exchange.cost_usd += self._catalogue.view(variant).variant.price.cost_usd(
            prompt_tokens=usage.prompt_tokens, completion_tokens=usage.completion_tokens, busy_s=busy_s
        )


def _record(exchange: Exchange, variant: str, *, began_s: float, error_type: str | None) -> Attempt:
    return Attempt(
        variant=variant,
        propensity=exchange.decision.propensities[variant] if exchange.decision else 0.0,
        latency_s=exchange.clock.monotonic_s() - began_s,
        error_type=error_type,
    )
