"""One training: read the log, fit, put in force what is better, and write down what it came to."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from backends.models.store import Store
from backends.progress import Progress, ProgressSink, silent
from backends.types import Engine as EngineKind
from backends.types import VariantStatus, WorkerState
from gateway.clock import SYSTEM_CLOCK, Clock
from gateway.decisions.database_clock import database_now
from gateway.decisions.migrate import upgrade
from gateway.decisions.schema import open_engine
from gateway.learning import trainings
from gateway.learning.dataset import count_since, read_samples
from gateway.learning.errors import TooLittleDataError
from gateway.learning.fitting import STAGES, Fitted, as_json, fit_all
from gateway.learning.store import EstimatorStore
from gateway.learning.trainings import Fit, Training
from gateway.paths import StatePaths
from gateway.policyops.store import PolicyStore
from gateway.policyops.watcher import compile_version
from gateway.routing.candidates import freeze
from gateway.routing.catalogue import VariantView
from gateway.routing.policy import policy_from
from gateway.settings import Settings
from policies.errors import ArtifactError
from policies.estimators.artifact import Artifact
from policies.policy import Policy
from policies.samples import Sample
from policies.types import Candidate

__all__ = ("LEAST_ROWS", "candidates_at_rest", "readable_artifacts", "train")

LEAST_ROWS = 50
"""Fewest answered requests that a training needs."""

logger = logging.getLogger(__name__)


def train(
    settings: Settings,
    paths: StatePaths,
    *,
    since_s: float | None = None,
    and_publish: bool | None = None,
    clock: Clock = SYSTEM_CLOCK,
    sink: ProgressSink = silent,
) -> Training:
    """Learn from the log. Blocks, for up to a minute for 100,000 rows.

    Args:
        settings: Which variants there are, and how many rows to read.
        paths: Where the database and the variants' cards are.
        since_s: Unix time before which nothing is learned from.
        and_publish: Whether to put in force what is better; as `training.publish` says when absent.
        clock: Measures how long it takes.
        sink: Told how far it is.

    Raises:
        TooLittleDataError: There is too little in the log.
        DocumentError: The policy in force cannot be read.
        SQLAlchemyError: The database failed.
    """
    engine = open_engine(paths.database_url(settings))
    try:
        upgrade(engine)
        fit = _fit(engine, settings, paths, since_s=since_s, clock=clock, sink=sink)
        publish = settings.training.publish == "auto" if and_publish is None else and_publish
        training = trainings.record(engine, fit, publish=publish)
        EstimatorStore(engine).prune()
        sink(_progress("ready", done=1.0))
        return training
    finally:
        engine.dispose()


def _fit(
    engine: Engine, settings: Settings, paths: StatePaths, *, since_s: float | None, clock: Clock, sink: ProgressSink
) -> Fit:
    began_s = clock.monotonic_s()
    read_at_s, newest = _now_s(engine), trainings.latest(engine, limit=1)
    in_force = newest[0].in_force if newest else {}
    store = EstimatorStore(engine)
    candidates = candidates_at_rest(settings, paths)
    samples = _read(engine, candidates, max_rows=settings.training.max_rows, since_s=since_s, sink=sink)
    fitted = fit_all(
        samples,
        candidates=candidates,
        in_force=readable_artifacts(store, in_force),
        cascade=_policy_in_force(engine, settings).cascade,
        engine=engine,
        on_stage=lambda stage: sink(_progress("fit", done=STAGES.index(stage) / len(STAGES), message=stage)),
    )
    better = _stored(store, fitted)
    period = {"first_at_s": samples[0].created_at_s, "last_at_s": samples[-1].created_at_s}
    return Fit(
        read_at_s=read_at_s,
        took_s=clock.monotonic_s() - began_s,
        rows=len(samples),
        judged_rows=sum(sample.quality is not None for sample in samples),
        better=better,
        because=fitted.because,
        report=as_json(period | fitted.report),
        after=newest[0].number if newest else 0,
    )


def _read(
    engine: Engine, candidates: Mapping[str, Candidate], *, max_rows: int, since_s: float | None, sink: ProgressSink
) -> Sequence[Sample]:
    expected = max(1, min(max_rows, count_since(engine, since_s)))
    samples = read_samples(
        engine,
        variants=candidates,
        max_rows=max_rows,
        since_s=since_s,
        unjudged_text=True,
        on_read=lambda count: sink(_progress("read", done=min(1.0, count / expected), message=f"{count} requests")),
    )
    if len(samples) < LEAST_ROWS:
        raise TooLittleDataError(rows=len(samples), needed=LEAST_ROWS)
    return samples


def candidates_at_rest(settings: Settings, paths: StatePaths) -> dict[str, Candidate]:
    """The variants at rest, with what their cards say now."""
    store = Store(paths.models)
    views = []
    for variant in settings.variants:
        manifest = None if variant.engine is EngineKind.OPENAI else store.current(variant.name)
        status = VariantStatus(name=variant.name, state=WorkerState.WARM)
        views.append(VariantView(variant=variant, status=status, card=manifest.card if manifest else None))
    return {candidate.name: candidate for candidate in freeze(views)}


def readable_artifacts(store: EstimatorStore, hashes: Mapping[str, str]) -> dict[str, Artifact]:
    """The estimators in force; one that cannot be read is not in force anywhere."""
    found: dict[str, Artifact] = {}
    for kind, name in hashes.items():
        try:
            found[kind] = store.get(name, kind=kind)
        except ArtifactError as error:
            logger.warning("%s", error)
    return found


def _policy_in_force(engine: Engine, settings: Settings) -> Policy:
    """The published policy; where none was published, that of the configuration."""
    active = PolicyStore(engine).active()
    return policy_from(settings) if active is None else compile_version(active)


def _stored(store: EstimatorStore, fitted: Fitted) -> dict[str, str]:
    """Hashes of what is better, by kind; one that is too large is left out."""
    hashes: dict[str, str] = {}
    for kind, artifact in fitted.better.items():
        try:
            hashes[kind] = store.put(artifact)
        except ArtifactError as error:
            fitted.because[kind] = str(error)
    return hashes


def _now_s(engine: Engine) -> float:
    with engine.connect() as connection:
        return float(connection.execute(sa.select(database_now())).scalar_one())


def _progress(stage: str, *, done: float = 0.0, message: str = "") -> Progress:
    return Progress(variant="trainer", stage=stage, done=done, message=message)
