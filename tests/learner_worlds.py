"""Judged answers as samples, and small joint models: what the learner's tests are made of."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from policies.features.extract import extract
from policies.features.types import Features, Prompt
from policies.learner.learner import Learner
from policies.learner.model import JointModel, Known, Record
from policies.learner.posterior import Prior
from policies.samples import Sample
from policies.types import Candidate, CandidateState, Profile
from tests.policy_strategies import candidate, request

__all__ = ("BLOCKS", "PRIOR", "QUESTION", "SIZE", "answer", "answers", "candidates", "levels", "model", "records")

QUESTION = extract(Prompt(text="How many legs do 12 spiders have?", tenant="zoo", tags={"kind": "sums"}))

BLOCKS = np.repeat(np.arange(4), (1, 3, 2, 3))
SIZE = len(BLOCKS)
PRIOR = Prior(shared=(0.09, 0.01, 0.001, 0.02), own=(0.0225, 0.005, 0.0005, 0.01), noise=0.15)

_PLAIN = Sample(
    created_at_s=0.0,
    tenant="default",
    variant="full",
    propensity=1.0,
    state=CandidateState.WARM,
    queued=0,
    running=0,
    starts_in_s=None,
    prompt_tokens=10,
    max_completion_tokens=None,
    completion_tokens=64,
    cut=False,
    ttft_s=None,
    tpot_s=None,
    latency_s=None,
    cost_usd=0.0,
    features=QUESTION,
    quality=1.0,
    quality_weight=1.0,
)


def answer(number: int, **changes: object) -> Sample:
    """A well judged answer of `full`, one second after the one before, but for the changes."""
    return msgspec.structs.replace(_PLAIN, decision_id=f"d{number}", created_at_s=float(number), **changes)


def answers(
    count: int, *, seed: int, good: Sequence[float] = (0.9, 0.5), features: Sequence[Features] = (QUESTION,)
) -> list[Sample]:
    """Answers of `full` and `tiny` (and further ones) in turns by chance, right as often as stated."""
    rng = np.random.default_rng(seed)
    names = ("full", "tiny", "quantized", "draft")[: len(good)]
    made = []
    for number in range(count):
        place = int(rng.integers(len(names)))
        quality = float(rng.random() < good[place])
        asked = features[int(rng.integers(len(features)))]
        made.append(answer(number, variant=names[place], quality=quality, features=asked))
    return made


def candidates(*names: str, source: str = "prior", **profile: float) -> list[Candidate]:
    """Warm candidates whose profiles say what is given."""
    plain = {"quality": 0.5, "ttft_s": 0.1, "tpot_s": 0.01} | profile
    return [candidate(name, profile=Profile(source=source, **plain)) for name in names]  # type: ignore[arg-type]


def levels(learner: Learner, tenant: str, *names: str) -> NDArray[np.float64]:
    """What is believed of the level of each variant on a tenant's traffic."""
    learner.settle(tenant)
    known = [candidate(name, profile=learner.state().profiles[name]) for name in names]
    return learner.estimate(request(tenant=tenant, features=QUESTION), known).belief.level


def model(*names: str, sd: float = 0.2) -> JointModel:
    """A joint model of a few entries that knows these variants."""
    made = JointModel(blocks=BLOCKS, prior=PRIOR)
    made.introduce({name: Known(mean=0.5, sd=sd) for name in names})
    return made


def records(
    count: int, *, seed: int, names: Sequence[str] = ("a", "b", "c"), tenant: str = "default"
) -> list[Record]:
    """Records of vectors that start with 1, of outcomes 0 or 1."""
    rng = np.random.default_rng(seed)
    return [
        Record(
            tenant,
            names[int(rng.integers(len(names)))],
            np.concatenate(([1.0], rng.integers(0, 2, 3), rng.normal(0.0, 0.5, SIZE - 4))),
            float(rng.random() < 0.6),
            float(rng.choice((0.25, 1.0))),
            float(number),
        )
        for number in range(count)
    ]
