"""`trilemma config`: check a configuration, and print its schema."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.context import CliContext, print_json
from gateway.cli.schema import described_schema
from gateway.settings import Settings

__all__ = ("config", "settings_schema")


@click.group()
def config() -> None:
    """Check a configuration, or print what one may say."""


@config.command()
@click.option("--json", "as_json", is_flag=True, help="Print the effective configuration as JSON.")
@click.pass_obj
def check(context: CliContext, *, as_json: bool) -> None:
    """Check the configuration; exit code 1 names the line and the key to mend."""
    settings = context.settings()
    if as_json:
        print_json(settings)
        return
    names = ", ".join(variant.name for variant in settings.variants)
    click.echo(f"{context.config_path or 'built-in configuration'}: ok; variants {names}")


@config.command()
def schema() -> None:
    """Print the JSON schema, every field with its unit and range."""
    print_json(settings_schema())


def settings_schema() -> dict[str, Any]:
    """JSON schema of the configuration."""
    return described_schema(Settings)
