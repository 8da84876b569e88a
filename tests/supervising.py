"""A supervisor over real worker processes without models, in a directory of its own."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil

from backends.client import Endpoint, VariantClient
from backends.models.manifest import Lineage
from backends.models.store import Store
from backends.supervisor.control import ControlClient
from backends.supervisor.run import RunLimits
from backends.supervisor.settings import SupervisorSettings
from backends.supervisor.supervisor import Supervisor
from backends.types import Engine, Price, Variant, VariantKind, VariantStatus, WorkerState

__all__ = ("FAKE_WORKER", "Scene", "fake_variant", "process_is_gone", "until_true")

FAKE_WORKER = (sys.executable, str(Path(__file__).with_name("fake_worker.py")))
QUICK = RunLimits(load_s=60.0, poll_s=0.05, hang_s=3.0, linger_s=0.2, grace_s=5.0)
CHAT = "/v1/chat/completions"


def fake_variant(name: str, **options: Any) -> Variant:
    known = {"kind": VariantKind.QUANTIZED, "engine": Engine.OPENVINO, "source": "built:q8_0"} | options
    return Variant(name=name, price=Price(compute_per_hour_usd=1.0), **known)


def process_is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def until_true(condition: Callable[[], bool], *, within_s: float = 40.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.01)


class Scene:
    """A store, a directory for sockets, and the supervisor over them."""

    def __init__(self, root: Path, *variants: Variant) -> None:
        self.root = root
        self.run_directory = root / "run"
        self.control_socket = root / "run" / "control.sock"
        self.variants = variants
        self.store = Store(root / "models")
        self.supervisor: Supervisor

    def publish(self, variant: Variant, **script: object) -> str:
        """Publish a build that behaves as the script says; returns its revision."""
        with self.store.lock(variant.name):
            directory = self.store.staging(variant.name)
            (directory / "model.gguf").write_bytes(b"GGUF")
            (directory / "script.json").write_text(json.dumps(script))
            return self.store.publish(directory, variant=variant, lineage=Lineage(recipe="test")).revision

    @asynccontextmanager
    async def supervised(
        self, *, memory_budget_bytes: int | None = None, **options: Any
    ) -> AsyncIterator[Supervisor]:
        """Run a supervisor; at the end it is stopped, and every child has to be gone."""
        before = set(psutil.Process().children(recursive=True))
        self.supervisor = Supervisor(
            self.variants,
            store=self.store,
            run_directory=self.run_directory,
            control_socket=self.control_socket,
            settings=SupervisorSettings(tick_s=0.1, limits=QUICK, memory_budget_bytes=memory_budget_bytes),
            worker_argv=FAKE_WORKER,
            **options,
        )
        running = asyncio.create_task(self.supervisor.run())
        try:
            yield self.supervisor
        finally:
            self.supervisor.stop()
            await running
        assert set(psutil.Process().children(recursive=True)) <= before
        assert list(self.run_directory.glob("*.sock")) == []

    def status(self, name: str) -> VariantStatus:
        return next(status for status in self.supervisor.fleet.statuses() if status.name == name)

    def state(self, name: str) -> WorkerState:
        return self.status(name).state

    async def until_state(self, name: str, state: WorkerState, *, within_s: float = 40.0) -> VariantStatus:
        await until_true(lambda: self.state(name) is state, within_s=within_s)
        return self.status(name)

    def pids(self, name: str) -> list[int]:
        """Process ids of all workers of a variant that ever started."""
        path = self.run_directory / f"{name}.starts"
        return [int(line) for line in path.read_text().split()] if path.exists() else []

    async def ask(self, name: str) -> str:
        """One streamed request to the worker that serves now; returns the directory of the build that answered."""
        client = VariantClient(Endpoint(socket_path=self.status(name).socket_path))
        try:
            async with await client.stream(CHAT, b"{}") as stream:
                events = [json.loads(data) async for data in stream]
        finally:
            await client.aclose()
        (answered,) = {event["choices"][0]["delta"]["content"] for event in events}
        return str(answered)

    def control(self) -> ControlClient:
        return ControlClient(self.control_socket)
