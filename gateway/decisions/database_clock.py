"""The time by the database's own clock, as an SQL expression: Unix seconds, the same for all who use the database."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

__all__ = ("database_now",)


class database_now(FunctionElement[float]):  # noqa: N801 - reads like the SQL function it stands for
    """Unix time by the database's clock when the statement runs, not when its transaction began."""

    type = sa.Double()
    inherit_cache = True


@compiles(database_now)
def _standard(_element: database_now, _compiler: object, **_: Any) -> str:  # noqa: ANN401 - SQLAlchemy's signature
    return "EXTRACT(EPOCH FROM clock_timestamp())"


@compiles(database_now, "sqlite")
def _sqlite(_element: database_now, _compiler: object, **_: Any) -> str:  # noqa: ANN401 - SQLAlchemy's signature
    return "((julianday('now') - 2440587.5) * 86400.0)"
