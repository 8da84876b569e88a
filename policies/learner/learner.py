"""The one learner: what it predicts of candidates, and how every answered or judged request moves that.

The gateway and `simulate` use this class and nothing beside it. Its work on a request's path is bounded and needs no
fit: statistics are sums, and the posteriors behind predictions are renewed by `settle`, or elsewhere by solving the
`jobs` and handing them to `take`.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from policies.belief import Belief, Estimates, of_estimates, standard_draws
from policies.estimators.corrections import TimeCorrections, TimeFactors
from policies.estimators.cost import cost_usd
from policies.estimators.latency import CARD, LatencyModel, Times
from policies.estimators.times import parts
from policies.features.types import Features
from policies.learner.estimated import between, estimated, in_order, rounded
from policies.learner.fit import LENGTH_PRIOR, QUALITY_PRIOR, Fit, first_fit
from policies.learner.known import UNKNOWN, judgement, length_known, quality_known
from policies.learner.lengths import Lengths, at_least, lengths
from policies.learner.model import ANYONE, JointModel, Receipt, Record
from policies.learner.pace import observe_times
from policies.learner.posterior import Posterior, Variances, solve
from policies.learner.state import Counted, Job, Levels, State
from policies.learner.traffic import AllTraffic, Traffic
from policies.samples import Sample
from policies.types import Candidate, CandidateState, Profile, RoutingRequest

__all__ = ("Counted", "Handover", "Job", "Learner", "State")

F64 = NDArray[np.float64]

REMEMBERED = 20_000
"""Latest answers whose judgement may still be replaced."""

UNJUDGED = 200
"""Requests per judged answer beyond which exploring teaches too little to be worth it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Handover:
    """What a learner knows beside its statistics."""

    profiles: Mapping[str, Profile]
    parents: Mapping[str, str]
    tried: Counter[str]
    requests: int
    traffic: AllTraffic
    candidates: Mapping[str, Candidate]
    corrections: Mapping[str, Mapping[str, Sequence[Sequence[float]]]]
    changes: tuple[dict[str, list[float]], ...]
    """Of quality, and of length."""

    def taken_up(self, fit: Fit, samples: Iterable[Sample], *, latency: LatencyModel = CARD) -> Learner:
        """A learner under another fit, built from this handover and these samples only."""
        made = Learner(fit, latency=latency)
        made.parents, made.tried, made.requests = self.parents, self.tried.copy(), self.requests
        made.introduce(self.profiles)
        made.inherit(self.traffic.rebased(fit.basis), self.changes)
        made.correct(self.candidates, self.corrections)
        made.absorb_all(samples)
        return made


class Learner:
    """Mutable, pure, and for one thread. Predicts as an `Estimator`; learns by `decided` and `absorb`."""

    def __init__(self, fit: Fit | None = None, *, latency: LatencyModel = CARD) -> None:
        """Begin with a fit, or with what is assumed before any. Groups that appear later get columns here alone."""
        begun = fit or first_fit()
        self.fit = msgspec.structs.replace(begun, basis=begun.basis.copy())
        self.latency = latency
        basis = self.fit.basis
        self._quality = JointModel(blocks=basis.blocks, prior=QUALITY_PRIOR)
        self._length = JointModel(blocks=basis.blocks, prior=LENGTH_PRIOR)
        for model, found in ((self._quality, self.fit.quality), (self._length, self.fit.length)):
            if found is not None:
                model.start_from(found)
        self._traffic = AllTraffic(basis.size)
        self._levels: dict[str, Levels] = {}
        self._profiles: dict[str, tuple[Profile, str | None]] = {}
        self._candidates: dict[str, Candidate] = {}
        """As each variant was when it was last decided about."""
        self.corrections = TimeCorrections()
        self._counted: OrderedDict[str, Counted] = OrderedDict()
        self.parents: Mapping[str, str] = {}
        """Of variants on trial: whose predictions they start from."""
        self.tried: Counter[str] = Counter()
        """Requests each variant was chosen for."""
        self.requests = 0
        """Requests that a choice was made for, pinned ones included."""
        self.answered = 0
        self.judged = 0
        """Answers learned from, and those of them that were judged."""

    # --- predicting

    def estimate(self, request: RoutingRequest, candidates: Sequence[Candidate]) -> Estimates:
        """One estimate per candidate, in their order, with the belief behind them."""
        if not candidates:
            return Estimates((), of_estimates(()))
        self.introduce({candidate.name: candidate.profile for candidate in candidates})
        self._candidates.update((candidate.name, candidate) for candidate in candidates)
        z = self.fit.basis.vector(request.features)
        places = np.array(self._quality.places(candidate.name for candidate in candidates), np.intp)
        factors = tuple(self.corrections.factors(candidate.name, now_s=request.now_s) for candidate in candidates)
        tokens = self._tokens(z, places, limit=float(request.max_completion_tokens or math.inf))
        times = self._times(candidates, factors, tokens, prompt_tokens=request.prompt_tokens)
        traffic = self._traffic.of(request.tenant)
        if not traffic.requests:  # Then the tenant's traffic is this request.
            traffic = Traffic(self.fit.basis.size)
            traffic.add(z, None, prompt_tokens=request.prompt_tokens, limit_tokens=request.max_completion_tokens)
        levels, posterior = self._level_of(request.tenant, traffic), self._quality.posterior(request.tenant)
        at, moved = between(posterior.covariances(np.array((z, z - levels.z))), places)
        score = posterior.means(z)[places]
        rows = np.array((score, np.sqrt(np.maximum(at.diagonal(), 0.0)), tokens.mean, *times)).T.tolist()
        estimates = [estimated(request, c, row) for c, row in zip(candidates, rows, strict=True)]
        own, level = moved.diagonal(), levels.mean[places]
        usual = self._usual(levels, candidates, places, factors)
        belief = Belief(
            level=level,
            draws=levels.draws if len(places) == len(levels.draws) and in_order(places) else levels.draws[places],
            shift=score - level,
            doubt=np.sqrt(np.maximum(own[:, None] + own - 2.0 * moved, 0.0)),
            usd=usual[0],
            latency_s=usual[1],
            tried=np.array([float(self.tried[candidate.name]) for candidate in candidates]),
            requests=float(self.requests),
            judged=UNJUDGED * (self.judged + 1) >= self.answered,
        )
        return Estimates(estimates, belief)

    # --- learning

    def decided(
        self,
        tenant: str,
        features: Features | None,
        *,
        choice: str,
        prompt_tokens: float,
        limit_tokens: float | None = None,
    ) -> None:
        """A choice was made.

        Args:
            tenant: Whose request it is.
            features: Of the request.
            choice: The variant.
            prompt_tokens: As estimated.
            limit_tokens: The caller's limit on the answer.
        """
        self.tried[choice] += 1
        self.requests += 1
        self.fit.basis.admit(features)
        z = self.fit.basis.vector(features)
        self._traffic.add(tenant, z, features, prompt_tokens=prompt_tokens, limit_tokens=limit_tokens)

    def absorb(self, sample: Sample) -> None:
        """Learn from an answered request, once; given again with another judgement, that replaces the earlier one.

        A variant that was never a candidate is learned as well, starting from the prior of an unknown variant.
        """
        if sample.features is None:
            return
        self.introduce({sample.variant: UNKNOWN} if sample.variant not in self._profiles else {})
        self.fit.basis.admit(sample.features)
        z = self.fit.basis.vector(sample.features)
        before = self._counted.get(sample.decision_id)
        if before is None:
            self.answered += 1
            self._learn_length(sample, z)
            self._learn_times(sample)
            self._remember(sample, self._learn_quality(sample, z))
        elif sample.quality is not None and before[:2] != (sample.quality, sample.quality_weight):
            # A sample without a judgement was read before that was made: judgements are replaced, never withdrawn.
            if before.receipt is not None:
                self._quality.take_back(before.receipt, z)
                self.judged -= 1
            self._remember(sample, self._learn_quality(sample, z))

    def absorb_all(self, samples: Iterable[Sample]) -> None:
        """Learn from many requests that are new to it, oldest first, at once: without noticing changes."""
        given = (s for s in samples if s.features is not None and s.decision_id not in self._counted)
        new = list({sample.decision_id or number: sample for number, sample in enumerate(given)}.values())
        # Of tenants whose statistics do not all find room, those heard last keep theirs.
        last = {sample.tenant: number for number, sample in enumerate(new)}
        rows = sorted(new, key=lambda sample: last[sample.tenant])
        self.introduce({s.variant: UNKNOWN for s in rows if s.variant not in self._profiles})
        for sample in new:
            self.fit.basis.admit(sample.features)
        z = np.array([self.fit.basis.vector(s.features) for s in rows]).reshape(len(rows), self.fit.basis.size)
        self._absorb_lengths(rows, z)
        receipts = self._absorb_qualities(rows, z)
        for sample in new:
            self._remember(sample, receipts.get(id(sample)))
        self.answered += len(rows)

    def forget(self, variant: str) -> None:
        """Drop all that is known of a variant."""
        for model in (self._quality, self._length):
            model.forget(variant)
        self._profiles.pop(variant, None)
        self._levels.clear()

    def refitted(self, fit: Fit, samples: Iterable[Sample], *, latency: LatencyModel | None = None) -> Learner:
        """A learner that sees requests as another fit does, and knows these samples and no others.

        What is known of variants and of traffic is carried over.
        """
        return self.handover().taken_up(fit, samples, latency=latency or self.latency)

    def handover(self) -> Handover:
        """All that a learner under another fit carries over; independent of what this one learns from then on."""
        return Handover(
            profiles={name: profile for name, (profile, _) in self._profiles.items()},
            parents=dict(self.parents),
            tried=self.tried.copy(),
            requests=self.requests,
            traffic=self._traffic.copy(),
            candidates=dict(self._candidates),
            corrections=self.corrections.snapshot(),
            changes=tuple({n: list(times) for n, times in m.changes.items()} for m in (self._quality, self._length)),
        )

    def correct(
        self,
        candidates: Mapping[str, Candidate],
        corrections: Mapping[str, Mapping[str, Sequence[Sequence[float]]]],
    ) -> None:
        """Take over how variants were last seen, and by how much their times are off."""
        self._candidates.update(candidates)
        self.corrections.restore(corrections)

    def inherit(self, traffic: AllTraffic, changes: Sequence[dict[str, list[float]]]) -> None:
        """Take over what another learner saw of traffic, in this one's basis, and the changes it noticed."""
        self._traffic = traffic
        for model, noticed in zip((self._quality, self._length), changes, strict=True):
            model.changes = {name: list(times) for name, times in noticed.items()}

    def state(self) -> State:
        """All that it knows beside its counts, for `policies.learner.snapshot`."""
        return State(
            quality=self._quality,
            length=self._length,
            profiles={name: profile for name, (profile, _) in self._profiles.items()},
            counted={name: self._still(counted) for name, counted in self._counted.items()},
            traffic=self._traffic.by_tenant,
        )

    def restore_traffic(self, tenant: str, traffic: Traffic) -> None:
        """Continue with a tenant's traffic."""
        self._traffic.restore(tenant, traffic)

    def restore_counts(
        self,
        counted: Mapping[str, Counted],
        *,
        tried: Counter[str],
        requests: int,
        answered: int,
        judged: int,
    ) -> None:
        """Continue with the answers that were counted, and how many there were."""
        self._counted = OrderedDict(counted)
        self.tried, self.requests, self.answered, self.judged = tried, requests, answered, judged

    @property
    def changes(self) -> Mapping[str, Sequence[float]]:
        """Times since when a variant's quality was noticed to be another, by variant."""
        return self._quality.changes

    @property
    def variants(self) -> tuple[str, ...]:
        """Those it knows."""
        return self._quality.names

    def variances(self, quantity: Literal["quality", "length"]) -> Variances | None:
        """As the evidence has moved them; None before any posterior was solved."""
        return (self._quality if quantity == "quality" else self._length).variances

    def qualities(self, tenant: str, features: Features | None) -> F64:
        """Predicted quality of every variant, beyond 0 and 1 as it comes; shape (k,)."""
        return self._quality.posterior(tenant).means(self.fit.basis.vector(features))

    def introduce(self, profiles: Mapping[str, Profile]) -> None:
        """Take in variants, and what is stated or measured of them."""
        changed = {n: p for n, p in profiles.items() if self._profiles.get(n) != (p, self.parents.get(n))}
        if not changed:
            return
        for name, profile in changed.items():
            self._profiles[name] = (profile, self.parents.get(name))
        self._quality.introduce({name: quality_known(*self._profiles[name]) for name in changed})
        self._length.introduce({name: length_known(*self._profiles[name]) for name in changed})
        self._levels.clear()

    def jobs(self, tenant: str = ANYONE, *, anyhow: bool = False) -> list[Job]:
        """Posteriors of a tenant that should be renewed now; with `anyhow` also those that need not."""
        found = [(self._quality, tenant), (self._length, ANYONE)]
        return [Job(m, whose, m.problem(whose)) for m, whose in found if m.names and (anyhow or m.due(whose))]

    def settle(self, tenant: str = ANYONE) -> None:
        """Renew what is due, here and now."""
        for job in self.jobs(tenant):
            self.take(job, solve(job.problem))

    def take(self, job: Job, posterior: Posterior) -> None:
        """Put a solved posterior in force."""
        job.model.take(job.tenant, posterior)

    # --- parts of it

    def _tokens(self, z: F64, places: NDArray[np.intp], *, limit: float) -> Lengths:
        posterior = self._length.posterior(ANYONE)
        sd = np.sqrt(posterior.variances.noise[places])
        return lengths(posterior.means(z)[places], sd, limit_tokens=np.full(len(places), limit))

    def _times(
        self,
        candidates: Sequence[Candidate],
        factors: Sequence[TimeFactors],
        tokens: Lengths,
        *,
        prompt_tokens: int,
    ) -> Times:
        return self.latency.predict(
            [
                parts(candidate, prompt_tokens=prompt_tokens, corrected=factor)
                for candidate, factor in zip(candidates, factors, strict=True)
            ],
            prompt_tokens=prompt_tokens,
            variants=[self._latency_row(candidate.name) for candidate in candidates],
            median_tokens=tokens.median,
            high_tokens=tokens.high,
            corrected=factors,
        )

    def _usual(
        self,
        levels: Levels,
        candidates: Sequence[Candidate],
        places: NDArray[np.intp],
        factors: tuple[TimeFactors, ...],
    ) -> F64:
        """Cost and latency of each on the tenant's mean request, when nothing else runs; shape (2, k)."""
        traffic = levels.traffic
        key = (tuple(candidate.name for candidate in candidates), tuple(rounded(factor) for factor in factors))
        if (held := levels.usual.get(key)) is not None:
            return held
        at_rest = [
            msgspec.structs.replace(c, state=CandidateState.WARM, queued=0, running=0, starts_in_s=None)
            for c in candidates
        ]
        tokens = self._tokens(levels.z, places, limit=1.0 / traffic.per_limit if traffic.per_limit else math.inf)
        prompt_tokens = round(traffic.prompt_tokens)
        times = self._times(at_rest, factors, tokens, prompt_tokens=prompt_tokens)
        usd = [
            cost_usd(
                c, prompt_tokens=prompt_tokens, completion_tokens=mean, busy_s=first + max(0.0, mean - 1.0) * each
            )
            for c, mean, first, each in zip(candidates, tokens.mean, times.ttft_s, times.tpot_s, strict=True)
        ]
        usual = levels.usual[key] = np.array((usd, times.latency_s))
        return usual

    def _latency_row(self, name: str) -> int | None:
        """Where times are fitted for a variant, or for its parent; None for its card."""
        names = self.latency.names
        found = name if name in names else self.parents.get(name, "")
        return names.index(found) if found in names else None

    def _level_of(self, tenant: str, traffic: Traffic) -> Levels:
        """Levels under the posterior in force, at traffic that is at most a twentieth out of date."""
        posterior = self._quality.posterior(tenant)
        held = self._levels.get(tenant)
        if (
            held is not None
            and held.posterior is posterior
            and held.traffic is traffic
            and traffic.requests - held.requests <= held.requests // 20
        ):
            return held
        z = traffic.mean.copy()
        root = np.linalg.cholesky(posterior.covariances(z[None])[0] + _JITTER * np.eye(len(posterior.mean)))
        made = Levels(
            posterior=posterior,
            traffic=traffic,
            requests=traffic.requests,
            z=z,
            mean=posterior.means(z),
            draws=root @ standard_draws(len(root)),
        )
        if len(self._levels) > _MOST_LEVELS:
            self._levels.clear()
        self._levels[tenant] = made
        return made

    def _remember(self, sample: Sample, receipt: Receipt | None) -> None:
        if not sample.decision_id:
            return
        self._counted[sample.decision_id] = Counted(sample.quality, sample.quality_weight, receipt)
        self._counted.move_to_end(sample.decision_id)
        if len(self._counted) > REMEMBERED:
            self._counted.popitem(last=False)

    def _learn_times(self, sample: Sample) -> None:
        candidate = self._candidates.get(sample.variant)
        if candidate is not None:
            row = self._latency_row(sample.variant)
            observe_times(self.corrections, sample, candidate=candidate, latency=self.latency, row=row)

    def _still(self, counted: Counted) -> Counted:
        """As it counts by now, in the terms of a model that is restored now."""
        receipt = counted.receipt
        if receipt is not None:
            receipt = receipt._replace(weight=self._quality.standing(receipt), number=0)
        return counted._replace(receipt=receipt)

    def _learn_length(self, sample: Sample, z: F64) -> None:
        if sample.completion_tokens < 1:
            return
        [y] = self._log_tokens([sample], z[None])
        self._length.observe(Record(ANYONE, sample.variant, z, float(y), 1.0, sample.created_at_s))

    def _absorb_lengths(self, rows: Sequence[Sample], z: F64) -> None:
        for variant in dict.fromkeys(sample.variant for sample in rows):
            mine = [row for row, s in enumerate(rows) if s.variant == variant and s.completion_tokens > 0]
            own = [rows[row] for row in mine]
            at_s = np.array([sample.created_at_s for sample in own])
            y = self._log_tokens(own, z[mine])
            self._length.observe_all(ANYONE, variant, z=z[mine], y=y, weight=np.ones(len(own)), at_s=at_s)

    def _log_tokens(self, samples: Sequence[Sample], z: F64) -> F64:
        """Of answers of one variant; of one that was cut what it would have come to."""
        y = np.log([max(1, sample.completion_tokens) for sample in samples])
        cut = np.flatnonzero([sample.cut for sample in samples])
        if len(cut):
            posterior = self._length.posterior(ANYONE)
            [place] = self._length.places([samples[0].variant])
            sd = math.sqrt(float(posterior.variances.noise[place]))
            mu = posterior.means(z[cut])[:, place]
            y[cut] = [at_least(float(seen), mu=float(m), sd=sd) for seen, m in zip(y[cut], mu, strict=True)]
        return y

    def _learn_quality(self, sample: Sample, z: F64) -> Receipt | None:
        judged = judgement(sample)
        if judged is None:
            return None
        self.judged += 1
        return self._quality.observe(Record(sample.tenant, sample.variant, z, *judged, sample.created_at_s))

    def _absorb_qualities(self, rows: Sequence[Sample], z: F64) -> dict[int, Receipt]:
        """Receipts by the identity of the samples, of those that are judged."""
        by_key: dict[tuple[str, str], list[int]] = {}
        for row, sample in enumerate(rows):
            if judgement(sample) is not None:
                by_key.setdefault((sample.tenant, sample.variant), []).append(row)
        receipts: dict[int, Receipt] = {}
        for key, places in by_key.items():
            mine = [rows[place] for place in places]
            y, weight = np.array([judgement(sample) for sample in mine]).T
            at_s = np.array([sample.created_at_s for sample in mine])
            counted = self._quality.observe_all(*key, z=z[places], y=y, weight=weight, at_s=at_s)
            receipts |= {id(sample): receipt for sample, receipt in zip(mine, counted, strict=True)}
            self.judged += len(mine)
        return receipts


_JITTER = 1e-9
_MOST_LEVELS = 256
