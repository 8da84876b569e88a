"""The example policies are in order, and route the requests they were written for as they say."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from gateway.routing.policy import policy_from
from gateway.settings import load_settings
from policies.documents.compile import compile_document
from policies.documents.lint import lint
from policies.documents.schema import SCHEMA_VERSION, decode_document
from policies.objective import Limits, Weights
from policies.policy import Exploration, ExplorationMethod, Policy
from policies.priorities import DEFAULT_PRIORITIES
from policies.rules import apply
from policies.types import Candidate, Decision, ExclusionReason, Profile
from tests.policy_documents import EXAMPLES, KNOWN
from tests.policy_strategies import candidate, decided, request

CARDS = {
    "quantized": Profile(quality=0.77, quality_se=0.04, ttft_s=0.037, tpot_s=0.0115, cold_start_s=4.8),
    "full": Profile(quality=0.77, quality_se=0.04, ttft_s=0.172, tpot_s=0.0536, cold_start_s=5.1),
    "distilled": Profile(quality=0.72, quality_se=0.04, ttft_s=0.027, tpot_s=0.008, cold_start_s=4.5),
}
"""The default variants as README has them measured."""

CERTAIN = Exploration(method=ExplorationMethod.EPSILON_SOFTMAX, epsilon=0.0)
"""The best is taken, always."""


def example(name: str) -> Policy:
    """An example, compiled, and without exploration: what it thinks best."""
    file = EXAMPLES / f"{name}.yaml"
    policy = compile_document(decode_document(file.read_text(), source_name=file.name))
    return msgspec.structs.replace(policy, exploration=CERTAIN)


def variants(**qualities: float) -> tuple[Candidate, ...]:
    """The default variants, all warm, those named with another quality."""
    profiles = {
        name: msgspec.structs.replace(card, quality=qualities.get(name, card.quality)) for name, card in CARDS.items()
    }
    able = frozenset({"json_schema", "tools"})
    return tuple(candidate(name, profile=profile, capabilities=able) for name, profile in profiles.items())


def routed(name: str, *, qualities: dict[str, float] | None = None, **asked: object) -> Decision:
    """What an example decides about a balanced request, but for what it asks."""
    asked = {"weights": DEFAULT_PRIORITIES["balanced"]} | asked
    policy = example(name)
    return decided(apply(request(**asked), policy)[0], variants(**(qualities or {})), policy)


def excluded(decision: Decision) -> dict[str, ExclusionReason]:
    return {v.variant: v.excluded_because.reason for v in decision.verdicts if v.excluded_because is not None}


def test_there_are_five_examples() -> None:
    assert {file.stem for file in EXAMPLES.glob("*.yaml")} == {
        "default",
        "support-bot",
        "legal-analyser",
        "batch-night",
        "new-variant-trial",
    }


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.yaml")), ids=lambda file: file.stem)
def test_examples_are_of_the_current_version_and_keep_the_estimators_in_force(file: Path) -> None:
    known = msgspec.structs.replace(KNOWN, variants=CARDS)
    findings = lint(file.read_text(), known=known, source_name=file.name)
    assert [finding.code for finding in findings] == ["estimators-in-force"]
    assert decode_document(file.read_text(), source_name=file.name).schema_version == SCHEMA_VERSION


def test_the_default_example_is_the_policy_that_holds_where_nobody_published_one() -> None:
    file = EXAMPLES / "default.yaml"
    policy = compile_document(decode_document(file.read_text(), source_name=file.name))
    assert policy.priorities == DEFAULT_PRIORITIES
    assert policy == policy_from(load_settings())


def test_the_support_bot_is_answered_by_the_fastest_that_it_may_use() -> None:
    decision = routed("support-bot", tags={"app": "support-bot"})
    assert decision.choice == "distilled"
    assert excluded(decision) == {"full": ExclusionReason.RULE}


def test_the_support_bot_is_answered_with_care_about_money() -> None:
    decision = routed("support-bot", tags={"app": "support-bot", "topic": "refund"})
    assert decision.choice == "quantized"
    assert excluded(decision) == {"distilled": ExclusionReason.RULE}


def test_requests_beside_the_support_bot_go_by_their_hint() -> None:
    assert (
        routed("support-bot").choice
        == decided(request(weights=DEFAULT_PRIORITIES["balanced"]), variants(), example("default")).choice
    )
    assert routed("support-bot", weights=DEFAULT_PRIORITIES["speed"], tags={"app": "other"}).choice == "distilled"


def test_the_legal_analyser_waits_for_the_better_variant() -> None:
    decision = routed("legal-analyser", qualities={"full": 0.85}, tags={"app": "legal-analyser"})
    assert decision.choice == "full"


@pytest.mark.parametrize("hint", DEFAULT_PRIORITIES)
def test_no_hint_gets_the_legal_analyser_below_its_floor(hint: str) -> None:
    asked = {"weights": DEFAULT_PRIORITIES[hint], "hint": hint, "tags": {"app": "legal-analyser"}}
    decision = routed("legal-analyser", qualities={"quantized": 0.6}, **asked)
    assert decision.choice == "full"
    assert excluded(decision) == {"quantized": ExclusionReason.QUALITY, "distilled": ExclusionReason.RULE}


def test_where_nobody_reaches_the_legal_floor_the_decision_says_so() -> None:
    decision = routed("legal-analyser", qualities={"quantized": 0.5, "full": 0.55}, tags={"app": "legal-analyser"})
    assert (decision.choice, decision.violated) == ("full", ExclusionReason.QUALITY)


def test_a_caller_cannot_loosen_the_legal_floor() -> None:
    lax = Limits(min_quality=0.1, latency_s=1000)
    ruled, _ = apply(request(limits=lax, tags={"app": "legal-analyser"}), example("legal-analyser"))
    assert ruled.objective.limits == Limits(min_quality=0.70, latency_s=300)


def test_legal_extraction_goes_to_the_fast_one_of_the_good() -> None:
    asked = {"needs": frozenset({"json_schema"}), "tags": {"app": "legal-analyser"}}
    assert routed("legal-analyser", **asked).choice == "quantized"


def test_batch_jobs_go_to_the_cheapest_and_urgent_requests_do_not_notice() -> None:
    batch = routed("batch-night", service_tier="flex")
    costs = {v.variant: v.estimate.cost_usd for v in batch.verdicts if v.estimate is not None}
    assert batch.choice == min(costs, key=lambda name: costs[name])
    urgent, ruling = apply(request(service_tier="priority"), example("batch-night"))
    assert (ruling.rule, urgent.objective.limits.ttft_s) == ("urgent", 3)


def test_only_batch_jobs_may_be_answered_by_a_cascade() -> None:
    policy = example("batch-night")
    allowed = {
        tier: apply(request(service_tier=tier), policy)[1].then.cascade for tier in ("flex", "priority", "auto")
    }
    assert allowed == {"flex": True, "priority": False, "auto": False}
    assert policy.cascade is not None


@pytest.mark.parametrize("asked", [{"service_tier": "priority"}, {"prompt_tokens": 2000}])
def test_a_variant_on_trial_is_kept_from_those_who_pay_and_from_long_prompts(asked: dict[str, object]) -> None:
    decision = routed("new-variant-trial", weights=Weights(speed=1), **asked)
    assert excluded(decision) == {"distilled": ExclusionReason.RULE}
    assert routed("new-variant-trial").propensities.keys() == CARDS.keys()
    assert excluded(routed("new-variant-trial")) == {}
