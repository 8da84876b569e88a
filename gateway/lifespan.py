"""Opens what a gateway process needs, in order, and closes it in the reverse."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import numpy as np

from backends.errors import BackendError
from backends.models.store import Store
from backends.supervisor.control import ControlClient
from gateway.clock import SYSTEM_CLOCK
from gateway.decisions.log import DecisionLog
from gateway.decisions.schema import open_engine
from gateway.learning.checker import Checker
from gateway.learning.checks import AnswerChecks
from gateway.learning.estimators import ActiveEstimator
from gateway.learning.loop import Loop
from gateway.learning.shadow import Shadow
from gateway.learning.signals import Signals
from gateway.learning.store import EstimatorStore
from gateway.paths import StatePaths
from gateway.policyops.active import ActivePolicy
from gateway.policyops.store import PolicyStore
from gateway.policyops.watcher import PolicyWatcher
from gateway.routing.budgets import Budgets
from gateway.routing.caller import Caller
from gateway.routing.cascading import Judge
from gateway.routing.catalogue import Catalogue
from gateway.routing.decider import Decider
from gateway.routing.dispatch import Dispatcher
from gateway.routing.policy import policy_from
from gateway.services import Services
from gateway.settings import Settings

__all__ = ("open_services",)


@asynccontextmanager
async def open_services(
    settings: Settings, paths: StatePaths, *, ready: Callable[[Services], None] = lambda _: None
) -> AsyncGenerator[Services, None]:
    """The services of one API process, until it stops; `ready` is told of them when they are open."""
    policies = ActivePolicy(policy_from(settings))
    estimators = ActiveEstimator(policies, EstimatorStore(paths.estimators))
    budgets = Budgets(SYSTEM_CLOCK)
    loop = Loop(estimators=estimators, budgets=budgets)
    url = paths.database_url(settings)
    log = DecisionLog(url, flush_interval_s=settings.store.flush_interval_s, follow=loop.follow)
    catalogue = Catalogue(settings.variants, control=ControlClient(paths.control_socket), store=Store(paths.models))
    engine = open_engine(url)
    watcher = PolicyWatcher(policies, PolicyStore(engine))
    decider = Decider(
        catalogue=catalogue,
        aliases=settings.aliases,
        policies=policies,
        estimators=estimators,
        budgets=budgets,
        tried=loop.tried,
        log=log,
        rng=np.random.default_rng(),
    )
    caller, judge = Caller(catalogue=catalogue, settings=settings.server), Judge(Checker())
    signals = Signals(
        checks=AnswerChecks(log=log, clock=SYSTEM_CLOCK, checker=Checker()),
        shadow=Shadow(
            catalogue=catalogue,
            log=log,
            clock=SYSTEM_CLOCK,
            settings=settings.training,
            rng=np.random.default_rng(),
        ),
    )
    await log.start()
    loop.tried.update(await log.choices())
    await watcher.start()
    await estimators.refresh()
    with contextlib.suppress(BackendError):
        await catalogue.refresh()  # So that the first requests already see the variants.
    watching = asyncio.gather(catalogue.watch(), estimators.watch())
    try:
        services = Services(
            settings=settings,
            clock=SYSTEM_CLOCK,
            log=log,
            catalogue=catalogue,
            decider=decider,
            policies=policies,
            estimators=estimators,
            dispatcher=Dispatcher(decider=decider, caller=caller, judge=judge),
            signals=signals,
            started_at_s=SYSTEM_CLOCK.wall_s(),
        )
        ready(services)
        yield services
    finally:
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
        await judge.aclose()
        await signals.aclose()
        await watcher.aclose()
        await asyncio.to_thread(engine.dispose)
        await catalogue.aclose()
        await log.aclose()
