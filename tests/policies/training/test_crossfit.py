"""Predictions made without the row they are for."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from policies.training.crossfit import cross_fitted, folds_of


def rows(seed: int, n: int = 600) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    actions = rng.integers(2, size=n)
    truth = np.stack([x[:, 0], 1.0 - x[:, 1]], axis=1)
    return x, actions, truth[np.arange(n), actions], truth


def test_no_row_changes_its_own_prediction() -> None:
    x, actions, rewards, _ = rows(1)
    folds = folds_of(len(x), rng=np.random.default_rng(2))
    changed = np.where(folds == 3, rewards - 0.3, rewards)
    first, second = (cross_fitted(x, actions=actions, rewards=r, variants=2, folds=folds) for r in (rewards, changed))
    assert (first[folds == 3] == second[folds == 3]).all()
    assert (first[folds == 1] != second[folds == 1]).any()


def test_each_variant_has_a_model_of_its_own() -> None:
    x, actions, rewards, truth = rows(3)
    folds = folds_of(len(x), rng=np.random.default_rng(4))
    found = cross_fitted(x, actions=actions, rewards=rewards, variants=2, folds=folds)
    assert np.abs(found - truth.clip(rewards.min(), rewards.max())).mean() < 0.05


def test_sparse_rows_are_read_as_dense_ones() -> None:
    x, actions, rewards, _ = rows(5)
    folds = folds_of(len(x), rng=np.random.default_rng(6))
    dense, sparse = (
        cross_fitted(given, actions=actions, rewards=rewards, variants=2, folds=folds)
        for given in (x, sp.csr_matrix(x))
    )
    assert sparse == pytest.approx(dense, abs=1e-3)


def test_a_variant_hardly_ever_chosen_is_predicted_near_the_mean() -> None:
    x, actions, rewards, _ = rows(7)
    folds = folds_of(len(x), rng=np.random.default_rng(8))
    found = cross_fitted(x, actions=np.zeros_like(actions), rewards=rewards, variants=2, folds=folds)
    assert found[:, 1] == pytest.approx(rewards.mean(), abs=0.1)


def test_folds_are_of_equal_size() -> None:
    sizes = np.bincount(folds_of(103, rng=np.random.default_rng(9), folds=5))
    assert sorted(sizes.tolist()) == [20, 20, 21, 21, 21]


def test_one_fold_is_refused() -> None:
    x, actions, rewards, _ = rows(10)
    with pytest.raises(ValueError, match="two folds"):
        cross_fitted(x, actions=actions, rewards=rewards, variants=2, folds=np.zeros(len(x), int))
