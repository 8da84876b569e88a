"""What was predicted of an answer, and the requests of a tenant by time"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("outcomes", sa.Column("quality", sa.Double(), nullable=True))
    op.create_index("ix_decisions_tenant_created_at_s", "decisions", ["tenant", "created_at_s"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_decisions_tenant_created_at_s", table_name="decisions")
    op.drop_column("outcomes", "quality")
