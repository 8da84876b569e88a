"""What a running gateway decides is what `simulate` decides on the same stream, request by request.

The gateway is asked over HTTP and judged by feedback, its trainer is run when the stream has fifty judgements. Beside
it the simulation's own player is shown the same requests, and told which variant the gateway chose. Each decision
must have the same propensities, before the first fit and after it.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from backends.types import VariantStatus, WorkerState
from gateway.decisions.types import DecisionRow
from gateway.learning.train import train
from gateway.paths import StatePaths
from gateway.routing.candidates import freeze
from gateway.routing.catalogue import VariantView
from gateway.settings import Settings
from policies.features.extract import extract
from policies.features.stored import to_stored
from policies.features.types import Features, Prompt
from policies.objective import Objective, Weights
from policies.samples import Sample
from policies.simulation.ours import Played
from policies.types import Candidate, CandidateState, RoutingRequest
from tests.gateways import RunningGateway, remote, running, until
from tests.providers import Answer, ScriptedProvider, completion_body

NAMES = ("small", "middle", "large")
WORDS = ("river meadow poem verse", "loop function bug compile", "invoice total tax refund")
RIGHT = {"small": (0.9, 0.1, 0.4), "middle": (0.6, 0.6, 0.6), "large": (0.5, 0.9, 0.8)}
"""Quality of each variant's answers by the topic of the prompt."""

TOKENS = 5
"""That the provider says an answer has."""

REQUESTS, TRAINED_AT = 64, 50
ACCURACY = {"accuracy": 1.0}


def prompt_of(number: int) -> str:
    return f"{WORDS[number % 3]} number {number}: {WORDS[number % 3].split()[number % 4]} please"


def quality_of(name: str, number: int) -> float:
    return float(np.random.default_rng(number).random() < RIGHT[name][number % 3])


def features_of(number: int) -> Features:
    return extract(Prompt(text=prompt_of(number), tenant="default"))


def sample_of(number: int, row: DecisionRow, features: Features) -> Sample:
    """The answered and judged request, as the simulation's book would have it."""
    choice = row.choice or ""
    return Sample(
        decision_id=row.decision_id,
        created_at_s=row.created_at_s,
        tenant="default",
        variant=choice,
        propensity=row.propensities[choice],
        state=CandidateState.WARM,
        queued=0,
        running=0,
        starts_in_s=None,
        prompt_tokens=row.prompt_tokens,
        max_completion_tokens=None,
        completion_tokens=TOKENS,
        cut=False,
        ttft_s=None,
        tpot_s=None,
        latency_s=None,
        cost_usd=0.0,
        features=features,
        quality=quality_of(choice, number),
        quality_weight=1.0,
    )


async def asked(gateway: RunningGateway, number: int) -> DecisionRow:
    """Ask, judge, and wait until the judgement has been learned from."""
    body = {"messages": [{"role": "user", "content": prompt_of(number)}], "priority": ACCURACY}
    response, _ = await gateway.post("/v1/chat/completions", body)
    decision_id = response.headers["X-Trilemma-Decision"]
    record = await gateway.services.log.find(decision_id)
    assert record is not None
    score = quality_of(record.decision.choice or "", number)
    online = gateway.services.estimators.online
    before = online.learner.judged
    status, _ = await gateway.post("/v1/feedback", {"decision_id": decision_id, "score": score})
    assert status.status == 200
    await until(lambda: online.learner.judged > before)
    await online.settle()
    return record.decision


@pytest.mark.timeout(120)
async def test_a_gateway_decides_as_the_simulation_does(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        provider = await stack.enter_async_context(ScriptedProvider(Answer(body=completion_body("yes"))))
        price = {"prompt_per_mtok_usd": 1.0, "completion_per_mtok_usd": 1.0}
        variants = [remote(name, provider, quality=0.5, price=price) for name in NAMES]
        sections: dict[str, Any] = {"policy": {}, "cache": {"exact": False}, "training": {"shadow_share": 0.0}}
        gateway = await stack.enter_async_context(running(tmp_path, *variants, **sections))
        settings = msgspec.convert({"variants": variants, **sections}, Settings)
        candidates = at_rest(settings)
        played = Played(candidates, rng=np.random.default_rng(0))
        for number in range(REQUESTS):
            features = features_of(number)
            row = await asked(gateway, number)
            request = RoutingRequest(
                objective=Objective(weights=Weights(accuracy=1.0)),
                prompt_tokens=row.prompt_tokens,
                features=features,
                now_s=row.created_at_s,
            )
            assert msgspec.to_builtins(to_stored(features))["grams"] == row.features["grams"]
            simulated = played.decide(request, candidates)
            assert simulated.propensities == pytest.approx(row.propensities, abs=1e-9), number
            played.chose(request, row.choice or "")
            await asyncio.to_thread(played.learn, sample_of(number, row, features))  # It may fit.
            if number + 1 == TRAINED_AT:
                await trained(gateway, settings, tmp_path)
                assert bool(gateway.services.estimators.online.learner.fit.hash) == (
                    played.learner.fit.basis.text_size > 0
                )


async def trained(gateway: RunningGateway, settings: Settings, directory: Path) -> None:
    """Run the trainer on the gateway's log, and wait until what it promotes is in force."""
    await gateway.services.log.flush()
    training = await asyncio.to_thread(train, settings, StatePaths(root=directory))
    assert training.judged_rows == TRAINED_AT
    if training.promoted.get("answers"):
        online = gateway.services.estimators.online
        await until(lambda: online.learner.fit.hash == training.in_force["answers"], within_s=10.0)
        await online.settle()


def at_rest(settings: Settings) -> tuple[Candidate, ...]:
    return freeze(
        VariantView(variant=v, status=VariantStatus(name=v.name, state=WorkerState.WARM), card=None)
        for v in settings.variants
    )
