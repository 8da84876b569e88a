"""Policy documents to publish, and an empty store to publish them in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.decisions.migrate import upgrade
from gateway.decisions.schema import open_engine
from gateway.policyops.store import PolicyStore
from gateway.policyops.types import Version
from policies.documents.findings import Known
from policies.types import Profile
from tests.decision_rows import sqlite_url

__all__ = ("EXAMPLES", "GOLDEN", "KNOWN", "a_document", "open_store", "published")

EXAMPLES = Path(__file__).parent.parent / "examples" / "policies"
GOLDEN = Path(__file__).parent / "policies" / "documents" / "golden"

KNOWN = Known(
    variants={
        "quantized": Profile(quality=0.75, ttft_s=0.1, tpot_s=0.01),
        "full": Profile(quality=0.77, ttft_s=0.2, tpot_s=0.05),
        "distilled": Profile(quality=0.5, ttft_s=0.05, tpot_s=0.006),
    },
    tenants=frozenset({"default", "law", "shop"}),
    capabilities=frozenset({"json_schema", "logprobs", "tools", "embeddings"}),
    estimators=frozenset({"00112233aabb"}),
)


def a_document(name: str = "p", *, epsilon: float = 0.1, fallback: str = "[quantized, full, distilled]") -> str:
    """A sound document; another epsilon is another policy."""
    return f"schema_version: 2\nname: {name}\nexploration: {{epsilon: {epsilon}}}\nfallback: {fallback}\n"


def published(store: PolicyStore, *, epsilon: float) -> Version:
    """A version put in force; its hash stands for its content."""
    text = a_document(epsilon=epsilon)
    return store.publish(name="p", hash_=f"h{epsilon}", text=text, author="ada", reason="why", now_s=epsilon)


@contextmanager
def open_store(place: Path | str) -> Iterator[PolicyStore]:
    """The store of a migrated database: an SQLite file, or a URL."""
    engine = open_engine(sqlite_url(place) if isinstance(place, Path) else place)
    try:
        upgrade(engine)
        yield PolicyStore(engine)
    finally:
        engine.dispose()
