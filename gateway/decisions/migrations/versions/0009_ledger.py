"""What of each budget was granted to each process, and spent by it"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "ledger_grants",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("period_s", sa.Double(), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("process", sa.String(length=32), nullable=False),
        sa.Column("granted_nusd", sa.BigInteger(), nullable=False),
        sa.Column("spent_nusd", sa.BigInteger(), nullable=False),
        sa.Column("renewed_at_s", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "period_s", "number", "process"),
    )


def downgrade() -> None:
    op.drop_table("ledger_grants")
