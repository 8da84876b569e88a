"""Quotas counted in Redis, for all replicas together: one script for a reservation, one for a settlement.

The arithmetic is that of `memory.py`; both pass the same tests. Time is the server's own, so that replicas whose
clocks differ agree on what a minute is.
"""

from __future__ import annotations

from typing import cast

from redis.asyncio import Redis

from gateway.limits.memory import LEASE_S, UNLIMITED, WINDOW_S
from gateway.limits.types import Ask, Refused, Reply, Settlement
from gateway.shared.redis import SharedRedis

__all__ = ("RedisQuotas",)

_REFUSED: tuple[Refused | None, ...] = (None, "requests", "tokens", "concurrent")

_RESERVE = f"""
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local second = math.floor(now_ms / 1000)
local asked = {{r = tonumber(ARGV[1]), t = tonumber(ARGV[2])}}
local quota = {{r = tonumber(ARGV[3]), t = tonumber(ARGV[4])}}
local concurrent = tonumber(ARGV[5])

local counts, totals, last = {{r = {{}}, t = {{}}}}, {{r = 0, t = 0}}, {{r = 0, t = 0}}
local flat = redis.call('HGETALL', KEYS[1])
for i = 1, #flat, 2 do
  local kind, at, count = string.sub(flat[i], 1, 1), tonumber(string.sub(flat[i], 2)), tonumber(flat[i + 1])
  if at < second - {WINDOW_S} or at > second then  -- what lies ahead was counted before the clock was set back
    redis.call('HDEL', KEYS[1], flat[i])
  elseif count > 0 then
    table.insert(counts[kind], {{at, count}})
    totals[kind] = totals[kind] + count
    last[kind] = math.max(last[kind], at)
  end
end

local function wait_ms(kind)
  local over = totals[kind] + asked[kind] - quota[kind]
  if quota[kind] < 0 or asked[kind] == 0 or over <= 0 then return 0 end
  table.sort(counts[kind], function(a, b) return a[1] < b[1] end)
  for _, entry in ipairs(counts[kind]) do
    over = over - entry[2]
    if over <= 0 then return (entry[1] + {WINDOW_S} + 1) * 1000 - now_ms end
  end
  return {WINDOW_S * 1000}
end

redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now_ms)
redis.call('ZREMRANGEBYSCORE', KEYS[2], now_ms + {(LEASE_S + 1) * 1000}, '+inf')
local waits = {{wait_ms('r'), wait_ms('t'), 0}}
if concurrent >= 0 and asked.r > 0 and redis.call('ZCARD', KEYS[2]) >= concurrent then waits[3] = 1000 end
local refused = 0
for i = 3, 1, -1 do if waits[i] > 0 then refused = i end end
if refused == 0 then
  for _, kind in ipairs({{'r', 't'}}) do
    if asked[kind] > 0 then redis.call('HINCRBY', KEYS[1], kind .. second, asked[kind]) ; last[kind] = second end
    totals[kind] = totals[kind] + asked[kind]
  end
  redis.call('PEXPIRE', KEYS[1], {(WINDOW_S + 2) * 1000})
  redis.call('ZADD', KEYS[2], now_ms + {LEASE_S * 1000}, ARGV[6])
  redis.call('PEXPIRE', KEYS[2], {LEASE_S * 1000})
end
local function left(kind)
  if quota[kind] < 0 then return {UNLIMITED} end
  return math.max(0, quota[kind] - totals[kind])
end
local function reset_ms(kind)
  if last[kind] == 0 then return 0 end
  return (last[kind] + {WINDOW_S} + 1) * 1000 - now_ms
end
local most = math.max(waits[1], waits[2], waits[3])
return {{refused, second, most, waits[1], left('r'), reset_ms('r'), left('t'), reset_ms('t')}}
"""

_SETTLE = """
redis.call('ZREM', KEYS[2], ARGV[1])
for i = 2, #ARGV, 2 do
  local field = 't' .. ARGV[i]
  local now = redis.call('HGET', KEYS[1], field)
  if now then redis.call('HSET', KEYS[1], field, math.max(0, tonumber(now) + tonumber(ARGV[i + 1]))) end
end
return 0
"""


class RedisQuotas:
    """What fails raises `RedisDownError`."""

    def __init__(self, redis: SharedRedis) -> None:
        self._redis = redis

    async def reserve(self, ask: Ask) -> Reply:
        """Reserve everything asked for, at once, or nothing."""
        quotas = ask.quotas
        limits = (quotas.requests_per_min, quotas.tokens_per_min, quotas.concurrent)
        stated = [-1 if limit is None else limit for limit in limits]
        arguments: list[str | int] = [ask.requests, ask.tokens, *stated, ask.lease]

        async def run(client: Redis) -> list[int]:
            script = client.register_script(_RESERVE)
            return cast("list[int]", await script(keys=_keys(ask.tenant), args=arguments))

        refused, second, wait_ms, requests_wait_ms, *standing = await self._redis.call(run)
        requests_left, requests_reset_ms, tokens_left, tokens_reset_ms = standing
        return Reply(
            refused=_REFUSED[refused],
            second=second,
            retry_after_s=wait_ms / 1000,
            requests_wait_s=requests_wait_ms / 1000,
            requests_left=requests_left,
            requests_reset_s=requests_reset_ms / 1000,
            tokens_left=tokens_left,
            tokens_reset_s=tokens_reset_ms / 1000,
        )

    async def settle(self, settlement: Settlement) -> None:
        """Give back what was not used."""
        arguments: list[str | int] = [settlement.lease]
        for second, tokens in settlement.tokens.items():
            arguments += [second, tokens]

        async def run(client: Redis) -> None:
            await client.register_script(_SETTLE)(keys=_keys(settlement.tenant), args=arguments)

        await self._redis.call(run)

    async def renew(self, leases: dict[str, list[str]]) -> None:
        """Say which requests are still at work, by tenant."""

        async def run(client: Redis) -> None:
            seconds, _ = await client.time()
            pipeline = client.pipeline(transaction=False)
            for tenant, names in leases.items():
                _, held = _keys(tenant)
                pipeline.zadd(held, dict.fromkeys(names, (seconds + LEASE_S) * 1000), xx=True)
                pipeline.pexpire(held, LEASE_S * 1000)
            await pipeline.execute()

        await self._redis.call(run)


def _keys(tenant: str) -> list[str]:
    """Both on one node of a cluster."""
    return [f"trilemma:quota:{{{tenant}}}:minute", f"trilemma:quota:{{{tenant}}}:leases"]
