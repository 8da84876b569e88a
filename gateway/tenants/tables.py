"""The tables of tenants, keys, and who changed what when."""

from __future__ import annotations

import sqlalchemy as sa

from gateway.decisions.schema import metadata

__all__ = ("tenant_changes", "tenant_keys", "tenants")

tenants = sa.Table(
    "tenants",
    metadata,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("document", sa.JSON, nullable=False),
    sa.Column("created_at_s", sa.Double, nullable=False),
    sa.Column("updated_at_s", sa.Double, nullable=False),
    sa.Column("removed_at_s", sa.Double),
)

tenant_keys = sa.Table(
    "tenant_keys",
    metadata,
    sa.Column("key_id", sa.String(16), primary_key=True),
    sa.Column("tenant", sa.String(64), nullable=False, index=True),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False, unique=True),
    sa.Column("name", sa.String(64), nullable=False),
    sa.Column("created_at_s", sa.Double, nullable=False),
    sa.Column("expires_at_s", sa.Double),
    sa.Column("revoked_at_s", sa.Double),
)

tenant_changes = sa.Table(
    "tenant_changes",
    metadata,
    sa.Column("change", sa.Integer, primary_key=True),
    sa.Column("at_s", sa.Double, nullable=False),
    sa.Column("actor", sa.String(128), nullable=False),
    sa.Column("action", sa.String(16), nullable=False),
    sa.Column("tenant", sa.String(64), nullable=False),
    sa.Column("key_id", sa.String(16)),
    sa.Column("detail", sa.JSON, nullable=False),
)
