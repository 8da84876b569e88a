"""The tables of learned state: fitted estimators, trainings with what each put in force, and requests for one."""

from __future__ import annotations

import sqlalchemy as sa

from gateway.decisions.schema import metadata

__all__ = ("LOCK_KEY", "estimators", "training_requests", "trainings")

LOCK_KEY = 7_206_914
"""Advisory lock under which PostgreSQL changes what is in force or removes estimators: rows are numbered in the order
of their commits, and nothing is removed while it is put in force."""

estimators = sa.Table(
    "estimators",
    metadata,
    sa.Column("hash", sa.String(32), primary_key=True),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("data", sa.LargeBinary, nullable=False),
    sa.Column("created_at_s", sa.Double, nullable=False),
    sa.Index("ix_estimators_kind_created_at_s", "kind", "created_at_s"),
)

trainings = sa.Table(
    "trainings",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("created_at_s", sa.Double, nullable=False),
    sa.Column("took_s", sa.Double, nullable=False),
    sa.Column("action", sa.String(16), nullable=False),
    sa.Column("author", sa.String(128), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("rows", sa.Integer, nullable=False),
    sa.Column("judged_rows", sa.Integer, nullable=False),
    sa.Column("fitted", sa.JSON, nullable=False),
    sa.Column("in_force", sa.JSON, nullable=False),
    sa.Column("promoted", sa.JSON, nullable=False),
    sa.Column("because", sa.JSON, nullable=False),
    sa.Column("report", sa.JSON, nullable=False),
)
"""Insert-only: the latest row says what is in force, and an earlier state is reached again by one more row."""

training_requests = sa.Table(
    "training_requests",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("created_at_s", sa.Double, nullable=False),
    sa.Column("because", sa.Text, nullable=False),
)
"""Changes that a process noticed; those that are older than the latest training have been dealt with."""
