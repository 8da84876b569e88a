"""The database's tables, and the engine that reaches them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Engine, make_url

from gateway.decisions.database_clock import database_now

__all__ = (
    "decisions",
    "ledger_grants",
    "metadata",
    "observations",
    "open_engine",
    "outcomes",
    "policy_activations",
    "policy_versions",
)

BUSY_TIMEOUT_MS = 5000
SERVER_CONNECTION = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 11_000,
}
"""Of libpq; seconds, and milliseconds the last. A server that is gone without a word is noticed within 11 s: by the
system's own settings it takes two hours, for which nothing that was revoked or published would be seen."""

metadata = sa.MetaData()

decisions = sa.Table(
    "decisions",
    metadata,
    sa.Column("decision_id", sa.String(64), primary_key=True),
    sa.Column("request_id", sa.String(64), nullable=False, index=True),
    sa.Column("trace_id", sa.String(32)),
    sa.Column("tenant", sa.String(64), nullable=False),
    sa.Column("policy_hash", sa.String(64), nullable=False),
    sa.Column("created_at_s", sa.Double, nullable=False, index=True),
    sa.Column("route", sa.String(32), nullable=False),
    sa.Column("hint", sa.String(32)),
    sa.Column("weights", sa.JSON, nullable=False),
    sa.Column("limits", sa.JSON, nullable=False),
    sa.Column("prompt_tokens", sa.Integer, nullable=False),
    sa.Column("max_completion_tokens", sa.Integer),
    sa.Column("needs", sa.JSON, nullable=False),
    sa.Column("features_hash", sa.String(64)),
    sa.Column("features", sa.JSON(none_as_null=True)),
    sa.Column("candidates", sa.JSON, nullable=False),
    sa.Column("propensities", sa.JSON, nullable=False),
    sa.Column("choice", sa.String(64)),
    sa.Column("explored", sa.Boolean, nullable=False),
    sa.Column("violated", sa.String(32)),
    sa.Column("fallback_used", sa.Boolean, nullable=False),
    sa.Column("pinned", sa.Boolean, nullable=False),
    sa.Column("tags", sa.JSON, nullable=False, server_default=sa.text("'{}'")),
    sa.Column("service_tier", sa.String(16)),
    sa.Column("prices", sa.JSON(none_as_null=True)),
    sa.Column("valuation", sa.JSON(none_as_null=True)),
    sa.Column("forced", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Index("ix_decisions_tenant_created_at_s", "tenant", "created_at_s"),
)

outcomes = sa.Table(
    "outcomes",
    metadata,
    sa.Column("decision_id", sa.String(64), primary_key=True),
    sa.Column("ended_at_s", sa.Double, nullable=False),
    sa.Column("ending", sa.String(16), nullable=False),
    sa.Column("variant", sa.String(64)),
    sa.Column("attempts", sa.JSON, nullable=False),
    sa.Column("cache", sa.String(16), nullable=False),
    sa.Column("queue_s", sa.Double, nullable=False),
    sa.Column("ttft_s", sa.Double),
    sa.Column("tpot_s", sa.Double),
    sa.Column("latency_s", sa.Double, nullable=False),
    sa.Column("prompt_tokens", sa.Integer, nullable=False),
    sa.Column("completion_tokens", sa.Integer, nullable=False),
    sa.Column("cost_usd", sa.Double, nullable=False),
    sa.Column("finish_reason", sa.String(32)),
    sa.Column("error_type", sa.String(64)),
    sa.Column("stages", sa.JSON, nullable=False),
    sa.Column("streamed", sa.Boolean, nullable=False),
    sa.Column("confidence", sa.Double),
    sa.Column("quality", sa.Double),
    sa.Column("written_at_s", sa.Double, default=database_now()),
    sa.Index("ix_outcomes_written_at_s", "written_at_s", "decision_id"),
)
"""`written_at_s` is when the row was inserted or replaced, by the database's clock; readers follow the log by it."""

observations = sa.Table(
    "observations",
    metadata,
    sa.Column("observation_id", sa.String(64), nullable=False),
    sa.Column("decision_id", sa.String(64), primary_key=True),
    sa.Column("created_at_s", sa.Double, nullable=False),
    sa.Column("source", sa.String(16), primary_key=True),
    sa.Column("subject", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(64), nullable=False),
    sa.Column("score", sa.Double, nullable=False),
    sa.Column("weight", sa.Double, nullable=False),
    sa.Column("comment", sa.Text),
    sa.Column("cost_usd", sa.Double, nullable=False, server_default=sa.text("0")),
    sa.Column("written_at_s", sa.Double, default=database_now()),
    sa.Index("ix_observations_written_at_s", "written_at_s", "observation_id"),
)

policy_versions = sa.Table(
    "policy_versions",
    metadata,
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(64), nullable=False),
    sa.Column("hash", sa.String(64), nullable=False, index=True),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("author", sa.String(128), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("created_at_s", sa.Double, nullable=False),
)

policy_activations = sa.Table(
    "policy_activations",
    metadata,
    sa.Column("activation", sa.Integer, primary_key=True),
    sa.Column("version", sa.Integer, sa.ForeignKey("policy_versions.version"), nullable=False),
    sa.Column("action", sa.String(16), nullable=False),
    sa.Column("author", sa.String(128), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("created_at_s", sa.Double, nullable=False),
)


ledger_grants = sa.Table(
    "ledger_grants",
    metadata,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("period_s", sa.Double, primary_key=True),
    sa.Column("number", sa.BigInteger, primary_key=True),
    sa.Column("process", sa.String(32), primary_key=True),
    sa.Column("granted_nusd", sa.BigInteger, nullable=False),
    sa.Column("spent_nusd", sa.BigInteger, nullable=False),
    sa.Column("renewed_at_s", sa.Double, nullable=False),
)


def open_engine(url: str) -> Engine:
    """An engine for the database; for SQLite the file's directory is made and write-ahead logging is switched on."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        patience = {name: value for name, value in SERVER_CONNECTION.items() if name not in parsed.query}
        return sa.create_engine(parsed, pool_pre_ping=True, connect_args=patience)
    if parsed.database and parsed.database != ":memory:":
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(parsed)
    event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _: object) -> None:  # noqa: ANN401 - the driver's connection
    """Readers and writers of several processes side by side; a crash may lose the last commits, never the file."""
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.close()
