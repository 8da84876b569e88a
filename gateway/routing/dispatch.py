"""Calls the chosen variant, and another one where the first failed before anything was sent to the caller."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from msgspec.structs import replace

from backends.errors import BackendError, BadRequestError
from gateway.errors import ApiError, QuotaError, RateLimitError, UnavailableError, from_backend
from gateway.routing.attempts import Call
from gateway.routing.call import Event
from gateway.routing.caller import Caller
from gateway.routing.cascading import Held, Judge, allowed, plan_of
from gateway.routing.decider import Decider
from gateway.routing.exchange import Exchange
from gateway.routing.hedge import Hedging
from gateway.routing.retry import Failure, Retries
from gateway.routing.settings import CallSettings
from gateway.telemetry import names
from policies.types import CascadePlan

__all__ = ("Dispatcher",)


class Dispatcher:
    """Runs the attempts of an exchange until one answers or none is left."""

    def __init__(
        self, *, decider: Decider, caller: Caller, judge: Judge, retries: Retries, settings: CallSettings
    ) -> None:
        self._decider = decider
        self._caller = caller
        self._judge = judge
        self._hedging = Hedging(decider=decider, caller=caller)
        self._retries = retries
        self._settings = settings

    async def events(self, exchange: Exchange) -> AsyncGenerator[Event, None]:
        """The whole answer as one event, or the events of a stream from the first that holds content on.

        Until that one has arrived a failing variant is replaced by another; nothing has been yielded by then. Later
        a failure is raised: what was sent cannot be taken back.

        Raises:
            ApiError: Nobody could answer, or the answer broke off; the attempts are in the exchange.
        """
        failures: list[Failure] = []
        while True:
            call, sent = await self._next(exchange, failures), False
            try:
                async with aclosing(self._answer(exchange, call)) as events:
                    async for event in events:
                        sent = True
                        yield event
                return
            except BackendError as error:
                failures.append(Failure(call=call, error=error))
                if sent or not self._goes_on(exchange, failures):
                    raise from_backend(error) from error

    async def _next(self, exchange: Exchange, failures: list[Failure]) -> Call:
        """The next call: to a variant that was not tried yet, else, after a wait, to one that may be tried again.

        Where there is neither, the last failure says more than that.
        """
        try:
            variant = self._decider.choose(exchange)
        except ApiError:
            if not failures:
                raise
        else:
            return Call.to(variant, exchange.decision, role="fallback" if failures else "first")
        retry = self._retries.soonest(failures, within_s=self._time_s(exchange))
        if retry is None:
            last = failures[-1].error
            raise from_backend(last) from last
        with exchange.stage("backoff"):
            await self._retries.sleep(retry.wait_s)
        failed = retry.call
        return Call(
            variant=failed.variant,
            role="retry",
            propensity=failed.propensity,
            verdict=failed.verdict,
            estimate=failed.estimate,
        )

    def _answer(self, exchange: Exchange, call: Call) -> AsyncGenerator[Event, None]:
        plan = plan_of(exchange)
        if plan is not None and call.role != "retry":
            return self._cascade(exchange, call, plan)
        return self._hedging.events(exchange, call, others=lambda: self._others(exchange))

    async def _cascade(self, exchange: Exchange, call: Call, plan: CascadePlan) -> AsyncGenerator[Event, None]:
        """The first variant's answer if it will do, else the second's; the first's again where that one fails.

        It is also given where a second answer would now break a limit, or cannot be paid for.
        """
        held = await self._hold(exchange, call)
        with exchange.stage("judge"):
            reason = await self._judge.reason(plan, held, exchange.request)
        exchange.attempts[-1] = replace(exchange.attempts[-1], held=reason or "good_enough")
        if call.span is not None:
            call.span.attributes[names.HELD] = reason or "good_enough"
        if reason is not None and self._caller.remaining_s(exchange) > 0 and allowed(exchange, plan.then):
            then, sent = Call.to(plan.then, exchange.decision, role="escalation"), False
            try:
                answer = self._caller.attempt(exchange, then, others=lambda: True)
                async with aclosing(answer) as events:
                    async for event in events:
                        sent = True
                        yield event
                return
            except (BackendError, QuotaError, RateLimitError, UnavailableError):
                if sent:
                    raise
        for event in held.release():
            yield event

    async def _hold(self, exchange: Exchange, call: Call) -> Held:
        """A variant's answer, collected to its end; its first token is not one that the caller has seen."""
        try:
            answer = self._caller.attempt(exchange, call, others=lambda: self._others(exchange))
            async with aclosing(answer) as events:
                return Held(exchange, [event async for event in events])
        finally:
            exchange.ttft_s = None

    def _goes_on(self, exchange: Exchange, failures: list[Failure]) -> bool:
        """Whether to make a further call; what one variant found wrong with the request itself all would."""
        in_time = self._caller.remaining_s(exchange) > 0
        wrong = isinstance(failures[-1].error, BadRequestError)
        return in_time and not wrong and len(failures) < self._settings.max_attempts

    def _others(self, exchange: Exchange) -> bool:
        """Whether a variant that keeps silent may be left for another one, which may keep the limits yet."""
        if exchange.tries >= self._settings.max_attempts:
            return False
        decision = self._decider.alternative(exchange)
        return decision is not None and decision.violated is None

    def _time_s(self, exchange: Exchange) -> float:
        """How long may be waited: past the request's own limit on the latency an answer is no longer worth a wait."""
        remaining_s, limit_s = self._caller.remaining_s(exchange), exchange.limits.latency_s
        return remaining_s if limit_s is None else min(remaining_s, limit_s - exchange.elapsed_s)
