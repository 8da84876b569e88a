"""The names and figures of this installation, which documents are held against."""

from __future__ import annotations

from backends.models.store import Store
from backends.types import Capability, Engine, Variant
from gateway.paths import StatePaths
from gateway.routing.candidates import profile
from gateway.settings import Settings
from gateway.tenants.store import TenantStore
from gateway.tenants.types import ANYONE
from policies.documents.findings import Known
from policies.types import Profile

__all__ = ("known_here",)


def known_here(
    settings: Settings, paths: StatePaths, *, estimators: frozenset[str], tenants: TenantStore | None = None
) -> Known:
    """What is configured, and what of it has been measured or stated.

    Prices need no check, since the configuration accepts no variant without one.

    Args:
        settings: The configuration.
        paths: Where what was measured is kept.
        estimators: Hashes of those that are stored.
        tenants: Those that rules may be about; with None, or while there are none, any name passes.

    Raises:
        SQLAlchemyError: The tenants cannot be read.
    """
    names = frozenset() if tenants is None else tenants.names()
    store = Store(paths.models)
    return Known(
        variants={variant.name: _figures(variant, store) for variant in settings.variants if not variant.embeds_only},
        tenants=names | {ANYONE.tenant.id} if names else None,
        capabilities=frozenset(Capability),
        estimators=estimators,
    )


def _figures(variant: Variant, store: Store) -> Profile | None:
    """None where there would only be a guess to hold a limit against."""
    manifest = None if variant.engine is Engine.OPENAI else store.current(variant.name)
    found = profile(variant, manifest.card if manifest else None)
    return None if found.source == "prior" else found
