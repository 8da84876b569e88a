"""The account book in the database: one row per process, tenant and period, and one transaction that changes rows.

The rule: within a period, what all processes were granted is never more than the budget. A process that is killed
leaves its row, whose grant stays taken, so it counts as spent; nobody has to notice its death for that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Engine

from gateway.decisions.exclusive import take_lock
from gateway.decisions.schema import ledger_grants
from gateway.ledger.account import Claim, Grant
from gateway.ledger.money import to_usd
from gateway.ledger.period import Period, period_at
from gateway.tenants.types import Tenant

__all__ = ("HEARTBEAT_S", "LOST_AFTER_S", "Spending", "exchange", "granted", "prune", "spending")

HEARTBEAT_S = 20.0
"""A process tells the database of all its accounts at least this often."""

LOST_AFTER_S = 60.0
"""Who was silent for longer is taken for dead."""

KEPT_S = 35 * 86_400.0
"""Rows are kept for so long after their period, for reports."""

LOCK_KEY = 7_206_912
"""Advisory lock of PostgreSQL for changes of the ledger."""

_PATIENCE = sa.text(
    "SELECT set_config('lock_timeout', '2s', true), set_config('statement_timeout', '5s', true),"
    " set_config('idle_in_transaction_session_timeout', '5s', true)"
)
"""A replica that freezes in the middle of a transaction does not stop the others for long."""

_grants = ledger_grants.c


class Spending(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant's budget in the period that runs, in US dollars: the four add up to the budget."""

    usd: float
    """The budget."""
    spent_usd: float
    """Of calls that have ended."""
    held_usd: float
    """Set apart for running calls and the next ones."""
    lost_usd: float
    """Was set apart for processes that died; it counts as spent, for what they really spent of it is unknown."""
    left_usd: float
    """Below 0 where a server charged more than it can, or the budget was lowered."""
    began_s: float
    """Unix time."""
    ends_s: float
    """Unix time."""


def exchange(engine: Engine, claims: Sequence[Claim], *, process: str, now_s: float) -> list[Grant]:
    """Write down what a process says of its accounts, and grant what it asks for as far as there is something left.

    One transaction for all. Writing the same claim again does no harm: rows hold totals, not changes.

    Raises:
        SQLAlchemyError: The database refused; whether it was written is then unknown.
    """
    with _transaction(engine) as connection:
        grants = []
        rows = []
        for claim in claims:
            others = _granted_to_others(connection, claim.period, process)
            grant = Grant(growth=claim.growth(others), others=others)
            grants.append(grant)
            rows.append(_row(claim, grant, process=process, now_s=now_s))
        if rows:
            connection.execute(_upsert(engine), rows)
        connection.commit()
    return grants


def granted(engine: Engine, *, now_s: float) -> dict[Period, int]:
    """What was granted so far in all periods that are not over.

    Raises:
        SQLAlchemyError: The database cannot be read.
    """
    query = (
        sa.select(_grants.tenant, _grants.period_s, _grants.number, sa.func.sum(_grants.granted_nusd))
        .where((_grants.number + 1) * _grants.period_s > now_s)
        .group_by(_grants.tenant, _grants.period_s, _grants.number)
    )
    with engine.connect() as connection:
        rows = connection.execute(query).all()
    return {Period(tenant=tenant, period_s=length_s, number=n): int(nusd) for tenant, length_s, n, nusd in rows}


def prune(engine: Engine, *, now_s: float) -> None:
    """Delete what is long over.

    Raises:
        SQLAlchemyError: The database refused.
    """
    with engine.begin() as connection:
        connection.execute(sa.delete(ledger_grants).where((_grants.number + 1) * _grants.period_s < now_s - KEPT_S))


def spending(connection: Connection, tenant: Tenant, *, now_s: float) -> Spending | None:
    """What became of a tenant's budget so far, as all processes told last; None without a budget.

    Raises:
        SQLAlchemyError: The database cannot be read.
    """
    if tenant.budget is None:
        return None
    period = period_at(tenant.id, tenant.budget, now_s=now_s)
    query = sa.select(_grants.granted_nusd, _grants.spent_nusd, _grants.renewed_at_s).where(_of(period))
    spent = held = lost = 0
    for granted_nusd, spent_nusd, renewed_at_s in connection.execute(query):
        spent += spent_nusd
        if renewed_at_s >= now_s - LOST_AFTER_S:
            held += granted_nusd - spent_nusd
        else:
            lost += granted_nusd - spent_nusd
    spent_usd, held_usd, lost_usd = to_usd(spent), to_usd(held), to_usd(lost)
    return Spending(
        usd=tenant.budget.usd,
        spent_usd=spent_usd,
        held_usd=held_usd,
        lost_usd=lost_usd,
        left_usd=tenant.budget.usd - spent_usd - held_usd - lost_usd,
        began_s=period.began_s,
        ends_s=period.ends_s,
    )


@contextmanager
def _transaction(engine: Engine) -> Iterator[Connection]:
    """No other process changes the ledger meanwhile, and what is committed outlives a power cut."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA synchronous = FULL")
        else:
            connection.execute(_PATIENCE)
        take_lock(connection, lock_key=LOCK_KEY)
        yield connection


def _granted_to_others(connection: Connection, period: Period, process: str) -> int:
    query = sa.select(sa.func.sum(_grants.granted_nusd)).where(_of(period), _grants.process != process)
    return int(connection.scalar(query) or 0)


def _of(period: Period) -> sa.ColumnElement[bool]:
    return sa.and_(
        _grants.tenant == period.tenant, _grants.period_s == period.period_s, _grants.number == period.number
    )


def _row(claim: Claim, grant: Grant, *, process: str, now_s: float) -> dict[str, object]:
    return {
        "tenant": claim.period.tenant,
        "period_s": claim.period.period_s,
        "number": claim.period.number,
        "process": process,
        "granted_nusd": claim.base + grant.growth,
        "spent_nusd": claim.spent,
        "renewed_at_s": now_s,
    }


def _upsert(engine: Engine) -> sa.Insert:
    insert: Any = (sqlite if engine.dialect.name == "sqlite" else postgresql).insert(ledger_grants)
    changed = {name: insert.excluded[name] for name in ("granted_nusd", "spent_nusd", "renewed_at_s")}
    written: sa.Insert = insert.on_conflict_do_update(index_elements=ledger_grants.primary_key.columns, set_=changed)
    return written
