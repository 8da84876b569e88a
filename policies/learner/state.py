"""The values that a learner is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from policies.learner.model import JointModel, Receipt
from policies.learner.posterior import Posterior, Problem
from policies.learner.traffic import Traffic
from policies.types import Profile

__all__ = ("Counted", "Job", "Levels", "State")

F64 = NDArray[np.float64]


class Job(NamedTuple):
    """A posterior to be solved, wherever there is time: `learner.take(job, solve(job.problem))`."""

    model: JointModel
    tenant: str
    problem: Problem


class Counted(NamedTuple):
    """How an answer was counted, so that its judgement can be replaced."""

    quality: float | None
    weight: float
    """As the sample has them."""
    receipt: Receipt | None = None
    """Of its judgement, where that was counted."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Levels:
    """A tenant's levels under one posterior."""

    posterior: Posterior
    traffic: Traffic
    requests: int
    """Of the tenant when they were taken."""
    z: F64
    mean: F64
    draws: F64
    usual: dict[object, F64] = field(default_factory=dict)
    """Cost and latency of candidates on the tenant's mean request, by what they follow from."""


@dataclass(frozen=True, kw_only=True, eq=False)
class State:
    """The parts of a learner."""

    quality: JointModel
    length: JointModel
    profiles: Mapping[str, Profile]
    counted: Mapping[str, Counted]
    traffic: Mapping[str, Traffic]
