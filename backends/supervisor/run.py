"""One worker process from its start to its end, as the supervisor sees it."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from backends.errors import BackendError, EngineError, UpstreamError
from backends.supervisor.views import RunView
from backends.types import LoadReport, WorkerState
from backends.worker.process import WORKER_ARGV, WorkerProcess
from backends.worker.spec import WorkerSpec

__all__ = ("RunLimits", "WorkerRun")

logger = logging.getLogger(__name__)
_ids = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLimits:
    """How patient the supervisor is with a worker."""

    load_s: float = 300.0
    """From its start until it must be warm."""
    poll_s: float = 0.5
    """Between two looks at its load."""
    hang_s: float = 20.0
    """A warm worker that does not tell its load for this long is killed."""
    linger_s: float = 1.0
    """Between telling that it drains and asking it to end, so that nobody sends it requests any more."""
    grace_s: float = 20.0
    """For its requests to finish after that."""


class WorkerRun:
    """A worker and the task that watches it. `on_change` is called at every change of state, the end included."""

    def __init__(
        self,
        spec: WorkerSpec,
        *,
        revision: str,
        limits: RunLimits,
        expected_bytes: int,
        on_change: Callable[[WorkerRun], None],
        argv: Sequence[str] = WORKER_ARGV,
    ) -> None:
        self.id = next(_ids)
        self.spec = spec
        self.revision = revision
        self.state = WorkerState.LOADING
        self.load: LoadReport | None = None
        self.error: str | None = None
        """Why it ended although nobody had asked it to."""
        self.started_s = time.monotonic()
        self.warm_s: float | None = None
        """When it became warm, on the monotonic clock."""
        self._limits = limits
        self._expected_bytes = expected_bytes
        self._on_change = on_change
        self._argv = argv
        self._linger_s = 0.0
        self._retiring = asyncio.Event()
        self._task = asyncio.create_task(self._live(), name=f"worker {spec.name}")
        self._task.add_done_callback(self._ended)

    @property
    def ended(self) -> bool:
        """Whether the process is gone and reaped."""
        return self._task.done()

    def view(self, now_s: float) -> RunView:
        """As the planner sees it."""
        load = self.load
        measured = load.resident_bytes if load else 0
        return RunView(
            id=self.id,
            revision=self.revision,
            state=self.state,
            # While it loads it still grows.
            resident_bytes=measured if measured and self.warm_s else max(measured, self._expected_bytes),
            in_use=bool(load and (load.running or load.queued)),
            idle_s=min(load.idle_s, now_s - self.warm_s) if load and self.warm_s is not None else 0.0,
        )

    def retire(self, *, at_once: bool = False) -> None:
        """Let it finish its requests and end; a worker that is still loading ends immediately."""
        if self._retiring.is_set():
            return
        if self.state is WorkerState.WARM and not at_once:
            self._linger_s = self._limits.linger_s
        self._retiring.set()
        self._become(WorkerState.DRAINING)

    async def wait(self) -> None:
        """Wait for its end."""
        await asyncio.wait({self._task})

    def kill(self) -> None:
        """End it now; `wait` still has to be called."""
        self._task.cancel()

    async def _live(self) -> None:
        worker = await WorkerProcess.start(self.spec, argv=self._argv)
        await self._tend(worker)

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and not self._retiring.is_set():
            self.error = str(error) or type(error).__name__
            unexpected = not isinstance(error, BackendError | OSError)
            logger.warning("%s", self.error, exc_info=error if unexpected else None)
        self._become(WorkerState.FAILED if self.error else WorkerState.COLD)

    async def _tend(self, worker: WorkerProcess) -> None:
        """Watch it until it fails or is retired, and end it."""
        grace_s = 0.0
        watching = asyncio.create_task(self._watch(worker))
        retiring = asyncio.create_task(self._retiring.wait())
        try:
            await asyncio.wait({watching, retiring}, return_when=asyncio.FIRST_COMPLETED)
            if not self._retiring.is_set():
                await watching
            if self.warm_s is not None:
                await asyncio.sleep(self._linger_s)
                grace_s = self._limits.grace_s
        finally:
            retiring.cancel()
            watching.cancel()
            await worker.stop(grace_s=grace_s)
            await asyncio.wait({watching})

    async def _watch(self, worker: WorkerProcess) -> None:
        """Follow it from loading to warm and on; returns only by raising `EngineError`."""
        await worker.wait_ready(timeout_s=self._limits.load_s)
        self.warm_s = time.monotonic()
        self._become(WorkerState.WARM)
        died = asyncio.create_task(worker.wait())
        polling = asyncio.create_task(self._poll(worker))
        try:
            await asyncio.wait({died, polling}, return_when=asyncio.FIRST_COMPLETED)
            if died.done():
                raise EngineError(worker.last_words(died.result()))
            await polling
        finally:
            died.cancel()
            polling.cancel()
            await asyncio.wait({died, polling})

    async def _poll(self, worker: WorkerProcess) -> None:
        """Keep its load report fresh; raises `EngineError` once it hangs."""
        heard_s = time.monotonic()
        while True:
            try:
                self.load = await worker.load(timeout_s=self._limits.hang_s)
                heard_s = time.monotonic()
            except UpstreamError as error:
                silent_s = time.monotonic() - heard_s
                if silent_s >= self._limits.hang_s:
                    raise EngineError(f"worker {self.spec.name} hangs: {error}") from None
            await asyncio.sleep(self._limits.poll_s)

    def _become(self, state: WorkerState) -> None:
        self.state = state
        self._on_change(self)
