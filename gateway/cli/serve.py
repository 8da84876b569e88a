"""`trilemma serve`: the supervisor, with the API processes and the builder as its children."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import click
import msgspec

from backends import lifeline
from backends.builder.build import is_built
from backends.builder.machine import measured_quietly
from backends.errors import BackendError
from backends.models.store import Store
from backends.supervisor.build import BuildPlan
from backends.supervisor.periodic import PeriodicPlan
from backends.supervisor.servers import ServerPlan
from backends.supervisor.settings import SupervisorSettings
from backends.supervisor.supervisor import Supervisor
from backends.types import Engine
from gateway.cli.context import CliContext, failures
from gateway.cli.narrate import narrate
from gateway.settings import ServerSettings, Settings
from gateway.telemetry.logs import configure_logs

__all__ = ("serve",)

BACKLOG = 2048

TRAINER_RESTART_S = 5.0
"""Before the trainer starts, and starts again after it ended."""

Tell = Callable[[str], None]

logger = logging.getLogger(__name__)


@click.command()
@click.option("--host", default=None, help="Address to listen on.  [default: as configured]")
@click.option("--port", type=click.IntRange(0, 65535), default=None, help="TCP port.  [default: as configured]")
@click.option("--workers", type=click.IntRange(1, 64), default=None, help="API processes.  [default: as configured]")
@click.option("--follow-parent", is_flag=True, hidden=True, help="End with whoever holds our standard input.")
@click.pass_obj
def serve(
    context: CliContext, *, host: str | None, port: int | None, workers: int | None, follow_parent: bool
) -> None:
    """Serve the API; fetch, build and measure what is missing meanwhile. Ctrl-C or SIGTERM stops it in order."""
    if follow_parent:
        lifeline.follow_parent()
    settings = context.settings()
    given = {"host": host, "port": port, "workers": workers}
    server = msgspec.structs.replace(settings.server, **{k: v for k, v in given.items() if v is not None})
    with failures(BackendError), _telling(settings) as tell, _listen(server) as listening:
        asyncio.run(_supervise(context, settings, server, listening, tell))


@contextmanager
def _telling(settings: Settings) -> Iterator[Tell]:
    """How this process says what goes on: to a person in plain lines, to a program in the form of all its log."""
    form = settings.telemetry.logs
    handler = configure_logs(form, level=logging.WARNING)
    logger.setLevel(logging.INFO)
    try:
        yield logger.info if form == "json" else partial(click.echo, err=True)
    finally:
        handler.close()


async def _supervise(
    context: CliContext, settings: Settings, server: ServerSettings, listening: socket.socket, tell: Tell
) -> None:
    store = Store(context.paths.models)
    supervisor = Supervisor(
        settings.variants,
        store=store,
        run_directory=context.paths.run,
        control_socket=context.paths.control_socket,
        settings=SupervisorSettings(
            memory_budget_bytes=server.memory_budget_bytes, server_grace_s=server.drain_s + 5.0
        ),
        servers=[
            ServerPlan(
                name=f"api-{number}",
                argv=context.argv(
                    "gateway.server",
                    *("--fd", str(listening.fileno()), "--name", f"api-{number}", "--workers", str(server.workers)),
                ),
                pass_fds=(listening.fileno(),),
            )
            for number in range(1, server.workers + 1)
        ],
        build=_build_plan(context, settings, store),
        periodic=_training_plans(context, settings),
    )
    supervisor.stop_on_signals()
    host, port = listening.getsockname()[:2]
    tell(f"Trilemma listens on http://{host}:{port} (Ctrl-C stops it)")
    narrating = asyncio.create_task(narrate(supervisor.fleet.statuses, tell=tell))
    try:
        await supervisor.run()
    finally:
        narrating.cancel()


def _build_plan(context: CliContext, settings: Settings, store: Store) -> BuildPlan | None:
    """What is missing, or not measured on this machine while it was quiet, for `trilemma variants build` to make."""
    minutes = settings.build.distill_minutes
    missing = [
        variant.name
        for variant in settings.variants
        if variant.engine is not Engine.OPENAI
        and not (
            is_built(variant, store=store, minutes=minutes)
            and (variant.embeds_only or measured_quietly(store.current(variant.name)))
        )
    ]
    if not missing or not settings.build.background:
        return None
    return BuildPlan(
        argv=context.argv("gateway.cli", "variants", "build", "--again-when-quiet", "--progress", "json", *missing),
        variants=missing,
    )


def _training_plans(context: CliContext, settings: Settings) -> list[PeriodicPlan]:
    """The trainer, by `trilemma train --watch`, which looks for new evidence until it is stopped."""
    if not settings.training.enabled:
        return []
    argv = context.argv("gateway.cli", "train", "--watch")
    return [PeriodicPlan(name="trainer", argv=argv, interval_s=TRAINER_RESTART_S)]


def _listen(server: ServerSettings) -> socket.socket:
    """The listening socket, bound before anything starts, so that a taken port is told at once."""
    family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
    try:
        return socket.create_server((server.host, server.port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise click.ClickException(f"cannot listen on {server.host}:{server.port}: {error.strerror}") from None
