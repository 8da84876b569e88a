"""The parent process: the fleet of workers, the API servers, the builder, and the socket on which it is asked."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import filelock

from backends.errors import BackendError
from backends.models.store import Store
from backends.supervisor.build import BuildChild, BuildPlan
from backends.supervisor.control import serve_control
from backends.supervisor.fleet import Fleet
from backends.supervisor.periodic import PeriodicPlan, run_periodically
from backends.supervisor.servers import ServerKeeper, ServerPlan
from backends.supervisor.settings import SupervisorSettings
from backends.types import Variant
from backends.worker.process import WORKER_ARGV

__all__ = ("Supervisor",)


class Supervisor:
    """Keeps everything running. Make it inside an event loop and `run` it once."""

    def __init__(
        self,
        variants: Sequence[Variant],
        *,
        store: Store,
        run_directory: Path,
        control_socket: Path,
        settings: SupervisorSettings | None = None,
        servers: Sequence[ServerPlan] = (),
        build: BuildPlan | None = None,
        periodic: Sequence[PeriodicPlan] = (),
        worker_argv: Sequence[str] = WORKER_ARGV,
    ) -> None:
        """Prepare; nothing starts yet.

        Args:
            variants: In the order in which they are to start; those at URLs need no worker and are skipped.
            store: Their builds.
            run_directory: For the sockets of workers. One supervisor at a time may use it.
            control_socket: Where to answer `ControlClient`.
            settings: Limits and memory budget.
            servers: API server processes to keep running.
            build: A program to run in the background that builds what is missing.
            periodic: Programs to run again and again.
            worker_argv: The program of a worker, for tests.
        """
        self._settings = settings or SupervisorSettings()
        self._run_directory = run_directory
        self._control_socket = control_socket
        self._servers = servers
        self._build_plan = build
        self._periodic = periodic
        self._stopping = asyncio.Event()
        self._stops = 0
        self._keepers: list[asyncio.Task[None]] = []
        self.fleet = Fleet(
            variants,
            store=store,
            run_directory=run_directory,
            settings=self._settings,
            worker_argv=worker_argv,
        )
        """The workers."""

    async def run(self) -> None:
        """Keep everything running until `stop`; returns when all children are gone.

        Raises:
            BackendError: Another supervisor uses the directory, or an API server cannot start.
        """
        with self._sole_use():
            async with serve_control(self.fleet, self._control_socket):
                try:
                    await self._keep_all()
                finally:
                    await self._shut_down()

    def stop(self) -> None:
        """Begin to shut down; a second call ends all children at once, and further ones do nothing."""
        self._stops += 1
        if self._stops == 2:
            for task in self._keepers:
                task.cancel()
            self.fleet.kill()
        self._stopping.set()
        self.fleet.wake.set()

    def stop_on_signals(self) -> None:
        """Have SIGTERM and SIGINT call `stop`."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)

    async def _keep_all(self) -> None:
        fleet = self.fleet
        if self._build_plan is not None:
            fleet.build = BuildChild(self._build_plan, on_change=fleet.wake.set)
        for server in self._servers:
            keeping = ServerKeeper(server).keep(grace_s=self._settings.server_grace_s)
            self._keepers.append(asyncio.create_task(keeping, name=server.name))
            self._keepers[-1].add_done_callback(lambda _: fleet.wake.set())
        for plan in self._periodic:
            self._keepers.append(asyncio.create_task(run_periodically(plan), name=plan.name))
        while not self._stopping.is_set():
            fleet.wake.clear()
            await fleet.refresh()
            fleet.reconcile()
            for task in self._keepers:
                if task.done():
                    task.result()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(fleet.wake.wait(), self._settings.tick_s)

    async def _shut_down(self) -> None:
        """End all children: servers first, because their requests need the workers."""
        self._stopping.set()
        for task in self._keepers:
            task.cancel()
        if self._keepers:
            await asyncio.wait(self._keepers)
        if self.fleet.build is not None:
            await self.fleet.build.stop()
        await self.fleet.close()

    @contextmanager
    def _sole_use(self) -> Iterator[None]:
        directory = self._run_directory
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = filelock.FileLock(directory / "supervisor.lock")
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            raise BackendError(f"another supervisor already runs in {directory}") from None
        try:
            for left in directory.glob("*.sock"):
                left.unlink()
            yield
        finally:
            lock.release()
