"""What is read from the running parts whenever it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from backends.types import WorkerState
from gateway import __version__
from gateway.metrics.catalogue import FAMILIES
from gateway.metrics.metrics import COUNTED
from gateway.shared.redis import SharedRedis
from gateway.shared.replicas import Replicas

if TYPE_CHECKING:
    from gateway.metrics.learning import LearningGauges
    from gateway.metrics.promises import PromiseGauges
    from gateway.services import Services

__all__ = ("Live",)

Sample = tuple[str, tuple[str, ...], float]
"""Name, label values, value."""


class Live(Collector):
    """The state of one process as metrics."""

    def __init__(
        self,
        services: Services,
        *,
        promises: PromiseGauges,
        learning: LearningGauges,
        redis: SharedRedis | None,
        replicas: Replicas,
    ) -> None:
        self._services = services
        self._promises = promises
        self._redis = redis
        self._replicas = replicas
        self._parts: tuple[Callable[[], Iterable[Sample]], ...] = (
            self._queue,
            self._variants,
            self._log,
            self._traces,
            self._checks,
            self._limits,
            self._shared,
            self._promises.samples,
            learning.samples,
        )

    def collect(self) -> Iterator[Metric]:
        """Every family of the catalogue that is not counted as requests end; one without samples too."""
        made = {family.name: _family(family.name) for family in FAMILIES if family.name not in COUNTED}
        for part in self._parts:
            for name, labels, value in part():
                made[name].add_metric(labels, value)
        yield from made.values()

    def _queue(self) -> Iterator[Sample]:
        stats = self._services.admission.stats
        depths: dict[str, int] = {}
        for (_, tier), depth in stats.waiting.items():
            depths[tier.name.lower()] = depths.get(tier.name.lower(), 0) + depth
        for tier_name in ("flex", "default", "priority"):
            yield "trilemma_queue_depth", (tier_name,), depths.get(tier_name, 0)
        for outcome, count in stats.outcomes.items():
            yield "trilemma_queue_outcomes_total", (outcome,), count
        for name, places in stats.places.items():
            yield "trilemma_places", (name,), places
            yield "trilemma_places_taken", (name,), stats.running.get(name, 0)

    def _variants(self) -> Iterator[Sample]:
        for view in self._services.catalogue.views():
            name, status = view.variant.name, view.status
            yield "trilemma_circuit_open", (name,), float(view.shut_s is not None)
            for state in WorkerState:
                yield "trilemma_variant_up", (name, state), float(status.state is state)
            yield "trilemma_variant_restarts_total", (name,), status.restarts
            if status.load is not None:
                yield "trilemma_variant_resident_bytes", (name,), status.load.resident_bytes
                yield "trilemma_variant_tokens_per_second", (name,), status.load.tokens_per_s
            measured_s = None if view.card is None else view.card.cold_start_s
            if (start_s := status.started_in_s or measured_s) is not None:
                yield "trilemma_variant_start_seconds", (name,), start_s

    def _log(self) -> Iterator[Sample]:
        stats = self._services.log.stats
        yield "trilemma_log_backlog_rows", (), stats.backlog
        yield "trilemma_log_dropped_rows_total", (), stats.dropped + stats.refused
        yield "trilemma_log_failures_total", (), stats.failures

    def _traces(self) -> Iterator[Sample]:
        tracing = self._services.tracing
        for reason, count in tracing.stats.kept.items():
            yield "trilemma_traces_total", (reason,), count
        yield "trilemma_traces_dropped_total", (), tracing.stats.left_out + tracing.traces.stats.dropped
        if tracing.otlp is not None:
            stats = tracing.otlp.stats
            for outcome in ("offered", "sent", "failed"):
                yield "trilemma_otlp_spans_total", (outcome,), getattr(stats, outcome)

    def _checks(self) -> Iterator[Sample]:
        stats = self._services.signals.stats.checks
        yield "trilemma_checks_waiting", (), stats.waiting
        yield "trilemma_checks_total", ("scored",), stats.scored
        yield "trilemma_checks_total", ("given_up",), stats.given_up
        for reason, count in stats.dropped.items():
            yield "trilemma_checks_dropped_total", (reason,), count

    def _limits(self) -> Iterator[Sample]:
        for tenant, count in self._services.limiter.turned_away.items():
            yield "trilemma_turned_away_total", (tenant,), count

    def _shared(self) -> Iterator[Sample]:
        if self._redis is not None:
            yield "trilemma_redis_up", (), float(self._redis.up)
        yield "trilemma_replicas", (), self._replicas.count
        yield "trilemma_policy_info", (self._services.policies.current.hash,), 1.0
        yield "trilemma_build_info", (__version__,), 1.0


def _family(name: str) -> CounterMetricFamily | GaugeMetricFamily:
    family = next(f for f in FAMILIES if f.name == name)
    kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    return kind(family.name, family.text, labels=family.labels)
