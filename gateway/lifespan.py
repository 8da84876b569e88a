"""Opens what a gateway process needs, in order, and closes it in the reverse."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import numpy as np
from prometheus_client import CollectorRegistry, ProcessCollector

from backends.errors import BackendError
from gateway.admission.admission import Admission
from gateway.caching.caches import Caches
from gateway.clock import SYSTEM_CLOCK
from gateway.console.state import open_console
from gateway.drain import Drain
from gateway.ground import Ground, open_ground, run_until_closed
from gateway.learning.checker import Checker
from gateway.learning.checks import AnswerChecks
from gateway.learning.learning_report import LearningQuery, LearningReport, LearningReports
from gateway.learning.report_process import report_from_process
from gateway.learning.shadow import Shadow
from gateway.learning.signals import Signals
from gateway.learning.store import EstimatorStore
from gateway.learning.verifier import Verifier
from gateway.limits.limiter import Limiter
from gateway.metrics.exposition import Exposition
from gateway.metrics.learning import LearningGauges
from gateway.metrics.live import Live
from gateway.metrics.promises import PromiseGauges
from gateway.paths import StatePaths
from gateway.policyops.known import known_here
from gateway.routing.answering import Answering
from gateway.routing.caller import Caller
from gateway.routing.cascading import Judge
from gateway.routing.decider import Decider
from gateway.routing.dispatch import Dispatcher
from gateway.routing.embedding import Embeddings
from gateway.routing.retry import Retries
from gateway.services import Services
from gateway.settings import Settings
from gateway.shared.replicas import Replicas
from gateway.sla.report import Reports
from gateway.telemetry.otlp import open_otlp
from gateway.telemetry.reporters import reporters_of
from gateway.telemetry.telemetry import Telemetry
from gateway.telemetry.tracing import Tracing
from gateway.tenants.store import TenantStore
from gateway.traces.retention import keep_within
from gateway.traces.writer import TraceLog

__all__ = ("open_services",)


@asynccontextmanager
async def open_services(
    settings: Settings,
    paths: StatePaths,
    *,
    process: str = "api-1",
    ready: Callable[[Services], None] = lambda _: None,
) -> AsyncGenerator[Services, None]:
    """The services of one API process, until it stops; `ready` is told of them when they are open."""
    async with AsyncExitStack() as stack:
        services = await _open(settings, paths, stack, process=process)
        ready(services)
        yield services


async def _open(settings: Settings, paths: StatePaths, stack: AsyncExitStack, *, process: str) -> Services:
    ground = await open_ground(settings, paths, stack, process=process)
    engine, catalogue, log = ground.engine, ground.catalogue, ground.log
    replicas = Replicas(
        ground.redis, catalogue=catalogue, rng=np.random.default_rng(), at_least=settings.server.workers
    )
    stack.push_async_callback(replicas.aclose)
    limiter = _limiter(ground, replicas)
    admission, drain = Admission(settings.admission, catalogue=catalogue, clock=SYSTEM_CLOCK), Drain()
    drain.on_begin(admission.close)
    decider = _decider(ground)
    answering = _answering(ground, decider=decider, limiter=limiter, admission=admission)
    signals = _signals(ground)
    tracing, registry = _tracing(ground), CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=registry)
    reporters = reporters_of(settings.telemetry, tracing=tracing, registry=registry)
    telemetry = Telemetry(reporters)
    stack.callback(telemetry.report)
    reports = Reports(engine, log=log, clock=SYSTEM_CLOCK, lost_s=settings.server.request_timeout_s)
    gauges = PromiseGauges(reports, ground.directory)
    learning = _learning(ground)
    learning_gauges = LearningGauges(learning, rng=np.random.default_rng())
    with contextlib.suppress(BackendError):
        await catalogue.refresh()  # So that the first requests already see the variants.
    kept = limiter.keep(), replicas.keep(), gauges.keep(), learning_gauges.keep()
    for work in (catalogue.watch(), *kept):
        run_until_closed(stack, work)
    services = Services(
        settings=settings,
        clock=SYSTEM_CLOCK,
        log=log,
        catalogue=catalogue,
        decider=decider,
        policies=ground.policies,
        policy_store=ground.policy_store,
        known=lambda: known_here(
            settings, paths, estimators=EstimatorStore(engine).names(), tenants=TenantStore(engine)
        ),
        estimators=ground.estimators,
        answering=answering,
        embeddings=Embeddings(catalogue=catalogue, limiter=limiter, ledger=ground.ledger, settings=settings.server),
        directory=ground.directory,
        ledger=ground.ledger,
        limiter=limiter,
        promises=ground.promises,
        reports=reports,
        promise_gauges=gauges,
        learning=learning,
        learning_gauges=learning_gauges,
        signals=signals,
        telemetry=telemetry,
        tracing=tracing,
        admission=admission,
        drain=drain,
        console=open_console(engine, redis=ground.redis, clock=SYSTEM_CLOCK),
        started_at_s=SYSTEM_CLOCK.wall_s(),
    )
    live = Live(services, promises=gauges, learning=learning_gauges, redis=ground.redis, replicas=replicas)
    services.exposition = Exposition(registry, live, directory=paths.run, process=process, settle=telemetry.report)
    await stack.enter_async_context(services.exposition.told_to_siblings())
    return services


def _limiter(ground: Ground, replicas: Replicas) -> Limiter:
    variants = ground.settings.variants
    limiter = Limiter(
        ground.redis,
        clock=SYSTEM_CLOCK,
        longest_answer_tokens=max(min(v.decoding.max_tokens or v.context_tokens, v.context_tokens) for v in variants),
        replicas=lambda: replicas.count,
    )
    ground.stack.push_async_callback(limiter.aclose)
    return limiter


def _decider(ground: Ground) -> Decider:
    return Decider(
        catalogue=ground.catalogue,
        aliases=ground.settings.aliases,
        policies=ground.policies,
        estimators=ground.estimators,
        budgets=ground.budgets,
        promises=ground.promises,
        ledger=ground.ledger,
        log=ground.log,
        rng=np.random.default_rng(),
    )


def _answering(ground: Ground, *, decider: Decider, limiter: Limiter, admission: Admission) -> Answering:
    settings, catalogue = ground.settings, ground.catalogue
    checker = Checker()  # Of what a request waits for; scores of complete answers have another one.
    ground.stack.push_async_callback(checker.aclose)
    caches = Caches(settings.cache, ground.redis, catalogue=catalogue, clock=SYSTEM_CLOCK)
    ground.stack.push_async_callback(caches.aclose)
    ground.followers.append(caches.follow)
    caller = Caller(
        catalogue=catalogue, limiter=limiter, ledger=ground.ledger, settings=settings.server, calls=settings.calls
    )
    retries = Retries(settings.calls, health=ground.health, rng=np.random.default_rng())
    return Answering(
        limiter=limiter,
        verifier=Verifier(checker),
        caches=caches,
        admission=admission,
        decider=decider,
        dispatcher=Dispatcher(
            decider=decider, caller=caller, judge=Judge(checker), retries=retries, settings=settings.calls
        ),
    )


def _signals(ground: Ground) -> Signals:
    log, rng = ground.log, np.random.default_rng()
    shadow = Shadow(
        catalogue=ground.catalogue, log=log, clock=SYSTEM_CLOCK, settings=ground.settings.training, rng=rng
    )
    signals = Signals(checks=AnswerChecks(log=log, clock=SYSTEM_CLOCK, checker=Checker()), shadow=shadow)
    ground.stack.push_async_callback(signals.aclose)
    return signals


def _learning(ground: Ground) -> LearningReports:
    url = ground.engine.url.render_as_string(hide_password=False)

    async def make(query: LearningQuery) -> LearningReport:
        return await report_from_process(url, query, now_s=SYSTEM_CLOCK.wall_s())

    reports = LearningReports(make, clock=SYSTEM_CLOCK)
    ground.stack.push_async_callback(reports.aclose)
    return reports


def _tracing(ground: Ground) -> Tracing:
    settings, otlp = ground.settings.telemetry, None
    if settings.otlp is not None:
        otlp = open_otlp(settings.otlp)
        ground.stack.push_async_callback(asyncio.to_thread, otlp.close)
    traces = TraceLog(ground.engine, interval_s=ground.settings.store.flush_interval_s)
    ground.stack.push_async_callback(traces.aclose)
    run_until_closed(ground.stack, traces.keep())
    run_until_closed(ground.stack, keep_within(ground.engine, settings.traces, wall_s=SYSTEM_CLOCK.wall_s))
    return Tracing(settings.traces, clock=SYSTEM_CLOCK, traces=traces, otlp=otlp)
