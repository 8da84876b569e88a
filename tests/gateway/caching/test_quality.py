"""A kept answer is given only where it could have been given anew, and only until somebody says that it is wrong."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.caching.admissible import keepable
from gateway.routing.terms import Terms
from policies.objective import Limits
from policies.policy import Match, Rule, Then
from policies.priorities import DEFAULT_POLICY
from tests.gateways import RunningGateway, behind, exchange, opened, remote
from tests.providers import Answer, ScriptedProvider, completion_body

CHAT = "/v1/chat/completions"
ASK: dict[str, Any] = {"messages": [{"role": "user", "content": "hello"}], "temperature": 0}
YES = Answer(body=completion_body("yes"))


async def ask(gateway: RunningGateway, **fields: Any) -> tuple[str, str]:
    """The cache's outcome and the decision's id."""
    response, body = await gateway.post(CHAT, ASK | fields)
    assert response.status == 200, body
    return response.headers["X-Trilemma-Cache"], response.headers["X-Trilemma-Decision"]


@pytest.mark.parametrize("judged", ["the one it was made for", "the one it was given again to"])
async def test_an_answer_that_its_caller_finds_wrong_is_not_given_again(tmp_path: Path, judged: str) -> None:
    async with behind(tmp_path, YES) as (gateway, [provider]):
        made, again = await ask(gateway), await ask(gateway)
        assert (made[0], again[0]) == ("miss", "exact")
        decision = made[1] if judged == "the one it was made for" else again[1]
        response, _ = await gateway.post("/v1/feedback", {"decision_id": decision, "score": 0.2})
        assert response.status == 200
        async with asyncio.timeout(3):
            while (await ask(gateway))[0] == "exact":
                await asyncio.sleep(0.01)
        assert len(provider.requests) == 2


async def test_an_answer_that_its_caller_finds_right_stays(tmp_path: Path) -> None:
    async with behind(tmp_path, YES) as (gateway, _):
        _, decision = await ask(gateway)
        await gateway.post("/v1/feedback", {"decision_id": decision, "score": 0.9})
        await asyncio.sleep(0.05)
        assert (await ask(gateway))[0] == "exact"


async def test_an_answer_that_fails_its_callers_check_is_not_given_again(tmp_path: Path) -> None:
    checks = {"checks": [{"type": "exact", "answer": "no"}]}
    async with behind(tmp_path, YES) as (gateway, [provider]):
        await ask(gateway)
        async with asyncio.timeout(10):
            while len(provider.requests) == 1:
                await ask(gateway, **checks)
                await asyncio.sleep(0.05)


async def test_a_fall_backs_answer_is_for_this_moment_only(tmp_path: Path) -> None:
    broken = Answer(status=500, body=b'{"error": {"message": "broken"}}')
    async with behind(tmp_path, broken, YES) as (gateway, [first, _]):
        assert (await ask(gateway))[0] == "miss"
        first.script = [YES]
        assert (await ask(gateway))[0] == "miss"
        assert (await ask(gateway))[0] == "exact"


@pytest.mark.parametrize("change", [{"explored": True}, {"fallback_used": True}])
async def test_what_was_tried_to_learn_or_chosen_blindly_is_not_given_again(
    tmp_path: Path, change: dict[str, bool]
) -> None:
    async with ScriptedProvider(YES) as provider, opened(tmp_path, remote("v0", provider)) as services:
        asked = exchange(services)
        services.decider.choose(asked)
        assert asked.decision is not None
        assert keepable(asked)
        asked.decision = replace(asked.decision, **change)
        assert not keepable(asked)


async def test_an_answer_by_a_variant_that_the_policys_rule_leaves_out_is_a_miss(tmp_path: Path) -> None:
    rule = Rule(name="only", match=Match(tags={"app": ("a",)}), then=Then(exclude=("v0",)))
    async with behind(tmp_path, YES, YES) as (gateway, providers):
        assert [(await ask(gateway))[0] for _ in range(2)] == ["miss", "exact"]
        policies = gateway.services.policies
        policies.swap(replace(policies.current, rules=(rule,)))
        assert [(await ask(gateway, metadata={"app": "a"}))[0] for _ in range(2)] == ["miss", "exact"]
        assert [len(provider.requests) for provider in providers] == [1, 1]


def terms(**fields: Any) -> Terms:
    return Terms(policy=DEFAULT_POLICY, limits=Limits(**fields.pop("limits", {})), **fields)


def test_terms_accept_only_who_may_answer_and_is_good_enough() -> None:
    asked = terms(variants=frozenset({"v0"}), limits={"min_quality": 0.8})
    assert asked.accept(variant="v0", quality=0.8, quality_se=0.1, accuracy=0.0)
    assert not asked.accept(variant="v1", quality=0.9, quality_se=0.0, accuracy=0.0)
    assert not asked.accept(variant="v0", quality=0.79, quality_se=0.0, accuracy=0.0)
    assert not asked.accept(variant="v0", quality=None, quality_se=0.0, accuracy=0.0)
    sure = terms(variants=frozenset({"v0"}), limits={"min_quality": 0.8}, quality_confidence=0.95)
    assert not sure.accept(variant="v0", quality=0.85, quality_se=0.1, accuracy=0.0)
    assert terms(variants=frozenset({"v0"})).accept(variant="v0", quality=None, quality_se=0.0, accuracy=0.0)


def test_terms_are_equal_where_they_accept_the_same() -> None:
    assert terms(variants=frozenset({"a"})) == terms(variants=frozenset({"a"}), limits={"latency_s": 1})
    assert terms(variants=frozenset({"a"})) != terms(variants=frozenset({"a"}), limits={"min_quality": 0.1})
    assert terms(variants=frozenset({"a"})) != terms(variants=frozenset({"a"}), accuracy=0.1)
