"""Sufficient statistics of a linear model with normal noise: sums over records, and so additive in every way.

Sums of processes, replicas and tenants add up; scaling one forgets; subtracting a record takes it back.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import NDArray

__all__ = ("Moments",)

F64 = NDArray[np.float64]


class Moments:
    """Of k variants over vectors of `size` entries. Mutable."""

    __slots__ = ("rows", "square", "target", "weight")

    def __init__(self, *, square: F64, target: F64, rows: F64, weight: F64) -> None:
        """Take the sums.

        Args:
            square: Sum of `w z z'`; shape (k, size, size).
            target: Sum of `w y z`; shape (k, size).
            rows: Sum of `w y y`; shape (k,).
            weight: Sum of `w`; shape (k,).
        """
        self.square, self.target, self.rows, self.weight = square, target, rows, weight

    @classmethod
    def zeros(cls, k: int, size: int) -> Self:
        """Of no records."""
        return cls(square=np.zeros((k, size, size)), target=np.zeros((k, size)), rows=np.zeros(k), weight=np.zeros(k))

    def add(self, variant: int, z: F64, y: float, *, weight: float) -> None:
        """Count a record, or with a negative weight take one back."""
        scaled = weight * z
        self.square[variant] += np.multiply.outer(scaled, z)
        self.target[variant] += y * scaled
        self.rows[variant] += weight * y * y
        self.weight[variant] += weight

    def add_all(self, variant: int, z: F64, y: F64, weight: F64) -> None:
        """Count n records of a variant; shapes (n, size), (n,) and (n,)."""
        scaled = weight[:, None] * z
        self.square[variant] += scaled.T @ z
        self.target[variant] += y @ scaled
        self.rows[variant] += float(weight @ (y * y))
        self.weight[variant] += float(weight.sum())

    def plus(self, other: Moments, *, factors: F64) -> None:
        """Count another's sums, each variant's times a factor; shape (k,)."""
        self.square += factors[:, None, None] * other.square
        self.target += factors[:, None] * other.target
        self.rows += factors * other.rows
        self.weight += factors * other.weight

    def scale(self, variant: int, factor: float) -> None:
        """Scale down the weight of a variant's records."""
        for sums in (self.square, self.target, self.rows, self.weight):
            sums[variant] *= factor

    def copy(self) -> Moments:
        """The same sums, independent of these."""
        return Moments(
            square=self.square.copy(), target=self.target.copy(), rows=self.rows.copy(), weight=self.weight.copy()
        )

    def extended(self) -> Moments:
        """With one more variant, of no records."""
        return Moments(
            square=np.concatenate((self.square, np.zeros_like(self.square, shape=(1, *self.square.shape[1:])))),
            target=np.concatenate((self.target, np.zeros_like(self.target, shape=(1, self.target.shape[1])))),
            rows=np.append(self.rows, 0.0),
            weight=np.append(self.weight, 0.0),
        )

    def without(self, variant: int) -> Moments:
        """Without one of the variants."""
        return Moments(
            square=np.delete(self.square, variant, axis=0),
            target=np.delete(self.target, variant, axis=0),
            rows=np.delete(self.rows, variant),
            weight=np.delete(self.weight, variant),
        )
