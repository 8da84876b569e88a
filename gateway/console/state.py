"""What the pages of the console share for as long as the process runs."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy.engine import Engine

from gateway.console.sessions import SessionStore
from gateway.console.throttle import Throttle

__all__ = ("Console", "open_console")


@dataclass(frozen=True, kw_only=True)
class Console:
    """The console's own parts."""

    engine: Engine
    """To the log."""
    sessions: SessionStore
    throttle: Throttle = field(default_factory=Throttle)
    """Of signing in."""


def open_console(engine: Engine) -> Console:
    """The console over a database."""
    return Console(engine=engine, sessions=SessionStore(engine))
