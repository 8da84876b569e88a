"""Sessions of the console"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "console_sessions",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("key_id", sa.String(length=16), nullable=False),
        sa.Column("created_at_s", sa.Double(), nullable=False),
        sa.Column("seen_at_s", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index(op.f("ix_console_sessions_created_at_s"), "console_sessions", ["created_at_s"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_console_sessions_created_at_s"), table_name="console_sessions")
    op.drop_table("console_sessions")
