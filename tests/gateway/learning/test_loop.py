"""What requests cost and how good their answers were comes back to who decides, at once."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.decisions.types import Ending, ObservationSource
from gateway.learning import loop as loop_module
from gateway.learning.loop import Loop
from gateway.routing.budgets import Budgets
from policies.policy import Budget, Policy
from policies.prices import NO_PRICES
from tests.decision_rows import decision, observation, outcome
from tests.fitted import FEATURES

POLICY = Policy(hash="p", priorities={}, budgets={"zoo": Budget(usd=1.0)})


class Clock:
    def monotonic_s(self) -> float:
        return 0.0

    def wall_s(self) -> float:
        return 0.0


class Quality:
    """Notes what it is told; `broken` fails as a corrupt estimator may."""

    def __init__(self, *, broken: bool = False) -> None:
        self.told: list[tuple[str, float, float]] = []
        self.broken = broken

    @property
    def quality(self) -> Any:
        return self

    def update(self, features: object, variant: str, score: float, *, weight: float) -> None:
        if self.broken:
            raise ValueError("corrupt")
        assert features is FEATURES
        self.told.append((variant, score, weight))


def followed(*rows: Any, quality: Quality | None = None) -> tuple[Quality, Loop, Budgets]:
    told, budgets = quality or Quality(), Budgets(Clock())
    budgets.prices("zoo", POLICY)
    loop = Loop(estimators=told, budgets=budgets)
    for row in rows:
        loop.follow(row)
    return told, loop, budgets


DECIDED = decision(tenant="zoo", features=FEATURES)
HELD = [{"variant": "quantized", "propensity": 1.0, "held": "good_enough"}]


def test_a_judgement_moves_the_estimator_of_the_variant_that_answered() -> None:
    quality, loop, _ = followed(DECIDED, outcome(variant="full"), observation(score=0.25, weight=0.5))
    assert quality.told == [("full", 0.25, 0.5)]
    assert loop.learned == 1


@pytest.mark.parametrize(
    "rows",
    [
        [outcome(), observation()],
        [decision(features=None), outcome(), observation()],
        [DECIDED, observation()],
        [DECIDED, outcome(ending=Ending.CANCELLED), observation()],
        [DECIDED, outcome(attempts=HELD), observation()],
    ],
    ids=["unknown", "no features", "no outcome yet", "not complete", "passed on by a cascade"],
)
def test_what_says_nothing_of_a_variants_quality_teaches_nothing(rows: list[Any]) -> None:
    assert followed(*rows)[0].told == []


def test_what_a_request_cost_is_charged_to_its_tenants_budget() -> None:
    def ceiling(*rows: Any) -> float:
        _, _, budgets = followed(*rows)
        assert budgets.prices("elsewhere", POLICY) == NO_PRICES
        return budgets.prices("zoo", POLICY).ceiling_usd or 0.0

    assert ceiling(DECIDED, outcome(cost_usd=5.0)) == pytest.approx(ceiling() - 5.0)


def test_requests_of_each_variant_are_counted() -> None:
    _, loop, _ = followed(DECIDED, decision("dec_2", choice=None), decision("dec_3", choice="full"))
    assert dict(loop.tried) == {"quantized": 1, "full": 1}


def test_a_corrupt_estimator_does_not_disturb_who_records() -> None:
    quality, loop, _ = followed(DECIDED, outcome(), observation(), quality=Quality(broken=True))
    assert (quality.told, loop.learned) == ([], 0)


def test_only_so_many_requests_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_module, "KEPT", 2)
    rows = [row for n in range(3) for row in (decision(f"dec_{n}", features=FEATURES), outcome(f"dec_{n}"))]
    quality, _, _ = followed(*rows, observation("dec_0"), observation("dec_2"))
    assert len(quality.told) == 1


def test_a_new_fit_is_shown_what_was_judged_lately() -> None:
    class Holder:
        quality: Any = Quality()

    first, holder = Holder.quality, Holder()
    loop = Loop(estimators=holder, budgets=Budgets(Clock()))
    for row in (DECIDED, outcome(variant="full"), observation(score=0.25)):
        loop.follow(row)
    holder.quality = Quality()
    loop.follow(observation(score=0.75, source=ObservationSource.CHECK))
    assert first.told == [("full", 0.25, 1.0)]
    assert holder.quality.told == [("full", 0.25, 1.0), ("full", 0.75, 1.0)]


def test_a_repeated_judgement_is_not_added_and_a_new_fit_is_shown_the_last_one() -> None:
    class Holder:
        quality: Any = Quality()

    first, holder = Holder.quality, Holder()
    loop = Loop(estimators=holder, budgets=Budgets(Clock()))
    for row in (DECIDED, outcome(variant="full"), *(observation(number=n, score=n / 300) for n in range(300))):
        loop.follow(row)
    assert first.told == [("full", 0.0, 1.0)]
    holder.quality = Quality()
    loop.follow(observation(score=0.5, source=ObservationSource.CHECK))
    assert holder.quality.told == [("full", 299 / 300, 1.0), ("full", 0.5, 1.0)]
