"""`trilemma variants`: what can answer, how it is made, and how it measures."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import click
import msgspec

from backends.builder.machine import measured_here
from backends.errors import BackendError
from backends.models.manifest import Manifest
from backends.models.store import Store
from backends.types import Engine, Variant
from gateway.cli.cards import busy_note, card_rows, machine_note, print_table
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
        _print(found)


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
@click.option(
    "--again-when-quiet",
    is_flag=True,
    help="At the end, wait until the machine is quiet and measure anew what was measured while it was busy.",
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
    again_when_quiet: bool,
    progress: str,
) -> None:
    """Make variants that are missing (all, if none is named), then measure them. Resumes what was interrupted."""
    from backends.builder.build import build as build_one
    from gateway.cli.measuring import Measuring

    settings, store = context.settings(), Store(context.paths.models)
    chosen = _chosen(settings, names)
    if recipe is not None:
        chosen = [msgspec.structs.replace(variant, source=f"built:{recipe}") for variant in chosen]
    minutes = settings.build.distill_minutes if minutes is None else minutes
    quick = [variant for variant in chosen if variant.source not in _SLOW_RECIPES]
    slow = [variant for variant in chosen if variant.source in _SLOW_RECIPES]
    with failures(BackendError), progress_sink("json" if progress == "json" else "auto") as sink:
        measuring = Measuring(context.paths, sink=sink)
        for group in (quick, slow):
            for variant in group:
                build_one(variant, variants=settings.variants, store=store, sink=sink, minutes=minutes)
            if cards:
                asyncio.run(measuring.measure([v for v in group if not measured_here(store.current(v.name))]))
        if cards and again_when_quiet:
            asyncio.run(measuring.measure_again(chosen))


@variants.command()
@click.argument("names", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print the cards as JSON.")
@click.pass_obj
def bench(context: CliContext, names: tuple[str, ...], *, as_json: bool) -> None:
    """Measure built variants afresh on this machine, in turns: speed, memory, and quality on the checkable tasks."""
    from gateway.cli.measuring import Measuring

    store = Store(context.paths.models)
    chosen = _chosen(context.settings(), names)
    with failures(BackendError), progress_sink() as sink:
        asyncio.run(Measuring(context.paths, sink=sink).measure(chosen))
    found = [(variant, store.current(variant.name)) for variant in chosen]
    if as_json:
        print_json({v.name: manifest.card for v, manifest in found if manifest})
    else:
        _print(found)


def _print(found: Sequence[tuple[Variant, Manifest | None]]) -> None:
    print_table(card_rows(found))
    for note in (machine_note(found), busy_note(found)):
        if note:
            click.echo(note)


def _chosen(settings: Settings, names: Sequence[str]) -> list[Variant]:
    """The named local variants, or all of them, in configuration order."""
    known = {variant.name: variant for variant in settings.variants if variant.engine is not Engine.OPENAI}
    for name in names:
        if name not in known:
            raise click.UsageError(f"there is no local variant `{name}`; known: {', '.join(known)}")
    return [variant for name, variant in known.items() if not names or name in names]
