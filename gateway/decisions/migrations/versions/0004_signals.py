"""How sure an answer was of itself, and what a judgement of it cost"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("outcomes", sa.Column("confidence", sa.Double(), nullable=True))
    op.add_column("observations", sa.Column("cost_usd", sa.Double(), server_default=sa.text("0"), nullable=False))


def downgrade() -> None:
    op.drop_column("observations", "cost_usd")
    op.drop_column("outcomes", "confidence")
