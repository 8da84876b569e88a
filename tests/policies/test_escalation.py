"""What was learned for a cascade completes a policy that states no threshold, and no other one."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from policies.errors import ArtifactError
from policies.escalation import Escalation, with_learned
from policies.estimators.artifact import decode, encode
from policies.features.layout import VERSION
from policies.policy import Cascade, LearnedUse, Policy
from policies.priorities import DEFAULT_POLICY

LEARNED = Escalation(first="tiny", then="full", threshold=0.25, escalates=0.125, recovers=0.75)


def a_policy(**changes: object) -> Policy:
    return msgspec.structs.replace(DEFAULT_POLICY, cascade=Cascade(first="tiny", then="full"), **changes)  # type: ignore[arg-type]


def test_it_reads_back_as_it_was_stored() -> None:
    stored = decode(encode(LEARNED.to_artifact(facts={"rows": 100})), kind="cascade", layout=VERSION)
    assert Escalation.from_artifact(stored) == LEARNED


@pytest.mark.parametrize("figures", [[0.5, 0.5], [0.5, 0.5, 1.5], [float("nan"), 0.5, 0.5]])
def test_figures_out_of_range_are_refused(figures: list[float]) -> None:
    artifact = LEARNED.to_artifact(facts={})
    with pytest.raises(ArtifactError):
        Escalation.from_artifact(msgspec.structs.replace(artifact, arrays={"figures": np.array(figures, np.float32)}))


def test_a_cascade_without_a_threshold_takes_the_learned_one() -> None:
    completed = with_learned(a_policy(), LEARNED)
    assert completed.cascade == Cascade(first="tiny", then="full", threshold=0.25, escalates=0.125, recovers=0.75)
    assert completed.hash == DEFAULT_POLICY.hash


@pytest.mark.parametrize(
    "policy",
    [
        DEFAULT_POLICY,
        a_policy(learning=LearnedUse.NONE),
        msgspec.structs.replace(DEFAULT_POLICY, cascade=Cascade(first="tiny", then="full", threshold=0.9)),
        msgspec.structs.replace(DEFAULT_POLICY, cascade=Cascade(first="full", then="tiny")),
    ],
    ids=["no cascade", "nothing learned wanted", "stated", "other variants"],
)
def test_every_other_policy_stays_as_it_is(policy: Policy) -> None:
    assert with_learned(policy, LEARNED) is policy
