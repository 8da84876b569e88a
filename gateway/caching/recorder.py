"""Collects an answer as it passes by, and tells in the end whether it is one that may be given again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from gateway.caching.stored import Said, StoredAnswer
from gateway.routing.exchange import Exchange
from gateway.routing.request import ValidRequest

__all__ = ("Recorder",)

Event = Mapping[str, Any]


class Recorder:
    """One answer, from its events or from the whole. What it cannot repeat word for word it gives up."""

    def __init__(self, *, max_bytes: int) -> None:
        self._left_bytes = max_bytes
        self._texts: defaultdict[int, defaultdict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        self._reasons: dict[int, str] = {}
        self._fingerprint: str | None = None
        self._whole = True

    def add(self, event: Event) -> None:
        """Take in an answer or one event of a stream, of either route."""
        if not self._whole:
            return
        if isinstance(fingerprint := event.get("system_fingerprint"), str):
            self._fingerprint = fingerprint
        for choice in event["choices"]:
            self._choice(choice)

    def answer(self, exchange: Exchange, *, accuracy: float) -> StoredAnswer | None:
        """The answer, made where accuracy counted so much; None unless it is complete, as long as asked, and text."""
        request = exchange.request
        if not self._whole or not self._ended(request):
            return None
        estimate = exchange.call.estimate
        assert exchange.variant is not None
        return StoredAnswer(
            tenant=exchange.tenant.id,
            decision_id=exchange.decision_id,
            variant=exchange.variant,
            quality=None if estimate is None else estimate.quality,
            quality_se=0.0 if estimate is None else estimate.quality_se,
            accuracy=accuracy,
            made_at_s=exchange.clock.wall_s(),
            said=tuple(
                Said(index, {name: "".join(pieces) for name, pieces in self._texts[index].items()}, reason)
                for index, reason in sorted(self._reasons.items())
            ),
            prompt_tokens=exchange.usage.prompt_tokens,
            completion_tokens=exchange.usage.completion_tokens,
            fingerprint=self._fingerprint,
        )

    def _choice(self, choice: Event) -> None:
        index = choice.get("index", 0)
        part = choice.get("message") or choice.get("delta") or {"text": choice.get("text")}
        for name, value in part.items():
            if isinstance(value, str):
                if name != "role" and value:
                    self._left_bytes -= len(value.encode(errors="surrogatepass"))
                    self._texts[index][name].append(value)
            elif value:
                self._give_up()  # A call of a tool, a picture: not what is kept here.
        if choice.get("logprobs") or self._left_bytes < 0:
            self._give_up()
        if isinstance(reason := choice.get("finish_reason"), str):
            self._reasons[index] = reason

    def _give_up(self) -> None:
        self._whole = False
        self._texts.clear()

    def _ended(self, request: ValidRequest) -> bool:
        """Whether every choice came to its end, or to the end that the caller set."""
        good = {"stop", "length"} if request.max_completion_tokens is not None else {"stop"}
        complete = len(self._reasons) == request.choices and self._texts.keys() <= self._reasons.keys()
        return complete and good.issuperset(self._reasons.values())
