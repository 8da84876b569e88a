"""What every step of a request stands on: the log, the variants, policies, tenants, money, Redis; opened in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine import Engine

from backends.models.store import Store
from backends.supervisor.control import ControlClient
from gateway.clock import SYSTEM_CLOCK
from gateway.decisions.log import DecisionLog
from gateway.decisions.retention import keep_young
from gateway.decisions.schema import open_engine
from gateway.decisions.types import Row
from gateway.learning.estimators import ActiveEstimator
from gateway.learning.online import OnlineLearner
from gateway.learning.opened import open_learning
from gateway.ledger.ledger import Ledger, open_ledger
from gateway.paths import StatePaths
from gateway.policyops.active import ActivePolicy
from gateway.policyops.store import PolicyStore
from gateway.policyops.watcher import PolicyWatcher
from gateway.routing.budgets import Budgets
from gateway.routing.catalogue import Catalogue
from gateway.routing.health import Health
from gateway.routing.policy import policy_from
from gateway.settings import Settings
from gateway.shared.redis import SharedRedis, open_redis
from gateway.sla.promises import Promises
from gateway.tenants.directory import Directory, open_directory

__all__ = ("Ground", "open_ground", "run_until_closed")


@dataclass(frozen=True, kw_only=True)
class Ground:
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
    online: OnlineLearner
    budgets: Budgets
    promises: Promises
    redis: SharedRedis | None
    directory: Directory
    ledger: Ledger
    health: Health


async def open_ground(
    settings: Settings, paths: StatePaths, stack: AsyncExitStack, *, process: str = "api-1"
) -> Ground:
    """All of it; the stack closes it.

    Raises:
        SQLAlchemyError: The database cannot be reached or migrated.
    """
    clock, url, flush_s = SYSTEM_CLOCK, paths.database_url(settings), settings.store.flush_interval_s
    policies = ActivePolicy(policy_from(settings))
    engine = open_engine(url)
    stack.push_async_callback(asyncio.to_thread, engine.dispose)
    budgets, promises = Budgets(clock), Promises(clock=clock)
    online = OnlineLearner(charge=budgets.charge)
    followers: list[Callable[[Row], None]] = [online.follow, promises.follow]
    log = DecisionLog(url, flush_interval_s=flush_s, follow=_each(followers))
    await _started(stack, log)
    run_until_closed(stack, keep_young(engine, max_age_s=settings.store.max_age_s, wall_s=clock.wall_s))
    health, control = Health(settings.calls, clock=clock), ControlClient(paths.control_socket)
    catalogue = Catalogue(settings.variants, control=control, store=Store(paths.models), health=health)
    stack.push_async_callback(catalogue.aclose)
    policy_store = PolicyStore(engine)
    await _started(stack, PolicyWatcher(policies, policy_store))
    names = [variant.name for variant in settings.variants if not variant.embeds_only]
    estimators = ActiveEstimator(policies, engine, online=online, variants=names)
    await open_learning(
        stack, engine=engine, online=online, estimators=estimators, variants=names, paths=paths, process=process
    )
    return Ground(
        settings=settings,
        stack=stack,
        log=log,
        followers=followers,
        engine=engine,
        catalogue=catalogue,
        policies=policies,
        policy_store=policy_store,
        estimators=estimators,
        online=online,
        budgets=budgets,
        promises=promises,
        redis=await stack.enter_async_context(open_redis(settings.cache, clock=clock)),
        directory=await stack.enter_async_context(open_directory(settings, engine, clock=clock)),
        ledger=await stack.enter_async_context(open_ledger(engine, clock=clock, interval_s=flush_s)),
        health=health,
    )


def _each(followers: Sequence[Callable[[Row], None]]) -> Callable[[Row], None]:
    """Tells all of them, one after the other."""

    def follow(row: Row) -> None:
        for follower in followers:
            follower(row)

    return follow


async def _started(stack: AsyncExitStack, part: DecisionLog | PolicyWatcher) -> None:
    stack.push_async_callback(part.aclose)
    await part.start()


def run_until_closed(stack: AsyncExitStack, work: Coroutine[Any, Any, None]) -> None:
    """Have this done until the process stops."""
    task = asyncio.ensure_future(work)

    async def stop() -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    stack.push_async_callback(stop)
