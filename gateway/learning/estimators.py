"""What decisions are made with in this process: follows the policy in force and the trainings.

A policy pins estimators, leaves them to whatever is in force in the database, or uses nothing learned. Artifacts are
read and checked on a thread, away from the event loop. One that is missing or damaged changes nothing: what was in
force before goes on. What went wrong is counted and logged once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple, TypeVar

import msgspec
from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError

from gateway.learning import trainings
from gateway.learning.dataset import read_samples
from gateway.learning.online import OnlineLearner
from gateway.learning.store import EstimatorStore
from gateway.policyops.active import ActivePolicy
from policies.errors import ArtifactError
from policies.escalation import Escalation
from policies.estimators.base import Estimator
from policies.estimators.card import CardEstimator
from policies.estimators.latency import CARD, LatencyModel
from policies.learner.fit import Fit, first_fit
from policies.policy import LearnedUse
from policies.samples import Sample

__all__ = ("ANSWERS", "CASCADE", "LATENCY", "ActiveEstimator", "EstimatorStats")

T = TypeVar("T")

ANSWERS, LATENCY, CASCADE = "answers", "latency", "cascade"
"""The kinds of what is learned."""

LOOK_EVERY_S = 0.5
"""Seconds between two looks at what is in force in the database."""

COUNTED_ROWS = 10_000
"""Latest requests of the log that are counted again under another fit."""

logger = logging.getLogger(__name__)


class EstimatorStats(msgspec.Struct, frozen=True, kw_only=True):
    """How following goes."""

    switches: int
    """Times another fit was put in force."""
    failures: int
    """Artifacts that could not be used: a reason for alarm."""
    in_force: dict[str, str]
    """Content hash by kind; a kind that is not named is as it was before any training."""


class _Learned(NamedTuple):
    """What the database says."""

    in_force: Mapping[str, str]
    off: bool
    """Whether an operator turned off what was learned."""


class ActiveEstimator:
    """Says which estimator is in force. For the event loop's thread only."""

    def __init__(
        self, policies: ActivePolicy, engine: Engine, *, online: OnlineLearner, variants: Collection[str]
    ) -> None:
        """Begin with what the online learner has.

        Args:
            policies: In force.
            engine: The database.
            online: The learner of this process.
            variants: Those learned about.
        """
        self._policies = policies
        self._engine = engine
        self._online = online
        self._variants = variants
        self._store = EstimatorStore(engine)
        self._in_force: dict[str, str] = {}
        self._refused: set[str] = set()
        """Hashes of artifacts that cannot be used."""
        self._off = False
        self._trouble = ""
        self._failures = 0

    @property
    def current(self) -> Estimator:
        """The estimator in force."""
        return _CARDS if self._nothing_learned else self._online.learner

    @property
    def in_force(self) -> Mapping[str, str]:
        """Content hash by kind of what decides now; a kind that is not named is as it was before any training."""
        return {} if self._nothing_learned else dict(self._in_force)

    @property
    def online(self) -> OnlineLearner:
        """The learner of this process."""
        return self._online

    @property
    def tried(self) -> Mapping[str, int]:
        """Requests that each variant was chosen for."""
        return self._online.learner.tried

    @property
    def stats(self) -> EstimatorStats:
        """How following goes."""
        return EstimatorStats(switches=self._online.switches, failures=self._failures, in_force=dict(self.in_force))

    @property
    def _nothing_learned(self) -> bool:
        return self._off or self._policies.current.learning is LearnedUse.NONE

    async def refresh(self) -> None:
        """Put in force what policy and database say. Never raises."""
        try:
            await self._follow()
            trouble = ""
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the database, requests go on
            trouble = f"{type(error).__name__}: {error}"
        if trouble != self._trouble:
            logger.warning("what was learned cannot be followed: %s", trouble or "it can again")
            self._trouble = trouble

    async def watch(self) -> None:
        """Follow the policy and the database for ever."""
        while True:
            await self.refresh()
            await asyncio.sleep(LOOK_EVERY_S)

    @property
    def latency(self) -> str:
        """Content hash of what the learner predicts times by, whether it decides or not; empty for cards."""
        return self._in_force.get(LATENCY, "")

    def restored(self, *, answers: str, latency: str) -> None:
        """The learner is one of a snapshot, which was taken under these."""
        self._note(ANSWERS, answers)
        self._note(LATENCY, latency)

    async def _follow(self) -> None:
        learned = await asyncio.to_thread(self._learned)
        policy = self._policies.current
        self._off = learned.off
        self._online.inherit({trial.variant: trial.parent for trial in policy.trials if trial.parent is not None})
        # What is not used for now is kept: it goes on learning, and is there at once when it is used again.
        wanted = {**learned.in_force, **policy.estimators}
        cascade = wanted.get(CASCADE, "")
        if cascade != self._in_force.get(CASCADE, "") and cascade not in self._refused:
            await self._use_cascade(cascade)
        if learned.off:
            return
        latency = wanted.get(LATENCY, "")
        if latency != self._in_force.get(LATENCY, "") and latency not in self._refused:
            await self._use_latency(latency)
        answers = wanted.get(ANSWERS, "")
        if answers != self._in_force.get(ANSWERS, "") and answers not in self._refused:
            await self._use_answers(answers)

    async def _use_latency(self, name: str) -> None:
        model = await self._read(name, lambda: LatencyModel.from_artifact(self._store.get(name, kind=LATENCY)), CARD)
        if model is not None:
            self._online.replace_latency(model)
            self._note(LATENCY, name)

    async def _use_cascade(self, name: str) -> None:
        if not name:
            self._policies.learn(None)
            self._note(CASCADE, name)
            return
        read = lambda: Escalation.from_artifact(self._store.get(name, kind=CASCADE))  # noqa: E731
        if (escalation := await self._read(name, read, None)) is not None:
            self._policies.learn(escalation)
            self._note(CASCADE, name)

    async def _use_answers(self, name: str) -> None:
        fit = await self._read(
            name, lambda: Fit.from_artifact(self._store.get(name, kind=ANSWERS), hash_=name), first_fit()
        )
        if fit is not None:
            await self._online.adopt(fit, samples=self._samples)
            self._note(ANSWERS, name)

    async def _read(self, name: str, read: Callable[[], T], unnamed: T) -> T | None:
        """What an artifact holds; None where it cannot be used."""
        if not name:
            return unnamed
        try:
            return await asyncio.to_thread(read)
        except SQLAlchemyError:
            raise  # The artifact may be good: it is read again at the next look.
        except ArtifactError as error:
            self._failures += 1
            self._refused.add(name)
            logger.error("the estimator %s in force cannot be used: %s", name, error)
            return None

    def _samples(self) -> Sequence[Sample]:
        return read_samples(self._engine, variants=self._variants, max_rows=COUNTED_ROWS, unjudged_text=True)

    def _learned(self) -> _Learned:
        held = trainings.held_by(self._engine)
        off = held is not None and held.action is trainings.Action.OFF
        return _Learned(trainings.in_force(self._engine), off)

    def _note(self, kind: str, name: str) -> None:
        self._in_force = {k: n for k, n in (self._in_force | {kind: name}).items() if n}


_CARDS = CardEstimator()
