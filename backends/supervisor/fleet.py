"""The workers of all local variants: carries the planner's steps out on real processes, and waits for them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from backends.errors import BackendError, EngineError, NotFoundError
from backends.models.manifest import Manifest
from backends.models.store import Store
from backends.supervisor.build import BuildChild
from backends.supervisor.launch import LaunchPad
from backends.supervisor.plan import Refuse, Rest, Retire, Start, Step, plan
from backends.supervisor.run import WorkerRun
from backends.supervisor.settings import SupervisorSettings, default_memory_budget_bytes
from backends.supervisor.slot import Slot
from backends.types import Engine, Variant, VariantStatus, WorkerState
from backends.worker.process import WORKER_ARGV

__all__ = ("Fleet",)

logger = logging.getLogger(__name__)


class Fleet:
    """All local variants. Somebody has to call `refresh` and `reconcile` now and then, and when `wake` is set."""

    def __init__(
        self,
        variants: Sequence[Variant],
        *,
        store: Store,
        run_directory: Path,
        settings: SupervisorSettings,
        worker_argv: Sequence[str] = WORKER_ARGV,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.build: BuildChild | None = None
        """The running build, for the statuses."""
        self.wake = asyncio.Event()
        """Set when there may be something to do."""
        self._slots = {
            variant.name: Slot(variant=variant, wanted=variant.warm == "always")
            for variant in variants
            if variant.engine is not Engine.OPENAI
        }
        self._store = store
        self._pad = LaunchPad(store, run_directory)
        self._limits = settings.limits
        self._budget_bytes = settings.memory_budget_bytes or default_memory_budget_bytes()
        self._worker_argv = worker_argv
        self._clock = clock
        self._changed = asyncio.Event()
        self._closing = False

    def statuses(self) -> list[VariantStatus]:
        """How every local variant stands."""
        return [self._status(slot) for slot in self._slots.values()]

    async def ensure(self, name: str) -> VariantStatus:
        """Have a variant warm. Several callers share one start; when the last one leaves, it is given up.

        Raises:
            NotFoundError: No local variant has this name.
            BackendError: It is not built, would not start or does not fit; the message says which.
        """
        slot = self._slot(name)
        if slot.serving() is not None:
            return self._status(slot)
        await self.refresh()
        failures_before = slot.all_failures
        slot.waiters += 1
        slot.wanted = True
        try:
            self.reconcile()
            while slot.serving() is None:
                self._raise_if_hopeless(slot, failures_before)
                await self._changed.wait()
            return self._status(slot)
        finally:
            slot.waiters -= 1
            if not slot.waiters and slot.serving() is None and slot.variant.warm == "on_demand":
                slot.wanted = False
            self.wake.set()

    async def rest(self, name: str) -> VariantStatus:
        """Stop a variant's workers after their requests; it stays stopped until `ensure`.

        Raises:
            NotFoundError: No local variant has this name.
        """
        slot = self._slot(name)
        slot.wanted = False
        self.reconcile()
        while slot.runs and not slot.wanted:
            await self._changed.wait()
        return self._status(slot)

    async def refresh(self) -> None:
        """Look at the store."""

        def look() -> dict[str, tuple[Manifest | None, str | None]]:
            found = {name: self._store.current(name) for name in self._slots}
            return {name: (build, None if build else self._store.problem(name)) for name, build in found.items()}

        for name, (manifest, problem) in (await asyncio.to_thread(look)).items():
            self._slots[name].note_build(manifest, problem)

    def reconcile(self) -> None:
        """Plan and act until there is nothing more to do, then tell whoever waits."""
        steps: list[Step] = []
        # Each round changes what the next one sees; the bound only guards against a planner that goes in circles.
        for _ in range(4 * len(self._slots) + 4):
            views = [slot.view(self._clock()) for slot in self._slots.values()]
            steps = [] if self._closing else plan(views, now_s=self._clock(), budget_bytes=self._budget_bytes)
            if all(isinstance(step, Refuse) for step in steps):
                break
            for step in steps:
                self._carry_out(step)
        refusals = {step.name: step.reason for step in steps if isinstance(step, Refuse)}
        for name, slot in self._slots.items():
            slot.refused = refusals.get(name)
        self._tell()

    def kill(self) -> None:
        """End all workers now; `close` still has to be called."""
        for run in self._runs():
            run.kill()

    async def close(self) -> None:
        """Let all workers finish their requests and end; nothing starts any more."""
        self._closing = True
        runs = self._runs()
        for run in runs:
            run.retire(at_once=True)
        self._tell()
        await asyncio.gather(*(run.wait() for run in runs))

    def _carry_out(self, step: Step) -> None:
        slot = self._slots[step.name]
        match step:
            case Start():
                self._start(slot)
            case Retire(run_id=run_id):
                next(run for run in slot.runs if run.id == run_id).retire()
            case Rest(reason=reason):
                logger.info("stopping %s: %s", step.name, reason)
                slot.wanted = False
            case Refuse():
                pass

    def _start(self, slot: Slot) -> None:
        assert slot.manifest is not None
        revision = slot.manifest.revision
        try:
            spec = self._pad.spec(slot.variant, revision=revision)
        except BackendError as error:
            slot.note_failure(str(error), now_s=self._clock())
            return
        logger.info("starting %s@%s", slot.variant.name, revision)
        run = WorkerRun(
            spec,
            revision=revision,
            limits=self._limits,
            expected_bytes=slot.expected_bytes,
            on_change=lambda run: self._on_run(slot, run),
            argv=self._worker_argv,
        )
        slot.runs.append(run)

    def _on_run(self, slot: Slot, run: WorkerRun) -> None:
        if run.ended:
            slot.note_end(run, now_s=self._clock())
        elif run.state is WorkerState.WARM:
            logger.info("%s@%s is warm", slot.variant.name, run.revision)
            slot.note_warm(run)
        self._tell()
        self.wake.set()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _raise_if_hopeless(self, slot: Slot, failures_before: int) -> None:
        name = slot.variant.name
        if self._closing:
            raise BackendError("the supervisor is shutting down")
        if slot.manifest is None or slot.refused:
            status = self._status(slot)
            raise BackendError(f"{name} is {status.state}: {status.message}")
        if slot.all_failures > failures_before:
            raise EngineError(f"{name} would not start: {slot.last_error}")
        if slot.gave_up and self._clock() < slot.retry_at_s:
            raise EngineError(f"{name} has failed {slot.failures} times: {slot.last_error}")

    def _slot(self, name: str) -> Slot:
        if name not in self._slots:
            raise NotFoundError(f"no local variant is called {name}")
        return self._slots[name]

    def _status(self, slot: Slot) -> VariantStatus:
        name = slot.variant.name
        return slot.status(
            now_s=self._clock(),
            build=self.build,
            path_of=lambda revision: str(self._store.path(name, revision=revision)),
        )

    def _runs(self) -> list[WorkerRun]:
        return [run for slot in self._slots.values() for run in slot.runs]
