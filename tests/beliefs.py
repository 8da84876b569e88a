"""Beliefs of any kind, and an estimator that holds one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np
from hypothesis import strategies as st

from policies.belief import Belief, Estimates, of_estimates
from policies.types import Candidate, Estimate, RoutingRequest

__all__ = ("Believing", "beliefs", "changed")


def changed(estimates: Sequence[Estimate], **changes: object) -> Belief:
    """The belief of some estimates, but for the changes."""
    arrays = {name: np.array(value) if isinstance(value, list) else value for name, value in changes.items()}
    return msgspec.structs.replace(of_estimates(estimates), **arrays)


class Believing:
    """An estimator that was told its estimates, by name and in order, and what is believed of all of them."""

    def __init__(self, told: Mapping[str, Estimate], **changes: object) -> None:
        self._told = told
        self._changes = changes

    def estimate(self, request: RoutingRequest, candidates: Sequence[Candidate]) -> Estimates:
        places = [list(self._told).index(candidate.name) for candidate in candidates]
        every = changed(list(self._told.values()), **self._changes)
        belief = msgspec.structs.replace(
            every,
            level=every.level[places],
            draws=every.draws[places],
            shift=every.shift[places],
            doubt=every.doubt[np.ix_(places, places)],
            usd=every.usd[places],
            latency_s=every.latency_s[places],
            tried=every.tried[places],
        )
        return Estimates([self._told[candidate.name] for candidate in candidates], belief)


@st.composite
def beliefs(draw: Callable[..., list[float]], k: int) -> dict[str, object]:
    """Changes to the belief of k estimates: levels, shifts and doubts apart from them."""
    vector = st.lists(st.floats(-1, 1), min_size=k, max_size=k)
    shift, sd = np.array(draw(vector)), np.abs(draw(vector))
    return {
        "level": np.array(draw(vector)),
        "shift": shift,
        "doubt": np.hypot(sd[:, None], sd) * (1.0 - np.eye(k)),
        "usd": np.abs(draw(vector)),
        "latency_s": np.abs(draw(vector)),
    }
