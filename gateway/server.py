"""One API process: `python -m gateway.server`, started by the supervisor with the listening socket already open.

The socket is inherited, so that a port in use is reported before anything starts, several processes share it, and a
process that is replaced refuses no connection meanwhile.
"""

from __future__ import annotations

import gc
import math
import socket
from pathlib import Path
from types import FrameType

import click
import uvicorn
from msgspec.structs import replace

from backends.lifeline import follow_parent
from gateway.api.observed import Observed
from gateway.app import create_app
from gateway.http import BoundedHttpProtocol
from gateway.lifespan import open_services
from gateway.paths import StatePaths
from gateway.services import Services
from gateway.settings import Settings, load_settings
from gateway.telemetry.logs import configure_logs

__all__ = ("ApiServer", "main")

KEEP_ALIVE_S = 75
"""Idle connections outlive those of load balancers, so that none is used while it is being closed."""

GC_THRESHOLDS = (20_000, 20, 50)
"""Python's own, made for scripts, look for cycles at every few requests: a fifth of what a request computes."""

LAST_WORDS_S = 1
"""Time to send the error after the grace period, before the connection is cut."""


class ApiServer(uvicorn.Server):
    """The HTTP server and its application."""

    def __init__(self, settings: Settings, paths: StatePaths, *, process: str = "api-1") -> None:
        self.services: Services | None = None
        """Set once they are open."""
        self.app = create_app(
            lambda: open_services(settings, paths, process=process, ready=self._register),
            max_body_bytes=settings.server.max_body_bytes,
        )
        config = uvicorn.Config(
            Observed(self.app),
            loop="uvloop",
            http=BoundedHttpProtocol,
            lifespan="on",
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=math.ceil(settings.server.drain_s) + LAST_WORDS_S,
        )
        super().__init__(config)
        self._drain_s = settings.server.drain_s

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Tell the services at once when the process is asked to stop, before requests are drained."""
        if self.services is not None:
            self.services.stopping = True
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let requests run on for a while, then have them end in an error; what does not even do that is cut."""
        if self.services is not None:
            self.services.stopping = True
            self.services.drain.begin(grace_s=self._drain_s)
        await super().shutdown(sockets)

    def _register(self, services: Services) -> None:
        self.services = services
        gc.collect()
        gc.freeze()  # What is there now stays: no collection has to look through it again.
        gc.set_threshold(*GC_THRESHOLDS)


@click.command()
@click.option("--fd", type=int, required=True, help="Inherited listening socket.")
@click.option("--config", type=click.Path(path_type=Path), default=None)
@click.option("--var", type=click.Path(path_type=Path), required=True)
@click.option("--name", default="api-1", help="Tells this process from others on the socket.")
@click.option("--workers", type=int, default=None, help="Processes on the socket.  [default: as configured]")
def main(fd: int, config: Path | None, var: Path, name: str, workers: int | None) -> None:
    """Serve the HTTP API on an inherited socket until SIGTERM, or until the parent is gone."""
    settings = load_settings(config)
    if workers is not None:
        settings = replace(settings, server=replace(settings.server, workers=workers))
    handler = configure_logs(settings.telemetry.logs)
    follow_parent()
    server = ApiServer(settings, StatePaths(root=var), process=name)
    try:
        with socket.socket(fileno=fd) as listening:
            server.run(sockets=[listening])
    finally:
        handler.close()


if __name__ == "__main__":
    main()
