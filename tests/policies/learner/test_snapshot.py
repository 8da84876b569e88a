"""A learner goes on from its bytes as if nothing had happened, and damaged bytes are refused."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.errors import ArtifactError
from policies.learner.fit import Fit, first_fit
from policies.learner.learner import Learner
from policies.learner.snapshot import decode, encode, taken
from policies.training.basis import fit_basis
from tests.learner_worlds import QUESTION, answer, answers, candidates
from tests.policy_strategies import request
from tests.quality_worlds import world

HERE = world(80, seed=0)
FIT = Fit(basis=fit_basis(HERE.features), hash="fit")
TWO = candidates("full", "tiny")


def taught(fit: Fit, *, count: int = 200) -> Learner:
    learner = Learner(fit)
    learner.introduce({c.name: c.profile for c in TWO})
    for n, sample in enumerate(answers(count, seed=0, features=[*HERE.features, QUESTION])):
        tenant = f"t{n % 3}"
        learner.decided(tenant, sample.features, choice=sample.variant, prompt_tokens=10)
        learner.absorb(msgspec.structs.replace(sample, tenant=tenant))
        learner.settle(tenant)
    return learner


def believed(learner: Learner, tenant: str) -> np.ndarray:
    found = learner.estimate(request(tenant=tenant, features=QUESTION), TWO)
    b = found.belief
    return np.concatenate(
        [[e.quality, e.quality_se, e.completion_tokens, e.latency_s] for e in found]
        + [b.level, b.shift, b.doubt.ravel(), b.usd, b.latency_s, b.tried, [b.requests, b.judged]]
    )


@pytest.mark.parametrize("fit", [first_fit(), FIT], ids=["the first fit", "a fitted one"])
def test_it_goes_on_as_if_nothing_had_happened(fit: Fit) -> None:
    learner = taught(fit)
    again, note = decode(encode(taken(learner, note=b"as far as row 7")), fit=fit)
    assert note == b"as far as row 7"
    more = answers(40, seed=9, features=HERE.features)
    for at in (learner, again):
        # The sums are the same; variances go one step further whenever a posterior is solved.
        for n, sample in enumerate(more):
            at.absorb(msgspec.structs.replace(sample, decision_id=f"new{n}", tenant="t1"))
            at.settle("t1")
    for tenant in ("t1", "stranger"):
        np.testing.assert_allclose(believed(again, tenant), believed(learner, tenant), atol=0.02, rtol=0.02)
    assert (again.judged, again.answered, again.requests) == (learner.judged, learner.answered, learner.requests)


def test_what_was_counted_before_is_not_counted_again_and_can_be_replaced() -> None:
    learner = taught(FIT)
    again, _ = decode(encode(taken(learner)), fit=FIT)
    some = [
        msgspec.structs.replace(s, tenant=f"t{n % 3}")
        for n, s in enumerate(answers(200, seed=0, features=[*HERE.features, QUESTION]))
    ]
    for sample in some:
        again.absorb(sample)
    assert (again.judged, again.answered) == (200, 200)
    for at in (learner, again):
        for sample in some[:8]:  # Too few to look like a change.
            at.absorb(msgspec.structs.replace(sample, quality=0.5))
    for tenant, moments in again.state().quality.statistics[0].items():
        expected = learner.state().quality.statistics[0][tenant]
        np.testing.assert_allclose(moments.square, expected.square, atol=1e-6)
        np.testing.assert_allclose(moments.target, expected.target, atol=1e-6)


def test_a_judgement_that_a_change_had_scaled_down_is_taken_back_for_as_much_after_a_restart() -> None:
    learner, rng = Learner(FIT), np.random.default_rng(0)
    some = [answer(n, quality=float(rng.random() < (0.9 if n < 200 else 0.1))) for n in range(260)]
    for sample in some:
        learner.absorb(sample)
        learner.settle("default")
    assert learner.changes["full"]
    again, _ = decode(encode(taken(learner)), fit=FIT)
    assert again.changes == learner.changes
    before = learner.state().quality.weight("full")
    for sample in some[:5]:
        for at in (learner, again):
            at.absorb(msgspec.structs.replace(sample, quality=0.5))
        assert again.state().quality.weight("full") == pytest.approx(learner.state().quality.weight("full"))
    assert learner.state().quality.weight("full") == pytest.approx(before, abs=5.0)


def test_a_snapshot_of_another_fit_is_refused() -> None:
    with pytest.raises(ArtifactError, match="another fit"):
        decode(encode(taken(taught(FIT, count=5))), fit=first_fit())


STORED = encode(taken(taught(FIT, count=20)))


@given(st.lists(st.tuples(st.integers(0, len(STORED) - 1), st.integers(0, 255)), max_size=3), st.integers(0, 50))
def test_damaged_bytes_are_refused(changes: list[tuple[int, int]], cut: int) -> None:
    data = bytearray(STORED)
    for place, byte in changes:
        data[place] = byte
    damaged = bytes(data[: len(data) - cut])
    if damaged == STORED:
        return
    with pytest.raises(ArtifactError):
        decode(damaged, fit=FIT)
