"""The joint model of one quantity, such as quality: statistics by tenant, posteriors as each tenant sees the world.

A tenant's own records count in full for itself. For others they count as at most `SHARED_WEIGHT` records of a
variant, so that no tenant, however busy or ill-meant, decides what another gets.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from policies.learner.changes import ChangeDetector
from policies.learner.moments import Moments
from policies.learner.posterior import Posterior, Prior, Problem, Variances, solve

__all__ = ("ANYONE", "JointModel", "Known", "Record")

F64 = NDArray[np.float64]

ANYONE = ""
"""Stands for every tenant that has no statistics of its own."""

MOST_TENANTS = 16
"""Tenants with statistics of their own, the latest; what others teach is added up."""

SHARED_WEIGHT = 100.0
"""Records of a variant that one tenant is worth to others, at most."""

FORGETS = 0.1
"""What a change leaves of a variant's statistics."""

MOST_CHANGES = 5
"""Changes of a variant that are remembered: what is older counts next to nothing by then."""

EAGER = 20
"""Records up to which every one renews the posterior; then every fifth does, later every fiftieth part."""


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What is stated or measured of a variant before any record."""

    mean: float
    sd: float
    parent: str | None = None
    """The variant that it starts from."""


class Record(NamedTuple):
    """One observation, as it was counted."""

    tenant: str
    variant: str
    z: F64
    y: float
    weight: float
    at_s: float = 0.0


class JointModel:
    """k variants over the vectors of a basis. Mutable; solving is left to the owner, who may do it elsewhere."""

    def __init__(self, *, blocks: NDArray[np.intp], prior: Prior) -> None:
        self._blocks, self._prior = blocks, prior
        self._names: list[str] = []
        self._places: dict[str, int] = {}
        self._known: dict[str, Known] = {}
        self._by_tenant: OrderedDict[str, Moments] = OrderedDict({ANYONE: Moments.zeros(0, len(blocks))})
        self._detectors: dict[str, ChangeDetector] = {}
        self._posteriors: dict[str, Posterior] = {}
        self._variances: dict[str, Variances] = {}
        self._since: dict[str, int] = {}
        self.records = 0
        """Counted so far."""
        self.changes: dict[str, list[float]] = {}
        """Times since when a variant was noticed to do something else."""

    @property
    def names(self) -> tuple[str, ...]:
        """Variants, in the order of every array."""
        return tuple(self._names)

    def places(self, names: Iterable[str]) -> list[int]:
        """Where known variants stand in every array."""
        return [self._places[name] for name in names]

    def whose(self, tenant: str) -> str:
        """Whose statistics a tenant sees the world by."""
        return tenant if tenant in self._by_tenant else ANYONE

    def introduce(self, known: Mapping[str, Known]) -> bool:
        """Take in variants, or what is now stated of them; whether anything changed."""
        changed = False
        for name, stated in known.items():
            if self._known.get(name) != stated:
                self._known[name] = stated
                changed = True
                if name not in self._names:
                    self._append(name)
        if changed:
            self._posteriors.clear()
        return changed

    def forget(self, name: str) -> None:
        """Drop a variant with all that is known of it."""
        if name not in self._names:
            return
        place = self._places[name]
        del self._names[place], self._known[name]
        self._places = {name: number for number, name in enumerate(self._names)}
        self._detectors.pop(name, None)
        for tenant, moments in self._by_tenant.items():
            self._by_tenant[tenant] = moments.without(place)
        self._posteriors.clear()
        self._variances.clear()

    def observe(self, record: Record, *, watched: bool = True) -> bool:
        """Count a record of a known variant; whether it made its change detector alert."""
        place = self._places[record.variant]
        alert = watched and record.weight > 0.0 and self._alerts(record, place)
        self._moments(record.tenant).add(place, record.z, record.y, weight=record.weight)
        self._count(1)
        return alert

    def observe_all(self, tenant: str, variant: str, *, z: F64, y: F64, weight: F64, at_s: F64) -> None:
        """Count n records of one tenant and variant, those before a noticed change for less.

        Shapes (n, size), and (n,) of the rest.
        """
        for since_s in self.changes.get(variant, ()):
            weight = np.where(at_s < since_s, FORGETS * weight, weight)
        self._moments(tenant).add_all(self._places[variant], z, y, weight)
        self._count(len(y))

    def due(self, tenant: str) -> bool:
        """Whether the posterior that a tenant sees should be renewed."""
        whose = self.whose(tenant)
        if whose not in self._posteriors:
            return True
        since = self._since.get(whose, 0)
        own = self._by_tenant[whose].weight.sum() if whose != ANYONE else self.records
        return since > 0 and (own <= EAGER or since >= max(5, self.records // 50))

    def problem(self, tenant: str) -> Problem:
        """The posterior that a tenant sees, to be solved: `take(tenant, solve(problem(tenant)))`."""
        whose = self.whose(tenant)
        known = [self._known[name] for name in self._names]
        moments, start = self._seen_by(whose), self._variances.get(whose)
        if start is None or len(start.noise) != len(known):
            start = self._variances.get(ANYONE)
        if start is None or len(start.noise) != len(known):
            start = Variances.of(self._prior, len(known))
        self._since[whose] = 0
        return Problem(
            moments=moments,
            blocks=self._blocks,
            prior=self._prior,
            start=start,
            level=np.array([stated.mean for stated in known]),
            level_variance=np.array([stated.sd**2 for stated in known]),
            parent=np.array([self._inherited(stated.parent, whose) for stated in known]).reshape(
                len(known), len(self._blocks)
            ),
        )

    def take(self, tenant: str, posterior: Posterior) -> None:
        """Put a solved posterior in force; one of other variants than there are by now is dropped."""
        whose = self.whose(tenant)
        if len(posterior.mean) == len(self._names):
            self._posteriors[whose] = posterior
            self._variances[whose] = posterior.variances

    def posterior(self, tenant: str) -> Posterior:
        """What a tenant sees; solved here and now only where there is none at all."""
        whose = self.whose(tenant)
        found = self._posteriors.get(whose)
        if found is None:
            found = solve(self.problem(whose))
            self.take(whose, found)
        return found

    @property
    def variances(self) -> Variances | None:
        """As empirical Bayes has them for the tenant with most records; None before anything was solved."""
        solved = [tenant for tenant in self._by_tenant if tenant in self._variances]
        most = max(solved, key=lambda tenant: self._by_tenant[tenant].weight.sum(), default=None)
        return None if most is None else self._variances[most]

    @property
    def size(self) -> int:
        """Entries of a vector."""
        return len(self._blocks)

    @property
    def statistics(self) -> tuple[Mapping[str, Moments], Mapping[str, Variances]]:
        """Sums and variances by tenant."""
        return self._by_tenant, self._variances

    def restore(
        self,
        statistics: Mapping[str, Moments],
        variances: Mapping[str, Variances],
        *,
        changes: Mapping[str, list[float]],
        records: int,
    ) -> None:
        """Continue from sums and variances by tenant, of the variants that it knows."""
        self._by_tenant = OrderedDict({ANYONE: Moments.zeros(len(self._names), self.size)} | dict(statistics))
        self._variances = dict(variances)
        self.changes, self.records = dict(changes), records
        self._posteriors.clear()

    def start_from(self, variances: Variances) -> None:
        """Begin the evidence steps here, for tenants that have no variances of their own yet."""
        self._variances.setdefault(ANYONE, variances)

    def weight(self, name: str) -> float:
        """Records of a variant, of all tenants."""
        if name not in self._names:
            return 0.0
        place = self._places[name]
        return float(sum(moments.weight[place] for moments in self._by_tenant.values()))

    def _count(self, records: int) -> None:
        self.records += records
        for whose in self._since:
            self._since[whose] += records

    def _append(self, name: str) -> None:
        self._places[name] = len(self._names)
        self._names.append(name)
        for tenant, moments in self._by_tenant.items():
            self._by_tenant[tenant] = moments.extended()
        self._variances.clear()

    def _moments(self, tenant: str) -> Moments:
        """The tenant's own statistics; of the tenant heard longest ago there are none any more."""
        own = self._by_tenant.get(tenant)
        if own is None:
            own = self._by_tenant[tenant] = Moments.zeros(len(self._names), len(self._blocks))
            if (shared := self._posteriors.get(ANYONE)) is not None:
                self._posteriors[tenant] = shared  # Until its own is solved.
                self._since[tenant] = 0
        self._by_tenant.move_to_end(tenant)
        if len(self._by_tenant) > MOST_TENANTS + 1:
            self._merge(next(name for name in self._by_tenant if name != ANYONE))
        return own

    def _merge(self, tenant: str) -> None:
        """Add a tenant's statistics to those that have no tenant, at what they are worth to others."""
        moments = self._by_tenant.pop(tenant)
        self._by_tenant[ANYONE].plus(moments, factors=_bounded(moments))
        for kept in (self._posteriors, self._variances, self._since):
            kept.pop(tenant, None)

    def _seen_by(self, whose: str) -> Moments:
        """Everyone's statistics as they count for one tenant."""
        seen = self._by_tenant[whose].copy()
        for tenant, moments in self._by_tenant.items():
            if tenant != whose:
                factors = np.ones(len(self._names)) if tenant == ANYONE else _bounded(moments)
                seen.plus(moments, factors=factors)
        return seen

    def _inherited(self, parent: str | None, whose: str) -> F64:
        posterior = self._posteriors.get(whose)
        if parent is None or posterior is None or parent not in self._names:
            return np.zeros(len(self._blocks))
        place = self._places[parent]
        return posterior.own[place] if place < len(posterior.own) else np.zeros(len(self._blocks))

    def _alerts(self, record: Record, place: int) -> bool:
        posterior = self._posteriors.get(self.whose(record.tenant))
        if posterior is None or len(posterior.mean) != len(self._names):
            return False
        variance = posterior.variances.noise[place] + posterior.covariances(record.z[None])[0, place, place]
        residual = (record.y - float(posterior.means(record.z)[place])) / float(np.sqrt(variance))
        since_s = self._detectors.setdefault(record.variant, ChangeDetector()).alert(residual, at_s=record.at_s)
        if since_s is None:
            return False
        self.changes[record.variant] = [*self.changes.get(record.variant, []), since_s][-MOST_CHANGES:]
        for moments in self._by_tenant.values():
            moments.scale(place, FORGETS)
        return True


def _bounded(moments: Moments) -> F64:
    """Factors at which a tenant's statistics count for others; shape (k,)."""
    factors: F64 = np.minimum(1.0, SHARED_WEIGHT / np.maximum(moments.weight, 1e-9))
    return factors
