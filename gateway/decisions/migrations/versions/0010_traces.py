"""Kept traces"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "traces",
        sa.Column("span_id", sa.String(length=16), primary_key=True),
        sa.Column("trace_id", sa.String(length=32), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("decision_id", sa.String(length=64)),
        sa.Column("tenant", sa.String(length=64)),
        sa.Column("variant", sa.String(length=64)),
        sa.Column("route", sa.String(length=64), nullable=False),
        sa.Column("started_at_s", sa.Double(), nullable=False),
        sa.Column("duration_s", sa.Double(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("error_type", sa.String(length=64)),
        sa.Column("kept", sa.String(length=16), nullable=False),
        sa.Column("stage", sa.String(length=32), nullable=False),
        sa.Column("stage_s", sa.Double(), nullable=False),
        sa.Column("spans", sa.LargeBinary(), nullable=False),
        sa.Column("bytes", sa.Integer(), nullable=False),
    )
    for name in ("trace_id", "request_id", "decision_id", "started_at_s", "duration_s"):
        op.create_index(f"ix_traces_{name}", "traces", [name])
    for name in ("tenant", "variant", "stage"):
        op.create_index(f"ix_traces_{name}_started_at_s", "traces", [name, "started_at_s"])


def downgrade() -> None:
    op.drop_table("traces")
