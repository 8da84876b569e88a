"""What a tenant usually asks for: means over its latest requests, in whatever basis, for as many tenants as fit."""

from __future__ import annotations

import numpy as np
import pytest

from policies.features.extract import extract
from policies.features.types import Prompt
from policies.learner.basis import first_basis
from policies.learner.traffic import MEMORY, MOST_TENANTS, AllTraffic, Traffic
from policies.training.basis import fit_basis
from tests.learner_worlds import QUESTION

BASIS = first_basis()
HERE, THERE = np.eye(BASIS.size)[:2]
REST: dict[str, float | None] = {"prompt_tokens": 10.0, "limit_tokens": None}
OTHER = extract(Prompt(text="Write a poem about the sea.", tenant="bank"))


def test_the_mean_is_that_of_all_requests_and_then_of_the_latest() -> None:
    traffic = Traffic(BASIS.size)
    for number in range(int(MEMORY)):
        traffic.add(HERE if number % 4 else THERE, None, **REST)
    assert traffic.mean[:2] == pytest.approx([0.75, 0.25])
    for _ in range(int(3 * MEMORY)):
        traffic.add(THERE, None, **REST)
    assert traffic.mean[1] > 0.95
    assert traffic.requests == int(4 * MEMORY)


def test_prompts_and_limits_are_averaged_too() -> None:
    traffic = Traffic(BASIS.size)
    for prompt_tokens, limit in ((100.0, 50.0), (300.0, None)):
        traffic.add(HERE, None, prompt_tokens=prompt_tokens, limit_tokens=limit)
    assert traffic.prompt_tokens == pytest.approx(200.0)
    assert traffic.per_limit == pytest.approx(0.01), "as if one limit of 100 held for all"


def test_a_tenant_without_requests_has_the_traffic_of_all() -> None:
    every = AllTraffic(BASIS.size)
    assert every.of("zoo").requests == 0
    every.add("bank", HERE, None, **REST)
    assert every.of("zoo").mean[0] == 1.0
    every.add("zoo", THERE, None, **REST)
    assert every.of("zoo").mean[0] == 0.0
    assert every.of("nobody").mean[:2] == pytest.approx([0.5, 0.5])


def test_of_more_tenants_than_fit_the_latest_keep_their_own() -> None:
    every = AllTraffic(BASIS.size)
    for number in range(1, MOST_TENANTS + 6):
        every.add(f"t{number}", HERE, None, **REST)
        every.add("t0", THERE, None, **REST)
    assert every.of("t0").mean[1] == 1.0
    assert every.of("t1").requests == 2 * MOST_TENANTS + 10, "that of all together"
    assert len(every.by_tenant) == MOST_TENANTS + 1


def test_another_basis_sees_the_same_requests() -> None:
    every = AllTraffic(BASIS.size)
    for features in (QUESTION, OTHER, OTHER):
        every.add("zoo", BASIS.vector(features), features, **REST)
    basis = fit_basis([QUESTION, OTHER], directions=1)
    again = every.rebased(basis)
    expected = (basis.vector(QUESTION) + 2.0 * basis.vector(OTHER)) / 3.0
    for tenant in ("zoo", "nobody"):
        np.testing.assert_allclose(again.of(tenant).mean, expected, atol=1e-6)
        assert again.of(tenant).requests == 3
    assert again.of("zoo").prompt_tokens == every.of("zoo").prompt_tokens


def test_a_copy_goes_its_own_way() -> None:
    every = AllTraffic(BASIS.size)
    every.add("zoo", HERE, QUESTION, **REST)
    every.copy().add("zoo", THERE, OTHER, prompt_tokens=99.0, limit_tokens=None)
    assert every.of("zoo").requests == 1
    assert every.of("zoo").prompt_tokens == 10.0
