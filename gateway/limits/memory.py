"""Quotas counted in this process: the twin of what `redis.py` has Redis count.

Requests and tokens are counted by the second, and a count stays until every moment of its second is a minute ago. So
no minute, wherever it begins, sees more than the quota; a second's share of it comes back up to a second late.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from gateway.clock import Clock
from gateway.limits.types import Ask, Refused, Reply, Settlement

__all__ = ("LEASE_S", "WINDOW_S", "MemoryQuotas")

WINDOW_S = 60
"""Seconds that a quota per minute looks back."""

LEASE_S = 30
"""A request that nobody has said to be at work for so long is taken to have ended with its process."""

UNLIMITED = 2**53


@dataclass
class _Counts:
    """One tenant's."""

    requests: dict[int, int] = field(default_factory=dict)
    tokens: dict[int, int] = field(default_factory=dict)
    leases: dict[str, float] = field(default_factory=dict)


class MemoryQuotas:
    """For the event loop's thread only; nothing in it waits."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._counts: defaultdict[str, _Counts] = defaultdict(_Counts)

    async def reserve(self, ask: Ask) -> Reply:
        """Reserve everything asked for, at once, or nothing."""
        now_s, quotas, counts = self._clock.monotonic_s(), ask.quotas, self._counts[ask.tenant]
        self._forget(counts, now_s)
        waits: dict[Refused, float] = {
            "requests": _wait_s(counts.requests, ask.requests, quotas.requests_per_min, now_s),
            "tokens": _wait_s(counts.tokens, ask.tokens, quotas.tokens_per_min, now_s),
            "concurrent": _busy_s(counts.leases, ask, quotas.concurrent),
        }
        refused = next((quota for quota, wait_s in waits.items() if wait_s > 0), None)
        second = int(now_s)
        if refused is None:
            counts.requests[second] = counts.requests.get(second, 0) + ask.requests
            counts.tokens[second] = counts.tokens.get(second, 0) + ask.tokens
            counts.leases[ask.lease] = now_s + LEASE_S
        return Reply(
            refused=refused,
            second=second,
            retry_after_s=max(waits.values()),
            requests_wait_s=waits["requests"],
            requests_left=_left(counts.requests, quotas.requests_per_min),
            requests_reset_s=_reset_s(counts.requests, now_s),
            tokens_left=_left(counts.tokens, quotas.tokens_per_min),
            tokens_reset_s=_reset_s(counts.tokens, now_s),
        )

    async def settle(self, settlement: Settlement) -> None:
        """Give back what was not used."""
        counts = self._counts[settlement.tenant]
        counts.leases.pop(settlement.lease, None)
        for second, tokens in settlement.tokens.items():
            if second in counts.tokens:
                counts.tokens[second] = max(0, counts.tokens[second] + tokens)

    async def renew(self, leases: dict[str, list[str]]) -> None:
        """Say which requests are still at work, by tenant."""
        until_s = self._clock.monotonic_s() + LEASE_S
        for tenant, names in leases.items():
            held = self._counts[tenant].leases
            held.update(dict.fromkeys(held.keys() & names, until_s))

    def _forget(self, counts: _Counts, now_s: float) -> None:
        first = int(now_s) - WINDOW_S
        for by_second in (counts.requests, counts.tokens):
            for second in [second for second in by_second if second < first]:
                del by_second[second]
        for lease in [lease for lease, until_s in counts.leases.items() if until_s <= now_s]:
            del counts.leases[lease]


def _wait_s(by_second: dict[int, int], more: int, quota: int | None, now_s: float) -> float:
    """Seconds until there is room for so many more; 0 where there is."""
    if quota is None or not more:
        return 0.0
    over = sum(by_second.values()) + more - quota
    for second in sorted(by_second):
        if over <= 0:
            break
        over -= by_second[second]
        wait_s = second + WINDOW_S + 1 - now_s
        if over <= 0:
            return wait_s
    return 0.0 if over <= 0 else float(WINDOW_S)


def _busy_s(leases: dict[str, float], ask: Ask, quota: int | None) -> float:
    """When another one ends is not known: a second is as good a guess as any."""
    return 1.0 if quota is not None and ask.requests and len(leases) >= quota else 0.0


def _left(by_second: dict[int, int], quota: int | None) -> int:
    return UNLIMITED if quota is None else max(0, quota - sum(by_second.values()))


def _reset_s(by_second: dict[int, int], now_s: float) -> float:
    last = max((second for second, count in by_second.items() if count), default=None)
    return 0.0 if last is None else last + WINDOW_S + 1 - now_s
