from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backends.types import VariantStatus, WorkerState
from gateway.errors import ContextLengthError, InvalidRequestError, ModelNotFoundError, UnavailableError
from gateway.routing.exchange import Attempt
from gateway.services import Services
from tests.gateways import Fleet, exchange, local, opened

WARM = {name: VariantStatus(name=name, state=WorkerState.WARM) for name in ("good", "quick", "wide")}
VARIANTS = (
    local("good", quality=0.9, ttft_s=2.0, capabilities=["tools"]),
    local("quick", quality=0.5),
    local("wide", quality=0.1, context_tokens=100_000),
)
EVENLY = {"exploration": {"epsilon": 0.3, "scale": 0.0, "first": 0}}


def choose(services: Services, *tried: tuple[str, str], **fields: Any) -> str:
    taken = exchange(services, **fields)
    taken.attempts += [Attempt(variant=v, propensity=1.0, latency_s=0.1, error_type=error) for v, error in tried]
    return services.decider.choose(taken)


async def test_names_lead_to_what_may_answer(tmp_path: Path) -> None:
    aliases = {"small": ("quick", "wide")}
    async with opened(tmp_path, *VARIANTS, fleet=Fleet(WARM), aliases=aliases) as services:
        assert services.decider.models == ["auto", "small", "good", "quick", "wide"]
        assert services.decider.reachable("auto") == {"good", "quick", "wide"}
        assert services.decider.reachable("small") == {"quick", "wide"}
        assert services.decider.reachable("good") == {"good"}
        with pytest.raises(ModelNotFoundError, match="known models: auto, small, good, quick, wide"):
            services.decider.reachable("none")
        assert choose(services, model="wide", priority="accuracy") == "wide"
        assert choose(services, model="small", priority="accuracy") == "quick"
        assert choose(services, priority="accuracy") == "good"


async def test_a_variant_that_was_tried_is_not_chosen_again(tmp_path: Path) -> None:
    async with opened(tmp_path, *VARIANTS, fleet=Fleet(WARM)) as services:
        assert choose(services, ("good", "connect_error"), priority="accuracy") == "quick"
        with pytest.raises(UnavailableError, match="good: an earlier attempt"):
            choose(services, ("good", "connect_error"), model="good")


async def test_a_prompt_too_long_for_one_goes_only_to_those_with_more_context(tmp_path: Path) -> None:
    async with opened(tmp_path, *VARIANTS, fleet=Fleet(WARM)) as services:
        for fields in ({}, {"max_tokens": 500}):
            tried = ("good", "context_length_exceeded")
            assert choose(services, tried, priority="accuracy", **fields) == "wide"
            with pytest.raises(UnavailableError, match="need at least 8193 tokens"):
                choose(services, tried, ("wide", "connect_error"), priority="accuracy", **fields)


async def test_a_prompt_certainly_too_long_is_refused_before_any_attempt(tmp_path: Path) -> None:
    async with opened(tmp_path, *VARIANTS[:2], fleet=Fleet(WARM)) as services:
        with pytest.raises(ContextLengthError, match=r"good: .* its context has 8192"):
            choose(services, messages=[{"role": "user", "content": "x" * 32 * 8192}])


@pytest.mark.parametrize(
    ("state", "fields", "error", "words"),
    [
        (WorkerState.BUILDING, {}, UnavailableError, "no variant can answer now"),
        (WorkerState.FAILED, {"model": "good"}, UnavailableError, r"\(good: not built, failed, or stopping\)"),
        (WorkerState.WARM, {"model": "quick", "tools": [{}]}, InvalidRequestError, "`quick` can do tools"),
        (WorkerState.WARM, {"max_tokens": 10**6}, ContextLengthError, "fits no variant's context"),
    ],
)
async def test_a_refusal_says_why(
    tmp_path: Path, state: WorkerState, fields: dict[str, Any], error: type[Exception], words: str
) -> None:
    fleet = Fleet({name: VariantStatus(name=name, state=state) for name in WARM})
    async with opened(tmp_path, *VARIANTS, fleet=fleet) as services:
        with pytest.raises(error, match=words):
            choose(services, **fields)


async def test_every_choice_is_logged_once_with_what_it_was_made_from(tmp_path: Path) -> None:
    async with opened(tmp_path, *VARIANTS, fleet=Fleet(WARM), policy=EVENLY) as services:
        taken = exchange(services, priority="accuracy", slo={"min_quality": 0.4}, max_tokens=50)
        first = services.decider.choose(taken)
        taken.attempts.append(Attempt(variant=first, propensity=1.0, latency_s=0.1, error_type="connect_error"))
        services.decider.choose(taken)
        record = await services.log.find(taken.decision_id)
        assert record is not None
        row = record.decision
        assert (row.hint, row.choice, row.max_completion_tokens) == ("accuracy", first, 50)
        assert row.limits["min_quality"] == 0.4
        assert row.propensities == pytest.approx({"good": 0.85, "quick": 0.15, "wide": 0.0})
        assert row.candidates[2]["excluded_because"]["reason"] == "quality"


async def test_the_log_names_the_trace_of_the_request(tmp_path: Path) -> None:
    async with opened(tmp_path, *VARIANTS, fleet=Fleet(WARM)) as services:
        taken = exchange(services)
        services.decider.choose(taken)
        record = await services.log.find(taken.decision_id)
        assert record is not None
        assert record.decision.trace_id == taken.timeline.trace_id
