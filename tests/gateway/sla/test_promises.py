"""What tenants were promised reaches their next request, by way of the rows that are logged."""

from __future__ import annotations

import msgspec
import pytest

from gateway.clock import Clock
from gateway.decisions.types import Ending, Row
from gateway.sla.promises import KEPT, Promises
from gateway.tenants.types import Tenant
from policies.objective import Limits
from policies.prices import NO_PRICES
from policies.promises.types import Sla
from tests.decision_rows import decision, observation, outcome

LAW = Tenant(id="law", sla=Sla(window_s=1000.0, mean_quality=0.8))
HASTY = Tenant(id="hasty", sla=Sla(window_s=1000.0, ttft_p95_s=1.0), limits=Limits(ttft_s=5.0, min_quality=0.2))
CHOICES = {"fast": (0.9, 0.5), "best": (0.5, 0.9)}
"""Worth before the tenant's prices, and quality."""


def candidates() -> list[dict[str, object]]:
    """Verdicts as they are logged."""
    able: list[dict[str, object]] = [
        {
            "variant": name,
            "utility": 0.0,
            "worth": worth,
            "estimate": {"quality": quality, "cost_usd": 0.0, "latency_s": 1.0},
        }
        for name, (worth, quality) in CHOICES.items()
    ]
    excluded: dict[str, object] = {"variant": "cold", "worth": None, "estimate": {"quality": 1.0}}
    return [*able, excluded, {"variant": "out", "utility": None, "worth": None, "estimate": None}]


class Now:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.at_s = 1_000_000.0

    def __call__(self) -> float:
        return self.at_s


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
def promises(now: Now) -> Promises:
    return Promises(clock=Clock(wall_s=now, monotonic_s=now))


def answer(promises: Promises, now: Now, tenant: Tenant, number: int, /, **changes: object) -> None:
    """One request from its decision to its end."""
    name = f"dec_{tenant.id}_{number}"
    promises.limits(tenant)
    prices = msgspec.to_builtins(promises.prices(tenant))
    promises.follow(decision(name, tenant=tenant.id, candidates=candidates(), prices=prices))
    now.at_s += 1.0
    promises.follow(outcome(name, **changes))


def test_a_tenant_without_promises_is_asked_nothing(promises: Promises, now: Now) -> None:
    plain = Tenant(id="plain", limits=Limits(latency_s=3.0))
    for number in range(50):
        answer(promises, now, plain, number, ttft_s=99.0, quality=0.0)
    assert promises.limits(plain) == Limits(latency_s=3.0)
    assert promises.prices(plain) == NO_PRICES


def test_a_mean_that_is_missed_prices_quality_and_one_that_is_kept_does_not(promises: Promises, now: Now) -> None:
    for number in range(60):
        answer(promises, now, LAW, number, quality=0.5)
    assert promises.prices(LAW).per_quality > 1.0, "0.4 of utility is between them, for 0.4 of quality"
    for number in range(60, 800):
        answer(promises, now, LAW, number, quality=1.0)
    assert promises.prices(LAW).per_quality == 0.0


def test_late_answers_tighten_what_predictions_are_held_against(promises: Promises, now: Now) -> None:
    assert promises.limits(HASTY) == Limits(ttft_s=1.0, min_quality=0.2)
    for number in range(5):
        answer(promises, now, HASTY, number, ttft_s=2.0)
    limits = promises.limits(HASTY)
    assert limits.ttft_s is not None
    assert limits.ttft_s < 0.5


def test_limits_of_the_tenant_itself_are_never_loosened(promises: Promises, now: Now) -> None:
    strict = Tenant(id="strict", sla=Sla(window_s=1000.0, ttft_p95_s=1.0), limits=Limits(ttft_s=0.5))
    for number in range(400):
        answer(promises, now, strict, number, ttft_s=0.01)
    assert promises.limits(strict).ttft_s == 0.5


@pytest.mark.parametrize("changes", [{"ending": Ending.CANCELLED}, {"ending": Ending.FAILED}, {"streamed": False}])
def test_what_has_no_first_token_for_a_caller_counts_for_none(
    promises: Promises, now: Now, changes: dict[str, object]
) -> None:
    for number in range(5):
        answer(promises, now, HASTY, number, ttft_s=9.0, **changes)
    assert promises.limits(HASTY).ttft_s == 1.0


def test_a_judgement_replaces_what_was_predicted(promises: Promises, now: Now) -> None:
    for number in range(40):
        answer(promises, now, LAW, number, quality=1.0)
        promises.follow(observation(f"dec_law_{number}", score=0.0))
    assert promises.prices(LAW).per_quality > 1.0


def test_of_repeated_judgements_the_last_one_counts_and_counts_once() -> None:
    prices = []
    for scores in ([1.0], [0.0] * 300 + [1.0], [0.0]):
        now = Now()
        seen = Promises(clock=Clock(wall_s=now, monotonic_s=now))
        for number in range(40):
            answer(seen, now, LAW, number, quality=1.0)
            for score in scores:
                seen.follow(observation(f"dec_law_{number}", score=score))
        prices.append(seen.prices(LAW).per_quality)
    assert prices[1] == pytest.approx(prices[0])
    assert prices[2] > prices[0] + 1.0


def test_answers_of_the_cache_count_too(promises: Promises, now: Now) -> None:
    promises.limits(LAW)
    for number in range(100):
        promises.follow(decision(f"hit_{number}", tenant="law", candidates=[], propensities={}, choice=None))
        promises.follow(outcome(f"hit_{number}", cache="exact", quality=0.1))
    for number in range(20):
        answer(promises, now, LAW, number, quality=0.9)
    assert promises.prices(LAW).per_quality > 1.0


def test_changed_promises_begin_anew(promises: Promises, now: Now) -> None:
    for number in range(5):
        answer(promises, now, HASTY, number, ttft_s=2.0)
    changed = Tenant(id="hasty", sla=Sla(window_s=1000.0, ttft_p95_s=3.0))
    assert promises.limits(changed).ttft_s == 3.0


def test_memory_is_bounded_and_no_row_makes_it_stumble(promises: Promises, now: Now) -> None:
    promises.limits(LAW)
    for number in range(KEPT + 10):
        promises.follow(decision(f"dec_{number}", tenant="law"))
    assert len(promises._recent) == KEPT
    broken: list[Row] = [
        decision("bad", tenant="law", candidates=[{"utility": 1.0, "estimate": {"quality": "?"}}]),
        outcome("bad", quality=None),
        observation("bad"),
        outcome("never heard of"),
    ]
    for row in broken:
        promises.follow(row)


def test_the_price_is_found_from_worth_less_what_dollars_and_seconds_cost(promises: Promises, now: Now) -> None:
    """0.4 of utility are between the two, for 0.4 of quality; a second's price of 0.2 makes it 0.8."""
    slow = candidates()
    slow[1]["estimate"] = {"quality": 0.9, "cost_usd": 0.0, "latency_s": 3.0}
    for number in range(60):
        promises.limits(LAW)
        promises.prices(LAW)
        promises.follow(decision(f"dec_{number}", tenant="law", candidates=slow, prices={"per_s": 0.2}))
        now.at_s += 1.0
        promises.follow(outcome(f"dec_{number}", quality=0.75))
    assert promises.prices(LAW).per_quality >= 2.0


def test_rows_of_versions_without_worth_are_passed_over(
    promises: Promises, now: Now, caplog: pytest.LogCaptureFixture
) -> None:
    promises.limits(LAW)
    for number in range(30):
        promises.prices(LAW)
        old = [{name: of for name, of in verdict.items() if name != "worth"} for verdict in candidates()]
        promises.follow(decision(f"dec_{number}", tenant="law", candidates=old))
        now.at_s += 1.0
        promises.follow(outcome(f"dec_{number}", quality=0.5))
    assert promises.prices(LAW).per_quality == 0.0
    assert not caplog.records
