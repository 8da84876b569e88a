"""What callers attach to a request: tags, and the urgency they asked for"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("decisions", sa.Column("tags", sa.JSON(), server_default=sa.text("'{}'"), nullable=False))
    op.add_column("decisions", sa.Column("service_tier", sa.String(length=16), nullable=True))


def downgrade() -> None:
    op.drop_column("decisions", "service_tier")
    op.drop_column("decisions", "tags")
