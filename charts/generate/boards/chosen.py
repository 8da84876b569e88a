"""What is chosen above a dashboard, as the inside of a selector."""

from __future__ import annotations

__all__ = ("BOTH", "TENANT", "VARIANT")

TENANT = 'tenant=~"$tenant"'
VARIANT = 'variant=~"$variant"'
BOTH = f"{TENANT},{VARIANT}"
