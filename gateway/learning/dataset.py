"""The log as samples to learn from: all of it, newest first while reading, or the requests of some decisions.

Columns of JSON are read as text, and of them only what is learned from is decoded.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from gateway.decisions.schema import decisions, observations, outcomes
from gateway.decisions.types import Ending
from policies.errors import FeaturesError
from policies.features.layout import VERSION
from policies.features.stored import from_stored
from policies.features.types import Features
from policies.samples import Sample
from policies.signals import label
from policies.types import CandidateState

__all__ = ("count_since", "labels", "read_samples", "samples_of")

PAGE_ROWS = 2000
IDS_AT_ONCE = 500
"""Decisions named in one query."""

MAX_GRAMS = 20_000_000
"""N-grams kept over all rows, about 120 MB; of older rows beyond them only what has a name is learned from."""

logger = logging.getLogger(__name__)


class _Attempt(msgspec.Struct, frozen=True):
    variant: str
    propensity: float
    held: str | None = None


class _Verdict(msgspec.Struct, frozen=True):
    variant: str
    state: CandidateState
    queued: int = 0
    running: int = 0
    starts_in_s: float | None = None


class _Judged(msgspec.Struct, frozen=True):
    source: str
    score: float
    weight: float


_attempts = msgspec.json.Decoder(list[_Attempt])
_verdicts = msgspec.json.Decoder(list[_Verdict])
_features = msgspec.json.Decoder(dict[str, Any])
_stages = msgspec.json.Decoder(dict[str, float])

_ANSWERED = sa.and_(
    decisions.c.decision_id == outcomes.c.decision_id,
    outcomes.c.ending == Ending.DONE,
    outcomes.c.error_type.is_(None),
    outcomes.c.cache.in_(("bypass", "miss")),
)
_COLUMNS = (
    decisions.c.decision_id,
    decisions.c.created_at_s,
    decisions.c.tenant,
    decisions.c.prompt_tokens,
    decisions.c.max_completion_tokens,
    decisions.c.features_hash,
    sa.cast(decisions.c.features, sa.Text).label("features"),
    sa.cast(decisions.c.candidates, sa.Text).label("candidates"),
    sa.cast(outcomes.c.attempts, sa.Text).label("attempts"),
    outcomes.c.variant,
    outcomes.c.completion_tokens,
    outcomes.c.finish_reason,
    outcomes.c.ttft_s,
    outcomes.c.tpot_s,
    outcomes.c.latency_s,
    outcomes.c.cost_usd,
    outcomes.c.streamed,
    sa.cast(outcomes.c.stages, sa.Text).label("stages"),
)


def count_since(engine: Engine, since_s: float | None) -> int:
    """How many answered requests were decided after a time; all of them for None."""
    query = sa.select(sa.func.count()).select_from(decisions).join(outcomes, _ANSWERED)
    if since_s is not None:
        query = query.where(decisions.c.created_at_s > since_s)
    with engine.connect() as connection:
        return int(connection.scalar(query) or 0)


def read_samples(
    engine: Engine,
    *,
    variants: Collection[str],
    max_rows: int,
    since_s: float | None = None,
    unjudged_text: bool = False,
    on_read: Callable[[int], None] = lambda _: None,
) -> list[Sample]:
    """The newest answered requests, oldest first.

    Args:
        engine: The log.
        variants: Those learned about; answers of others are passed over.
        max_rows: At most so many.
        since_s: Unix time before which nothing is read.
        unjudged_text: Whether to read the n-grams of answers without a label too.
        on_read: Told after each page how many were found so far.
    """
    samples: list[Sample] = []
    grams = MAX_GRAMS
    for page, judged in _pages(engine, variants=variants, since_s=since_s):
        for row in page[: max_rows - len(samples)]:
            quality = judged.get(row.decision_id)
            sample = _sample(row, quality, text=grams > 0, unjudged_text=unjudged_text)
            if sample is not None:
                samples.append(sample)
                grams -= 0 if sample.features is None else len(sample.features.grams)
        on_read(len(samples))
        if len(samples) >= max_rows:
            break
    samples.reverse()
    return samples


def samples_of(connection: Connection, ids: Sequence[str], *, variants: Collection[str]) -> dict[str, Sample]:
    """The samples of some decisions as they are now, with their texts; one that was not answered has none.

    Args:
        connection: To the log.
        ids: Of the decisions.
        variants: Those learned about; answers of others are passed over.
    """
    found: dict[str, Sample] = {}
    for start in range(0, len(ids), IDS_AT_ONCE):
        some = ids[start : start + IDS_AT_ONCE]
        query = sa.select(*_COLUMNS).select_from(decisions).join(outcomes, _ANSWERED)
        rows = connection.execute(query.where(decisions.c.decision_id.in_(some))).all()
        judged = labels(connection, [row.decision_id for row in rows])
        for row in rows:
            sample = _sample(row, judged.get(row.decision_id), text=True, unjudged_text=True)
            if sample is not None and sample.variant in variants:
                found[row.decision_id] = sample
    return found


def _pages(
    engine: Engine, *, variants: Collection[str], since_s: float | None
) -> Iterator[tuple[Sequence[sa.Row[Any]], dict[str, tuple[float, float]]]]:
    """Pages from the newest on, each with the labels of its answers. No transaction stays open between them."""
    order = sa.tuple_(decisions.c.created_at_s, decisions.c.decision_id)
    query = (
        sa.select(*_COLUMNS)
        .select_from(decisions)
        .join(outcomes, _ANSWERED)
        .where(outcomes.c.variant.in_(variants))
        .order_by(decisions.c.created_at_s.desc(), decisions.c.decision_id.desc())
        .limit(PAGE_ROWS)
    )
    if since_s is not None:
        query = query.where(decisions.c.created_at_s >= since_s)
    before: sa.ColumnElement[bool] = sa.true()
    while True:
        with engine.connect() as connection:
            page = connection.execute(query.where(before)).all()
            judged = labels(connection, [row.decision_id for row in page])
        if not page:
            return
        yield page, judged
        before = order < sa.tuple_(sa.literal(page[-1].created_at_s), sa.literal(page[-1].decision_id))


def labels(connection: Connection, ids: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Quality and weight of the answers that were judged."""
    query = sa.select(
        observations.c.decision_id, observations.c.source, observations.c.score, observations.c.weight
    ).where(observations.c.decision_id.in_(ids))
    found: dict[str, list[_Judged]] = {}
    for row in connection.execute(query):
        found.setdefault(row.decision_id, []).append(_Judged(row.source, row.score, row.weight))
    return {name: made for name, rows in found.items() if (made := label(rows)) is not None}


def _sample(
    row: sa.Row[Any], quality: tuple[float, float] | None, *, text: bool, unjudged_text: bool = False
) -> Sample | None:
    """One row; None where it does not hold together, as one of an older version may not."""
    try:
        attempts = _attempts.decode(row.attempts)
        verdict = next(v for v in _verdicts.decode(row.candidates) if v.variant == row.variant)
        stages = _stages.decode(row.stages)
    except (msgspec.MsgspecError, StopIteration):
        return None
    if any(attempt.held for attempt in attempts):
        quality = None  # Which answers a cascade passes on depends on how good they are.
    features = _read_features(row, text=text and (unjudged_text or quality is not None))
    # Without its text a judged row would teach the quality that text says nothing.
    label_ = quality if text and features is not None else None
    alone = len(attempts) == 1 and attempts[0].held is None
    return Sample(
        decision_id=row.decision_id,
        created_at_s=row.created_at_s,
        tenant=row.tenant,
        variant=row.variant,
        propensity=attempts[-1].propensity if attempts else 1.0,
        state=verdict.state,
        queued=verdict.queued,
        running=verdict.running,
        starts_in_s=verdict.starts_in_s,
        prompt_tokens=row.prompt_tokens,
        max_completion_tokens=row.max_completion_tokens,
        completion_tokens=row.completion_tokens,
        cut=row.finish_reason == "length",
        ttft_s=row.ttft_s if alone else None,
        tpot_s=row.tpot_s if alone else None,
        latency_s=row.latency_s if alone else None,
        first_token_s=stages.get("first_token") if alone and row.streamed else None,
        answer_s=stages.get("upstream") if alone and not row.streamed else None,
        cost_usd=row.cost_usd,
        features=features,
        quality=None if label_ is None else label_[0],
        quality_weight=0.0 if label_ is None else label_[1],
    )


def _read_features(row: sa.Row[Any], *, text: bool) -> Features | None:
    """The features, without the n-grams where they are not learned from; None where there are none to be read."""
    if row.features is None or row.features_hash != VERSION:
        return None
    try:
        features = from_stored(_features.decode(row.features))
    except (msgspec.MsgspecError, FeaturesError) as error:
        logger.debug("features of decision %s: %s", row.decision_id, error)
        return None
    return features if text else msgspec.structs.replace(features, grams=_NONE.astype(np.uint16), counts=_NONE)


_NONE = np.zeros(0, np.float32)
