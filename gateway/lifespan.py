"""Opens what a gateway process needs, in order, and closes it in the reverse."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from prometheus_client import CollectorRegistry, ProcessCollector
from sqlalchemy.engine import Engine

from backends.errors import BackendError
from backends.models.store import Store
from backends.supervisor.control import ControlClient
from gateway.admission.admission import Admission
from gateway.caching.caches import Caches
from gateway.clock import SYSTEM_CLOCK
from gateway.console.state import open_console
from gateway.decisions.log import DecisionLog
from gateway.decisions.schema import open_engine
from gateway.decisions.types import Row
from gateway.drain import Drain
from gateway.learning.checker import Checker
from gateway.learning.checks import AnswerChecks
from gateway.learning.estimators import ActiveEstimator
from gateway.learning.loop import Loop
from gateway.learning.shadow import Shadow
from gateway.learning.signals import Signals
from gateway.learning.store import EstimatorStore
from gateway.ledger.ledger import Ledger, open_ledger
from gateway.limits.limiter import Limiter
from gateway.metrics.exposition import Exposition
from gateway.metrics.live import Live
from gateway.metrics.promises import PromiseGauges
from gateway.paths import StatePaths
from gateway.policyops.active import ActivePolicy
from gateway.policyops.known import known_here
from gateway.policyops.store import PolicyStore
from gateway.policyops.watcher import PolicyWatcher
from gateway.routing.answering import Answering
from gateway.routing.budgets import Budgets
from gateway.routing.caller import Caller
from gateway.routing.cascading import Judge
from gateway.routing.catalogue import Catalogue
from gateway.routing.decider import Decider
from gateway.routing.dispatch import Dispatcher
from gateway.routing.embedding import Embeddings
from gateway.routing.health import Health
from gateway.routing.policy import policy_from
from gateway.routing.retry import Retries
from gateway.services import Services
from gateway.settings import Settings
from gateway.shared.redis import SharedRedis, open_redis
from gateway.shared.replicas import Replicas
from gateway.sla.promises import Promises
from gateway.sla.report import Reports
from gateway.telemetry.otlp import open_otlp
from gateway.telemetry.reporters import reporters_of
from gateway.telemetry.telemetry import Telemetry
from gateway.telemetry.tracing import Tracing
from gateway.tenants.directory import Directory, open_directory
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


@dataclass(frozen=True, kw_only=True)
class _Ground:
    """What the steps of a request stand on."""

    settings: Settings
    stack: AsyncExitStack
    log: DecisionLog
    followers: list[Callable[[Row], None]]
    """Are told every row of the log."""
    engine: Engine
    catalogue: Catalogue
    policies: ActivePolicy
    policy_store: PolicyStore
    estimators: ActiveEstimator
    loop: Loop
    budgets: Budgets
    promises: Promises
    redis: SharedRedis | None
    directory: Directory
    ledger: Ledger
    health: Health


async def _open(settings: Settings, paths: StatePaths, stack: AsyncExitStack, *, process: str) -> Services:
    ground = await _ground(settings, paths, stack)
    engine, catalogue, log = ground.engine, ground.catalogue, ground.log
    replicas = Replicas(ground.redis, catalogue=catalogue, rng=np.random.default_rng())
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
    await ground.estimators.refresh()
    with contextlib.suppress(BackendError):
        await catalogue.refresh()  # So that the first requests already see the variants.
    for work in (catalogue.watch(), ground.estimators.watch(), limiter.keep(), replicas.keep(), gauges.keep()):
        _run(stack, work)
    services = Services(
        settings=settings,
        clock=SYSTEM_CLOCK,
        log=log,
        catalogue=catalogue,
        decider=decider,
        policies=ground.policies,
        policy_store=ground.policy_store,
        known=lambda: known_here(settings, paths, tenants=TenantStore(engine)),
        estimators=ground.estimators,
        answering=answering,
        embeddings=Embeddings(catalogue=catalogue, limiter=limiter, ledger=ground.ledger, settings=settings.server),
        directory=ground.directory,
        ledger=ground.ledger,
        promises=ground.promises,
        reports=reports,
        promise_gauges=gauges,
        signals=signals,
        telemetry=telemetry,
        tracing=tracing,
        admission=admission,
        drain=drain,
        console=open_console(engine, redis=ground.redis, clock=SYSTEM_CLOCK),
        started_at_s=SYSTEM_CLOCK.wall_s(),
    )
    live = Live(services, promises=gauges, redis=ground.redis, replicas=replicas)
    services.exposition = Exposition(registry, live, directory=paths.run, process=process, settle=telemetry.report)
    await stack.enter_async_context(services.exposition.told_to_siblings())
    return services


async def _ground(settings: Settings, paths: StatePaths, stack: AsyncExitStack) -> _Ground:
    clock, url, flush_s = SYSTEM_CLOCK, paths.database_url(settings), settings.store.flush_interval_s
    policies = ActivePolicy(policy_from(settings))
    estimators = ActiveEstimator(policies, EstimatorStore(paths.estimators))
    budgets, promises = Budgets(clock), Promises(clock=clock)
    loop = Loop(estimators=estimators, budgets=budgets)
    followers: list[Callable[[Row], None]] = [loop.follow, promises.follow]
    log = DecisionLog(url, flush_interval_s=flush_s, follow=_each(followers))
    await _started(stack, log)
    loop.tried.update(await log.choices())
    engine = open_engine(url)
    stack.push_async_callback(asyncio.to_thread, engine.dispose)
    health, control = Health(settings.calls, clock=clock), ControlClient(paths.control_socket)
    catalogue = Catalogue(settings.variants, control=control, store=Store(paths.models), health=health)
    stack.push_async_callback(catalogue.aclose)
    policy_store = PolicyStore(engine)
    await _started(stack, PolicyWatcher(policies, policy_store))
    return _Ground(
        settings=settings,
        stack=stack,
        log=log,
        followers=followers,
        engine=engine,
        catalogue=catalogue,
        policies=policies,
        policy_store=policy_store,
        estimators=estimators,
        loop=loop,
        budgets=budgets,
        promises=promises,
        redis=await stack.enter_async_context(open_redis(settings.cache, clock=clock)),
        directory=await stack.enter_async_context(open_directory(settings, engine, clock=clock)),
        ledger=await stack.enter_async_context(open_ledger(engine, clock=clock, interval_s=flush_s)),
        health=health,
    )


def _limiter(ground: _Ground, replicas: Replicas) -> Limiter:
    variants = ground.settings.variants
    limiter = Limiter(
        ground.redis,
        clock=SYSTEM_CLOCK,
        longest_answer_tokens=max(min(v.decoding.max_tokens or v.context_tokens, v.context_tokens) for v in variants),
        replicas=lambda: replicas.count,
    )
    ground.stack.push_async_callback(limiter.aclose)
    return limiter


def _decider(ground: _Ground) -> Decider:
    return Decider(
        catalogue=ground.catalogue,
        aliases=ground.settings.aliases,
        policies=ground.policies,
        estimators=ground.estimators,
        budgets=ground.budgets,
        promises=ground.promises,
        ledger=ground.ledger,
        tried=ground.loop.tried,
        log=ground.log,
        rng=np.random.default_rng(),
    )


def _answering(ground: _Ground, *, decider: Decider, limiter: Limiter, admission: Admission) -> Answering:
    settings, catalogue = ground.settings, ground.catalogue
    judge = Judge(Checker())
    ground.stack.push_async_callback(judge.aclose)
    caches = Caches(settings.cache, ground.redis, catalogue=catalogue, clock=SYSTEM_CLOCK)
    ground.stack.push_async_callback(caches.aclose)
    ground.followers.append(caches.follow)
    caller = Caller(
        catalogue=catalogue, limiter=limiter, ledger=ground.ledger, settings=settings.server, calls=settings.calls
    )
    retries = Retries(settings.calls, health=ground.health, rng=np.random.default_rng())
    return Answering(
        limiter=limiter,
        caches=caches,
        admission=admission,
        decider=decider,
        dispatcher=Dispatcher(decider=decider, caller=caller, judge=judge, retries=retries, settings=settings.calls),
    )


def _signals(ground: _Ground) -> Signals:
    log, rng = ground.log, np.random.default_rng()
    shadow = Shadow(
        catalogue=ground.catalogue, log=log, clock=SYSTEM_CLOCK, settings=ground.settings.training, rng=rng
    )
    signals = Signals(checks=AnswerChecks(log=log, clock=SYSTEM_CLOCK, checker=Checker()), shadow=shadow)
    ground.stack.push_async_callback(signals.aclose)
    return signals


def _tracing(ground: _Ground) -> Tracing:
    settings, otlp = ground.settings.telemetry, None
    if settings.otlp is not None:
        otlp = open_otlp(settings.otlp)
        ground.stack.push_async_callback(asyncio.to_thread, otlp.close)
    traces = TraceLog(ground.engine, interval_s=ground.settings.store.flush_interval_s)
    ground.stack.push_async_callback(traces.aclose)
    _run(ground.stack, traces.keep())
    _run(ground.stack, keep_within(ground.engine, settings.traces, wall_s=SYSTEM_CLOCK.wall_s))
    return Tracing(settings.traces, clock=SYSTEM_CLOCK, traces=traces, otlp=otlp)


def _each(followers: Sequence[Callable[[Row], None]]) -> Callable[[Row], None]:
    """Tells all of them, one after the other."""

    def follow(row: Row) -> None:
        for follower in followers:
            follower(row)

    return follow


async def _started(stack: AsyncExitStack, part: DecisionLog | PolicyWatcher) -> None:
    stack.push_async_callback(part.aclose)
    await part.start()


def _run(stack: AsyncExitStack, work: Coroutine[Any, Any, None]) -> None:
    """Have this done until the process stops."""
    task = asyncio.ensure_future(work)

    async def stop() -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    stack.push_async_callback(stop)
