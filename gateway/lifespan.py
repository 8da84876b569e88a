"""Opens what a gateway process needs, in order, and closes it in the reverse."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import numpy as np

from backends.errors import BackendError
from backends.models.store import Store
from backends.supervisor.control import ControlClient
from gateway.admission.admission import Admission
from gateway.caching.caches import Caches
from gateway.clock import SYSTEM_CLOCK
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
from gateway.ledger.ledger import open_ledger
from gateway.limits.limiter import Limiter
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
from gateway.shared.redis import open_redis
from gateway.shared.replicas import Replicas
from gateway.sla.promises import Promises
from gateway.sla.report import Reports
from gateway.tenants.directory import open_directory
from gateway.tenants.store import TenantStore

__all__ = ("open_services",)


@asynccontextmanager
async def open_services(
    settings: Settings, paths: StatePaths, *, ready: Callable[[Services], None] = lambda _: None
) -> AsyncGenerator[Services, None]:
    """The services of one API process, until it stops; `ready` is told of them when they are open."""
    async with AsyncExitStack() as stack:
        services = await _open(settings, paths, stack)
        ready(services)
        yield services


async def _open(settings: Settings, paths: StatePaths, stack: AsyncExitStack) -> Services:
    clock, url = SYSTEM_CLOCK, paths.database_url(settings)
    policies = ActivePolicy(policy_from(settings))
    estimators = ActiveEstimator(policies, EstimatorStore(paths.estimators))
    budgets, promises = Budgets(clock), Promises(clock=clock)
    loop = Loop(estimators=estimators, budgets=budgets)
    followers = [loop.follow, promises.follow]
    log = DecisionLog(url, flush_interval_s=settings.store.flush_interval_s, follow=_each(followers))
    await _started(stack, log)
    loop.tried.update(await log.choices())
    engine = open_engine(url)
    stack.push_async_callback(asyncio.to_thread, engine.dispose)
    health = Health(settings.calls, clock=clock)
    catalogue = Catalogue(
        settings.variants, control=ControlClient(paths.control_socket), store=Store(paths.models), health=health
    )
    stack.push_async_callback(catalogue.aclose)
    policy_store = PolicyStore(engine)
    await _started(stack, PolicyWatcher(policies, policy_store))
    redis = await stack.enter_async_context(open_redis(settings.cache, clock=clock))
    directory = await stack.enter_async_context(open_directory(settings, engine, clock=clock))
    ledger = await stack.enter_async_context(
        open_ledger(engine, clock=clock, interval_s=settings.store.flush_interval_s)
    )
    decider = Decider(
        catalogue=catalogue,
        aliases=settings.aliases,
        policies=policies,
        estimators=estimators,
        budgets=budgets,
        promises=promises,
        ledger=ledger,
        tried=loop.tried,
        log=log,
        rng=np.random.default_rng(),
    )
    judge = Judge(Checker())
    stack.push_async_callback(judge.aclose)
    replicas = Replicas(redis, catalogue=catalogue, rng=np.random.default_rng())
    stack.push_async_callback(replicas.aclose)
    limiter = Limiter(
        redis,
        clock=clock,
        longest_answer_tokens=_longest_answer_tokens(settings),
        replicas=lambda: replicas.count,
    )
    stack.push_async_callback(limiter.aclose)
    caller = Caller(
        catalogue=catalogue, limiter=limiter, ledger=ledger, settings=settings.server, calls=settings.calls
    )
    retries = Retries(settings.calls, health=health, rng=np.random.default_rng())
    embeddings = Embeddings(catalogue=catalogue, limiter=limiter, ledger=ledger, settings=settings.server)
    caches = Caches(settings.cache, redis, catalogue=catalogue, clock=clock)
    stack.push_async_callback(caches.aclose)
    followers.append(caches.follow)
    admission, drain = Admission(settings.admission, catalogue=catalogue, clock=clock), Drain()
    drain.on_begin(admission.close)
    answering = Answering(
        limiter=limiter,
        caches=caches,
        admission=admission,
        decider=decider,
        dispatcher=Dispatcher(decider=decider, caller=caller, judge=judge, retries=retries, settings=settings.calls),
    )
    signals = _signals(settings, catalogue, log)
    stack.push_async_callback(signals.aclose)
    await estimators.refresh()
    with contextlib.suppress(BackendError):
        await catalogue.refresh()  # So that the first requests already see the variants.
    for work in (catalogue.watch(), estimators.watch(), limiter.keep(), replicas.keep()):
        _run(stack, work)
    return Services(
        settings=settings,
        clock=clock,
        log=log,
        catalogue=catalogue,
        decider=decider,
        policies=policies,
        policy_store=policy_store,
        known=lambda: known_here(settings, paths, tenants=TenantStore(engine)),
        estimators=estimators,
        answering=answering,
        embeddings=embeddings,
        directory=directory,
        ledger=ledger,
        promises=promises,
        reports=Reports(engine, log=log, clock=clock, lost_s=settings.server.request_timeout_s),
        signals=signals,
        admission=admission,
        drain=drain,
        started_at_s=clock.wall_s(),
    )


def _each(followers: Sequence[Callable[[Row], None]]) -> Callable[[Row], None]:
    """Tells all of them, one after the other."""

    def follow(row: Row) -> None:
        for follower in followers:
            follower(row)

    return follow


def _longest_answer_tokens(settings: Settings) -> int:
    """Of any variant, where a request sets no limit."""
    return max(min(v.decoding.max_tokens or v.context_tokens, v.context_tokens) for v in settings.variants)


def _signals(settings: Settings, catalogue: Catalogue, log: DecisionLog) -> Signals:
    return Signals(
        checks=AnswerChecks(log=log, clock=SYSTEM_CLOCK, checker=Checker()),
        shadow=Shadow(
            catalogue=catalogue, log=log, clock=SYSTEM_CLOCK, settings=settings.training, rng=np.random.default_rng()
        ),
    )


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
