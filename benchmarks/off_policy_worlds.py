"""Worlds in which the outcome of every choice is known, so that an estimate of a policy's value can be judged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import TruncatedSVD
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from policies.evaluation.logged import LoggedBatch
from policies.features.extract import extract
from policies.features.types import Prompt
from policies.simulation.tables import Table, parse
from policies.training.crossfit import cross_fitted, folds_of
from policies.training.design import Design, Scaling

F64 = NDArray[np.float64]

TABLES = ("routellm_mmlu", "mmlu_pro_4arms", "llmrouter_9arms")
POPULATION = 100_000
COMPONENTS = 64
LOGGING = ("uniform", "soft", "sharp", "blind")


@dataclass(frozen=True, kw_only=True, eq=False)
class World:
    """A population of requests; a log is drawn from it with replacement, so the truth is its mean."""

    name: str
    logging_name: str
    variants: tuple[str, ...]
    x: F64
    """What the reward model reads; shape (population, d)."""
    quality: F64
    """Shape (population, k): the reward, or its probability where rewards are drawn."""
    drawn_rewards: bool
    logging: F64
    target: F64

    @property
    def truth(self) -> float:
        """The target policy's value."""
        return float((self.target * self.quality).sum(axis=1).mean())

    def log(self, rows: int, rng: np.random.Generator) -> LoggedBatch:
        """A log of so many rows that reveals the chosen variant's reward only, with cross-fitted predictions."""
        drawn = rng.integers(len(self.x), size=rows)
        logging, quality = self.logging[drawn], self.quality[drawn]
        actions = _choose(logging, rng)
        rewards = quality[np.arange(rows), actions]
        if self.drawn_rewards:
            rewards = (rng.random(rows) < rewards).astype(np.float64)
        predicted = cross_fitted(
            self.x[drawn],
            actions=actions,
            rewards=rewards,
            variants=len(self.variants),
            folds=folds_of(rows, rng=rng),
            regressor=_ridge,
        )
        return LoggedBatch(
            variants=self.variants,
            actions=actions,
            rewards=rewards,
            logging=logging,
            target=self.target[drawn],
            predicted=predicted,
        )


def synthetic(rng: np.random.Generator, *, curved: bool) -> Iterator[World]:
    """Four variants, five inputs. Curved: a linear reward model misses most of what makes a variant good."""
    x = rng.normal(size=(POPULATION, 5))
    shape = np.stack([x[:, 0] * x[:, 1], np.sin(2 * x[:, 2]), x[:, 3] ** 2 - 1, x[:, 4]], axis=1) if curved else x
    scores = shape @ rng.normal(size=(shape.shape[1], 4)) + [-0.5, 0.0, 0.3, 0.6]
    quality = 1.0 / (1.0 + np.exp(-scores))
    liked = quality + rng.normal(scale=0.1, size=quality.shape)
    name = "synthetic, curved" if curved else "synthetic, linear"
    for logging_name in LOGGING:
        # The logging policy likes the opposite order of variants for half of what it sees.
        other = np.where(x[:, :1] > 0, liked, liked[:, ::-1])
        yield World(
            name=name,
            logging_name=logging_name,
            variants=("a", "b", "c", "d"),
            x=x,
            quality=quality,
            drawn_rewards=True,
            logging=_logging(logging_name, other),
            target=_greedy(liked, floor=0.025),
        )


def from_table(path: Path, rng: np.random.Generator) -> Iterator[World]:
    """A third of the rows teach the two policies what to like; the others are the population."""
    table = parse(path.read_bytes(), name=path.name.removesuffix(".jsonl.gz")).complete()
    x = _components(table)
    known = rng.random(len(table)) < 1 / 3
    liked = np.stack([_ridge().fit(x[known], q).predict(x[~known]) for q in table.quality[known].T], axis=1)
    price = np.log(table.cost_usd[known].mean(axis=0))
    thrifty = liked - 0.05 * (price - price.min())
    for logging_name in LOGGING:
        yield World(
            name=table.name,
            logging_name=logging_name,
            variants=table.arms,
            x=x[~known],
            quality=table.quality[~known],
            drawn_rewards=False,
            logging=_logging(logging_name, thrifty),
            target=_greedy(liked, floor=0.1 / len(table.arms)),
        )


def tables(data: Path) -> list[Path]:
    """The tables that are there."""
    return [path for name in TABLES if (path := data / f"{name}.jsonl.gz").exists()]


def _logging(name: str, liked: F64) -> F64:
    """Uniform; soft, which hardly ever gives less than a tenth of its share; sharp, with a floor of 2 %; or blind.

    Blind never takes the variant that is liked best on average: no estimate can be trusted then.
    """
    k = liked.shape[1]
    if name == "uniform":
        return np.full_like(liked, 1 / k)
    if name == "soft":
        shares = np.exp((liked - liked.max(axis=1, keepdims=True)) / 0.1)
        return 0.7 * shares / shares.sum(axis=1, keepdims=True) + 0.3 / k
    if name == "sharp":
        return _greedy(liked, floor=0.02)
    seen = np.arange(k) != liked.mean(axis=0).argmax()
    return np.tile(seen / seen.sum(), (len(liked), 1))


def _greedy(liked: F64, *, floor: float) -> F64:
    k = liked.shape[1]
    return floor + (1.0 - k * floor) * np.eye(k)[liked.argmax(axis=1)]


def _choose(probabilities: F64, rng: np.random.Generator) -> NDArray[np.intp]:
    edges = probabilities.cumsum(axis=1)
    edges[:, -1] = 1.0
    return (rng.random((len(edges), 1)) >= edges).sum(axis=1)


def _components(table: Table) -> F64:
    """Principal components of the served features: enough for a reward model that fits in milliseconds."""
    pairs = zip(table.prompts, table.sources, strict=True)
    features = [extract(Prompt(text=text, tags={"source": source})) for text, source in pairs]
    matrix = Design.of(features, Scaling.of(features)).matrix
    reduced = TruncatedSVD(n_components=COMPONENTS, random_state=0).fit_transform(matrix)
    return StandardScaler().fit_transform(reduced).astype(np.float64)


def _ridge() -> Ridge:
    return Ridge(alpha=30.0)
