"""How many places each variant has for this process, and which of them would do for a request."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from backends.types import WorkerState
from gateway.admission.types import Pool
from gateway.routing.candidates import capabilities, freeze
from gateway.routing.catalogue import Catalogue, VariantView
from gateway.routing.request import ValidRequest
from policies.estimators.times import parts
from policies.types import Candidate, CandidateState

__all__ = ("Places", "Service")

_ABLE = frozenset({WorkerState.WARM, WorkerState.LOADING, WorkerState.COLD})


class Service(NamedTuple):
    """The least that a request takes once it is let in, in seconds."""

    ttft_s: float
    latency_s: float


class Places:
    """The variants as the queue sees them."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._idle: dict[str, tuple[object, Candidate]] = {}

    def now(self) -> dict[str, int]:
        """Places by variant; those are left out that can answer nobody.

        What other replicas have at work takes places here too, but one is always left, so that none of them starves.
        """
        views = (self._catalogue.view(name) for name in self._catalogue.generators)
        return {
            view.variant.name: max(1, view.variant.max_running - view.others_in_flight)
            for view in views
            if view.status.state in _ABLE and view.shut_s is None
        }

    def suited(self, request: ValidRequest, pool: Iterable[str]) -> Pool:
        """The variants of a pool that can do what the request needs, and have the context for it."""
        tokens = request.min_prompt_tokens + (request.max_completion_tokens or 1)
        variants = (self._catalogue.view(name).variant for name in pool)
        return frozenset(
            variant.name
            for variant in variants
            if tokens <= variant.context_tokens and (not request.needs or request.needs <= capabilities(variant))
        )

    def service(self, request: ValidRequest, pool: Pool) -> Service:
        """What the quickest variant of a pool would take, were it warm and idle."""
        each = [_service(self._candidate(self._catalogue.view(name)), request) for name in pool]
        return Service(min(of.ttft_s for of in each), min(of.latency_s for of in each))

    def _candidate(self, view: VariantView) -> Candidate:
        """A variant as if it were warm and idle; made anew when its card is."""
        name = view.variant.name
        known = self._idle.get(name)
        if known is None or known[0] is not view.card:
            (candidate,) = freeze([view])
            idle = msgspec.structs.replace(candidate, state=CandidateState.WARM, running=0, queued=0)
            known = self._idle[name] = (view.card, idle)
        return known[1]


def _service(candidate: Candidate, request: ValidRequest) -> Service:
    of = parts(candidate, prompt_tokens=request.prompt_tokens)
    tokens = candidate.profile.completion_tokens
    if request.max_completion_tokens is not None:
        tokens = min(tokens, request.max_completion_tokens)
    return Service(of.prefill_s, of.prefill_s + max(0.0, tokens - 1.0) * of.tpot_s)
