"""What a decision counted a dollar, a second and quality for, and whether it was forced"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("decisions", sa.Column("prices", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("decisions", sa.Column("valuation", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("decisions", sa.Column("forced", sa.Boolean(), server_default=sa.false(), nullable=False))


def downgrade() -> None:
    op.drop_column("decisions", "forced")
    op.drop_column("decisions", "valuation")
    op.drop_column("decisions", "prices")
