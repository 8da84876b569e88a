"""One training: read the log, fit, keep what is better, store it, and write down what it came to."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import msgspec
from sqlalchemy.engine import Engine

from backends.models.store import Store
from backends.progress import Progress, ProgressSink, silent
from backends.types import Engine as EngineKind
from backends.types import VariantStatus, WorkerState
from gateway.clock import SYSTEM_CLOCK, Clock
from gateway.decisions.migrate import upgrade
from gateway.decisions.schema import open_engine
from gateway.learning.cascade import learn_cascade, with_threshold
from gateway.learning.dataset import count_since, read_samples
from gateway.learning.draft import with_learned
from gateway.learning.errors import TooLittleDataError
from gateway.learning.reports import write_report
from gateway.learning.store import EstimatorStore
from gateway.paths import StatePaths
from gateway.policyops.known import known_here
from gateway.policyops.publish import publish, save_draft
from gateway.policyops.store import PolicyStore
from gateway.policyops.types import Version
from gateway.routing.candidates import freeze
from gateway.routing.catalogue import VariantView
from gateway.routing.policy import policy_from
from gateway.settings import Settings
from policies.documents.compile import compile_document, document_of
from policies.documents.schema import encode_document
from policies.documents.stored import decode_stored
from policies.errors import ArtifactError
from policies.estimators.artifact import Artifact
from policies.training.cascade import Threshold
from policies.training.dataset import Dataset
from policies.training.fit import KINDS, STAGES, Trained
from policies.training.fit import train as train_on
from policies.training.report import Report
from policies.types import Candidate

__all__ = ("LEAST_ROWS", "Outcome", "candidates_at_rest", "readable_artifacts", "train")

LEAST_ROWS = 50
AUTHOR = "trainer"

logger = logging.getLogger(__name__)


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a training left behind."""

    report: Report
    report_file: str
    """The report as JSON; beside it the same as Markdown."""
    draft: str | None
    """A policy document with the new estimators; None where none was better than what is in force."""
    version: Version | None
    """The version it was written down as."""


def train(
    settings: Settings,
    paths: StatePaths,
    *,
    since_s: float | None = None,
    and_publish: bool = False,
    clock: Clock = SYSTEM_CLOCK,
    sink: ProgressSink = silent,
) -> Outcome:
    """Learn from the log. Blocks, for up to a minute for 100,000 rows.

    Args:
        settings: Which variants there are, and how many rows to read.
        paths: Where the log and the estimators are.
        since_s: Unix time before which nothing is learned from.
        and_publish: Put the draft in force, if there is one.
        clock: Dates the report.
        sink: Told how far it is.

    Raises:
        TooLittleDataError: There is too little in the log.
        DocumentError: The policy in force cannot be read.
        RefusedError: The draft was not let through; it is kept as a draft.
        SQLAlchemyError: The database cannot be read.
        OSError: The estimators cannot be written.
    """
    engine = open_engine(paths.database_url(settings))
    try:
        upgrade(engine)
        return _train(engine, settings, paths, since_s=since_s, and_publish=and_publish, clock=clock, sink=sink)
    finally:
        engine.dispose()


def _train(
    engine: Engine,
    settings: Settings,
    paths: StatePaths,
    *,
    since_s: float | None,
    and_publish: bool,
    clock: Clock,
    sink: ProgressSink,
) -> Outcome:
    policies, estimators = PolicyStore(engine), EstimatorStore(engine)
    text = _text_in_force(policies, settings)
    document = decode_stored(text, source_name="the policy in force")
    in_force = compile_document(document).estimators
    candidates = candidates_at_rest(settings, paths)
    data = _read(engine, candidates, max_rows=settings.training.max_rows, since_s=since_s, sink=sink)
    readable = readable_artifacts(estimators, in_force)
    trained = train_on(
        data,
        candidates=candidates,
        in_force=readable,
        on_stage=lambda stage: sink(_progress("fit", done=STAGES.index(stage) / len(STAGES), message=stage)),
    )
    hashes = _stored(estimators, trained.artifacts)
    threshold = None if document.cascade is None else learn_cascade(engine, document.cascade, since_s=since_s)
    report = _report(data, trained, hashes, threshold, now_s=clock.wall_s())
    file = write_report(paths.reports, report)
    cascade = with_threshold(document.cascade, threshold) if document.cascade and threshold else None
    draft = None
    if hashes or cascade not in (None, document.cascade):
        draft = with_learned(text, {kind: in_force[kind] for kind in readable} | hashes, cascade=cascade)
    version = None
    if draft is not None:
        said = {"source_name": "draft", "author": AUTHOR, "reason": f"trained on {len(data)} requests; {file.stem}"}
        version = save_draft(policies, draft, now_s=clock.wall_s(), **said)
        if and_publish:
            known = known_here(settings, paths, estimators=estimators.names())
            version, _ = publish(policies, draft, known=known, now_s=clock.wall_s(), **said)
    sink(_progress("ready", done=1.0))
    return Outcome(report=report, report_file=str(file), draft=draft, version=version)


def _read(
    engine: Engine, candidates: Mapping[str, Candidate], *, max_rows: int, since_s: float | None, sink: ProgressSink
) -> Dataset:
    expected = max(1, min(max_rows, count_since(engine, since_s)))
    samples = read_samples(
        engine,
        variants=candidates,
        max_rows=max_rows,
        since_s=since_s,
        on_read=lambda count: sink(_progress("read", done=min(1.0, count / expected), message=f"{count} requests")),
    )
    if len(samples) < LEAST_ROWS:
        raise TooLittleDataError(rows=len(samples), needed=LEAST_ROWS)
    return Dataset.of(samples)


def candidates_at_rest(settings: Settings, paths: StatePaths) -> dict[str, Candidate]:
    """The variants at rest, with what their cards say now."""
    store = Store(paths.models)
    views = []
    for variant in settings.variants:
        manifest = None if variant.engine is EngineKind.OPENAI else store.current(variant.name)
        status = VariantStatus(name=variant.name, state=WorkerState.WARM)
        views.append(VariantView(variant=variant, status=status, card=manifest.card if manifest else None))
    return {candidate.name: candidate for candidate in freeze(views)}


def _text_in_force(policies: PolicyStore, settings: Settings) -> str:
    """The document in force; where none was published, the built-in policy as one."""
    active = policies.active()
    if active is not None:
        return active.text
    return encode_document(document_of(policy_from(settings), name="default"))


def readable_artifacts(store: EstimatorStore, hashes: Mapping[str, str]) -> dict[str, Artifact]:
    """The estimators in force; one that cannot be read is not in force anywhere."""
    found: dict[str, Artifact] = {}
    for kind, name in hashes.items():
        try:
            found[kind] = store.get(name, kind=kind)
        except ArtifactError as error:
            logger.warning("%s", error)
    return found


def _stored(store: EstimatorStore, artifacts: Mapping[str, Artifact]) -> dict[str, str]:
    """Hashes of what was stored, by kind; one that is too large is left out."""
    hashes: dict[str, str] = {}
    for kind, artifact in artifacts.items():
        try:
            hashes[kind] = store.put(artifact)
        except ArtifactError as error:
            logger.error("%s", error)
    return hashes


def _report(
    data: Dataset, trained: Trained, hashes: dict[str, str], threshold: Threshold | None, *, now_s: float
) -> Report:
    return Report(
        created_at_s=now_s,
        first_at_s=float(data.created_at_s.min()),
        last_at_s=float(data.created_at_s.max()),
        rows=len(data),
        judged_rows=int((data.quality_weight > 0.0).sum()),
        parts={name: len(rows) for name, rows in trained.split._asdict().items()},
        high=trained.high,
        estimators=hashes,
        kept={kind: list(trained.artifacts[kind].variants) for kind in KINDS if kind in hashes},
        comparisons=trained.comparisons,
        cascade=threshold,
        lines=trained.lines,
    )


def _progress(stage: str, *, done: float = 0.0, message: str = "") -> Progress:
    return Progress(variant="trainer", stage=stage, done=done, message=message)
