"""Judging an answer again changes what was learned from it, and adds nothing."""

from __future__ import annotations

import numpy as np

from gateway.decisions.types import ObservationSource
from gateway.learning.online import OnlineLearner
from tests.decision_rows import decision, observation, outcome
from tests.fitted import FEATURES

VARIANTS = ("full", "quantized")


def qualities(scores: list[float]) -> tuple[float, ...]:
    """Predicted qualities after twenty answers that were each given these scores, one after the other."""
    online = OnlineLearner(charge=lambda *_: None)
    for number in range(20):
        name, variant = f"dec_{number}", VARIANTS[number % 2]
        verdicts = [{"variant": v, "state": "warm"} for v in VARIANTS]
        online.follow(decision(name, tenant="shop", candidates=verdicts, choice=variant, features=FEATURES))
        attempts = [{"variant": variant, "propensity": 0.5}]
        online.follow(outcome(name, variant=variant, attempts=attempts, cache="miss"))
        for place, score in enumerate(scores):
            changes = {"number": place, "score": score if variant == "full" else 0.5, "name": f"name{place % 7}"}
            online.follow(observation(name, source=ObservationSource.FEEDBACK, **changes))
    online.learner.settle("shop")
    return tuple(online.learner.qualities("shop", FEATURES))


def test_three_hundred_judgements_of_an_answer_teach_what_the_last_one_does() -> None:
    once, often, other = qualities([0.9]), qualities([0.0] * 299 + [0.9]), qualities([0.0])
    assert np.allclose(once, often, atol=1e-6)
    assert max(np.abs(np.subtract(once, other))) > 0.1
