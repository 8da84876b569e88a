"""How fast a variant answers, seen by its client: time to first token, time per token, and many at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from statistics import median

import msgspec
import numpy as np

from backends.builder.corpus import words
from backends.client import VariantClient
from backends.errors import EngineError
from backends.protocol import ChatChunk, ChatRequest, Message, StreamOptions

__all__ = ("Latency", "Timing", "Turn", "shuffles", "spread", "summarise", "time_answer", "time_turn")

_PATH = "/v1/chat/completions"
_SHORT_WORDS, _LONG_WORDS = 16, 380
"""With the chat template around them about 60 and 500 tokens."""
_BATCH = 8
_decoder = msgspec.json.Decoder(ChatChunk)


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """One streamed answer."""

    ttft_s: float
    tpot_s: float
    prompt_tokens: int
    completion_tokens: int


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """A variant's speed; the fields are those of a card."""

    ttft_s: float
    tpot_s: float
    prompt_tokens: int
    prefill_tokens_per_s: float
    batch_tokens_per_s: float


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """What was timed in one turn of a variant."""

    short: tuple[Timing, ...]
    """Of short prompts, one by one."""
    long: tuple[Timing, ...]
    """Of long prompts, one by one."""
    together: tuple[Timing, ...]
    """Of short prompts, all at once."""


async def time_turn(
    client: VariantClient, prompts: Iterator[list[str]], *, runs: int = 2, answer_tokens: int = 40
) -> Turn:
    """Time short prompts and long ones one by one, then eight short ones together.

    Every prompt begins with other words, so that a prefix cache helps none of them.

    Args:
        client: Of the variant; nothing else should be using it.
        prompts: Lists of words, as `shuffles` makes them.
        runs: Repetitions with one request at a time.
        answer_tokens: Length of the answers.

    Raises:
        UpstreamError: The variant failed.
        EngineError: It answered with nothing to time.
    """

    async def timed(words_each: int, max_tokens: int) -> Timing:
        return await time_answer(client, _prompt(prompts, words_each), max_tokens=max_tokens)

    short = [await timed(_SHORT_WORDS, answer_tokens) for _ in range(runs)]
    long = [await timed(_LONG_WORDS, 2) for _ in range(runs)]
    together = await asyncio.gather(*(timed(_SHORT_WORDS, answer_tokens) for _ in range(_BATCH)))
    return Turn(short=tuple(short), long=tuple(long), together=tuple(together))


def summarise(turns: Sequence[Turn]) -> Latency:
    """The medians over all turns.

    The fastest of the long and short prompts are compared for the prefill: a disturbance only ever slows an answer
    down.
    """
    short = [timing for turn in turns for timing in turn.short]
    long = [timing for turn in turns for timing in turn.long]
    more_tokens = median(timing.prompt_tokens for timing in long) - median(timing.prompt_tokens for timing in short)
    more_s = min(timing.ttft_s for timing in long) - min(timing.ttft_s for timing in short)
    return Latency(
        ttft_s=median(timing.ttft_s for timing in short),
        tpot_s=median(timing.tpot_s for timing in short),
        prompt_tokens=round(median(timing.prompt_tokens for timing in short)),
        prefill_tokens_per_s=more_tokens / max(more_s, 1e-4),
        batch_tokens_per_s=median(sum(1.0 / timing.tpot_s for timing in turn.together) for turn in turns),
    )


def spread(turns: Sequence[Turn]) -> float:
    """Difference between the slowest and the fastest turn's time per token, relative to their median."""
    by_turn = [median(timing.tpot_s for timing in turn.short) for turn in turns]
    return (max(by_turn) - min(by_turn)) / median(by_turn)


async def time_answer(client: VariantClient, prompt: str, *, max_tokens: int) -> Timing:
    """Stream one greedy answer and time it.

    Raises:
        UpstreamError: The variant failed.
        EngineError: Fewer than two tokens came.
    """
    request = ChatRequest(
        model=client.endpoint.model,
        messages=[Message(role="user", content=prompt)],
        max_tokens=max_tokens,
        temperature=0.0,
        stream=True,
        stream_options=StreamOptions(include_usage=True),
    )
    first_s = last_s = None
    usage = None
    started_s = time.perf_counter()
    async with await client.stream(_PATH, msgspec.json.encode(request)) as events:
        async for data in events:
            chunk = _decoder.decode(data)
            if any(choice.delta.content for choice in chunk.choices):
                last_s = time.perf_counter()
                first_s = first_s or last_s
            usage = chunk.usage or usage
    if not first_s or not last_s or not usage or usage.completion_tokens < 2:
        raise EngineError(f"{client.endpoint.model} answered with fewer than two tokens: nothing to time")
    return Timing(
        ttft_s=first_s - started_s,
        tpot_s=max(last_s - first_s, 1e-6) / (usage.completion_tokens - 1),
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
    )


def shuffles() -> Iterator[list[str]]:
    """Endless shuffles of common words, always the same."""
    rng = np.random.default_rng(0)
    while True:
        yield [str(word) for word in rng.choice(words(), _LONG_WORDS)]


def _prompt(prompts: Iterator[list[str]], count: int) -> str:
    return f"{' '.join(next(prompts)[:count])}: write a long story with these words."
