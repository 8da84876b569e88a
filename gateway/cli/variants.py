"""`trilemma variants`: what can answer, how it is made, and how it measures."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import click
import msgspec

from backends.builder.machine import measured_here
from backends.errors import BackendError
from backends.models.store import Store
from backends.progress import ProgressSink
from backends.types import Engine, Variant
from gateway.cli.cards import card_rows, machine_note, print_table
from gateway.cli.context import CliContext, failures, print_json
from gateway.cli.progress import progress_sink
from gateway.settings import Settings

__all__ = ("variants",)

_SLOW_RECIPES = {"built:distilled"}
"""Made last, after everything else is built and measured."""


@click.group()
def variants() -> None:
    """List, fetch, build and measure the variants."""


@variants.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print manifests as JSON.")
@click.pass_obj
def list_(context: CliContext, *, as_json: bool) -> None:
    """Show every configured variant: what it is, what was built, how it measured."""
    settings, store = context.settings(), Store(context.paths.models)
    found = [(variant, store.current(variant.name)) for variant in settings.variants]
    if as_json:
        print_json([{"variant": variant, "manifest": manifest} for variant, manifest in found])
    else:
        print_table(card_rows(found))
        if note := machine_note(found):
            click.echo(note)


@variants.command()
@click.argument("names", nargs=-1)
@click.pass_obj
def pull(context: CliContext, names: tuple[str, ...]) -> None:
    """Fetch the files that variants come from, without building anything."""
    from backends.models import bundled
    from backends.models.sources import fetch

    store = Store(context.paths.models)
    with failures(BackendError), progress_sink() as sink:
        for variant in _chosen(context.settings(), names):
            source, sha256 = bundled.origin(variant.source) or (variant.source, variant.sha256)
            path = fetch(source, into=store.downloads, sha256=sha256, sink=sink, variant=variant.name)
            click.echo(f"{variant.name}: {path}")


@variants.command()
@click.argument("names", nargs=-1)
@click.option(
    "--recipe", type=click.Choice(["dequantize", "q8_0", "pruned", "distilled"]), help="Use another recipe."
)
@click.option("--minutes", type=float, default=None, help="Time for distillation; more continues an earlier build.")
@click.option(
    "--cards/--no-cards", default=True, show_default=True, help="Measure each build that has no card of this machine."
)
@click.option("--progress", type=click.Choice(["auto", "json"]), default="auto", help="`json`: one object a line.")
@click.pass_obj
def build(
    context: CliContext,
    names: tuple[str, ...],
    *,
    recipe: str | None,
    minutes: float | None,
    cards: bool,
    progress: str,
) -> None:
    """Make variants that are missing (all, if none is named), then measure them. Resumes what was interrupted."""
    from backends.builder.build import build as build_one

    settings, store = context.settings(), Store(context.paths.models)
    chosen = _chosen(settings, names)
    if recipe is not None:
        chosen = [msgspec.structs.replace(variant, source=f"built:{recipe}") for variant in chosen]
    minutes = settings.build.distill_minutes if minutes is None else minutes
    quick = [variant for variant in chosen if variant.source not in _SLOW_RECIPES]
    slow = [variant for variant in chosen if variant.source in _SLOW_RECIPES]
    with failures(BackendError), progress_sink("json" if progress == "json" else "auto") as sink:
        for group in (quick, slow):
            for variant in group:
                build_one(variant, variants=settings.variants, store=store, sink=sink, minutes=minutes)
            if cards:
                _measure([v for v in group if not measured_here(store.current(v.name))], context, sink)


@variants.command()
@click.argument("names", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print the cards as JSON.")
@click.pass_obj
def bench(context: CliContext, names: tuple[str, ...], *, as_json: bool) -> None:
    """Measure built variants afresh on this machine: speed, memory, and quality on the checkable tasks."""
    store = Store(context.paths.models)
    chosen = _chosen(context.settings(), names)
    with failures(BackendError), progress_sink() as sink:
        _measure(chosen, context, sink)
    found = [(variant, store.current(variant.name)) for variant in chosen]
    if as_json:
        print_json({v.name: manifest.card for v, manifest in found if manifest})
    else:
        print_table(card_rows(found))


def _chosen(settings: Settings, names: Sequence[str]) -> list[Variant]:
    """The named local variants, or all of them, in configuration order."""
    known = {variant.name: variant for variant in settings.variants if variant.engine is not Engine.OPENAI}
    for name in names:
        if name not in known:
            raise click.UsageError(f"there is no local variant `{name}`; known: {', '.join(known)}")
    return [variant for name, variant in known.items() if not names or name in names]


def _measure(chosen: Sequence[Variant], context: CliContext, sink: ProgressSink) -> None:
    from backends.builder.card import measure
    from backends.supervisor.launch import LaunchPad

    store = Store(context.paths.models)
    for variant in chosen:
        if variant.embeds_only:
            continue  # A card is about answers.
        built = store.build(variant.name)
        spec = LaunchPad(store, context.paths.run / "bench").spec(variant, revision=built.manifest.revision)
        store.write_card(variant.name, asyncio.run(measure(spec, sink=sink)), revision=built.manifest.revision)
