"""Small worlds in which everything is known, and logs drawn from them."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from policies.evaluation.logged import LoggedBatch


def drawn(probabilities: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One column per row, with the row's probabilities."""
    edges = probabilities.cumsum(axis=1)
    return (rng.random((len(edges), 1)) * edges[:, -1:] >= edges).sum(axis=1).clip(max=edges.shape[1] - 1)


def softmax(scores: np.ndarray) -> np.ndarray:
    """Rows of probabilities."""
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def world(seed: int, *, rows: int = 400, variants: int = 3, sharpness: float = 1.0) -> tuple[LoggedBatch, float]:
    """A log of a random world with exact predictions, and the target policy's true mean reward over its rows."""
    rng = np.random.default_rng(seed)
    quality = rng.uniform(0.1, 0.9, (rows, variants))
    logging = softmax(sharpness * rng.normal(size=(rows, variants)))
    target = softmax(3.0 * quality)
    actions = drawn(logging, rng)
    rewards = (rng.random(rows) < quality[np.arange(rows), actions]).astype(float)
    batch = LoggedBatch(
        variants=tuple("abcdefgh"[:variants]),
        actions=actions,
        rewards=rewards,
        logging=logging,
        target=target,
        predicted=quality,
    )
    return batch, float((target * quality).sum(axis=1).mean())


batches = st.builds(
    lambda seed, rows, variants, sharpness: world(seed, rows=rows, variants=variants, sharpness=sharpness)[0],
    seed=st.integers(0, 2**32),
    rows=st.integers(1, 60),
    variants=st.integers(1, 5),
    sharpness=st.floats(0, 5),
)
