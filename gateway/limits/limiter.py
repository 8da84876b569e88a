"""Admits a request against its tenant's quotas, and settles what it really took when it ends.

A request reserves the most that it can take, so that a quota holds whatever comes of it, and gives back the rest.
While Redis is away, or where there is none, each replica lets through its share: the sum stays what it was.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from msgspec.structs import replace

from gateway.clock import Clock
from gateway.errors import InvalidRequestError, RateLimitError
from gateway.limits.memory import LEASE_S, MemoryQuotas
from gateway.limits.redis import RedisQuotas
from gateway.limits.types import Ask, QuotaStore, Reply, Settlement
from gateway.routing.exchange import Exchange
from gateway.shared.redis import RedisDownError, SharedRedis
from gateway.tenants.types import Quotas, Tenant

__all__ = ("Limiter", "Side")

_MESSAGES = {
    "requests": "tenant `{tenant}` may send {quota} requests per minute",
    "tokens": "tenant `{tenant}` may use {quota} tokens per minute, and this request may take {tokens} of them; "
    "a lower `max_tokens` reserves fewer",
    "concurrent": "tenant `{tenant}` may have {quota} requests at work at the same time",
}

Side = Literal["feedback", "lookups"]
"""Judgements of answers, and look-ups of decisions and reports."""

_SIDE_MESSAGES: dict[Side, str] = {
    "feedback": "tenant `{tenant}` may send {quota} judgements per minute",
    "lookups": "tenant `{tenant}` may look up {quota} decisions or reports per minute",
}


@dataclass
class _Reserved:
    """What a request holds."""

    store: QuotaStore
    tenant: str
    lease: str
    tokens: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    """By the second they are counted under."""


@dataclass(frozen=True, kw_only=True)
class _Full:
    """A refusal for the number of requests."""

    ask: Ask
    reply: Reply
    until_s: float
    """Monotonic time."""

    def reply_after(self, gone_s: float) -> Reply:
        """The same refusal so many seconds later."""
        reply = self.reply
        return replace(
            reply,
            retry_after_s=reply.requests_wait_s - gone_s,
            requests_reset_s=max(0.0, reply.requests_reset_s - gone_s),
            tokens_reset_s=max(0.0, reply.tokens_reset_s - gone_s),
        )


class Limiter:
    """Requests and tokens per minute, requests at the same time, and calls besides that no variant answers."""

    def __init__(
        self,
        redis: SharedRedis | None,
        *,
        clock: Clock,
        longest_answer_tokens: int = 8192,
        replicas: Callable[[], int] = lambda: 1,
    ) -> None:
        """Prepare.

        Args:
            redis: Counts for all replicas; None where nothing does.
            clock: Of the counts that are kept here.
            longest_answer_tokens: What any variant generates at most where a request sets no limit.
            replicas: How many processes share the quotas, as far as known.
        """
        self._shared = None if redis is None else RedisQuotas(redis)
        self._own = MemoryQuotas(clock)
        self._longest_answer_tokens = longest_answer_tokens
        self._replicas = replicas
        self._clock = clock
        self._full: dict[str, _Full] = {}
        """Tenants whose requests of the last minute are as many as may be."""
        self.turned_away: Counter[str] = Counter()
        """Requests refused before they were read, by tenant."""
        self._reserved: dict[str, _Reserved] = {}
        self._settling = set[asyncio.Task[None]]()

    def turn_away(self, tenant: Tenant) -> None:
        """Refuse a request whose tenant is known to have no room for one, before anything of it is read.

        Requests are not given back: what was refused for their number has no room until the wait it was told is over.

        Raises:
            RateLimitError: There is no room yet.
        """
        full = self._full.get(tenant.id)
        if full is None:
            return
        wait_s = full.until_s - self._clock.monotonic_s()
        if wait_s <= 0 or full.ask.quotas != tenant.quotas:
            del self._full[tenant.id]
            return
        self.turned_away[tenant.id] += 1
        raise _refusal(full.ask, full.reply_after(full.reply.requests_wait_s - wait_s))

    async def admit(self, exchange: Exchange) -> None:
        """Reserve what the request may take; it is settled when the exchange ends.

        Raises:
            RateLimitError: A quota does not allow it; says when it will.
            InvalidRequestError: It could take more than the quota of a whole minute.
        """
        quotas = exchange.tenant.quotas
        if quotas == Quotas():
            return
        tokens = self._most_tokens(exchange)
        if quotas.tokens_per_min is not None and tokens > quotas.tokens_per_min:
            raise InvalidRequestError(
                f"the request may take {tokens} tokens, and its tenant may use {quotas.tokens_per_min} per minute: "
                "lower `max_tokens`, or shorten the prompt",
                param="max_tokens",
            )
        ask = Ask(tenant=exchange.tenant.id, quotas=quotas, lease=exchange.decision_id, tokens=tokens)
        store, reply = await self._reserve(ask)
        exchange.headers |= _standing(quotas, reply)
        if reply.refused is not None:
            if reply.refused == "requests":
                until_s = self._clock.monotonic_s() + reply.requests_wait_s
                self._full[ask.tenant] = _Full(ask=ask, reply=reply, until_s=until_s)
            raise _refusal(ask, reply)
        held = self._reserved[exchange.decision_id] = _Reserved(store, ask.tenant, ask.lease)
        held.tokens[reply.second] += tokens
        exchange.on_end(lambda _: self._settle(exchange))

    async def more(self, exchange: Exchange) -> None:
        """Reserve what a further attempt of an admitted request may take.

        Raises:
            RateLimitError: The tokens of this minute are used up.
        """
        held, quotas = self._reserved.get(exchange.decision_id), exchange.tenant.quotas
        if held is None or quotas.tokens_per_min is None:
            return
        tokens = self._most_tokens(exchange)
        ask = Ask(tenant=held.tenant, quotas=quotas, lease=held.lease, requests=0, tokens=tokens)
        store, reply = await self._reserve(ask)
        if reply.refused is not None:
            raise _refusal(ask, reply)
        if store is held.store:
            held.tokens[reply.second] += tokens

    async def count(self, tenant: Tenant, kind: Side) -> dict[str, str]:
        """Count a call that no variant answers; each kind has a count of its own.

        Returns:
            Headers of the answer.

        Raises:
            RateLimitError: There were too many within the last minute; says when there is room.
        """
        quotas = tenant.quotas
        quota = quotas.requests_per_min
        if kind == "feedback" and quotas.feedback_per_min is not None:
            quota = quotas.feedback_per_min
        if quota is None:
            return {}
        counted = Quotas(requests_per_min=quota)
        _, reply = await self._reserve(Ask(tenant=f"{tenant.id}/{kind}", quotas=counted, lease=kind, tokens=0))
        headers = _standing(counted, reply)
        if reply.refused is None:
            return headers
        message = _SIDE_MESSAGES[kind].format(tenant=tenant.id, quota=quota)
        error = RateLimitError(message, code=f"{kind}_quota", retry_after_s=reply.retry_after_s)
        error.headers |= headers
        raise error

    async def keep(self) -> None:
        """Renew the leases of what is at work, for ever."""
        while True:
            await asyncio.sleep(LEASE_S / 3)
            leases: defaultdict[QuotaStore, defaultdict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
            for held in self._reserved.values():
                leases[held.store][held.tenant].append(held.lease)
            for store, names in leases.items():
                with contextlib.suppress(RedisDownError):
                    await store.renew(names)

    async def aclose(self) -> None:
        """Wait for the settlements under way; each is bounded in time."""
        await asyncio.gather(*self._settling, return_exceptions=True)

    async def _reserve(self, ask: Ask) -> tuple[QuotaStore, Reply]:
        """Ask the shared counts; where there are none, or they do not answer, our own share."""
        if self._shared is not None:
            with contextlib.suppress(RedisDownError):
                return self._shared, await self._shared.reserve(ask)
        mine = replace(ask, quotas=_share(ask, self._replicas()))
        return self._own, await self._own.reserve(mine)

    def _most_tokens(self, exchange: Exchange) -> int:
        """A prompt has at most as many tokens as bytes."""
        request = exchange.request
        limit = request.max_completion_tokens
        return request.prompt_bytes + request.choices * (self._longest_answer_tokens if limit is None else limit)

    def _settle(self, exchange: Exchange) -> None:
        """Give the rest back, in the background: the caller has waited long enough."""
        held = self._reserved.pop(exchange.decision_id)
        settlement = _settlement(held, used=exchange.total_tokens)
        task = asyncio.ensure_future(_settled(held.store, settlement))
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)


async def _settled(store: QuotaStore, settlement: Settlement) -> None:
    """What Redis does not hear of stays reserved until its minute is over."""
    with contextlib.suppress(RedisDownError):
        await store.settle(settlement)


def _settlement(held: _Reserved, *, used: int) -> Settlement:
    """Tokens were used in the order in which they were reserved; more than reserved count where the last ones do."""
    changes = dict[int, int]()
    for second, reserved in sorted(held.tokens.items()):
        taken = min(reserved, used)
        used -= taken
        changes[second] = taken - reserved
    if used and changes:
        changes[max(changes)] += used
    return Settlement(tenant=held.tenant, lease=held.lease, tokens=changes)


def _share(ask: Ask, replicas: int) -> Quotas:
    """An even share of what all replicas may let through together; whatever fits the quota, one at a time."""

    def part(quota: int | None, least: int = 1) -> int | None:
        return None if quota is None else max(least, quota // max(1, replicas))

    return Quotas(
        requests_per_min=part(ask.quotas.requests_per_min),
        tokens_per_min=part(ask.quotas.tokens_per_min, least=max(1, ask.tokens)),
        concurrent=part(ask.quotas.concurrent),
    )


def _standing(quotas: Quotas, reply: Reply) -> dict[str, str]:
    """The headers that say how much is left; `Reset` in seconds, as `6.1s`."""
    headers = dict[str, str]()
    for name, quota, left, reset_s in (
        ("Requests", quotas.requests_per_min, reply.requests_left, reply.requests_reset_s),
        ("Tokens", quotas.tokens_per_min, reply.tokens_left, reply.tokens_reset_s),
    ):
        if quota is not None:
            headers[f"X-RateLimit-Limit-{name}"] = str(quota)
            headers[f"X-RateLimit-Remaining-{name}"] = str(left)
            headers[f"X-RateLimit-Reset-{name}"] = f"{reset_s:.3f}s"
    return headers


def _refusal(ask: Ask, reply: Reply) -> RateLimitError:
    assert reply.refused is not None
    quotas = ask.quotas
    quota = {"requests": quotas.requests_per_min, "tokens": quotas.tokens_per_min, "concurrent": quotas.concurrent}
    message = _MESSAGES[reply.refused].format(tenant=ask.tenant, quota=quota[reply.refused], tokens=ask.tokens)
    error = RateLimitError(message, code=f"{reply.refused}_quota", retry_after_s=reply.retry_after_s)
    error.headers |= _standing(quotas, reply)
    return error
