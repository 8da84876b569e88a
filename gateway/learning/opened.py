"""Starts learning in a process: restores what was known, follows log, trainings and policy, keeps snapshots."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import AsyncExitStack

import msgspec
from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError

from gateway.learning import trainings
from gateway.learning.change_requests import ChangeRequests
from gateway.learning.estimators import ANSWERS, COUNTED_ROWS, LATENCY, ActiveEstimator
from gateway.learning.following import LogFollower
from gateway.learning.online import OnlineLearner
from gateway.learning.snapshots import Note, Restored, SnapshotFile, restored
from gateway.learning.store import EstimatorStore
from gateway.learning.tail import LogTail
from gateway.paths import StatePaths
from policies.errors import ArtifactError
from policies.estimators.latency import LatencyModel
from policies.learner.fit import Fit, first_fit

__all__ = ("open_learning",)

logger = logging.getLogger(__name__)


async def open_learning(
    stack: AsyncExitStack,
    *,
    engine: Engine,
    online: OnlineLearner,
    estimators: ActiveEstimator,
    variants: Sequence[str],
    paths: StatePaths,
    process: str,
) -> None:
    """Bring the learner to where the log is, and keep it there until the stack closes.

    Args:
        stack: Closes it all: the log is followed no more, and the last snapshot is written.
        engine: The database, migrated.
        online: The learner of this process.
        estimators: Follows what is in force.
        variants: Those learned about.
        paths: Where snapshots are.
        process: Names this process among those of the machine.
    """
    known = await asyncio.to_thread(_restored, engine, paths)
    tail = LogTail(engine, variants=variants, position=None if known is None else known.note.position)
    if known is not None:
        online.restore(known.learner)
        estimators.restored(answers=known.learner.fit.hash, latency=known.note.latency)
    await estimators.refresh()
    if known is None:
        try:
            online.deliver_all(await asyncio.to_thread(tail.read_back, COUNTED_ROWS))
        except SQLAlchemyError as error:
            logger.warning("what the log holds is not learned from yet: %s", error)
    follower = LogFollower(tail, online.deliver)

    def state() -> Restored:
        return Restored(online.learner, Note(position=follower.position, latency=estimators.latency))

    snapshot = SnapshotFile(paths.learned, process=process, state=state)
    stack.push_async_callback(snapshot.write)
    await follower.start()
    stack.push_async_callback(follower.aclose)
    await online.settle()
    requests = ChangeRequests(engine, lambda: online.learner.changes)
    for work in (online.keep(), estimators.watch(), snapshot.keep(), requests.keep()):
        task = asyncio.ensure_future(work)
        stack.push_async_callback(_ended, task)


async def _ended(task: asyncio.Future[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _restored(engine: Engine, paths: StatePaths) -> Restored | None:
    """The snapshot to continue from, under the fit in force; None without one."""
    name = trainings.in_force(engine).get(ANSWERS, "")
    store = EstimatorStore(engine)

    def fit() -> Fit:
        return Fit.from_artifact(store.get(name, kind=ANSWERS), hash_=name) if name else first_fit()

    try:
        known = restored(paths.learned, fit=fit)
        return None if known is None else _with_times(known, store)
    except (ArtifactError, SQLAlchemyError) as error:
        logger.warning("no snapshot is restored: %s", error)
        return None


def _with_times(known: Restored, store: EstimatorStore) -> Restored:
    """The learner with the times that its corrections are about; without corrections where these are gone."""
    learner, note = known
    if not note.latency:
        return known
    try:
        learner.latency = LatencyModel.from_artifact(store.get(note.latency, kind=LATENCY))
    except ArtifactError:
        learner.corrections.clear()
        return Restored(learner, msgspec.structs.replace(note, latency=""))
    return known
