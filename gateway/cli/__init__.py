"""The `trilemma` command. Exit codes: 0 done, 1 the answer is no, 2 wrong use."""

from __future__ import annotations

from pathlib import Path

import click

from gateway import __version__
from gateway.cli.calibrate import calibrate
from gateway.cli.chat import chat
from gateway.cli.config import config
from gateway.cli.context import CliContext
from gateway.cli.decisions import decisions
from gateway.cli.demo import demo
from gateway.cli.init import init
from gateway.cli.learning import learning
from gateway.cli.policy import policy
from gateway.cli.serve import serve
from gateway.cli.simulate import simulate
from gateway.cli.tenants import tenants
from gateway.cli.traces import traces
from gateway.cli.train import train
from gateway.cli.variants import variants
from gateway.environment import MissingVariableError

__all__ = ("main",)


class _Commands(click.Group):
    """Tells in one line what any of them misses in the environment."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except MissingVariableError as error:
            raise click.ClickException(str(error)) from None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    help="Configuration file. Default: trilemma.yaml if there is one, else the built-in configuration.",
)
@click.option(
    "--var",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("var"),
    show_default=True,
    help="State directory: models, database, sockets.",
)
@click.version_option(__version__, prog_name="trilemma")
@click.pass_context
def main(context: click.Context, config_file: Path | None, var: Path) -> None:
    """Serve several variants of a language model behind one OpenAI API, each request by the right one."""
    context.obj = CliContext(config_file=config_file, var=var)


for command in (
    serve,
    demo,
    init,
    chat,
    config,
    variants,
    calibrate,
    train,
    learning,
    policy,
    tenants,
    traces,
    simulate,
    decisions,
):
    main.add_command(command)
