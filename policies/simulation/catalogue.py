"""The methods by name."""

from __future__ import annotations

from collections.abc import Sequence

from policies.simulation.baselines.good_enough import cheapest_feasible
from policies.simulation.baselines.knn import Neighbours
from policies.simulation.baselines.linucb import LinearFit, linucb
from policies.simulation.baselines.paretobandit import installed, paretobandit
from policies.simulation.baselines.predicted import predicted
from policies.simulation.baselines.tfidf import Tfidf
from policies.simulation.methods import Method
from policies.simulation.ours import TRILEMMA

__all__ = ("METHODS", "chosen")

METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        TRILEMMA,
        Method(name="tfidf", learner=Tfidf, prepare=predicted(Tfidf)),
        Method(name="knn", learner=Neighbours, prepare=predicted(Neighbours)),
        Method(name="linucb", learner=LinearFit, prepare=linucb),
        Method(name="cheapest-feasible", prepare=cheapest_feasible, begins="warm"),
        Method(name="paretobandit", prepare=paretobandit, begins="warm"),
    )
}
"""Ours first. The fixed arms, their mix, the random router and the oracle belong to the protocols."""


def chosen(names: Sequence[str] = ()) -> list[Method]:
    """The named methods, or all that can run here.

    Raises:
        KeyError: There is no method of this name.
    """
    found = [METHODS[name] for name in names] if names else list(METHODS.values())
    return [method for method in found if names or method.name != "paretobandit" or installed()]
