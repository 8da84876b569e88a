"""One request's answers: pieces of the engine made into parts of answers, stop strings applied, tokens counted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Literal

import msgspec

from backends.protocol import Timings, Usage
from backends.worker.engine_link import EngineLink, Generation
from backends.worker.messages import Piece, TokenLogprob
from backends.worker.parse import Plan
from backends.worker.stops import StopFilter

__all__ = ("Answers", "Part", "Prompt")


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """One prompt of a request, being answered."""

    generation: Generation
    first: int
    """Index of its first answer among those of the request."""
    stops: list[StopFilter]
    """One per answer."""


class Part(msgspec.Struct, kw_only=True):
    """What can be told of one answer now."""

    index: int
    text: str
    logprobs: list[TokenLogprob]
    finish: Literal["stop", "length"] | None = None


class Answers:
    """All answers to one request. Close it, whatever happened: that stops what nobody will read."""

    def __init__(self, link: EngineLink, plan: Plan) -> None:
        self.plan = plan
        self.usage = Usage()
        """Tokens so far."""
        self._prompts = [
            Prompt(
                generation=link.submit(prompt, sampling=plan.sampling, answers=plan.answers),
                first=i * plan.answers,
                stops=[StopFilter(plan.stops) for _ in range(plan.answers)],
            )
            for i, prompt in enumerate(plan.prompts)
        ]

    @property
    def timings(self) -> Timings:
        """What the time went to so far, from the first prompt handed over to the last token of all answers."""
        made = [prompt.generation for prompt in self._prompts]
        began_s, last_s = min(g.began_s for g in made), max(g.last_s for g in made)
        first_s = min((g.first_s for g in made if g.first_s is not None), default=last_s)
        queue_s = min(*(g.queued_s for g in made), first_s - began_s)
        return Timings(queue_s=queue_s, prefill_s=first_s - began_s - queue_s, decode_s=last_s - first_s)

    async def accepted(self) -> None:
        """Wait until every prompt was read.

        Raises:
            RequestError: One of them will not run.
            EngineError: The engine is gone.
        """
        for prompt in self._prompts:
            self.usage.prompt_tokens += await prompt.generation.prompt_tokens()
        self.usage.total_tokens = self.usage.prompt_tokens

    async def parts(self) -> AsyncIterator[Part]:
        """Parts of all answers as they come, prompt after prompt; every answer ends with one that has `finish`.

        Raises:
            EngineError: An answer cannot be completed.
        """
        for prompt in self._prompts:
            if self.plan.echo and isinstance(text := self.plan.prompts[prompt.first // self.plan.answers], str):
                for i in range(self.plan.answers):
                    yield Part(index=prompt.first + i, text=text, logprobs=[])
            async for i, piece in prompt.generation.pieces():
                part = self._part(prompt, i, piece)
                if part.text or part.logprobs or part.finish:
                    yield part

    def close(self) -> None:
        """Stop generating what is unfinished."""
        for prompt in self._prompts:
            prompt.generation.close()

    def _part(self, prompt: Prompt, i: int, piece: Piece) -> Part:
        self.usage.completion_tokens += piece.tokens
        self.usage.total_tokens += piece.tokens
        stop = prompt.stops[i]
        text = stop.feed(piece.text)
        finish = piece.finish if piece.finish != "cancelled" else None
        if stop.matched:
            prompt.generation.cancel(i)
            finish = "stop"
        elif finish is not None:
            text += stop.flush()
        return Part(index=prompt.first + i, text=text, logprobs=piece.logprobs, finish=finish)
