"""The estimator in force in this process: follows the policy and the trainings; every request finds one.

A policy pins estimators, leaves them to whatever is in force in the database, or uses nothing learned. Artifacts are
read and checked on a thread, away from the event loop. One that is missing or damaged costs only its part: the last
good one of its kind stays while there is one, and else the card answers. What went wrong is counted and logged once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

import msgspec
from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError

from gateway.learning import trainings
from gateway.learning.store import EstimatorStore
from gateway.policyops.active import ActivePolicy
from policies.estimators.base import Estimator
from policies.estimators.learned import LearnedEstimator, Part, part_of
from policies.estimators.quality import OnlineQuality
from policies.policy import Policy

__all__ = ("ActiveEstimator", "EstimatorStats")

LOOK_EVERY_S = 0.5
"""How long after it was promoted something learned comes into force, at most."""

logger = logging.getLogger(__name__)


class EstimatorStats(msgspec.Struct, frozen=True, kw_only=True):
    """How following goes."""

    switches: int
    """Times another set of estimators was put in force."""
    failures: int
    """Artifacts that could not be used: a reason for alarm."""
    in_force: dict[str, str]
    """Content hash of each learned part, by kind; the parts not named are the card's."""


class ActiveEstimator:
    """Holds the estimator that decisions are made with. For the event loop's thread only."""

    def __init__(self, policies: ActivePolicy, engine: Engine) -> None:
        self._policies = policies
        self._engine = engine
        self._store = EstimatorStore(engine)
        self._trouble = ""
        self._parts: dict[str, tuple[str, Part]] = {}
        """Hash and estimator, by kind."""
        self._current: Estimator = LearnedEstimator()
        self._followed: tuple[str, dict[str, str]] | None = None
        """Policy and estimators of the last look."""
        self._switches = 0
        self._failures = 0

    @property
    def current(self) -> Estimator:
        """The estimator in force."""
        return self._current

    @property
    def quality(self) -> OnlineQuality | None:
        """The part that goes on learning from every judged answer; None where the card says the quality."""
        found = self._parts.get("quality")
        return found[1] if found is not None and isinstance(found[1], OnlineQuality) else None

    @property
    def stats(self) -> EstimatorStats:
        """How following goes."""
        return EstimatorStats(
            switches=self._switches,
            failures=self._failures,
            in_force={kind: name for kind, (name, _) in self._parts.items()},
        )

    async def refresh(self) -> None:
        """Put in force what policy and database say, if that has changed since the last look. Never raises."""
        try:
            await self._follow()
            trouble = ""
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the database, requests go on
            trouble = f"{type(error).__name__}: {error}"
        if trouble != self._trouble:
            logger.warning("what was learned cannot be followed: %s", trouble or "it can again")
            self._trouble = trouble

    async def _follow(self) -> None:
        learned = await asyncio.to_thread(trainings.in_force, self._engine)
        policy = self._policies.current
        wanted = trainings.used_by(policy, learned)
        if (policy.hash, wanted) == self._followed:
            return
        parts: dict[str, tuple[str, Part]] = {}
        for kind, name in wanted.items():
            held = self._parts.get(kind)
            if held is not None and held[0] == name:
                parts[kind] = held  # With what it has learned since it was fitted.
            elif (found := await self._read(kind, name) or held) is not None:
                parts[kind] = found
        self._put(policy, parts)
        self._followed = (policy.hash, wanted)

    async def watch(self) -> None:
        """Follow the policy and the database for ever."""
        while True:
            await self.refresh()
            await asyncio.sleep(LOOK_EVERY_S)

    async def _read(self, kind: str, name: str) -> tuple[str, Part] | None:
        try:
            return name, await asyncio.to_thread(lambda: part_of(self._store.get(name, kind=kind)))
        except SQLAlchemyError:
            raise  # The artifact may be good: it is read again at the next look.
        except Exception as error:  # noqa: BLE001 - whatever is wrong with an artifact, requests go on
            self._failures += 1
            logger.error("the %s estimator in force cannot be used: %s", kind, error)
            return None

    def _put(self, policy: Policy, parts: dict[str, tuple[str, Part]]) -> None:
        parents = {t.variant: t.parent for t in policy.trials if t.parent is not None}
        self._parts = parts
        if self.quality is not None:
            _admit(self.quality, parents)
        self._current = LearnedEstimator.of([part for _, part in parts.values()], parents=parents)
        self._switches += 1


def _admit(quality: OnlineQuality, parents: Mapping[str, str]) -> None:
    """Let variants on trial begin as their parents, and forget those that are not on trial any more."""
    for variant in set(quality.adopted) - parents.keys():
        quality.remove(variant)
    for variant, parent in parents.items():
        if parent in quality.names:
            quality.add(variant, parent=parent)
