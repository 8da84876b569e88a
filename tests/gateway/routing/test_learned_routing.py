"""What was learned decides in the running gateway: by prompt, by tenant's budget, and at once by feedback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.learning.store import EstimatorStore
from policies.estimators.artifact import Artifact
from policies.features.extract import extract
from policies.features.layout import VERSION
from policies.features.stored import from_stored
from policies.features.types import Prompt
from policies.policy import Budget, Policy
from policies.training.quality import fit_quality
from tests.gateways import RunningGateway, remote, running
from tests.providers import Answer, ScriptedProvider, completion_body
from tests.quality_worlds import NAMES, world

POEM = "write verses about rivers and meadows"
CODE = "fix this function whose loop never ends"
PER_TOKEN = {"full": 20.0, "quantized": 10.0, "distilled": 1.0}
"""Dollars for a million tokens; an answer of the provider has eight."""

GOOD = Answer(body=completion_body("yes"))


@pytest.fixture(scope="module")
def fitted() -> Artifact:
    here = world(1500, seed=0)
    model = fit_quality(here.features, here.judged(seed=1), variants=NAMES)
    return model.to_artifact(layout=VERSION, facts={})


@asynccontextmanager
async def learned(directory: Path, artifact: Artifact, **changes: Any) -> AsyncIterator[RunningGateway]:
    """A gateway of three variants whose policy names the fitted estimator, with further changes to the policy."""
    async with AsyncExitStack() as stack:
        provider = await stack.enter_async_context(ScriptedProvider(GOOD))
        variants = [
            remote(name, provider, price={"prompt_per_mtok_usd": usd, "completion_per_mtok_usd": usd})
            for name, usd in PER_TOKEN.items()
        ]
        gateway = await stack.enter_async_context(running(directory, *variants))
        policies = gateway.services.policies
        name = await asyncio.to_thread(EstimatorStore(gateway.services.policy_store._engine).put, artifact)
        policy: Policy = msgspec.structs.replace(
            policies.current, hash="learned", estimators={"quality": name}, **changes
        )
        policies.swap(policy)
        await gateway.services.estimators.refresh()
        yield gateway


async def told(gateway: RunningGateway, prompt: str, **fields: Any) -> dict[str, Any]:
    """The explanation of one answer."""
    body = {"messages": [{"role": "user", "content": prompt}], "priority": {"accuracy": 0.7, "cost": 0.3}} | fields
    _, answer = await gateway.post("/v1/chat/completions", body, X_Trilemma_Explain="1")
    explained: dict[str, Any] = answer["trilemma"]
    return explained


def of(explained: dict[str, Any], variant: str) -> dict[str, Any]:
    return next(c for c in explained["candidates"] if c["variant"] == variant)


async def test_the_prompt_decides_and_the_explanation_says_by_which_figures(tmp_path: Path, fitted: Artifact) -> None:
    async with learned(tmp_path, fitted) as gateway:
        poem, code = await told(gateway, POEM), await told(gateway, CODE)
        assert (poem["variant"], code["variant"]) == ("distilled", "full")
        assert of(poem, "distilled")["quality"] > of(code, "distilled")["quality"] + 0.3
        assert all(0 < candidate["quality_se"] < 0.2 for candidate in code["candidates"])
        assert (code["policy"], list(code["estimators"])) == ("learned", ["quality"])
        assert {"features", "decide"} <= code["stages"].keys()


async def test_the_features_are_logged_and_the_prompt_is_not(tmp_path: Path, fitted: Artifact) -> None:
    async with learned(tmp_path, fitted) as gateway:
        explained = await told(gateway, CODE, metadata={"app": "ide"})
        decision = (await gateway.record(explained["decision"]))["decision"]
        assert decision["features_hash"] == VERSION
        logged = from_stored(decision["features"])
        meant = extract(Prompt(text=CODE, tags={"app": "ide"}))
        assert logged.grams.tolist() == meant.grams.tolist()
        assert logged.groups.tolist() == meant.groups.tolist()
        assert "function" not in msgspec.json.encode(decision).decode()


async def test_feedback_moves_the_next_decision(tmp_path: Path, fitted: Artifact) -> None:
    async with learned(tmp_path, fitted) as gateway:
        before = of(await told(gateway, CODE), "full")["quality"]
        for _ in range(60):
            explained = await told(gateway, CODE, model="full")
            body = {"decision_id": explained["decision"], "score": 0}
            response, _ = await gateway.post("/v1/feedback", body)
            assert response.status == 200
        after = await told(gateway, CODE, priority={"accuracy": 1})
        assert of(after, "full")["quality"] < before - 0.2
        assert after["variant"] == "quantized"


async def test_a_budget_makes_dollars_dear_until_the_mean_cost_fits(tmp_path: Path, fitted: Artifact) -> None:
    """Without it all requests about code go to `full` at 160 millionths of a dollar."""
    usd = 60e-6
    async with learned(tmp_path, fitted, budgets={"*": Budget(usd=usd)}) as gateway:
        answers = [await told(gateway, CODE, priority={"accuracy": 1}) for _ in range(200)]
        assert answers[-1]["prices"]["per_usd"] > 0
        assert {answer["variant"] for answer in answers[-50:]} != {"full"}
        spent = sum(answer["cost_usd"] for answer in answers) / len(answers)
        assert spent <= 1.1 * usd
