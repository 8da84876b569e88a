"""What a tenant usually asks for: means over its latest requests, in whatever basis, for as many tenants as fit."""

from __future__ import annotations

import numpy as np
import pytest

from policies.features.extract import extract
from policies.features.types import Prompt
from policies.learner.basis import first_basis
from policies.learner.traffic import MEMORY, MOST_TENANTS, AllTraffic, Traffic
from policies.training.basis import fit_basis
from tests.learner_worlds import QUESTION, candidates
from tests.policy_strategies import estimate

BASIS = first_basis()
HERE, THERE = np.eye(BASIS.size)[:2]
OTHER = extract(Prompt(text="Write a poem about the sea.", tenant="bank"))


def test_the_mean_is_that_of_all_requests_and_then_of_the_latest() -> None:
    traffic = Traffic(BASIS.size)
    for number in range(int(MEMORY)):
        traffic.add(HERE if number % 4 else THERE, None, {})
    assert traffic.mean[:2] == pytest.approx([0.75, 0.25])
    for _ in range(int(3 * MEMORY)):
        traffic.add(THERE, None, {})
    assert traffic.mean[1] > 0.95
    assert traffic.requests == int(4 * MEMORY)


def test_usual_costs_are_means_of_predictions_and_estimates_where_there_are_none() -> None:
    traffic = Traffic(BASIS.size)
    traffic.add(HERE, None, {"full": (2.0, 1.0), "tiny": (1.0, 0.5)})
    traffic.add(HERE, None, {"full": (4.0, 3.0)})
    now = [estimate(cost_usd=9.0, latency_s=9.0)] * 3
    usual = traffic.usual(candidates("full", "tiny", "new"), now)
    assert usual.tolist() == [[3.0, 1.0, 9.0], [2.0, 0.5, 9.0]]


def test_a_tenant_without_requests_has_the_traffic_of_all() -> None:
    every = AllTraffic(BASIS.size)
    assert every.of("zoo").requests == 0
    every.add("bank", HERE, None, {})
    assert every.of("zoo").mean[0] == 1.0
    every.add("zoo", THERE, None, {})
    assert every.of("zoo").mean[0] == 0.0
    assert every.of("nobody").mean[:2] == pytest.approx([0.5, 0.5])


def test_of_more_tenants_than_fit_the_latest_keep_their_own() -> None:
    every = AllTraffic(BASIS.size)
    for number in range(1, MOST_TENANTS + 6):
        every.add(f"t{number}", HERE, None, {})
        every.add("t0", THERE, None, {})
    assert every.of("t0").mean[1] == 1.0
    assert every.of("t1").requests == 2 * MOST_TENANTS + 10, "that of all together"
    assert len(every.by_tenant) == MOST_TENANTS + 1


def test_another_basis_sees_the_same_requests() -> None:
    every = AllTraffic(BASIS.size)
    for features in (QUESTION, OTHER, OTHER):
        every.add("zoo", BASIS.vector(features), features, {"full": (2.0, 1.0)})
    basis = fit_basis([QUESTION, OTHER], directions=1)
    again = every.rebased(basis)
    expected = (basis.vector(QUESTION) + 2.0 * basis.vector(OTHER)) / 3.0
    for tenant in ("zoo", "nobody"):
        np.testing.assert_allclose(again.of(tenant).mean, expected, atol=1e-6)
        assert again.of(tenant).requests == 3
    assert again.of("zoo").predicted == every.of("zoo").predicted


def test_a_copy_goes_its_own_way() -> None:
    every = AllTraffic(BASIS.size)
    every.add("zoo", HERE, QUESTION, {"full": (2.0, 1.0)})
    every.copy().add("zoo", THERE, OTHER, {"full": (9.0, 9.0)})
    assert every.of("zoo").requests == 1
    assert every.of("zoo").predicted["full"] == (2.0, 1.0, 1.0)
