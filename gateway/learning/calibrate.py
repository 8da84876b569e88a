"""Puts a task set to every variant of a running gateway, as ordinary pinned requests that end up in its log.

One variant is asked after the other, so that none is measured under another's load. Of each round the first request
runs alone and the others together, so that the log shows a variant's times with and without company.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import aiohttp
import msgspec

from backends.progress import Progress, ProgressSink, silent
from backends.types import WorkerState
from gateway.learning.tasks import TaskItem, TaskSet

__all__ = ("GatewayGoneError", "Tally", "calibrate")

LOOK_EVERY_S = 1.0
PATIENCE_S = 20.0
"""A variant that nobody builds, or that has failed, is given up after this long."""

MAX_FAILURES = 5
"""In a row; a variant that fails so often is given up."""

_READY = frozenset({WorkerState.WARM, WorkerState.COLD})
_COMING = frozenset({WorkerState.BUILDING, WorkerState.LOADING, WorkerState.DRAINING})
_DONE = b"data: [DONE]"


class GatewayGoneError(Exception):
    """The gateway does not answer; what it had answered before is in its log."""


class Tally(msgspec.Struct, kw_only=True):
    """How the requests to one variant went."""

    asked: int = 0
    answered: int = 0
    trouble: str = ""
    """The last thing that went wrong."""
    failures: int = 0
    """Failed requests since the last answer."""


class _Stand(msgspec.Struct, frozen=True, kw_only=True):
    state: WorkerState
    progress: float | None = None
    message: str = ""


class _Ready(msgspec.Struct, frozen=True, kw_only=True):
    variants: dict[str, _Stand]


async def calibrate(
    url: str,
    tasks: TaskSet,
    tallies: Mapping[str, Tally],
    *,
    answered: Collection[tuple[str, str]] = (),
    together: int = 4,
    headers: Mapping[str, str] | None = None,
    sink: ProgressSink = silent,
) -> None:
    """Ask every variant every task; a variant that is still being built is waited for while others are asked.

    Args:
        url: Of the gateway.
        tasks: What to ask.
        tallies: Of the variants to ask, by name; kept as it goes on, so that they hold when this is cancelled.
        answered: Pairs of request id and variant that are not asked again.
        together: Requests in flight together, after the first of each round.
        headers: Sent with every request, such as a key.
        sink: Told how far each variant is.

    Raises:
        GatewayGoneError: There is no gateway at this URL, or not any more.
    """
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(base_url=url, timeout=timeout, headers=headers) as session:
        run = _Run(session, tasks, together=together, sink=sink)
        waiting = list(tallies)
        while waiting:
            name = await run.next_ready(waiting, tallies)
            if name is None:
                break
            waiting.remove(name)
            left = {key: item for key, item in _mixed(tasks.request_ids()) if (key, name) not in answered}
            await run.ask_all(name, left, tallies[name])


def _mixed(items: Mapping[str, TaskItem]) -> list[tuple[str, TaskItem]]:
    """The items in a random order, always the same: the log is cut in time, and each part needs all families."""
    return random.Random(0).sample(list(items.items()), len(items))  # noqa: S311 - an order, not a secret


class _Run:
    def __init__(self, session: aiohttp.ClientSession, tasks: TaskSet, *, together: int, sink: ProgressSink) -> None:
        self._session = session
        self._tasks = tasks
        self._together = together
        self._sink = sink

    async def next_ready(self, waiting: Sequence[str], tallies: Mapping[str, Tally]) -> str | None:
        """The next variant that can answer; None when the others are not going to."""
        hopeless_s = 0.0
        while hopeless_s <= PATIENCE_S:
            stands = await self._stands()
            for name in waiting:
                stand = stands.get(name, _Stand(state=WorkerState.MISSING, message="the gateway does not know it"))
                if stand.state in _READY:
                    return name
                tallies[name].trouble = ": ".join(filter(None, (stand.state, stand.message)))
                self._tell(name, "waiting", stand.progress or 0.0, tallies[name].trouble)
            coming = any(stands[name].state in _COMING for name in waiting if name in stands)
            hopeless_s = 0.0 if coming else hopeless_s + LOOK_EVERY_S
            await asyncio.sleep(LOOK_EVERY_S)
        return None

    async def ask_all(self, name: str, items: dict[str, TaskItem], tally: Tally) -> None:
        """Put tasks to one variant in rounds, until it has failed too often in a row."""
        tally.trouble, left = "", list(items.items())
        size = 1 + self._together
        self._tell(name, "asking", 1.0 if not left else 0.0, f"{len(left)} tasks")
        for begin in range(0, len(left), size):
            alone, *others = left[begin : begin + size]
            await self._ask(name, *alone, tally)
            await asyncio.gather(*(self._ask(name, *other, tally) for other in others))
            done = min(begin + size, len(left)) / len(left)
            if tally.failures >= MAX_FAILURES:
                self._tell(name, "failed", done, tally.trouble)
                return
            self._tell(name, "asking", done, f"{tally.answered} of {len(left)} answered {tally.trouble}".rstrip())

    async def _ask(self, name: str, key: str, item: TaskItem, tally: Tally) -> None:
        tally.asked += 1
        body = _body(name, item, tasks=self._tasks.name)
        try:
            async with self._session.post("/v1/chat/completions", json=body, headers={"X-Request-Id": key}) as reply:
                answer = (await reply.read()).rstrip()
        except aiohttp.ClientError as error:
            answer = str(error).encode()
        if answer.endswith(_DONE):
            tally.answered, tally.failures = tally.answered + 1, 0
        else:
            tally.failures, tally.trouble = tally.failures + 1, _trouble(answer)

    async def _stands(self) -> dict[str, _Stand]:
        try:
            async with self._session.get("/readyz") as reply:
                return msgspec.json.decode(await reply.read(), type=_Ready).variants
        except (aiohttp.ClientError, msgspec.MsgspecError) as error:
            raise GatewayGoneError(f"there is no gateway: {error}") from None

    def _tell(self, variant: str, stage: str, done: float, message: str) -> None:
        self._sink(Progress(variant=variant, stage=stage, done=done, message=message))


def _body(variant: str, item: TaskItem, *, tasks: str) -> dict[str, Any]:
    return {
        "model": variant,
        "messages": [{"role": "user", "content": item.prompt}],
        "cache": {"mode": "no-store"},  # What is measured is the variant.
        "temperature": 0,
        "max_tokens": item.max_tokens,
        "stream": True,
        "metadata": {"calibration": tasks, "family": item.family},
        "checks": msgspec.to_builtins(item.checks),
    }


def _trouble(answer: bytes) -> str:
    """What the last event, or the whole body, says went wrong."""
    last = answer.rpartition(b"data: ")[2]
    try:
        return str(msgspec.json.decode(last)["error"]["message"])
    except (msgspec.MsgspecError, KeyError, TypeError):
        return "the answer broke off"
