"""Routing is compared with always taking one variant: the interval covers, and what cannot be told is not told."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from policies.evaluation.fixed_variants import against_fixed
from policies.evaluation.learning_types import MIN_ROWS, LeftOut
from policies.evaluation.routed import Realised, RoutedRequest, utility
from policies.prices import Prices
from policies.valuation import Valuation
from tests.routed_worlds import NAMES, routed, routed_world, verdict

SEEDS = 60


@pytest.mark.parametrize(
    ("sharpness", "level_se"), [(12.0, 0.05), (30.0, 0.15)], ids=["even propensities", "predictions stand in"]
)
def test_intervals_at_95_percent_cover_the_true_difference(sharpness: float, level_se: float) -> None:
    covered, told = 0, 0
    for seed in range(SEEDS):
        world = routed_world(seed, rows=300, sharpness=sharpness, level_se=level_se)
        for found in against_fixed(world.requests).variants:
            told += found.told
            covered += found.told and found.interval.covers(world.advantage[found.variant])
    # The log tells of one variant at least in each world. At 95 % fewer than 88 % of them would cover with a
    # probability below 0.01 where all were independent; 95 % and 98 % were measured.
    assert told >= SEEDS
    assert covered / told >= 0.88


def test_routing_that_is_better_than_every_variant_is_found_better_than_the_best() -> None:
    world = routed_world(1, rows=1500, sharpness=30.0)
    found = against_fixed(world.requests)
    assert found.best == "large"
    assert found.against_best is not None
    assert found.against_best.interval.low > 0.0
    assert found.against_best.interval.covers(world.advantage["large"])
    assert found.worse_than is None


def test_routing_that_chooses_badly_raises_the_alarm() -> None:
    found = against_fixed(routed_world(1, rows=1500, sharpness=-12.0).requests)
    assert found.worse_than == "large"
    assert found.against_best is not None
    assert found.against_best.family_interval.high < 0.0
    assert found.against_best.family_interval.low < found.against_best.interval.low


def test_routing_as_good_as_the_best_variant_raises_a_false_alarm_in_few_logs() -> None:
    """Choosing nearly always `large`, which is best wherever requests do not differ: the advantage is 0."""
    alarms = sum(
        against_fixed(routed_world(seed, rows=200, sharpness=100.0, context=0.0).requests).worse_than is not None
        for seed in range(SEEDS)
    )
    # At 5 %, three of 60; more than eight have a probability below 0.01.
    assert alarms <= 8


def test_blocks_add_up_to_the_whole() -> None:
    found = against_fixed(routed_world(2).requests)
    best = found.against_best
    assert best is not None
    assert sum(block.rows for block in found.blocks) == found.rows
    assert [block.from_s for block in found.blocks] == sorted(block.from_s for block in found.blocks)
    weights = [block.rows for block in found.blocks]
    assert np.average([b.difference for b in found.blocks], weights=weights) == pytest.approx(best.difference)
    assert np.average([b.routed for b in found.blocks], weights=weights) == pytest.approx(found.utility)
    assert all(block.interval.covers(block.difference) for block in found.blocks)


def test_rows_without_a_draw_a_judgement_or_a_price_are_left_out_and_counted() -> None:
    requests = routed_world(3, rows=MIN_ROWS + 5).requests
    changes: list[dict[str, object]] = [
        {"pinned": True},
        {"forced": True},
        {"realised": None},
        {"valuation": None},
        {"verdicts": ()},
    ]
    changed = [msgspec.structs.replace(request, **change) for request, change in zip(requests, changes, strict=False)]
    found = against_fixed([*changed, *requests[len(changes) :]])
    assert found.rows == MIN_ROWS
    assert found.left_out == dict.fromkeys(LeftOut, 1)
    assert found.utility is not None


def test_too_few_rows_tell_nothing() -> None:
    found = against_fixed(routed_world(4, rows=MIN_ROWS - 1).requests)
    assert (found.rows, found.best, found.utility, found.variants) == (MIN_ROWS - 1, None, None, ())


def test_a_variant_that_was_hardly_chosen_is_only_predicted() -> None:
    world = routed_world(5, rows=400, sharpness=200.0, context=0.02)
    [small] = [found for found in against_fixed(world.requests).variants if found.variant == "small"]
    assert not small.told
    assert small.from_predictions > 0.9
    assert small.predicted == pytest.approx(world.advantage["small"], abs=0.15)


def test_where_a_variant_could_not_be_chosen_both_policies_do_the_same() -> None:
    """Half of the requests exclude `a`; in the other half `a` and `b` are drawn evenly, and `a` is better by 1."""

    def request(number: int) -> RoutedRequest:
        choice = "a" if number % 4 == 0 else "b"
        verdicts = (
            verdict("a", propensity=0.5 * (number % 2 == 0), quality=1.0),
            verdict("b", propensity=0.5 if number % 2 == 0 else 1.0, quality=0.0),
        )
        realised = Realised(cost_usd=0.0, latency_s=0.0, quality=float(choice == "a"))
        plain = Valuation()
        return routed(choice, *verdicts, number=number, realised=realised, valuation=plain)

    found = {f.variant: f for f in against_fixed([request(number) for number in range(400)]).variants}
    assert found["a"].possible == 0.5
    assert found["a"].difference == pytest.approx(-0.25)
    assert found["b"].difference == pytest.approx(0.25)


def test_utility_is_quality_less_the_prices_of_money_and_time() -> None:
    valuation = Valuation(quality_weight=2.0, per_usd=10.0, per_s=0.1)
    request = routed("a", verdict("a", propensity=1.0), valuation=valuation)
    assert utility(request, quality=0.5, cost_usd=0.01, latency_s=2.0) == pytest.approx(1.0 - 0.1 - 0.2)
    strained = msgspec.structs.replace(request, prices=Prices(per_usd=20.0, per_quality=1.0))
    assert utility(strained, quality=0.5, cost_usd=0.01, latency_s=2.0) == pytest.approx(0.7 - 0.2 - 0.5)
    with pytest.raises(ValueError, match="no valuation"):
        utility(msgspec.structs.replace(request, valuation=None), quality=1.0, cost_usd=0.0, latency_s=0.0)


def test_quality_above_the_share_that_is_kept_counts_nothing() -> None:
    """`dear` is better than `cheap`, which keeps 90 % of its quality: no reason to prefer it."""
    rng = np.random.default_rng(6)
    quality = {"cheap": 0.72, "dear": 0.8}

    def request(number: int) -> RoutedRequest:
        choice = ("cheap", "dear")[number % 2]
        verdicts = [verdict(name, propensity=0.5, quality=q) for name, q in quality.items()]
        realised = Realised(cost_usd=0.0, latency_s=0.0, quality=float(rng.random() < quality[choice]))
        return routed(choice, *verdicts, number=number, realised=realised, valuation=Valuation(keep=0.9))

    found = against_fixed([request(number) for number in range(4000)])
    assert all(one.interval.covers(0.0) for one in found.variants)
    assert found.utility == pytest.approx(0.72, abs=0.02)


def test_names_of_variants_come_from_the_log() -> None:
    assert {found.variant for found in against_fixed(routed_world(7).requests).variants} == set(NAMES)
