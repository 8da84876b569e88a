"""What the replicas of a gateway know of each other: how many they are, what they have at work, what does not answer.

Each says so in Redis once a second, and reads the others' words in the same call; no request waits for it. Only what
is the same server for all is told: a local variant of another machine is another one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import Counter, deque
from typing import cast

import msgspec
import numpy as np
from redis.asyncio import Redis

from backends.types import Engine
from gateway.routing.catalogue import Catalogue
from gateway.shared.redis import RedisDownError, SharedRedis

__all__ = ("BEAT_S", "LIFE_S", "Replicas")

BEAT_S = 1.0
"""Seconds between two words of a replica; shortened by up to a tenth, so that replicas do not fall into step."""

LIFE_S = 5
"""Seconds after which a replica that says nothing is taken to be gone, and what it said is forgotten."""

_KEY = "trilemma:replicas"

_BEAT = f"""
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f ', now_ms) .. ARGV[2])
redis.call('PEXPIRE', KEYS[1], {LIFE_S * 1000})
local others = {{}}
local flat = redis.call('HGETALL', KEYS[1])
for i = 1, #flat, 2 do
  local at_ms, word = string.match(flat[i + 1], '^(%d+) (.*)$')
  local age_ms = now_ms - (tonumber(at_ms) or 0)
  if math.abs(age_ms) > {LIFE_S * 1000} then
    redis.call('HDEL', KEYS[1], flat[i])
  elseif flat[i] ~= ARGV[1] then
    table.insert(others, {{age_ms, word}})
  end
end
return others
"""


class _Word(msgspec.Struct, frozen=True, kw_only=True):
    """What one replica says. Other versions of it may say more or less."""

    in_flight: dict[str, int] = {}
    """Requests it has at remote variants."""
    open_for_s: dict[str, float] = {}
    """Seconds for which it leaves remote variants alone."""


_decode = msgspec.json.Decoder(_Word).decode


class Replicas:
    """This replica among the others; without Redis, among those of its machine."""

    def __init__(
        self, redis: SharedRedis | None, *, catalogue: Catalogue, rng: np.random.Generator, at_least: int = 1
    ) -> None:
        """Prepare; nothing is said before `beat`.

        Args:
            redis: Where they meet.
            catalogue: Says what is at work here, and is told what is at work elsewhere.
            rng: Spreads the beats.
            at_least: Processes of this machine, this one included; as many replicas there are, heard or not.
        """
        self._redis = redis
        self._catalogue = catalogue
        self._rng = rng
        self._name = os.urandom(8).hex()
        self._at_least = at_least
        self._counts = deque([at_least], maxlen=LIFE_S)
        self._missed = 0

    @property
    def count(self) -> int:
        """Replicas that live, this one included, as far as known; the most of the last few beats.

        So neither a flushed Redis nor one that is away makes a replica believe that it is alone.
        """
        return max(self._at_least, *self._counts)

    async def keep(self) -> None:
        """Beat for ever; returns at once where there is no Redis."""
        while self._redis is not None:
            await self.beat()
            await asyncio.sleep(BEAT_S * (1.0 - 0.1 * float(self._rng.random())))

    async def beat(self) -> None:
        """Say what is at work here, and take note of what the others said."""
        if self._redis is None:
            return
        word = msgspec.json.encode(self._word())

        async def run(client: Redis) -> list[tuple[int, bytes]]:
            script = client.register_script(_BEAT)
            return cast("list[tuple[int, bytes]]", await script(keys=[_KEY], args=[self._name, word]))

        try:
            self._note(await self._redis.call(run))
        except RedisDownError:
            self._missed += 1
            if self._missed > LIFE_S:
                self._catalogue.others_in_flight = {}

    async def aclose(self) -> None:
        """Take leave, so that the others need not find out."""
        if self._redis is not None:
            with contextlib.suppress(RedisDownError):
                await self._redis.call(self._leave)

    async def _leave(self, client: Redis) -> None:
        await client.hdel(_KEY, self._name)

    def _word(self) -> _Word:
        views = [view for view in self._catalogue.views() if view.variant.engine is Engine.OPENAI]
        shut = self._catalogue.health.open_for_s()
        return _Word(
            in_flight={view.variant.name: view.in_flight for view in views if view.in_flight},
            open_for_s={view.variant.name: shut[view.variant.name] for view in views if view.variant.name in shut},
        )

    def _note(self, others: list[tuple[int, bytes]]) -> None:
        self._missed = 0
        self._counts.append(1 + len(others))
        in_flight, known = Counter[str](), set(self._catalogue.names)
        for age_ms, text in others:
            try:
                word = _decode(text)
            except msgspec.DecodeError:
                continue
            in_flight.update(word.in_flight)
            for variant in known & word.open_for_s.keys():
                if (for_s := word.open_for_s[variant] - age_ms / 1000) > 0:
                    self._catalogue.health.hint_open(variant, for_s=for_s)
        self._catalogue.others_in_flight = in_flight
