"""Whoever takes over for a variant that failed was decided on like the first: same scope, same order, same money."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.errors import ApiError, QuotaError, UpstreamFailedError
from gateway.services import Services
from gateway.tenants.types import Spend, Tenant
from policies.policy import Cascade, Rule, Then
from policies.types import Candidate, ExclusionReason, RoutingRequest
from tests.gateways import exchange, opened, remote, tried
from tests.providers import Answer, ScriptedProvider, completion_body

GOOD = Answer(body=completion_body("Paris"))
RESET = Answer(refuses="reset")
SILENT = Answer(first_after_s=30.0)
QUICK = {"backoff_s": 0.01}
DEAR = {"prompt_per_mtok_usd": 10.0, "completion_per_mtok_usd": 20.0}
"""4,000 tokens of it may cost more than 0.05 USD, the few that are expected do not."""


@asynccontextmanager
async def variants(
    directory: Path,
    *scripts: Answer,
    calls: dict[str, Any] = QUICK,
    dear: int | None = None,
    **sections: Any,
) -> AsyncIterator[tuple[Services, list[ScriptedProvider]]]:
    """Variants `v0`, `v1`, … of falling quality, one of them dear."""
    async with AsyncExitStack() as stack:
        providers = [await stack.enter_async_context(ScriptedProvider(script)) for script in scripts]
        made = [remote(f"v{i}", provider, quality=0.9 - i / 10) for i, provider in enumerate(providers)]
        if dear is not None:
            made[dear]["price"] = DEAR
        yield await stack.enter_async_context(opened(directory, *made, calls=calls, **sections)), providers


class Broken:
    """An estimator that cannot be trusted."""

    def estimate(self, request: RoutingRequest, candidates: Sequence[Candidate]) -> Sequence[Any]:
        raise RuntimeError("corrupt")


async def test_without_estimates_fall_backs_follow_the_order_of_the_policy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = {"fallback": ["v2", "v0", "v1"]}
    async with variants(tmp_path, RESET, GOOD, RESET, policy=policy) as (services, _):
        monkeypatch.setattr(type(services.estimators), "current", Broken())
        taken = exchange(services)
        await services.answering.whole(taken)
        assert [variant for variant, *_ in tried(taken)] == ["v2", "v0", "v1"]
        assert taken.decision is not None
        assert taken.decision.fallback_used


@pytest.mark.parametrize("by", ["rule", "tenant", "alias"])
async def test_a_fall_back_stays_among_the_variants_that_may_answer(tmp_path: Path, by: str) -> None:
    aliases = {"two": ["v0", "v2"]}
    async with variants(tmp_path, RESET, GOOD, GOOD, aliases=aliases) as (services, providers):
        model = "two" if by == "alias" else "auto"
        taken = exchange(services, priority={"accuracy": 1}, model=model)
        if by == "rule":
            rules = (Rule(name="not_one", then=Then(exclude=("v1",))),)
            services.policies.swap(msgspec.structs.replace(services.policies.current, hash="r", rules=rules))
        if by == "tenant":
            taken.tenant = Tenant(id="team", variants=("v0", "v2"))
        await services.answering.whole(taken)
        assert tried(taken) == [("v0", "first", "connection_lost"), ("v2", "fallback", None)]
        assert providers[1].requests == []


async def test_no_call_begins_after_as_many_as_are_set(tmp_path: Path) -> None:
    async with variants(tmp_path, RESET, RESET, GOOD, calls=QUICK | {"max_attempts": 2}) as (services, _):
        taken = exchange(services, priority={"accuracy": 1})
        with pytest.raises(ApiError):
            await services.answering.whole(taken)
        assert tried(taken) == [("v0", "first", "connection_lost"), ("v1", "fallback", "connection_lost")]


async def test_once_all_have_failed_one_is_asked_again(tmp_path: Path) -> None:
    async with variants(tmp_path, RESET, RESET) as (services, providers):
        providers[0].script, providers[1].script = [RESET, GOOD], [RESET, GOOD]
        taken = exchange(services, priority={"accuracy": 1})
        await services.answering.whole(taken)
        assert [role for _, role, _ in tried(taken)] == ["first", "fallback", "retry"]
        assert taken.attempts[-1].propensity == 1.0
        assert "backoff" in taken.stages


async def test_a_wait_past_the_limit_on_the_latency_is_not_made(tmp_path: Path) -> None:
    busy = Answer(status=429, headers={"Retry-After": "3"}, body=b"{}")
    async with variants(tmp_path, busy) as (services, providers):
        with pytest.raises(ApiError) as caught:
            await services.answering.whole(exchange(services, slo={"latency_s": 2.0}))
        assert caught.value.headers["Retry-After"] == "3"
        assert len(providers[0].requests) == 1


async def test_a_silent_cascade_is_left_for_its_second_variant_and_a_silent_second_for_the_first_answer(
    tmp_path: Path,
) -> None:
    impatient = QUICK | {"least_patience_s": 0.2, "patience_factor": 1.0}
    unsure = completion_body("Paris").replace(
        b'"finish_reason"', b'"logprobs": {"content": [{"logprob": -5}]}, "finish_reason"'
    )
    async with variants(tmp_path, GOOD, SILENT, calls=impatient) as (services, providers):
        cascade = Cascade(first="v1", then="v0", threshold=0.9, escalates=0.1, recovers=1.0)
        rules = (Rule(name="careful", then=Then(cascade=True, prefer={"v1": 1.0})),)
        policy = msgspec.structs.replace(services.policies.current, hash="c", cascade=cascade, rules=rules)
        services.policies.swap(policy)
        taken = exchange(services, priority={"accuracy": 0.7, "cost": 0.3})
        assert (await services.answering.whole(taken))["model"] == "v0"
        assert tried(taken) == [("v1", "first", "upstream_timeout"), ("v0", "fallback", None)]
        providers[0].script, providers[1].script = [SILENT], [Answer(body=unsure)]
        rescued = exchange(services, priority={"accuracy": 0.7, "cost": 0.3})
        assert (await services.answering.whole(rescued))["model"] == "v1"
        assert tried(rescued) == [("v1", "first", None), ("v0", "escalation", "upstream_timeout")]
        assert [attempt.held for attempt in rescued.attempts] == ["low_confidence", None]


@pytest.mark.parametrize("dear", [0, 1])
async def test_who_may_cost_more_than_the_budget_has_left_is_neither_first_nor_a_fall_back(
    tmp_path: Path, dear: int
) -> None:
    async with variants(tmp_path, RESET, RESET, dear=dear) as (services, providers):
        taken = exchange(services, priority={"accuracy": 1}, max_tokens=4000)
        taken.tenant = Tenant(id="team", budget=Spend(usd=0.05))
        with pytest.raises(UpstreamFailedError):
            await services.answering.whole(taken)
        assert [role for _, role, _ in tried(taken)] == ["first", "retry"]
        assert providers[dear].requests == []
        assert taken.decision is not None
        excluded = taken.decision.verdicts[dear].excluded_because
        assert excluded is not None
        assert excluded.reason is ExclusionReason.BUDGET


async def test_what_nobody_can_be_paid_for_is_no_attempt_and_the_caller_is_told(tmp_path: Path) -> None:
    async with variants(tmp_path, GOOD, dear=0) as (services, providers):
        taken = exchange(services, max_tokens=4000)
        taken.tenant = Tenant(id="team", budget=Spend(usd=0.05))
        with pytest.raises(QuotaError, match=r"0\.05"):
            await services.answering.whole(taken)
        assert (taken.attempts, taken.tries, providers[0].requests) == ([], 0, [])
