"""`trilemma demo`: recorded answers of three real models as upstreams, two tenants, and a gateway that learns."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from gateway.cli.context import CliContext, print_json

if TYPE_CHECKING:
    from gateway.demo.client import DemoClient
    from gateway.demo.recordings import RecordedTask
    from gateway.demo.report import ConsoleAccess, DemoReport

__all__ = ("demo",)

HOST = "127.0.0.1"
SEED = 1
KEY_LASTS_S = 86_400.0
MOST_ERRORS = 5


@dataclass(frozen=True, kw_only=True)
class _Options:
    """How the demo is to run."""

    seconds: float
    rate_per_s: float
    speed: float
    port: int
    keep: bool
    as_json: bool


@click.command()
@click.option(
    "--seconds", type=click.FloatRange(min=1), default=160.0, show_default=True, help="Length of the traffic."
)
@click.option(
    "--rate",
    "rate_per_s",
    type=click.FloatRange(min=0.1, max=100),
    default=4.0,
    show_default=True,
    help="Requests a second, of both tenants together.",
)
@click.option(
    "--speed",
    type=click.FloatRange(min=0.1, max=100),
    default=1.0,
    show_default=True,
    help="Replay the answers this many times as fast as they were recorded.",
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="TCP port of the gateway; 0: free."
)
@click.option("--keep", is_flag=True, help="Keep serving after the traffic, until Ctrl-C.")
@click.option(
    "--var",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help="State directory.  [default: a temporary one, removed at the end]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; progress goes to standard error.")
@click.pass_context
def demo(click_context: click.Context, /, *, var: Path | None, **options: object) -> None:
    """Watch the gateway learn, in three minutes and without a model, an account or a network.

    Starts recorded answers of three real models as upstreams, and a gateway that is told their prices and nothing
    about how good they are. Two tenants with opposite SLAs send requests; every answer is judged.
    """
    chosen = _Options(**options)  # type: ignore[arg-type]  # Click has checked them.
    _check_port(chosen.port)
    with _state_directory(click_context, var) as directory:
        context = CliContext(config_file=directory / "demo.yaml", var=directory)
        try:
            asyncio.run(_run(context, chosen))
        except asyncio.CancelledError:  # By SIGTERM.
            raise click.Abort from None


def _check_port(port: int) -> None:
    """Refuse a taken port before anything starts."""
    try:
        socket.create_server((HOST, port)).close()
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        text = f"cannot listen on {HOST}:{port}: {why}; --port takes another one, or 0 for a free one"
        raise click.ClickException(text) from None


@contextmanager
def _state_directory(click_context: click.Context, var: Path | None) -> Iterator[Path]:
    """The stated directory, before or after the name of the command, or a temporary one."""
    parent = click_context.parent
    if parent is not None and parent.params.get("config_file") is not None:
        raise click.UsageError("`trilemma demo` writes a configuration of its own and takes no --config")
    if var is None and parent is not None and parent.get_parameter_source("var") is ParameterSource.COMMANDLINE:
        var = parent.params["var"]
    if var is not None:
        var.mkdir(parents=True, exist_ok=True)
        yield var
        return
    with tempfile.TemporaryDirectory(prefix="trilemma-demo-", ignore_cleanup_errors=True) as directory:
        yield Path(directory)


async def _run(context: CliContext, options: _Options) -> None:
    from gateway.cli.demo_views import print_report, print_start
    from gateway.demo.recordings import packaged_tasks

    _cancel_on_sigterm()
    tasks = packaged_tasks()
    async with _serving(context, options, tasks) as (client, access):
        print_start(access, speed=options.speed, seconds=options.seconds, tasks=len(tasks))
        report = await _traffic(client, access, options, tasks)
        if options.as_json:
            print_json(report)
        else:
            print_report(report, kept=options.keep)
        if options.keep:
            await _until_interrupted()


def _cancel_on_sigterm() -> None:
    """End in order on SIGTERM, as on Ctrl-C."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


async def _until_interrupted() -> None:
    """Serve until Ctrl-C or SIGTERM, which are the usual ends here."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    click.echo("Still serving; Ctrl-C stops it.", err=True)
    await stop.wait()


@asynccontextmanager
async def _serving(
    context: CliContext, options: _Options, tasks: Sequence[RecordedTask]
) -> AsyncIterator[tuple[DemoClient, ConsoleAccess]]:
    """The replayed models, the gateway in front of them, and a client with the keys of both tenants."""
    import aiohttp

    from gateway.cli.own_gateway import started_gateway
    from gateway.demo.client import DemoClient
    from gateway.demo.recordings import configuration
    from gateway.demo.replay import replaying
    from gateway.demo.report import ConsoleAccess
    from gateway.demo.traffic import tenant_sections

    async with replaying(tasks, speed=options.speed) as upstream:
        tenants = tenant_sections(speed=options.speed)
        text = configuration(upstream, speed=options.speed, tenants=tenants)
        assert context.config_file is not None
        context.config_file.write_bytes(text)
        keys, operator_key = await asyncio.to_thread(_keys, context, [str(tenant["id"]) for tenant in tenants])
        gateway = started_gateway(context, port=options.port)
        # In a thread: the upstreams live in this loop, and answer what the gateway asks while it starts and stops.
        url = await asyncio.to_thread(gateway.__enter__)
        try:
            connector = aiohttp.TCPConnector(limit=0)
            async with aiohttp.ClientSession(connector=connector) as session:
                access = ConsoleAccess(
                    url=f"{url}/console", learning_url=f"{url}/console/learning", operator_key=operator_key
                )
                yield DemoClient(session, url, keys=keys, operator_key=operator_key), access
        finally:
            await asyncio.to_thread(gateway.__exit__, None, None, None)


def _keys(context: CliContext, tenants: Sequence[str]) -> tuple[dict[str, str], str]:
    """A key for each tenant, and an operator's for the console; all end after a day."""
    from gateway.cli.tenants_views import author_here, opened_tenants
    from gateway.tenants.keys import KeyTerms
    from gateway.tenants.types import ANYONE, Role

    terms = KeyTerms(name="demo", expires_in_s=KEY_LASTS_S)
    operator = KeyTerms(name="demo console", role=Role.OPERATOR, expires_in_s=KEY_LASTS_S)
    with opened_tenants(context) as store:
        keys = {tenant: store.keys.add(tenant, terms, author=author_here()).text for tenant in tenants}
        return keys, store.keys.add(ANYONE.tenant.id, operator, author=author_here()).text


async def _traffic(
    client: DemoClient, access: ConsoleAccess, options: _Options, tasks: Sequence[RecordedTask]
) -> DemoReport:
    """Send all of it, tell how it goes, and report."""
    from gateway.cli.demo_views import traffic_progress
    from gateway.demo.comparison import AnsweredTask
    from gateway.demo.report import DemoReport, tenant_report
    from gateway.demo.traffic import TENANTS, traffic_plan

    plan = traffic_plan(tasks, seconds=options.seconds, rate_per_s=options.rate_per_s, seed=SEED)
    answered: list[AnsweredTask] = []
    errors: list[str] = []
    with traffic_progress(tasks, total=len(plan)) as tell:

        def told(result: AnsweredTask | Exception) -> None:
            if isinstance(result, AnsweredTask):
                answered.append(result)
            else:
                errors.append(f"{type(result).__name__}: {result}")
            tell(answered, failed=len(errors))

        await client.send(plan, told)
    return DemoReport(
        seconds=options.seconds,
        speed=options.speed,
        requests=len(answered),
        failed=len(errors),
        errors=errors[:MOST_ERRORS],
        tenants=[tenant_report(of, answered, tasks, await client.promises(of.id)) for of in TENANTS],
        slow=await client.slowest(),
        console=access,
    )
