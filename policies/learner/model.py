"""The joint model of one quantity, such as quality: statistics by tenant, posteriors as each tenant sees the world.

A tenant's own records count in full for itself. For others they count as at most `SHARED_WEIGHT` records of a
variant, so that no tenant, however busy or ill-meant, decides what another gets.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from policies.learner.changes import ChangeDetector
from policies.learner.moments import Moments
from policies.learner.posterior import Posterior, Prior, Problem, Variances, solve

__all__ = ("ANYONE", "JointModel", "Known", "Receipt", "Record")

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
    guessed: bool = False
    """Whether the mean is a guess, which gives way to the parent's level."""


class Record(NamedTuple):
    """One observation, as it was counted."""

    tenant: str
    variant: str
    z: F64
    y: float
    weight: float
    at_s: float = 0.0


class Receipt(NamedTuple):
    """A record as it was counted, so that it can be taken back."""

    tenant: str
    variant: str
    y: float
    weight: float
    number: int = 0
    """Records counted by then, it included."""


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
        self._own: dict[str, dict[str, F64]] = {}
        """Own parts in the latest posterior, by tenant and variant: what children start from."""
        self._dropped: dict[str, int] = {}
        """Records counted when a tenant's or a variant's statistics were last dropped, by either's name."""
        self._scaled: dict[str, list[int]] = {}
        """Records counted whenever a change scaled a variant's statistics down."""
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
        self._dropped[_variant(name)] = self.records
        self._posteriors.clear()
        self._variances = {
            tenant: replace(found, noise=np.delete(found.noise, place)) for tenant, found in self._variances.items()
        }

    def observe(self, record: Record) -> Receipt:
        """Count a record of a known variant; one from before a noticed change counts for less."""
        place = self._places[record.variant]
        self._watch(record, place)
        since = self.changes.get(record.variant, ())
        weight = record.weight * FORGETS ** sum(record.at_s < since_s for since_s in since)
        self._moments(record.tenant).add(place, record.z, record.y, weight=weight)
        self._count(1)
        return Receipt(record.tenant, record.variant, record.y, weight, self.records)

    def observe_all(self, tenant: str, variant: str, *, z: F64, y: F64, weight: F64, at_s: F64) -> list[Receipt]:
        """Count n records of one tenant and variant at once, without looking for changes.

        Shapes (n, size), and (n,) of the rest.
        """
        for since_s in self.changes.get(variant, ()):
            weight = np.where(at_s < since_s, FORGETS * weight, weight)
        self._moments(tenant).add_all(self._places[variant], z, y, weight)
        self._count(len(y))
        return [Receipt(tenant, variant, *of, self.records) for of in zip(y.tolist(), weight.tolist(), strict=True)]

    def take_back(self, receipt: Receipt, z: F64) -> None:
        """Subtract a record, at the weight it still has."""
        weight = self.standing(receipt)
        if weight > 0.0:
            place = self._places[receipt.variant]
            self._by_tenant[receipt.tenant].add(place, z, receipt.y, weight=-weight)
            self._count(1)

    def standing(self, receipt: Receipt) -> float:
        """Weight at which a record still counts for its own tenant; 0 once such statistics were dropped."""
        place, moments = self._places.get(receipt.variant), self._by_tenant.get(receipt.tenant)
        dropped = [self._dropped.get(of, -1) for of in (_tenant(receipt.tenant), _variant(receipt.variant))]
        if place is None or moments is None or receipt.number <= max(dropped):
            return 0.0
        scaled = sum(number >= receipt.number for number in self._scaled.get(receipt.variant, ()))
        return min(receipt.weight * FORGETS**scaled, float(moments.weight[place]))

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
        parents = [self._inherited(of, whose) for of in known]
        means = [
            own[0] if of.guessed and own is not None else of.mean for of, own in zip(known, parents, strict=True)
        ]
        start = self._variances.get(whose) or self._variances.get(ANYONE)
        self._since[whose] = 0
        return Problem(
            moments=self._seen_by(whose),
            blocks=self._blocks,
            prior=self._prior,
            start=start or Variances.of(self._prior, len(known)),
            level=np.array(means),
            level_variance=np.array([of.sd**2 for of in known]),
            parent=np.array([np.zeros(self.size) if own is None else own for own in parents]).reshape(-1, self.size),
        )

    def take(self, tenant: str, posterior: Posterior) -> None:
        """Put a solved posterior in force; one of other variants than there are by now is dropped."""
        whose = self.whose(tenant)
        if len(posterior.mean) == len(self._names):
            self._posteriors[whose] = posterior
            self._variances[whose] = posterior.variances
            self._own[whose] = dict(zip(self._names, posterior.own, strict=True))

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
        """Continue from sums and variances by tenant, of the variants that it knows; its receipts end here."""
        self._by_tenant = OrderedDict({ANYONE: Moments.zeros(len(self._names), self.size)} | dict(statistics))
        self._variances = dict(variances)
        self.changes, self.records = dict(changes), records
        for held in (self._posteriors, self._own, self._dropped, self._scaled):
            held.clear()

    def start_from(self, variances: Variances) -> None:
        """Begin the evidence steps here, for tenants that have no variances of their own yet; noise is found anew."""
        self._variances.setdefault(ANYONE, replace(variances, noise=np.full(len(self._names), self._prior.noise)))

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
        self._variances = {
            tenant: replace(found, noise=np.append(found.noise, self._prior.noise))
            for tenant, found in self._variances.items()
        }

    def _moments(self, tenant: str) -> Moments:
        """The tenant's own statistics; of the tenant heard longest ago there are none any more."""
        own = self._by_tenant.get(tenant)
        if own is None:
            own = self._by_tenant[tenant] = Moments.zeros(len(self._names), self.size)
            self._dropped[_tenant(tenant)] = self.records
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
        for kept in (self._posteriors, self._variances, self._since, self._own):
            kept.pop(tenant, None)
        self._dropped.pop(_tenant(tenant), None)

    def _seen_by(self, whose: str) -> Moments:
        """Everyone's statistics as they count for one tenant."""
        seen = self._by_tenant[whose].copy()
        for tenant, moments in self._by_tenant.items():
            if tenant != whose:
                factors = np.ones(len(self._names)) if tenant == ANYONE else _bounded(moments)
                seen.plus(moments, factors=factors)
        return seen

    def _inherited(self, known: Known, whose: str) -> F64 | None:
        """The own part of a variant's parent; None where it has none, or nothing is known of it yet."""
        own = self._own.get(whose) or self._own.get(ANYONE) or {}
        return None if known.parent not in self._places else own.get(known.parent)

    def _watch(self, record: Record, place: int) -> None:
        """Look for a change with this record; after one, what was counted before counts for less."""
        posterior = self._posteriors.get(self.whose(record.tenant))
        if posterior is None or len(posterior.mean) != len(self._names):
            return
        variance = posterior.variances.noise[place] + posterior.covariances(record.z[None])[0, place, place]
        residual = (record.y - float(posterior.means(record.z)[place])) / float(np.sqrt(variance))
        since_s = self._detectors.setdefault(record.variant, ChangeDetector()).alert(residual, at_s=record.at_s)
        if since_s is None:
            return
        self.changes[record.variant] = [*self.changes.get(record.variant, []), since_s][-MOST_CHANGES:]
        self._scaled.setdefault(record.variant, []).append(self.records)
        for moments in self._by_tenant.values():
            moments.scale(place, FORGETS)


def _tenant(name: str) -> str:
    return f"tenant {name}"


def _variant(name: str) -> str:
    return f"variant {name}"


def _bounded(moments: Moments) -> F64:
    """Factors at which a tenant's statistics count for others; shape (k,)."""
    factors: F64 = np.minimum(1.0, SHARED_WEIGHT / np.maximum(moments.weight, 1e-9))
    return factors
