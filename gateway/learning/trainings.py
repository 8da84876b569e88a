"""Trainings, and what is in force of what they learned: a history in the database that every process follows.

The table is insert-only. Each training adds a row, and so does an operator who promotes or reverts one: the latest
row says what is in force, and the rows before it say who changed that, when and why.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from gateway.decisions.database_clock import database_now
from gateway.decisions.exclusive import exclusive
from gateway.learning.errors import NoSuchTrainingError
from gateway.learning.tables import LOCK_KEY, estimators, training_requests, trainings
from policies.policy import LearnedUse, Policy

__all__ = (
    "TRAINER",
    "Action",
    "Author",
    "Fit",
    "Training",
    "find",
    "held_by",
    "in_force",
    "last_fit",
    "latest",
    "promote",
    "record",
    "revert",
    "turn_off",
    "used_by",
)

KEPT = 1000
"""Trainings kept; of older rows only those of operators stay."""

TRAINER = "trainer"


class Action(StrEnum):
    """What a row of the history did."""

    FIT = "fit"
    """A training; it put in force what it says it promoted."""
    PROMOTE = "promote"
    """An operator put in force what an earlier training had fitted."""
    REVERT = "revert"
    """An operator put in force again what was so after an earlier training."""
    OFF = "off"
    """An operator turned everything learned off: cards and stated figures decide."""


class Author(msgspec.Struct, frozen=True, kw_only=True):
    """Who changes what is in force, and why."""

    name: str
    reason: str


class Training(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the history."""

    number: int
    created_at_s: float
    """Unix time by the database's clock: what was written to the log later is new since this training."""
    took_s: float
    rows: int
    """Answered requests that it read; 0 where an operator made the row."""
    judged_rows: int
    """Of them with a judgement of their quality."""
    in_force: dict[str, str]
    """Content hash by kind, after it."""
    promoted: dict[str, bool]
    """By kind of what was fitted: whether this put it in force."""
    because: dict[str, str]
    """By kind, why or why not: a clause without a full stop."""
    fitted: dict[str, str] = {}
    """Content hash by kind of what did better than what was in force; a person can promote it later."""
    action: Action = Action.FIT
    author: str = TRAINER
    reason: str = ""
    report: dict[str, Any] = {}
    """Comparisons on held-out requests."""


class Fit(msgspec.Struct, frozen=True, kw_only=True):
    """What a training has to say of itself."""

    read_at_s: float
    """Unix time by the database's clock when it began to read the log."""
    took_s: float
    rows: int
    judged_rows: int
    better: dict[str, str]
    """Content hash by kind of what did better than what is in force."""
    because: dict[str, str]
    report: dict[str, Any]
    after: int
    """Number of the latest row when it began: what was fitted was compared with what was in force then."""


def latest(engine: Engine, *, limit: int = 20) -> list[Training]:
    """The newest rows of the history, newest first."""
    with engine.connect() as connection:
        return _latest(connection, limit=limit)


def in_force(engine: Engine) -> dict[str, str]:
    """Content hash by kind of what is in force, whatever policy documents say; one indexed read."""
    with engine.connect() as connection:
        return _in_force(connection)


def find(engine: Engine, number: int) -> Training:
    """One row of the history.

    Raises:
        NoSuchTrainingError: There is none of this number, or it is no longer kept.
    """
    with engine.connect() as connection:
        return _find(connection, number)


def held_by(engine: Engine) -> Training | None:
    """The row by which an operator keeps trainings from putting anything in force; None while they may."""
    with engine.connect() as connection:
        return _held_by(connection)


def last_fit(engine: Engine) -> Training | None:
    """The latest training, whatever operators did since; None before the first."""
    query = sa.select(trainings).where(trainings.c.action == Action.FIT).order_by(trainings.c.number.desc()).limit(1)
    with engine.connect() as connection:
        row = connection.execute(query).one_or_none()
    return None if row is None else _training(row)


def used_by(policy: Policy, learned: Mapping[str, str]) -> dict[str, str]:
    """Content hash by kind of what a policy decides with.

    Args:
        policy: It pins some kinds, leaves the others to what is in force, or uses nothing learned.
        learned: What is in force.
    """
    if policy.learning is LearnedUse.NONE:
        return {}
    return {**learned, **policy.estimators}


def record(engine: Engine, fit: Fit, *, publish: bool) -> Training:
    """Write a training down, and put in force what did better, unless an operator keeps that from happening.

    Args:
        engine: The database.
        fit: What was learned.
        publish: False leaves everything as it is: a person promotes it.
    """
    with exclusive(engine, lock_key=LOCK_KEY) as connection:
        refused = _refusal(connection, fit, publish=publish)
        promoted = {kind: refused is None and kind in fit.better for kind in fit.because}
        because = {
            kind: f"{said}; {refused}" if refused and kind in fit.better else said
            for kind, said in fit.because.items()
        }
        now = {kind: name for kind, name in fit.better.items() if promoted[kind]}
        row = {
            **msgspec.structs.asdict(fit),
            "created_at_s": fit.read_at_s,
            "action": Action.FIT,
            "author": TRAINER,
            "reason": "",
            "fitted": fit.better,
            "promoted": promoted,
            "because": because,
            "in_force": _in_force(connection) | now,
        }
        for name in ("read_at_s", "better", "after"):
            del row[name]
        written = _write(connection, row)
        old = sa.and_(trainings.c.number <= written.number - KEPT, trainings.c.action == Action.FIT)
        connection.execute(sa.delete(trainings).where(old))
        dealt_with = training_requests.c.created_at_s <= fit.read_at_s
        connection.execute(sa.delete(training_requests).where(dealt_with))
        return written


def promote(engine: Engine, number: int, *, author: Author) -> Training:
    """Put in force what an earlier training fitted; later trainings may put theirs in force again.

    Raises:
        NoSuchTrainingError: There is none of this number, it fitted nothing better, or that is no longer stored.
    """
    with exclusive(engine, lock_key=LOCK_KEY) as connection:
        fitted = _find(connection, number).fitted
        if not fitted:
            raise NoSuchTrainingError(f"training {number} fitted nothing that did better than what was in force")
        return _operate(connection, Action.PROMOTE, _in_force(connection) | fitted, author, what=f"training {number}")


def revert(engine: Engine, number: int, *, author: Author) -> Training:
    """Put in force again what was so after an earlier training; trainings change nothing until one is promoted.

    Raises:
        NoSuchTrainingError: There is none of this number, or what was in force then is no longer stored.
    """
    with exclusive(engine, lock_key=LOCK_KEY) as connection:
        then = _find(connection, number).in_force
        return _operate(connection, Action.REVERT, then, author, what=f"training {number}")


def turn_off(engine: Engine, *, author: Author) -> Training:
    """Let cards and stated figures decide; trainings change nothing until one is promoted."""
    with exclusive(engine, lock_key=LOCK_KEY) as connection:
        return _operate(connection, Action.OFF, {}, author, what="")


def _operate(connection: Connection, action: Action, then: dict[str, str], author: Author, *, what: str) -> Training:
    stored = frozenset(connection.scalars(sa.select(estimators.c.hash).where(estimators.c.hash.in_(then.values()))))
    if gone := [kind for kind, name in then.items() if name not in stored]:
        raise NoSuchTrainingError(f"of {what} the estimator of {', '.join(gone)} is no longer stored")
    before = _in_force(connection)
    changed = {kind: then.get(kind) for kind in before.keys() | then.keys() if before.get(kind) != then.get(kind)}
    row: dict[str, Any] = {
        "created_at_s": database_now(),
        "took_s": 0.0,
        "rows": 0,
        "judged_rows": 0,
        "action": action,
        "author": author.name,
        "reason": author.reason,
        "fitted": {},
        "promoted": {kind: name is not None for kind, name in sorted(changed.items())},
        "because": {kind: _operated(action, author, what) for kind in sorted(changed)},
        "in_force": then,
        "report": {},
    }
    return _write(connection, row)


def _operated(action: Action, author: Author, what: str) -> str:
    did = {Action.PROMOTE: "promoted ", Action.REVERT: "went back to ", Action.OFF: "turned off what was learned"}
    return f"{author.name} {did[action]}{what}: {author.reason}"


def _refusal(connection: Connection, fit: Fit, *, publish: bool) -> str | None:
    """Why nothing may be put in force, as a clause; None where it may."""
    if not publish:
        return "a person is to put it in force, by `trilemma train --promote`"
    if (held := _held_by(connection)) is not None:
        return f"{held.author} stopped that in {held.number} ({held.reason}), until `trilemma train --promote`"
    newest = _latest(connection, limit=1)
    if newest and newest[0].number != fit.after:
        return f"{newest[0].number} was recorded while this was fitted against what was in force before it"
    names = list(fit.better.values())
    stored = connection.scalar(sa.select(sa.func.count()).where(estimators.c.hash.in_(names)))
    return None if stored == len(set(names)) else "it is no longer stored"


def _held_by(connection: Connection) -> Training | None:
    query = sa.select(trainings).where(trainings.c.action != Action.FIT)
    row = connection.execute(query.order_by(trainings.c.number.desc()).limit(1)).one_or_none()
    last = None if row is None else _training(row)
    return last if last is not None and last.action is not Action.PROMOTE else None


def _latest(connection: Connection, *, limit: int) -> list[Training]:
    query = sa.select(trainings).order_by(trainings.c.number.desc()).limit(limit)
    return [_training(row) for row in connection.execute(query)]


def _in_force(connection: Connection) -> dict[str, str]:
    query = sa.select(trainings.c.in_force).order_by(trainings.c.number.desc()).limit(1)
    return dict(connection.scalar(query) or {})


def _find(connection: Connection, number: int) -> Training:
    row = connection.execute(sa.select(trainings).where(trainings.c.number == number)).one_or_none()
    if row is None:
        raise NoSuchTrainingError(f"there is no training {number}")
    return _training(row)


def _write(connection: Connection, row: Mapping[str, Any]) -> Training:
    number = connection.execute(sa.insert(trainings).values(**row).returning(trainings.c.number)).scalar_one()
    return _find(connection, number)


def _training(row: sa.Row[Any]) -> Training:
    return msgspec.convert(row, Training, from_attributes=True)
