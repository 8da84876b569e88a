"""What is learned decides in the running gateway: from the first judged answer on, by prompt, and within budgets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.learning import trainings
from gateway.learning.estimators import ANSWERS
from gateway.learning.store import EstimatorStore
from policies.estimators.artifact import Artifact
from policies.features.extract import extract
from policies.features.layout import VERSION
from policies.features.stored import from_stored
from policies.features.types import Prompt
from policies.learner.fit import first_fit
from policies.policy import Budget
from policies.samples import Sample
from policies.training.answers import fit_answers
from policies.types import CandidateState
from tests.gateways import RunningGateway, remote, running, until
from tests.learned_state import a_fit
from tests.providers import Answer, ScriptedProvider, completion_body
from tests.quality_worlds import NAMES, world

POEM = "write verses about rivers and meadows"
CODE = "fix this function whose loop never ends"
PER_TOKEN = {"full": 20.0, "quantized": 10.0, "distilled": 1.0}
"""Dollars for a million tokens; an answer of the provider has eight."""

GOOD = Answer(body=completion_body("yes"))
"""At a time per token of 10 ms."""


@pytest.fixture(scope="module")
def known() -> list[Sample]:
    """Judged answers of a world in which the words of a prompt decide which variant answers well."""
    here = world(1500, seed=0)
    judged = here.judged(seed=1)
    return [
        Sample(
            decision_id=f"known_{n:04}",
            created_at_s=1_700_000_000.0 + n,
            tenant="default",
            variant=NAMES[judged.variant[n]],
            propensity=1.0 / len(NAMES),
            state=CandidateState.WARM,
            queued=0,
            running=0,
            starts_in_s=None,
            prompt_tokens=10,
            max_completion_tokens=None,
            completion_tokens=5,
            cut=False,
            ttft_s=None,
            tpot_s=None,
            latency_s=None,
            cost_usd=0.0,
            features=features,
            quality=float(judged.score[n]),
            quality_weight=1.0,
        )
        for n, features in enumerate(here.features)
    ]


@pytest.fixture(scope="module")
def fitted(known: list[Sample]) -> Artifact:
    return fit_answers(known, start=first_fit()).to_artifact(variants=NAMES, facts={"rows": len(known)})


@asynccontextmanager
async def three_variants(directory: Path, **stated: Any) -> AsyncIterator[RunningGateway]:
    """A gateway of three variants that differ in their price."""
    async with AsyncExitStack() as stack:
        provider = await stack.enter_async_context(ScriptedProvider(GOOD))
        variants = [
            remote(name, provider, price={"prompt_per_mtok_usd": usd, "completion_per_mtok_usd": usd}, **stated)
            for name, usd in PER_TOKEN.items()
        ]
        yield await stack.enter_async_context(running(directory, *variants))


async def put_in_force(gateway: RunningGateway, fitted: Artifact, known: list[Sample]) -> None:
    """As a training does; the judged answers that it was fitted on are known as if they had come from the log."""
    engine = gateway.services.policy_store._engine
    name = await asyncio.to_thread(EstimatorStore(engine).put, fitted)
    await asyncio.to_thread(lambda: trainings.record(engine, a_fit(**{ANSWERS: name}), publish=True))
    estimators = gateway.services.estimators
    await estimators.refresh()
    assert estimators.stats.in_force[ANSWERS] == name
    estimators._online.deliver(known)
    await estimators._online.settle()


async def told(gateway: RunningGateway, prompt: str, **fields: Any) -> dict[str, Any]:
    """The explanation of one answer."""
    body = {"messages": [{"role": "user", "content": prompt}], "priority": "balanced"} | fields
    _, answer = await gateway.post("/v1/chat/completions", body, X_Trilemma_Explain="1")
    explained: dict[str, Any] = answer["trilemma"]
    return explained


async def judge(gateway: RunningGateway, explained: dict[str, Any], score: float) -> None:
    response, _ = await gateway.post("/v1/feedback", {"decision_id": explained["decision"], "score": score})
    assert response.status == 200


def of(explained: dict[str, Any], variant: str) -> dict[str, Any]:
    return next(c for c in explained["candidates"] if c["variant"] == variant)


async def test_the_first_judged_answer_moves_the_next_prediction(tmp_path: Path) -> None:
    async with three_variants(tmp_path) as gateway:
        first = await told(gateway, CODE, model="full")
        await judge(gateway, first, 0.0)
        await gateway.services.estimators._online.settle()
        second = await told(gateway, CODE)
        assert of(second, "full")["quality"] < of(first, "full")["quality"] - 0.02


async def test_feedback_changes_which_variant_is_chosen(tmp_path: Path) -> None:
    async with three_variants(tmp_path) as gateway:
        for _ in range(20):
            for name in PER_TOKEN:
                await judge(gateway, await told(gateway, CODE, model=name), float(name == "quantized"))
        await gateway.services.estimators._online.settle()
        chosen = [(await told(gateway, CODE, priority="accuracy"))["variant"] for _ in range(10)]
        assert chosen.count("quantized") >= 9, "one in a hundred is chosen at random"


async def test_under_a_fit_the_prompt_decides_and_the_explanation_says_by_which_figures(
    tmp_path: Path, fitted: Artifact, known: list[Sample]
) -> None:
    async with three_variants(tmp_path) as gateway:
        await put_in_force(gateway, fitted, known)
        poem, code = [await told(gateway, text, priority="cost") for text in (POEM, CODE)]
        assert of(poem, "distilled")["quality"] > of(code, "distilled")["quality"] + 0.3
        assert all(0 < candidate["quality_se"] < 0.3 for candidate in code["candidates"])
        assert (poem["variant"], code["variant"]) == ("quantized", "full"), "the cheapest that is good enough"
        assert list(code["estimators"]) == [ANSWERS]
        assert {"features", "decide"} <= code["stages"].keys()


async def test_another_document_keeps_what_is_in_force_and_one_without_learning_does_not(
    tmp_path: Path, fitted: Artifact, known: list[Sample]
) -> None:
    async with three_variants(tmp_path) as gateway:
        await put_in_force(gateway, fitted, known)
        learned = of(await told(gateway, CODE), "distilled")["quality"]
        text = "schema_version: 2\nname: other\nfallback: [full, quantized, distilled]\n"
        for document, quality in ((text, learned), (text + "estimators: none\n", 0.5), (text, learned)):
            before = gateway.services.policies.current.hash
            response, _ = await gateway.post("/admin/v1/policies", {"text": document, "reason": "a test"})
            assert response.status in (200, 201)
            await until(lambda before=before: gateway.services.policies.current.hash != before, within_s=5.0)
            assert of(await told(gateway, CODE), "distilled")["quality"] == pytest.approx(quality, abs=0.02)


async def test_the_features_are_logged_and_the_prompt_is_not(tmp_path: Path) -> None:
    async with three_variants(tmp_path) as gateway:
        explained = await told(gateway, CODE, metadata={"app": "ide"})
        decision = (await gateway.record(explained["decision"]))["decision"]
        assert decision["features_hash"] == VERSION
        logged = from_stored(decision["features"])
        meant = extract(Prompt(text=CODE, tags={"app": "ide"}, hint="balanced"))
        assert logged.grams.tolist() == meant.grams.tolist()
        assert logged.groups.tolist() == meant.groups.tolist()
        assert "function" not in msgspec.json.encode(decision).decode()


async def test_a_restarted_gateway_predicts_as_before(tmp_path: Path) -> None:
    async with three_variants(tmp_path) as gateway:
        for number in range(8):
            await judge(gateway, await told(gateway, CODE, model="full"), float(number == 0))
        await gateway.services.estimators._online.settle()
        before = of(await told(gateway, CODE), "full")
    async with three_variants(tmp_path) as gateway:
        after = of(await told(gateway, CODE), "full")
        assert after["quality"] == pytest.approx(before["quality"], abs=1e-4)
        assert after["quality_se"] == pytest.approx(before["quality_se"], abs=1e-4)


async def test_a_budget_makes_dollars_dear_until_the_mean_cost_fits(
    tmp_path: Path, fitted: Artifact, known: list[Sample]
) -> None:
    """Without it all requests about code go to `full` at 160 millionths of a dollar."""
    usd = 60e-6
    async with three_variants(tmp_path) as gateway:
        await put_in_force(gateway, fitted, known)
        policies = gateway.services.policies
        policies.swap(msgspec.structs.replace(policies.current, hash="budget", budgets={"*": Budget(usd=usd)}))
        answers = [await told(gateway, CODE, priority="accuracy") for _ in range(200)]
        assert answers[-1]["prices"]["per_usd"] > 0
        assert {answer["variant"] for answer in answers[-50:]} != {"full"}
        spent = sum(answer["cost_usd"] for answer in answers) / len(answers)
        assert spent <= 1.1 * usd
