"""Who is signed in to the console: rows of the database, so that every replica knows them and signing out ends them.

A session is a random token that only the browser has; what is stored is its digest, and the id of the key it was
begun with. It opens nothing by itself: at every request the key is looked up in the directory, and what has become of
the key (revoked, expired, its tenant removed, its role) has become of the session.
"""

from __future__ import annotations

import hashlib
import secrets

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from gateway.decisions.schema import metadata

__all__ = ("ABSOLUTE_S", "IDLE_S", "Session", "SessionStore", "console_sessions", "new_token")

ABSOLUTE_S = 8 * 3600.0
"""Seconds after which somebody has to sign in again, whatever they did meanwhile."""

IDLE_S = 30 * 60.0
"""Seconds without a page being opened after which somebody has to sign in again."""

RENEWED_EVERY_S = 60.0
"""How exactly it is written down when a session was used last: not every page costs a write."""

console_sessions = sa.Table(
    "console_sessions",
    metadata,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("key_id", sa.String(16), nullable=False),
    sa.Column("created_at_s", sa.Double, nullable=False, index=True),
    sa.Column("seen_at_s", sa.Double, nullable=False),
)

_columns = console_sessions.c


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """One browser that is signed in."""

    key_id: str
    """The key it was begun with."""
    created_at_s: float
    """Unix time."""
    seen_at_s: float
    """Unix time of its last use, to about a minute."""

    def in_force(self, *, now_s: float) -> bool:
        """Whether it still counts at this Unix time."""
        return now_s < min(self.created_at_s + ABSOLUTE_S, self.seen_at_s + IDLE_S)


def new_token() -> str:
    """256 random bits, as a cookie can hold them."""
    return secrets.token_urlsafe(32)


class SessionStore:
    """The table of sessions. Every method blocks, and raises SQLAlchemyError if the database fails."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def begin(self, key_id: str, *, now_s: float) -> str:
        """Sign somebody in: the token of the new session. What is over is deleted on the way."""
        token = new_token()
        with self._engine.begin() as connection:
            connection.execute(sa.delete(console_sessions).where(_columns.created_at_s < now_s - ABSOLUTE_S))
            connection.execute(
                console_sessions.insert().values(
                    digest=_digest(token), key_id=key_id, created_at_s=now_s, seen_at_s=now_s
                )
            )
        return token

    def find(self, token: str, *, now_s: float) -> Session | None:
        """The session behind a token; None where there is none, or where it is over."""
        query = sa.select(console_sessions).where(_columns.digest == _digest(token))
        with self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        found = None if row is None else msgspec.convert(row, Session, from_attributes=True)
        return found if found is not None and found.in_force(now_s=now_s) else None

    def use(self, token: str, *, now_s: float) -> Session | None:
        """Find a session as `find` does, and let it last on because it is being used."""
        found = self.find(token, now_s=now_s)
        if found is not None and now_s - found.seen_at_s > RENEWED_EVERY_S:
            with self._engine.begin() as connection:
                connection.execute(
                    console_sessions.update().where(_columns.digest == _digest(token)).values(seen_at_s=now_s)
                )
        return found

    def end(self, token: str) -> None:
        """Sign somebody out, on every replica."""
        with self._engine.begin() as connection:
            connection.execute(sa.delete(console_sessions).where(_columns.digest == _digest(token)))


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
