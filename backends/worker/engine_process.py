"""`python -m backends.worker.engine_process FD`: started by the HTTP process, with one end of a socket pair."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import time

from backends.lifeline import follow_parent
from backends.types import Capability
from backends.worker.embedding_host import EmbeddingHost, create_embedder
from backends.worker.engine import create_engine
from backends.worker.host import Host
from backends.worker.logs import configure_logs
from backends.worker.messages import Channel, Failed, Ready
from backends.worker.spec import WorkerSpec

__all__ = ("main",)

log = logging.getLogger(__name__)


def main() -> None:
    """Load the engine named in the first frame and serve it; exits non-zero when the engine fails."""
    follow_parent()
    # The HTTP process decides when to stop; a signal to the whole group must not cut what it still drains.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    configure_logs()
    channel = Channel(socket.socket(fileno=int(sys.argv[1])))
    spec = channel.spec()
    started_s = time.monotonic()
    try:
        host, ready = _loaded(spec, channel)
    except Exception as error:
        log.exception("load_failed variant=%s", spec.name)
        channel.send(Failed(message=f"{spec.name} cannot be loaded: {error}"))
        os._exit(1)
    log.info("loaded variant=%s engine=%s seconds=%.2f", spec.name, spec.engine, time.monotonic() - started_s)
    channel.send(ready)
    try:
        host.run()
    finally:
        os._exit(1)  # without running the destructors of a broken engine


def _loaded(spec: WorkerSpec, channel: Channel) -> tuple[Host | EmbeddingHost, Ready]:
    """What serves the variant, its model loaded, and what it says of itself."""
    if spec.embeds:
        embedder = create_embedder(spec)
        embedder.load()
        ready = Ready(capabilities=[Capability.EMBEDDINGS], max_running=spec.max_running)
        return EmbeddingHost(embedder, channel), ready
    engine = create_engine(spec)
    engine.load()
    return Host(engine, channel), Ready(capabilities=sorted(engine.capabilities), max_running=engine.max_running)


if __name__ == "__main__":
    main()
