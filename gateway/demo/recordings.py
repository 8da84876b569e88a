"""The recorded answers, what each costs and how long it takes, and the price of money and seconds between the models.

A file has one task a line: `{"id", "family", "prompt", "max_tokens", "checks"?, "answers": {MODEL: {"text",
"prompt_tokens", "completion_tokens", "score"}}}`. Further keys are ignored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any

import msgspec
from msgspec import Meta

__all__ = (
    "MODELS",
    "RecordedAnswer",
    "RecordedTask",
    "RecordingError",
    "ReplayedModel",
    "UtilityPrices",
    "best_fixed",
    "configuration",
    "fixed_utilities",
    "knee_prices",
    "packaged_tasks",
    "read_tasks",
    "utility",
)

USD_PER_S = 1e-4
"""Every price is proportional to time: $0.36 for an hour of the machine that generates."""

STATED_QUALITY = 0.5
"""The gateway is told the same of every model: which is better is for it to find out."""

STATED_AT_PROMPT_TOKENS = 60
"""A stated time to the first token is taken to be that of a prompt of this length."""

_Score = Annotated[float, Meta(ge=0, le=1)]


class RecordingError(ValueError):
    """A file of recorded answers cannot be used; the message names the line."""


class RecordedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What one model said to one task."""

    text: str
    prompt_tokens: Annotated[int, Meta(ge=0)]
    completion_tokens: Annotated[int, Meta(ge=1)]
    score: _Score
    """Whether it was right, as a program found when it was recorded."""


class RecordedTask(msgspec.Struct, frozen=True, kw_only=True):
    """A prompt and the answers to it."""

    id: str
    family: str
    """The kind of task."""
    prompt: str
    max_tokens: Annotated[int, Meta(ge=1)]
    """Answers were cut here."""
    answers: dict[str, RecordedAnswer]
    """By model, one of each in `MODELS`."""
    checks: tuple[dict[str, Any], ...] = ()
    """How the gateway can tell a right answer by itself, as a request has them."""


class ReplayedModel(msgspec.Struct, frozen=True, kw_only=True):
    """How fast a model answers when it is replayed, and what that costs."""

    name: str
    token_s: float
    """Seconds for each generated token."""
    prompt_token_s: float
    """Seconds for each prompt token."""
    first_s: float
    """Further seconds before the first token."""

    def ttft_s(self, answer: RecordedAnswer) -> float:
        """Seconds to the first token."""
        return self.first_s + self.prompt_token_s * answer.prompt_tokens + self.token_s

    def latency_s(self, answer: RecordedAnswer) -> float:
        """Seconds to the last token."""
        return self.ttft_s(answer) + self.token_s * (answer.completion_tokens - 1)

    def cost_usd(self, answer: RecordedAnswer) -> float:
        """US dollars by the price list."""
        busy_s = self.prompt_token_s * answer.prompt_tokens + self.token_s * answer.completion_tokens
        return USD_PER_S * busy_s


MODELS = {
    model.name: model
    for model in (
        ReplayedModel(name="smollm2-135m", token_s=0.008, prompt_token_s=0.0006, first_s=0.008),
        ReplayedModel(name="qwen-coder-0.5b", token_s=0.028, prompt_token_s=0.002, first_s=0.020),
        ReplayedModel(name="qwen-coder-1.5b", token_s=0.075, prompt_token_s=0.006, first_s=0.060),
    )
}
"""The replayed models by name, fastest first; `NOTICE` says how they were measured."""


class UtilityPrices(msgspec.Struct, frozen=True, kw_only=True):
    """What a dollar and a second are worth, in quality."""

    per_usd: float = 0.0
    per_s: float = 0.0


def packaged_tasks() -> tuple[RecordedTask, ...]:
    """The recordings that come with the package."""
    return read_tasks(resources.files("gateway.demo").joinpath("answers.jsonl").read_bytes())


def read_tasks(source: bytes | Path) -> tuple[RecordedTask, ...]:
    """The recordings of a file.

    Raises:
        RecordingError: A line is no recording, lacks a model, or repeats a prompt.
        OSError: The file cannot be read.
    """
    data = source.read_bytes() if isinstance(source, Path) else source
    tasks: dict[str, RecordedTask] = {}
    for number, line in enumerate(data.splitlines(), start=1):
        try:
            task = msgspec.json.decode(line, type=RecordedTask)
        except msgspec.MsgspecError as error:
            raise RecordingError(f"line {number}: {error}") from None
        if missing := sorted(MODELS.keys() - task.answers.keys()):
            raise RecordingError(f"line {number}: no answer of {', '.join(missing)}")
        if task.prompt in tasks:
            raise RecordingError(f"line {number}: the prompt of `{task.id}` occurs twice")
        tasks[task.prompt] = task
    if not tasks:
        raise RecordingError("the file has no recorded answers")
    return tuple(tasks.values())


def utility(task: RecordedTask, model: str, prices: UtilityPrices) -> float:
    """`quality - per_usd * dollars - per_s * seconds` of a model's answer, at the recorded pace."""
    answer, pace = task.answers[model], MODELS[model]
    return answer.score - prices.per_usd * pace.cost_usd(answer) - prices.per_s * pace.latency_s(answer)


def fixed_utilities(tasks: Sequence[RecordedTask], prices: UtilityPrices) -> dict[str, float]:
    """Mean utility of each model if it answered all of these tasks."""
    return {model: fmean(utility(task, model, prices) for task in tasks) for model in MODELS}


def best_fixed(tasks: Sequence[RecordedTask], prices: UtilityPrices) -> str:
    """The model that would be best if one had to answer all of these tasks."""
    utilities = fixed_utilities(tasks, prices)
    return max(utilities, key=lambda model: utilities[model])


def knee_prices(tasks: Sequence[RecordedTask]) -> UtilityPrices:
    """The prices behind `balanced`: half of the slope of two chords over the means of all tasks.

    One goes from the cheapest model to the best one, in quality per dollar; the other from the fastest to the best
    one, in quality per second.
    """
    quality = {model: fmean(task.answers[model].score for task in tasks) for model in MODELS}
    usd = {model: fmean(MODELS[model].cost_usd(task.answers[model]) for task in tasks) for model in MODELS}
    seconds = {model: fmean(MODELS[model].latency_s(task.answers[model]) for task in tasks) for model in MODELS}
    return UtilityPrices(per_usd=_half_slope(quality, usd), per_s=_half_slope(quality, seconds))


def _half_slope(quality: Mapping[str, float], spent: Mapping[str, float]) -> float:
    best, least = max(quality, key=lambda m: quality[m]), min(spent, key=lambda m: spent[m])
    further = spent[best] - spent[least]
    return 0.0 if further <= 0 else 0.5 * max(0.0, quality[best] - quality[least]) / further


def configuration(
    url: str, *, speed: float = 1.0, times_stated: bool = True, tenants: Sequence[Mapping[str, Any]] = ()
) -> bytes:
    """A configuration of a gateway in front of the replayed models; all else is as it comes.

    Args:
        url: Where the models are replayed.
        speed: How many times as fast as they were recorded.
        times_stated: State how fast each model is, beside its price.
        tenants: Entries of the `tenants` section.
    """
    variants = [_variant(model, url, speed=speed, times_stated=times_stated) for model in MODELS.values()]
    document: dict[str, Any] = {"variants": variants} | ({"tenants": list(tenants)} if tenants else {})
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def _variant(model: ReplayedModel, url: str, *, speed: float, times_stated: bool) -> dict[str, Any]:
    per_mtok_usd = USD_PER_S * 1e6
    price = {
        "prompt_per_mtok_usd": per_mtok_usd * model.prompt_token_s,
        "completion_per_mtok_usd": per_mtok_usd * model.token_s,
    }
    variant: dict[str, Any] = {"name": model.name, "kind": "remote", "engine": "openai", "source": url}
    variant |= {"quality": STATED_QUALITY, "price": price}
    if times_stated:
        ttft_s = model.first_s + model.prompt_token_s * STATED_AT_PROMPT_TOKENS + model.token_s
        variant |= {"ttft_s": ttft_s / speed, "tpot_s": model.token_s / speed}
    return variant
