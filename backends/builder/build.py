"""The one way in: make sure that a variant is built, whatever its source."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from backends.builder.recipe import Recipe, RecipeContext
from backends.errors import BuildError
from backends.models import bundled
from backends.models.files import disk_full_raises, link_or_copy
from backends.models.manifest import Lineage, Manifest
from backends.models.sources import fetch
from backends.models.store import Build, Store
from backends.progress import Progress, ProgressSink, silent
from backends.types import Engine, Variant

__all__ = ("RECIPES", "build", "is_built")

RECIPES = {
    "dequantize": "backends.builder.dequantize",
    "q8_0": "backends.builder.quantize",
    "pruned": "backends.builder.prune",
    "distilled": "backends.builder.distill",
    "minilm": "backends.builder.embedder",
}
"""Module of each recipe, imported when it runs; its `run` is a Recipe."""


def build(
    variant: Variant,
    *,
    variants: Sequence[Variant] | None = None,
    store: Store,
    sink: ProgressSink = silent,
    minutes: float | None = None,
) -> Manifest:
    """Fetch or make a variant, unless that has been done.

    Blocks for seconds to minutes; another process that builds the same variant is waited for. Whatever fails, the
    build that was there before is untouched.

    Args:
        variant: What to make; not one of the `openai` engine, which has no files.
        variants: All configured variants: a recipe that starts from another one uses the build of the variant with
            that source instead of making its own.
        store: Where builds are kept.
        sink: Told of the progress; the last step is `ready` or `failed`.
        minutes: How long a recipe that trains may train.

    Returns:
        The manifest of the current, final build.

    Raises:
        SourceError: Files could not be had.
        BuildError: The recipe failed, or there is no such recipe.
        DiskFullError: No room.
        MissingExtraError: A library that the recipe needs is not installed.
    """
    try:
        if not is_built(variant, store=store, minutes=minutes):
            with store.lock(variant.name, on_wait=lambda: _report(sink, variant, "waiting for another process")):
                if not is_built(variant, store=store, minutes=minutes):
                    _make(variant, variants=variants or (), store=store, sink=sink, minutes=minutes)
        manifest = store.build(variant.name).manifest
    except Exception as error:
        sink(Progress(variant=variant.name, stage="failed", message=str(error)))
        raise
    sink(Progress(variant=variant.name, stage="ready", done=1.0, message=manifest.revision))
    return manifest


def is_built(variant: Variant, *, store: Store, minutes: float | None = None) -> bool:
    """Whether the current build is what `build` would make: final, from this source, trained no shorter."""
    manifest = store.current(variant.name)
    if manifest is None or manifest.stage != "final" or manifest.source != variant.source:
        return False
    if variant.sha256 is not None and variant.sha256 not in {entry.sha256 for entry in manifest.files}:
        return False
    trained = manifest.lineage.parameters.get("minutes")
    return minutes is None or not isinstance(trained, int | float) or trained >= minutes


def _make(
    variant: Variant, *, variants: Sequence[Variant], store: Store, sink: ProgressSink, minutes: float | None
) -> None:
    if variant.engine is Engine.OPENAI:
        raise BuildError(f"{variant.name} is a remote server: there is nothing to build")
    scheme, _, name = variant.source.partition(":")
    if scheme != "built":
        _keep(variant, store=store, sink=sink)
        return
    context = RecipeContext(
        variant=variant,
        store=store,
        work=store.work(variant.name),
        sink=sink,
        minutes=minutes,
        licence=bundled.LICENCE,
        bundled_gguf=lambda: _fetch_bundled(store, sink=sink, variant=variant),
        require=lambda recipe: _require(recipe, variant=variant, variants=variants, store=store, sink=sink),
    )
    with disk_full_raises(f"a build of {variant.name}"):
        _recipe(name)(context)


def _recipe(name: str) -> Recipe:
    if name not in RECIPES:
        raise BuildError(f"there is no recipe {name!r}; known are {', '.join(RECIPES)}")
    recipe: Recipe = importlib.import_module(RECIPES[name]).run
    return recipe


def _keep(variant: Variant, *, store: Store, sink: ProgressSink) -> None:
    """Publish a fetched file or checkpoint as it is."""
    found = fetch(variant.source, into=store.downloads, sha256=variant.sha256, sink=sink, variant=variant.name)
    directory = store.staging(variant.name)
    with disk_full_raises(f"a build of {variant.name}"):
        for file in sorted(found.rglob("*")) if found.is_dir() else [found]:
            name = file.relative_to(found) if found.is_dir() else Path(file.name)
            if file.is_file() and not any(part.startswith(".") for part in name.parts):
                link_or_copy(file, to=directory / name)
    store.publish(directory, variant=variant, lineage=Lineage(recipe="source", parents=(variant.source,)))


def _fetch_bundled(store: Store, *, sink: ProgressSink, variant: Variant) -> Path:
    return fetch(bundled.SOURCE, into=store.downloads, sha256=bundled.SHA256, sink=sink, variant=variant.name)


def _require(
    recipe: str, *, variant: Variant, variants: Sequence[Variant], store: Store, sink: ProgressSink
) -> Build:
    """The build of another recipe: a configured variant's, or one of our own named after the recipe."""
    source = f"built:{recipe}"
    if source == variant.source:
        raise BuildError(f"{variant.name} cannot be made from itself")
    own = msgspec.structs.replace(variant, name=f"base-{recipe}", source=source, sha256=None)
    parent = next((other for other in variants if other.source == source), own)
    build(parent, variants=variants, store=store, sink=sink)
    return store.build(parent.name)


def _report(sink: ProgressSink, variant: Variant, message: str) -> None:
    sink(Progress(variant=variant.name, stage="fetch", message=message))
