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
from gateway.learning.shadow import Shadow
from gateway.learning.signals import Signals
from gateway.paths import StatePaths
from gateway.policyops.active import ActivePolicy
from gateway.policyops.store import PolicyStore
from gateway.policyops.watcher import PolicyWatcher
from gateway.routing.catalogue import Catalogue
from gateway.routing.decider import Decider
from gateway.routing.dispatch import Dispatcher
from gateway.routing.policy import policy_from
from gateway.services import Services
from gateway.settings import Settings
from policies.estimators.card import CardEstimator

__all__ = ("open_services",)


@asynccontextmanager
async def open_services(
    settings: Settings, paths: StatePaths, *, ready: Callable[[Services], None] = lambda _: None
) -> AsyncGenerator[Services, None]:
    """The services of one API process, until it stops; `ready` is told of them when they are open."""
    log = DecisionLog(paths.database_url(settings), flush_interval_s=settings.store.flush_interval_s)
    catalogue = Catalogue(settings.variants, control=ControlClient(paths.control_socket), store=Store(paths.models))
    policies = ActivePolicy(policy_from(settings))
    engine = open_engine(paths.database_url(settings))
    watcher = PolicyWatcher(policies, PolicyStore(engine))
    decider = Decider(
        catalogue=catalogue,
        aliases=settings.aliases,
        policies=policies,
        estimator=CardEstimator(),
        log=log,
        rng=np.random.default_rng(),
    )
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
    await watcher.start()
    with contextlib.suppress(BackendError):
        await catalogue.refresh()  # So that the first requests already see the variants.
    watching = asyncio.create_task(catalogue.watch())
    try:
        services = Services(
            settings=settings,
            clock=SYSTEM_CLOCK,
            log=log,
            catalogue=catalogue,
            decider=decider,
            policies=policies,
            dispatcher=Dispatcher(catalogue=catalogue, decider=decider, settings=settings.server),
            signals=signals,
            started_at_s=SYSTEM_CLOCK.wall_s(),
        )
        ready(services)
        yield services
    finally:
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
        await signals.aclose()
        await watcher.aclose()
        await asyncio.to_thread(engine.dispose)
        await catalogue.aclose()
        await log.aclose()
