"""A gateway to work with: the one that runs, or one of our own for as long as it is needed."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from gateway.cli.context import CliContext

__all__ = ("any_gateway", "started_gateway")

START_S = 60.0
STOP_S = 60.0
LOOK_EVERY_S = 0.2


@contextmanager
def any_gateway(context: CliContext, url: str | None) -> Iterator[str]:
    """The URL of a gateway: as stated, else as configured where one runs, else of one started here and stopped after.

    Raises:
        ClickException: Nothing answers at the stated URL, or ours does not start.
    """
    server = context.settings().server
    place = (url or f"http://{server.host}:{server.port}").rstrip("/")
    if _answers(place):
        yield place
    elif url is not None:
        raise click.ClickException(f"no gateway at {place}; without --url one is started for as long as it is needed")
    else:
        click.echo("No gateway runs: starting one for as long as this takes.", err=True)
        with started_gateway(context) as own:
            yield own


@contextmanager
def started_gateway(context: CliContext, *, port: int | None = None) -> Iterator[str]:
    """The URL of `trilemma serve` on this port of the loopback, or a free one; it ends with us, however we end.

    Raises:
        ClickException: It does not start; the message has the end of its log.
    """
    port = port or _free_port()
    log = context.paths.run / "own-gateway.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    command = context.argv("gateway.cli", "serve", "--port", str(port), "--workers", "1", "--host", "127.0.0.1")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--follow-parent"],
            stdin=subprocess.PIPE,  # Its other end is how it notices that we have gone.
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C is for us; we stop it in order.
        )
    try:
        yield _until_answering(f"http://127.0.0.1:{port}", process, log)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _until_answering(url: str, process: subprocess.Popen[bytes], log: Path) -> str:
    deadline_s = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < deadline_s:
        if _answers(url):
            return url
        time.sleep(LOOK_EVERY_S)
    said = log.read_text(errors="replace").strip().splitlines()[-5:]
    raise click.ClickException("\n".join(["the gateway does not start:", *said]))


def _answers(url: str) -> bool:
    """Whether a gateway lives at a URL."""
    try:
        with urllib.request.urlopen(f"{url}/livez", timeout=5) as reply:  # noqa: S310 - the URL is the caller's own
            return bool(reply.status == 200)
    except (OSError, ValueError):
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
