"""The reference variant: which one it is, whether it may see a request, and what it answers."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import aclosing

import msgspec

from backends.types import Engine, VariantKind
from gateway.learning.transcript import Transcript
from gateway.routing.call import encode_body, streamed
from gateway.routing.candidates import profile
from gateway.routing.catalogue import Catalogue, VariantView
from gateway.routing.exchange import Exchange
from gateway.routing.patience import Patience
from policies.types import Decision, ExclusionReason

__all__ = ("Answer", "ask", "choose", "may_see")

PATIENCE = Patience(first_s=120.0, idle_s=60.0, total_s=120.0)

_BARS = frozenset(
    {
        ExclusionReason.UNAVAILABLE,
        ExclusionReason.NOT_REQUESTED,
        ExclusionReason.RULE,
        ExclusionReason.CONTEXT,
        ExclusionReason.CAPABILITY,
    }
)
"""Why a variant is not to be shown a request; that it is slow or dear does not matter here."""


class Answer(msgspec.Struct, kw_only=True):
    """What the reference has said so far."""

    text: str | None = None
    """The whole answer, once it is there."""
    cost_usd: float = 0.0
    """Of what was generated, though the answer broke off."""


def choose(views: Iterable[VariantView], *, stated: str | None) -> str | None:
    """The stated variant, else the local one known as the best; asking a remote one is not for us to decide."""
    if stated is not None:
        return stated
    local = [view for view in views if view.variant.engine is not Engine.OPENAI and not view.variant.embeds_only]
    best = max(local, key=_quality, default=None)
    return None if best is None else best.variant.name


def may_see(decision: Decision | None, reference: str) -> bool:
    """Whether the decision on a request would have let the reference answer it, its figures apart."""
    verdicts = {verdict.variant: verdict for verdict in decision.verdicts} if decision else {}
    if reference not in verdicts:
        return False
    excluded = verdicts[reference].excluded_because
    return excluded is None or excluded.reason not in _BARS


async def ask(catalogue: Catalogue, reference: str, exchange: Exchange, answer: Answer) -> None:
    """Have the reference answer a request, as a guest that is cancelled when a request comes.

    Args:
        catalogue: Reaches it.
        reference: Its name.
        exchange: An undecided one, which never gets into the log.
        answer: Filled in, its cost even when this is cancelled.

    Raises:
        BackendError: It did not answer.
    """
    variant = catalogue.view(reference).variant
    heard = Transcript()
    began_s = exchange.clock.monotonic_s()
    with catalogue.borrow(reference) as client:
        body = encode_body(exchange.request, client, variant, stream=True)
        try:
            async with aclosing(streamed(exchange, exchange.call, client, body, patience=PATIENCE)) as events:
                async for event in events:
                    heard.add(event)
        finally:
            answer.cost_usd = variant.price.cost_usd(
                prompt_tokens=exchange.usage.prompt_tokens,
                completion_tokens=exchange.usage.completion_tokens,
                busy_s=exchange.clock.monotonic_s() - began_s,
            )
    answer.text = next(iter(heard.texts), None)


def _quality(view: VariantView) -> tuple[float, bool]:
    return profile(view.variant, view.card).quality, view.variant.kind is VariantKind.FULL
