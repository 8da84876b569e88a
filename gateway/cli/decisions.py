"""`trilemma decisions`: take the decision log out."""

from __future__ import annotations

from typing import BinaryIO

import click
import msgspec

from gateway.cli.context import CliContext, failures

__all__ = ("decisions",)


@click.group()
def decisions() -> None:
    """Work with the decision log."""


@decisions.command()
@click.option("--output", "-o", type=click.File("wb", lazy=False), default="-", help="File; default standard output.")
@click.option("--since", "since_s", type=float, help="Unix time of the first decision to write.")
@click.option("--until", "until_s", type=float, help="Unix time before which decisions are written.")
@click.option("--json", "_as_json", is_flag=True, help="JSON lines; the only format, accepted for symmetry.")
@click.pass_obj
def export(
    context: CliContext, output: BinaryIO, since_s: float | None, until_s: float | None, *, _as_json: bool
) -> None:
    """Write one JSON line per decision: what was decided, what came of it, how it was judged."""
    from sqlalchemy.exc import SQLAlchemyError

    from gateway.decisions.read import export as read_records

    settings = context.settings()
    url = context.paths.database_url(settings)
    encoder = msgspec.json.Encoder()
    count = 0
    with failures(SQLAlchemyError):
        for record in read_records(url, since_s=since_s, until_s=until_s):
            output.write(encoder.encode(record) + b"\n")
            count += 1
    click.echo(f"{count} decisions", err=True)
