"""Fitted estimators in the database, each under the hash of its bytes, so that every process and replica has them."""

from __future__ import annotations

import re

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Engine

from gateway.decisions.database_clock import database_now
from gateway.decisions.exclusive import exclusive
from gateway.decisions.schema import policy_versions
from gateway.learning.tables import LOCK_KEY, estimators, trainings
from policies.errors import ArtifactError
from policies.estimators.artifact import MAX_BYTES, Artifact, content_hash, decode, encode
from policies.features.layout import VERSION

__all__ = ("KEPT_PER_KIND", "EstimatorStore")

KEPT_PER_KIND = 20
"""The newest so many of each kind stay, whether anything refers to them or not."""

_HASH = re.compile(r"[0-9a-f]{32}")
_HASH_IN_TEXT = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")


class EstimatorStore:
    """The table of artifacts; one that is in it never changes. Any number of processes may use it at once.

    Every method blocks, and raises SQLAlchemyError where the database fails.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def put(self, artifact: Artifact) -> str:
        """Store an artifact; returns its hash. One that is there already counts as new again, and is not copied.

        Raises:
            ArtifactError: It is too large.
        """
        data = encode(artifact)
        name = content_hash(data)
        dialect = sqlite if self._engine.dialect.name == "sqlite" else postgresql
        row = {"hash": name, "kind": artifact.kind, "data": data}
        renewed = {"created_at_s": database_now()}
        query = dialect.insert(estimators).values(**row, **renewed)
        with self._engine.begin() as connection:
            connection.execute(query.on_conflict_do_update(index_elements=["hash"], set_=renewed))
        return name

    def get(self, name: str, *, kind: str) -> Artifact:
        """Read an artifact and check it.

        Raises:
            ArtifactError: There is none of this hash, or it is damaged, of another kind or for another layout.
        """
        if not _HASH.fullmatch(name):
            raise ArtifactError(f"`{name}` is no hash of an estimator")
        wanted = estimators.c.hash == name
        with self._engine.connect() as connection:
            size = connection.scalar(sa.select(sa.func.length(estimators.c.data)).where(wanted))
            if size is None:
                raise ArtifactError(f"estimator {name} is not in the database")
            if size > MAX_BYTES:
                raise ArtifactError(f"estimator {name} takes {size} bytes, at most {MAX_BYTES} are allowed")
            data = bytes(connection.scalar(sa.select(estimators.c.data).where(wanted)) or b"")
        if content_hash(data) != name:
            raise ArtifactError(f"estimator {name} is damaged: its content has another hash")
        return decode(data, kind=kind, layout=VERSION)

    def names(self) -> frozenset[str]:
        """Hashes of all that is stored."""
        with self._engine.connect() as connection:
            return frozenset(connection.scalars(sa.select(estimators.c.hash)))

    def prune(self) -> int:
        """Remove all but the newest `KEPT_PER_KIND` of each kind; returns how many were removed.

        One that is in force, or that a stored policy document names, stays whatever its age.
        """
        with exclusive(self._engine, lock_key=LOCK_KEY) as connection:
            if not (old := _old(connection)) or not (old := old - _referred_to(connection)):
                return 0
            return connection.execute(sa.delete(estimators).where(estimators.c.hash.in_(old))).rowcount


def _old(connection: Connection) -> frozenset[str]:
    """Hashes beyond the newest ones of their kind."""
    newest_first = sa.select(estimators.c.hash, estimators.c.kind).order_by(
        estimators.c.created_at_s.desc(), estimators.c.hash
    )
    by_kind: dict[str, list[str]] = {}
    for name, kind in connection.execute(newest_first):
        by_kind.setdefault(kind, []).append(name)
    return frozenset(name for names in by_kind.values() for name in names[KEPT_PER_KIND:])


def _referred_to(connection: Connection) -> frozenset[str]:
    """Hashes in force, and all that look like one in a stored policy document, whether it can be read or not."""
    in_force = connection.scalar(sa.select(trainings.c.in_force).order_by(trainings.c.number.desc()).limit(1)) or {}
    texts = connection.scalars(sa.select(policy_versions.c.text))
    return frozenset(in_force.values()).union(*(_HASH_IN_TEXT.findall(text) for text in texts))
