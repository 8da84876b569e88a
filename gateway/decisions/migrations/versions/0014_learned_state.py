"""Learned state in the database, and when each answer and judgement became visible"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "estimators",
        sa.Column("hash", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("created_at_s", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("hash"),
    )
    op.create_index("ix_estimators_kind_created_at_s", "estimators", ["kind", "created_at_s"], unique=False)
    op.create_table(
        "trainings",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("created_at_s", sa.Double(), nullable=False),
        sa.Column("took_s", sa.Double(), nullable=False),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("author", sa.String(length=128), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("judged_rows", sa.Integer(), nullable=False),
        sa.Column("fitted", sa.JSON(), nullable=False),
        sa.Column("in_force", sa.JSON(), nullable=False),
        sa.Column("promoted", sa.JSON(), nullable=False),
        sa.Column("because", sa.JSON(), nullable=False),
        sa.Column("report", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_table(
        "training_requests",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("created_at_s", sa.Double(), nullable=False),
        sa.Column("because", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    for table, stated, key in (
        ("outcomes", "ended_at_s", "decision_id"),
        ("observations", "created_at_s", "observation_id"),
    ):
        op.add_column(table, sa.Column("written_at_s", sa.Double(), nullable=True))
        op.execute(f"UPDATE {table} SET written_at_s = {stated}")
        op.create_index(f"ix_{table}_written_at_s", table, ["written_at_s", key], unique=False)


def downgrade() -> None:
    for table in ("observations", "outcomes"):
        op.drop_index(f"ix_{table}_written_at_s", table_name=table)
        op.drop_column(table, "written_at_s")
    op.drop_table("training_requests")
    op.drop_table("trainings")
    op.drop_index("ix_estimators_kind_created_at_s", table_name="estimators")
    op.drop_table("estimators")
