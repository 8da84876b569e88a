"""Changes are noticed soon, and hardly ever where there is none."""

from __future__ import annotations

import math

import numpy as np
import pytest

from policies.learner.changes import SHORTEST, ChangeDetector


def alerts(residuals: np.ndarray) -> list[int]:
    detector = ChangeDetector()
    return [n for n, residual in enumerate(residuals) if detector.alert(float(residual), at_s=float(n)) is not None]


def standardised(good: np.ndarray, believed: float) -> np.ndarray:
    """Residuals of answers that are right or wrong, around what is believed of them."""
    return (good - believed) / math.sqrt(believed * (1.0 - believed))


def test_steady_answers_raise_about_one_alert_in_three_thousand() -> None:
    """Of 90,000 between 12 and 60: a Poisson count of 30 leaves that range for one seed in 10,000."""
    found = len(alerts(np.random.default_rng(0).standard_normal(90_000)))
    assert 12 <= found <= 60


@pytest.mark.parametrize("believed", [0.8, 0.95])
def test_a_halved_quality_is_noticed_within_65_answers(believed: float) -> None:
    rng = np.random.default_rng(1)
    late = 0
    for _ in range(200):
        before, after = rng.random(300) < believed, rng.random(65) < believed / 2.0
        detector = ChangeDetector()
        for residual in standardised(before, believed):
            detector.alert(float(residual), at_s=0.0)
        late += not any(
            detector.alert(float(residual), at_s=1.0) is not None for residual in standardised(after, believed)
        )
    assert late <= 4


def test_an_improvement_is_noticed_too() -> None:
    rng = np.random.default_rng(2)
    assert alerts(standardised(rng.random(200) < 0.9, 0.4))[0] < 65


def test_the_time_of_a_change_is_told_to_within_a_few_answers() -> None:
    rng = np.random.default_rng(3)
    off = []
    for _ in range(50):
        residuals = np.concatenate((rng.standard_normal(200), rng.normal(-1.5, 1.0, 60)))
        detector = ChangeDetector()
        since = [detector.alert(float(r), at_s=float(n)) for n, r in enumerate(residuals)]
        off += [at - 200.0 for at in since if at is not None and at > 100.0][:1]
    assert len(off) == 50
    assert abs(float(np.median(off))) <= 5.0


def test_after_an_alert_it_begins_anew() -> None:
    detector = ChangeDetector()
    found = [detector.alert(3.0, at_s=float(n)) for n in range(2 * SHORTEST)]
    assert found.index(0.0) == SHORTEST - 1
    assert found[SHORTEST : 2 * SHORTEST - 1] == [None] * (SHORTEST - 1)
    assert found[-1] == float(SHORTEST)


def test_one_monstrous_residual_is_no_change() -> None:
    rng = np.random.default_rng(4)
    residuals = rng.normal(0.0, 0.3, 200)
    residuals[100] = 1e9
    assert alerts(residuals) == []
