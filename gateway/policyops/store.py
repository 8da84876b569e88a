"""Versions of policy documents in the database, and the history of which was in force.

Both tables are insert-only: a version never changes, and its state is read off the history. What was activated last
is published; what was before is retired; what never was is a draft. So nothing can be half done, and an old state of
affairs is reached again by one more row.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from gateway.decisions.exclusive import exclusive
from gateway.decisions.schema import policy_activations, policy_versions
from gateway.policyops.errors import NoSuchVersionError
from gateway.policyops.types import Action, Activation, State, Version

__all__ = ("PolicyStore",)

_LOCK_KEY = 7_206_912
"""Advisory lock under which PostgreSQL changes what is in force; any constant will do that no other lock has."""


class PolicyStore:
    """Reads and writes versions; every method is one transaction, and raises SQLAlchemyError if that fails.

    Several processes may use one database at once: those that write wait for each other.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def versions(self) -> list[Version]:
        """All of them, oldest first."""
        with self._engine.connect() as connection:
            return _versions(connection)

    def history(self) -> list[Activation]:
        """Every change of what is in force, oldest first."""
        with self._engine.connect() as connection:
            return _history(connection)

    def find(self, version: int) -> Version:
        """One version.

        Raises:
            NoSuchVersionError: There is none of this number.
        """
        with self._engine.connect() as connection:
            return _find(connection, version)

    def active(self) -> Version | None:
        """The version in force, or None before anything was published."""
        with self._engine.connect() as connection:
            history = _history(connection)
            return _find(connection, history[-1].version) if history else None

    def last_activation(self) -> int:
        """Number of the latest change of what is in force, 0 before the first: a cheap look at whether it moved."""
        with self._engine.connect() as connection:
            return int(connection.scalar(sa.select(sa.func.max(policy_activations.c.activation))) or 0)

    def lately_active(self, *, limit: int) -> list[Version]:
        """The versions last in force, latest first, each once."""
        with self._engine.connect() as connection:
            latest_first = dict.fromkeys(activation.version for activation in reversed(_history(connection)))
            return [_find(connection, version) for version in list(latest_first)[:limit]]

    def was_in_force(self, *, name: str, hash_: str, text: str) -> bool:
        """Whether exactly this text is in force, or was."""
        return any(
            (version.name, version.hash, version.text) == (name, hash_, text)
            for version in self.versions()
            if version.state is not State.DRAFT
        )

    def save(self, *, name: str, hash_: str, text: str, author: str, reason: str, now_s: float) -> Version:
        """Write a draft down; a text that is a draft or in force already is not written twice."""
        with self._writing() as connection:
            return _save(
                connection, name=name, hash=hash_, text=text, author=author, reason=reason, created_at_s=now_s
            )

    def publish(self, *, name: str, hash_: str, text: str, author: str, reason: str, now_s: float) -> Version:
        """Write a version down and put it in force; does nothing where exactly this text is in force already."""
        with self._writing() as connection:
            saved = _save(
                connection, name=name, hash=hash_, text=text, author=author, reason=reason, created_at_s=now_s
            )
            if saved.state is not State.PUBLISHED:
                _activate(connection, saved.version, Action.PUBLISH, author=author, reason=reason, now_s=now_s)
            return _find(connection, saved.version)

    def rollback(self, version: int | None = None, *, author: str, reason: str, now_s: float) -> Version:
        """Put an earlier version in force again.

        Args:
            version: Which one; by default the one that the version in force took over from.
            author: Who does it.
            reason: Why.
            now_s: Unix time.

        Raises:
            NoSuchVersionError: There is no such version, it was never in force, or there is nothing to go back to.
        """
        with self._writing() as connection:
            history = _history(connection)
            target = _before(history) if version is None else version
            found = _find(connection, target)
            if found.state is State.DRAFT:
                raise NoSuchVersionError(f"version {target} was never in force; publish it")
            if found.state is not State.PUBLISHED:
                _activate(connection, target, Action.ROLLBACK, author=author, reason=reason, now_s=now_s)
            return _find(connection, target)

    def _writing(self) -> AbstractContextManager[Connection]:
        """A transaction that no other process writes policies beside."""
        return exclusive(self._engine, lock_key=_LOCK_KEY)


def _history(connection: Connection) -> list[Activation]:
    rows = connection.execute(sa.select(policy_activations).order_by(policy_activations.c.activation))
    return [msgspec.convert(row, Activation, from_attributes=True) for row in rows]


def _versions(connection: Connection) -> list[Version]:
    history = _history(connection)
    rows = connection.execute(sa.select(policy_versions).order_by(policy_versions.c.version))
    return [_version(row, history) for row in rows]


def _find(connection: Connection, version: int) -> Version:
    row = connection.execute(sa.select(policy_versions).where(policy_versions.c.version == version)).one_or_none()
    if row is None:
        raise NoSuchVersionError(f"there is no version {version}")
    return _version(row, _history(connection))


def _version(row: sa.Row[Any], history: Sequence[Activation]) -> Version:
    state = State.DRAFT
    if any(activation.version == row.version for activation in history):
        state = State.PUBLISHED if history[-1].version == row.version else State.RETIRED
    return Version(**row._mapping, state=state)


def _before(history: Sequence[Activation]) -> int:
    """What was in force when the present version was published: each further rollback goes one step further back."""
    if not history:
        raise NoSuchVersionError("nothing was published yet")
    current = history[-1].version
    published = max(i for i, a in enumerate(history) if a.version == current and a.action is Action.PUBLISH)
    if published == 0:
        raise NoSuchVersionError(f"version {current} is the first: there is nothing to go back to")
    return history[published - 1].version


def _save(connection: Connection, **fields: Any) -> Version:  # noqa: ANN401 - columns of the table
    """A version of this content that is not retired; a retired one stays where it is in the history."""
    for version in _versions(connection):
        same = (version.name, version.hash, version.text) == (fields["name"], fields["hash"], fields["text"])
        if same and version.state is not State.RETIRED:
            return version
    row = connection.execute(policy_versions.insert().values(**fields).returning(policy_versions.c.version)).one()
    return _find(connection, row.version)


def _activate(
    connection: Connection, version: int, action: Action, *, author: str, reason: str, now_s: float
) -> None:
    values = {"version": version, "action": action, "author": author, "reason": reason, "created_at_s": now_s}
    connection.execute(policy_activations.insert().values(**values))
