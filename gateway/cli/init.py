"""`trilemma init`: write a commented configuration to edit."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.settings import default_text

__all__ = ("init",)


@click.command()
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False), default=Path("trilemma.yaml"))
@click.option("--force", is_flag=True, help="Overwrite an existing file.")
def init(path: Path, *, force: bool) -> None:
    """Write a commented configuration (default: trilemma.yaml)."""
    if path.exists() and not force:
        raise click.ClickException(f"{path} exists; --force overwrites it")
    path.write_text(default_text(), encoding="utf-8")
    click.echo(f"wrote {path}; `trilemma config check` checks it, `trilemma serve` uses it")
