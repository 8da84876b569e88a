"""Small real model files and variants for tests of sources, store and builder."""

from pathlib import Path

from backends.models.manifest import Lineage, Manifest
from backends.models.store import Store
from backends.types import Engine, Price, Variant, VariantKind

__all__ = ("a_variant", "publish_bytes")


def a_variant(name: str = "small", *, source: str = "file:/nowhere/model.gguf", sha256: str | None = None) -> Variant:
    """A local variant of no particular importance."""
    return Variant(
        name=name,
        kind=VariantKind.QUANTIZED,
        engine=Engine.OPENVINO,
        source=source,
        sha256=sha256,
        price=Price(compute_per_hour_usd=0.1),
    )


def publish_bytes(store: Store, content: bytes, *, variant: Variant | None = None, **options: object) -> Manifest:
    """Publish a build of one file that starts as a GGUF file does."""
    variant = variant or a_variant()
    directory: Path = store.staging(variant.name)
    (directory / "model.gguf").write_bytes(b"GGUF" + content)
    return store.publish(directory, variant=variant, lineage=Lineage(recipe="source"), **options)  # type: ignore[arg-type]
