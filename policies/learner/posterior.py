"""The posterior of the joint model, in closed form, and its variances by empirical Bayes.

For variant a and request vector z, `y = z (c + o_a) + noise`, the noise of variance `s_a`. The shared part c and
each own part o_a have normal priors, independent from entry to entry. With `G_a = S_a / s_a`, `h_a = b_a / s_a` and
`L_o` the own part's prior precisions, `A_a = G_a + L_o`; o_a is integrated out, c is solved first and o_a given c
(Lindley and Smith, 1972). One record so moves every variant through c, at a cost of O(k size^3) instead of O((k
size)^3).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from policies.learner.basis import Block
from policies.learner.moments import Moments

__all__ = ("Posterior", "Prior", "Problem", "Variances", "solve")

F64 = NDArray[np.float64]

POOLED_ROWS = 20.0
"""Records that the noise of all variants together is worth for each one's."""

SEED_ROWS = 5.0
"""Records that the noise assumed beforehand is worth for that of all variants together."""

LEAST_NOISE = 1e-4


@dataclass(frozen=True, kw_only=True)
class Prior:
    """What is assumed before any record."""

    shared: tuple[float, float, float, float]
    """Variance of an entry of the shared part, by `Block`."""
    own: tuple[float, float, float, float]
    """Likewise of an own part; the level's holds where nothing is stated of a variant."""
    noise: float
    """Variance of one record around its mean."""


@dataclass(frozen=True, kw_only=True)
class Variances:
    """What empirical Bayes has made of them so far."""

    shared: F64
    """By `Block`; shape (4,)."""
    own: F64
    noise: F64
    """By variant; shape (k,)."""

    @classmethod
    def of(cls, prior: Prior, k: int) -> Variances:
        """As assumed."""
        return cls(shared=np.array(prior.shared), own=np.array(prior.own), noise=np.full(k, prior.noise))


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One posterior to be found; k variants."""

    moments: Moments
    """Its own copy."""
    blocks: NDArray[np.intp]
    """`Block` of each entry; shape (size,)."""
    prior: Prior
    start: Variances
    level: F64
    """Prior mean of each own level; shape (k,)."""
    level_variance: F64
    """Its variance; shape (k,)."""
    parent: F64
    """Prior mean of the rest of each own part, that of a variant's parent; shape (k, size)."""
    steps: int = 1
    """Evidence steps before it is solved."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Posterior:
    """Normal over all parts. Entries that no record has touched are left out: there it is the prior."""

    columns: NDArray[np.intp]
    """Entries that records have touched; shape (n,)."""
    mean: F64
    """Weights `c + o_a`; shape (k, n)."""
    own: F64
    """Own parts o_a; shape (k, size)."""
    reach: NDArray[np.float32]
    """`L_o A_a^-1`; shape (k, n, n)."""
    own_precision: NDArray[np.float32]
    """`L_o`; shape (k, n)."""
    root: NDArray[np.float32]
    """`root.T @ root` is the shared part's covariance; shape (n, n)."""
    idle: NDArray[np.float32]
    """Prior variances of the shared and of an own part, 0 for entries that records have touched; shape (2, size)."""
    variances: Variances
    weight: F64
    """Records behind each variant; shape (k,)."""

    def means(self, z: F64) -> F64:
        """Of the variants at one vector, or at several in a row; shape (k,) or (n, k)."""
        means: F64 = z[..., self.columns] @ self.mean.T
        return means

    def covariances(self, z: F64) -> F64:
        """Of the variants' means at each of some vectors; shape (n, k, k) from (n, size).

        `Cov(f_a, f_b) = (L_o A_a^-1 z)' V_c (L_o A_b^-1 z) + [a = b] z' A_a^-1 z`.
        """
        given = z.astype(np.float32)
        x = given[:, self.columns]
        reached = (self.reach @ x.T).transpose(2, 0, 1)
        rooted = reached @ self.root.T
        idle = (given * given) @ self.idle.T
        covariances: F64 = (rooted @ rooted.transpose(0, 2, 1)).astype(np.float64) + idle[:, :1, None]
        own = ((reached / self.own_precision) * x[:, None, :]).sum(axis=2) + idle[:, 1:]
        places = np.arange(covariances.shape[1])
        covariances[:, places, places] += np.maximum(own, 0.0)
        return covariances


def solve(problem: Problem) -> Posterior:
    """The posterior, with variances moved by the evidence; of no records at all it is the prior."""
    squares = np.diagonal(problem.moments.square, axis1=1, axis2=2).sum(axis=0)
    case = _Case.of(problem, np.union1d([0], np.flatnonzero(squares > 0.0)))
    variances = problem.start
    for _ in range(problem.steps if problem.moments.weight.any() else 0):
        variances = _Solved.of(case, variances).moved(case)
    return _Solved.of(case, variances).posterior(case)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Case:
    """A problem on the entries that records have touched, its records less what the prior means say of them."""

    problem: Problem
    columns: NDArray[np.intp]
    blocks: NDArray[np.intp]
    own_mean: F64
    """Shape (k, n)."""
    square: F64
    target: F64
    rows: F64

    @classmethod
    def of(cls, problem: Problem, columns: NDArray[np.intp]) -> _Case:
        given = problem.moments
        own_mean = problem.parent[:, columns]
        own_mean[:, 0] = problem.level
        square, target = given.square[:, columns][:, :, columns], given.target[:, columns]
        at_mean = np.matmul(square, own_mean[:, :, None])[:, :, 0]
        return cls(
            problem=problem,
            columns=columns,
            blocks=problem.blocks[columns],
            own_mean=own_mean,
            square=square,
            target=target - at_mean,
            rows=given.rows + (own_mean * (at_mean - 2.0 * target)).sum(axis=1),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Solved:
    """The parts of a posterior, in double precision, around the own parts' prior means."""

    variances: Variances
    own_precision: F64
    """Shape (k, n)."""
    inverse: F64
    """`A_a^-1`; shape (k, n, n)."""
    carried: F64
    """`A_a^-1 G_a = I - A_a^-1 L_o`; shape (k, n, n)."""
    shared_covariance: F64
    """V_c; shape (n, n)."""
    root: F64
    """`root.T @ root` is V_c; shape (n, n)."""
    shared: F64
    own: F64

    @classmethod
    def of(cls, case: _Case, variances: Variances) -> _Solved:
        shared_precision = 1.0 / variances.shared[case.blocks]
        own_precision = np.repeat((1.0 / variances.own[case.blocks])[None], len(case.rows), axis=0)
        own_precision[:, 0] = 1.0 / case.problem.level_variance
        entries = np.arange(len(case.columns))
        a = case.square / variances.noise[:, None, None]
        a[:, entries, entries] += own_precision
        inverse: F64 = np.linalg.inv(a).astype(np.float64, copy=False)
        carried = -inverse * own_precision[:, None, :]
        carried[:, entries, entries] += 1.0
        # G - G A^-1 G = L_o A^-1 G: what is left of a variant's evidence for the shared part.
        q = _symmetric((own_precision[:, :, None] * carried).sum(axis=0))
        q[entries, entries] += shared_precision
        # V_c = q^-1 = R R' with R the transposed inverse of q's Cholesky factor: q is better conditioned than V_c.
        root: F64 = np.linalg.inv(_factor(q)).astype(np.float64, copy=False)
        shared_covariance: F64 = root.T @ root
        answered = np.matmul(inverse, (case.target / variances.noise[:, None])[:, :, None])[:, :, 0]
        shared = shared_covariance @ (own_precision * answered).sum(axis=0)
        return cls(
            variances=variances,
            own_precision=own_precision,
            inverse=inverse,
            carried=carried,
            shared_covariance=shared_covariance,
            root=root,
            shared=shared,
            own=answered - carried @ shared,
        )

    def moved(self, case: _Case) -> Variances:
        """One evidence step (MacKay, 1992), each block drawn to what was assumed of it."""
        prior = case.problem.prior
        # Var(o_a) = A^-1 + A^-1 G V_c G A^-1, of which only the diagonal is needed.
        spread = ((self.carried @ self.shared_covariance) * self.carried).sum(axis=2)
        own_variance = np.diagonal(self.inverse, axis1=1, axis2=2) + spread
        shared_variance = np.diagonal(self.shared_covariance)
        shared, own = self.variances.shared.copy(), self.variances.own.copy()
        # The levels keep what is assumed, or stated, of them: a handful of variants cannot tell their variance.
        for block in (Block.GROUP, Block.SURFACE, Block.TEXT):
            mine = case.blocks == block
            if mine.any():
                shared[block] = _step(self.shared[mine], shared_variance[mine], shared[block], prior.shared[block])
                own[block] = _step(self.own[:, mine], own_variance[:, mine], own[block], prior.own[block])
        return Variances(shared=shared, own=own, noise=self._noise(case))

    def _noise(self, case: _Case) -> F64:
        """Expected residual variance of each variant, drawn to that of all."""
        weights, prior, weight = self.shared + self.own, case.problem.prior, case.problem.moments.weight
        fitted = np.matmul(case.square, weights[:, :, None])[:, :, 0]
        residual = case.rows + (weights * (fitted - 2.0 * case.target)).sum(axis=1)
        residual = np.maximum(residual, 0.0) + self.variances.noise * self._uncertain()
        together = (residual.sum() + SEED_ROWS * prior.noise) / (weight.sum() + SEED_ROWS)
        noise: F64 = (residual + POOLED_ROWS * together) / (weight + POOLED_ROWS)
        return np.maximum(noise, LEAST_NOISE)

    def _uncertain(self) -> F64:
        """`tr(G_a Cov(c + o_a))`; shape (k,).

        The covariance is `A^-1 + A^-1 L_o V_c L_o A^-1`, and `G A^-1` the transpose of what is carried.
        """
        twice = self.own_precision[:, :, None] * (self.carried @ self.inverse) * self.own_precision[:, None, :]
        trace: F64 = np.trace(self.carried, axis1=1, axis2=2) + (twice * self.shared_covariance).sum(axis=(1, 2))
        return np.maximum(trace, 0.0)

    def posterior(self, case: _Case) -> Posterior:
        problem, own = case.problem, self.own + case.own_mean
        every_own = problem.parent.copy()
        every_own[:, case.columns] = own
        idle = np.array([self.variances.shared[problem.blocks], self.variances.own[problem.blocks]], np.float32)
        idle[:, case.columns] = 0.0
        return Posterior(
            columns=case.columns,
            mean=self.shared + own,
            own=every_own,
            reach=(self.own_precision[:, :, None] * self.inverse).astype(np.float32),
            own_precision=self.own_precision.astype(np.float32),
            root=self.root.astype(np.float32),
            idle=idle,
            variances=self.variances,
            weight=problem.moments.weight,
        )


def _step(mean: F64, variance: F64, now: float, assumed: float) -> float:
    """`g = sum(1 - P / v)`, `v <- (sum m^2 + 2 v0) / (g + 2)`: a block that does not help stays small, or shrinks."""
    determined = float(np.clip(1.0 - variance / now, 0.0, 1.0).sum())
    return max((float((mean**2).sum()) + 2.0 * assumed) / (determined + 2.0), 1e-9)


def _factor(precision: F64) -> F64:
    """Cholesky factor of a precision; where rounding has made it indefinite, of the nearest that is not."""
    try:
        factor: F64 = np.linalg.cholesky(precision).astype(np.float64, copy=False)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(precision)
        least = 1e-12 * max(float(values[-1]), 1.0)
        factor = np.linalg.cholesky((vectors * np.maximum(values, least)) @ vectors.T + least * np.eye(len(values)))
    return factor


def _symmetric(matrix: F64) -> F64:
    symmetric: F64 = (matrix + matrix.T) / 2.0
    return symmetric
