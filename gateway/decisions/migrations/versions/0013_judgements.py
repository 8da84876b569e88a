"""One judgement for each decision, source and subject: the last"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

COPIED = "observation_id, decision_id, created_at_s, source, name, score, weight, comment, cost_usd"


def upgrade() -> None:
    _create(sa.PrimaryKeyConstraint("decision_id", "source", "subject"), sa.Column("subject", sa.String(64)))
    op.execute(
        f"INSERT INTO observations_new ({COPIED}, subject) SELECT {COPIED}, subject FROM ("
        f" SELECT {COPIED}, subject, row_number() OVER ("
        "   PARTITION BY decision_id, source, subject ORDER BY created_at_s DESC, observation_id DESC) AS nth"
        "  FROM (SELECT *, CASE source WHEN 'feedback' THEN '' ELSE name END AS subject FROM observations) AS named"
        ") AS ranked WHERE nth = 1"
    )
    _replace()


def downgrade() -> None:
    _create(sa.PrimaryKeyConstraint("observation_id"))
    op.execute(f"INSERT INTO observations_new ({COPIED}) SELECT {COPIED} FROM observations")
    _replace()
    op.create_index("ix_observations_decision_id", "observations", ["decision_id"], unique=False)


def _create(key: sa.PrimaryKeyConstraint, *more: sa.Column) -> None:
    op.create_table(
        "observations_new",
        sa.Column("observation_id", sa.String(64), nullable=False),
        sa.Column("decision_id", sa.String(64), nullable=False),
        sa.Column("created_at_s", sa.Double(), nullable=False),
        sa.Column("source", sa.String(16), nullable=False),
        *more,
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("weight", sa.Double(), nullable=False),
        sa.Column("comment", sa.Text()),
        sa.Column("cost_usd", sa.Double(), server_default=sa.text("0"), nullable=False),
        key,
    )


def _replace() -> None:
    op.drop_table("observations")
    op.rename_table("observations_new", "observations")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER INDEX observations_new_pkey RENAME TO observations_pkey")
