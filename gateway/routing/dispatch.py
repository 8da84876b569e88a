"""Calls the chosen variant, and another one where the first failed before anything was sent to the caller."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from msgspec.structs import replace

from backends.errors import BackendError, BadRequestError
from gateway.errors import ApiError, from_backend
from gateway.routing.call import Event
from gateway.routing.caller import Caller
from gateway.routing.cascading import Held, Judge, allowed, plan_of
from gateway.routing.decider import Decider
from gateway.routing.exchange import Exchange
from policies.types import CascadePlan

__all__ = ("Dispatcher",)

MAX_ATTEMPTS = 3


class Dispatcher:
    """Runs the attempts of an exchange until one answers or none is left."""

    def __init__(self, *, decider: Decider, caller: Caller, judge: Judge) -> None:
        self._decider = decider
        self._caller = caller
        self._judge = judge

    async def events(self, exchange: Exchange) -> AsyncGenerator[Event, None]:
        """The whole answer as one event, or the events of a stream from the first that holds content on.

        Until that one has arrived a failing variant is replaced by another; nothing has been yielded by then. Later
        a failure is raised: what was sent cannot be taken back.

        Raises:
            ApiError: Nobody could answer, or the answer broke off; the attempts are in the exchange.
        """
        stream = exchange.request.stream
        last: BackendError | None = None
        while True:
            variant, sent = self._choose(exchange, last), False
            plan = plan_of(exchange)
            if plan is None:
                answer = self._caller.attempt(exchange, variant, stream=stream)
            else:
                answer = self._cascade(exchange, plan, stream=stream)
            try:
                async with aclosing(answer) as events:
                    async for event in events:
                        sent = True
                        yield event
                return
            except BackendError as error:
                last = error
                if sent or not self._another(exchange, error):
                    raise from_backend(error) from error

    async def _cascade(self, exchange: Exchange, plan: CascadePlan, *, stream: bool) -> AsyncGenerator[Event, None]:
        """The first variant's answer if it will do, else the second's; the first's again where that one fails.

        It is also given where a second answer would now break a limit.
        """
        held = await self._hold(exchange, plan.first, stream=stream)
        with exchange.stage("judge"):
            reason = await self._judge.reason(plan, held, exchange.request.all_checks)
        exchange.attempts[-1] = replace(exchange.attempts[-1], held=reason or "good_enough")
        if reason is not None and self._caller.remaining_s(exchange) > 0 and allowed(exchange, plan.then):
            sent = False
            try:
                async with aclosing(self._caller.attempt(exchange, plan.then, stream=stream)) as events:
                    async for event in events:
                        sent = True
                        yield event
                return
            except BackendError:
                if sent:
                    raise
        for event in held.release():
            yield event

    async def _hold(self, exchange: Exchange, variant: str, *, stream: bool) -> Held:
        """A variant's answer, collected to its end; its first token is not one that the caller has seen."""
        try:
            async with aclosing(self._caller.attempt(exchange, variant, stream=stream)) as events:
                return Held(exchange, [event async for event in events])
        finally:
            exchange.ttft_s = None

    def _choose(self, exchange: Exchange, last: BackendError | None) -> str:
        """The variant to try next; where none is left, the last failure says more than that."""
        try:
            return self._decider.choose(exchange)
        except ApiError:
            if last is None:
                raise
            raise from_backend(last) from last

    def _another(self, exchange: Exchange, error: BackendError) -> bool:
        """Whether to try a further variant; what one found wrong with the request itself all would."""
        in_time = self._caller.remaining_s(exchange) > 0
        return in_time and exchange.tries < MAX_ATTEMPTS and not isinstance(error, BadRequestError)
