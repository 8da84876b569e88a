"""Variants as cards: how each stands, what it has to do, and how it measured."""

from __future__ import annotations

import msgspec

from backends.models.manifest import Card
from backends.types import Engine, Price, WorkerState
from gateway.console.amounts import NONE, bytes_of, number, percent, seconds, usd
from gateway.console.facts import Fact
from gateway.console.traffic import Hour
from gateway.routing.catalogue import VariantView

__all__ = ("VariantCard", "variant_card")

_STOPPABLE = {WorkerState.WARM, WorkerState.LOADING}
_STARTABLE = {WorkerState.COLD, WorkerState.FAILED}


class VariantCard(msgspec.Struct, frozen=True, kw_only=True):
    """What is shown of one variant; figures as texts."""

    name: str
    what: str
    state: str
    message: str
    progress: float | None
    """Of a build that runs."""
    busy: float | None
    """Share of its places that are taken."""
    now: tuple[Fact, ...]
    """What it has to do."""
    measured: tuple[Fact, ...]
    """Its card; empty where it has none."""
    tasks: tuple[Fact, ...]
    measured_on: str
    measured_at_s: float | None
    busy_note: str
    """What else the machine did while it was measured; empty where it was quiet, or that is not known."""
    can_start: bool
    can_stop: bool


def variant_card(view: VariantView, hour: Hour | None) -> VariantCard:
    """Tell of a variant.

    Args:
        view: As it stands.
        hour: What it did lately; None where that is not known.
    """
    variant, status, card = view.variant, view.status, view.card
    local = variant.engine is not Engine.OPENAI
    running = max(status.load.running if status.load else 0, view.in_flight + view.others_in_flight)
    return VariantCard(
        name=variant.name,
        what=f"{variant.kind}, {variant.engine}" + (", embeds only" if variant.embeds_only else ""),
        state=status.state,
        message=status.message,
        progress=status.progress,
        busy=min(1.0, running / variant.max_running) if status.state is WorkerState.WARM else None,
        now=(*_now(view, running), *_lately(view, hour)),
        measured=() if card is None else _measured(card),
        tasks=() if card is None else tuple(_task(name, s.correct, s.total) for name, s in card.tasks.items()),
        measured_on="" if card is None else f"{card.machine.cpu}, {card.machine.cores} cores",
        measured_at_s=None if card is None else card.measured_at_s,
        busy_note="" if card is None else _busy_note(card),
        can_start=local and status.state in _STARTABLE,
        can_stop=local and status.state in _STOPPABLE,
    )


def _now(view: VariantView, running: int) -> list[Fact]:
    status, load, variant = view.status, view.status.load, view.variant
    facts = [Fact(name="At work", value=f"{running} of {variant.max_running} places")]
    if load is not None:
        facts += [
            Fact(name="Queued there", value=str(load.queued), tone="warn" if load.queued else ""),
            Fact(name="Pace now", value=f"{load.tokens_per_s:.0f} tokens/s"),
            Fact(name="KV cache", value=percent(load.kv_usage)),
            Fact(name="Resident", value=bytes_of(load.resident_bytes)),
        ]
    if status.starts_in_s is not None:
        facts.append(Fact(name="Ready in", value=seconds(status.starts_in_s)))
    facts.append(_circuit(view.shut_s))
    if variant.engine is not Engine.OPENAI:
        facts.append(Fact(name="Restarts", value=str(status.restarts), tone="warn" if status.restarts else ""))
    facts.append(Fact(name="Price", value=_price(variant.price)))
    return facts


def _circuit(shut_s: float | None) -> Fact:
    if shut_s is None:
        return Fact(name="Circuit", value="closed")
    note = f"tried again in {seconds(shut_s)}" if shut_s else "being tried"
    return Fact(name="Circuit", value="open", note=note, tone="bad")


def _lately(view: VariantView, hour: Hour | None) -> list[Fact]:
    given = hour.variants.get(view.variant.name) if hour else None
    if given is None:
        return [Fact(name="Last hour", value="no answers")]
    note = f"mean {seconds(given.latency_s)}, {usd(given.cost_usd)}"
    return [Fact(name="Last hour", value=f"{given.answers:,} answers", note=note)]


def _price(price: Price) -> str:
    if price.compute_per_hour_usd is not None:
        return f"{usd(price.compute_per_hour_usd)} per hour of generation"
    prompt, completion = usd(price.prompt_per_mtok_usd), usd(price.completion_per_mtok_usd)
    return f"{prompt} in, {completion} out per million tokens"


def _measured(card: Card) -> tuple[Fact, ...]:
    return (
        Fact(name="Quality", value=f"{number(card.quality)} ± {number(card.quality_se)}", note=card.task_set),
        Fact(name="First token, warm", value=seconds(card.ttft_s), note=f"of {card.prompt_tokens} tokens"),
        Fact(name="Per token", value=seconds(card.tpot_s), note=_pace(card.tpot_s)),
        Fact(name="Start, cold", value=seconds(card.cold_start_s)),
        Fact(name="Eight together", value=f"{card.batch_tokens_per_s:.0f} tokens/s"),
        Fact(name="Resident", value=bytes_of(card.resident_bytes)),
    )


def _busy_note(card: Card) -> str:
    conditions = card.conditions
    if conditions is None or not conditions.busy:
        return ""
    return (
        f"Measured while the machine was busy: others took {percent(conditions.others_cpu)} of its processors, "
        f"{percent(conditions.stolen_cpu)} were stolen, and turns differed by {percent(conditions.spread)}. "
        "It is measured again when the machine is quiet."
    )


def _pace(tpot_s: float) -> str:
    return f"{1 / tpot_s:.0f} tokens/s" if tpot_s > 0 else NONE


def _task(name: str, correct: int, total: int) -> Fact:
    return Fact(name=name, value=f"{correct} of {total}", note=percent(correct / total) if total else "")
