"""What the pages of the console share for as long as the process runs."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy.engine import Engine

from gateway.clock import Clock
from gateway.console.kept import Kept
from gateway.console.sessions import SessionStore
from gateway.console.throttle import Throttle
from gateway.console.traffic import Hour, Recent, hour, recent
from gateway.shared.redis import SharedRedis

__all__ = ("Console", "open_console")

RECENT_FOR_S = 2.0
HOUR_FOR_S = 30.0


@dataclass(frozen=True, kw_only=True)
class Console:
    """The console's own parts."""

    engine: Engine
    """To the log."""
    redis: SharedRedis | None
    """What replicas share; None where this process is alone."""
    sessions: SessionStore
    recent: Kept[Recent]
    """The last five minutes."""
    hour: Kept[Hour]
    """The last hour."""
    throttle: Throttle = field(default_factory=Throttle)
    """Of signing in."""


def open_console(engine: Engine, *, redis: SharedRedis | None, clock: Clock) -> Console:
    """The console over a database."""
    return Console(
        engine=engine,
        redis=redis,
        sessions=SessionStore(engine),
        recent=Kept(lambda: recent(engine, now_s=clock.wall_s()), for_s=RECENT_FOR_S, clock=clock),
        hour=Kept(lambda: hour(engine, now_s=clock.wall_s()), for_s=HOUR_FOR_S, clock=clock),
    )
