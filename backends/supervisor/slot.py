"""What the supervisor remembers about one variant, and how it is told to others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from backends.models.manifest import Manifest
from backends.supervisor.build import BuildChild
from backends.supervisor.launch import expected_bytes
from backends.supervisor.plan import MAX_FAILURES, STABLE_S, backoff_s
from backends.supervisor.run import WorkerRun
from backends.supervisor.views import VariantView
from backends.types import Variant, VariantStatus, WorkerState

__all__ = ("Slot",)


@dataclass(kw_only=True, eq=False)
class Slot:
    """One variant and its processes. Times are on the monotonic clock."""

    variant: Variant
    wanted: bool
    manifest: Manifest | None = None
    """The current build."""
    problem: str = ""
    """Why there is no build, for a person."""
    waiters: int = 0
    runs: list[WorkerRun] = field(default_factory=list)
    """Its processes, oldest first."""
    failures: int = 0
    """In a row."""
    all_failures: int = 0
    restarts: int = 0
    retry_at_s: float = 0.0
    last_error: str = ""
    refused: str | None = None
    """Why it cannot start although it is wanted."""
    measured_bytes: int | None = None
    cold_start_s: float | None = None
    """How long the last start took."""

    def serving(self) -> WorkerRun | None:
        """The worker to send requests to."""
        return next((run for run in reversed(self.runs) if run.state is WorkerState.WARM), None)

    @property
    def gave_up(self) -> bool:
        """Whether it is left alone until somebody asks for it."""
        return self.failures >= MAX_FAILURES

    def note_build(self, manifest: Manifest | None, problem: str | None) -> None:
        """Take what the store says; a build that is new starts with a clean record."""
        before = self.manifest.revision if self.manifest else None
        if manifest is not None and manifest.revision != before:
            self.failures, self.retry_at_s, self.measured_bytes = 0, 0.0, None
        self.manifest = manifest
        self.problem = problem or ""

    def note_warm(self, run: WorkerRun) -> None:
        """A worker has become ready."""
        if run.warm_s is not None:
            self.cold_start_s = run.warm_s - run.started_s
        self.last_error = ""

    def note_end(self, run: WorkerRun, *, now_s: float) -> None:
        """A worker is gone."""
        self.runs.remove(run)
        if run.load is not None and run.warm_s is not None:
            self.measured_bytes = run.load.resident_bytes
        if run.error is None:
            return
        if run.warm_s is not None:
            self.restarts += 1
            if now_s - run.warm_s >= STABLE_S:
                self.failures = 0
        self.note_failure(run.error, now_s=now_s)

    def note_failure(self, error: str, *, now_s: float) -> None:
        """A start failed, or a worker died."""
        self.failures += 1
        self.all_failures += 1
        self.last_error = error
        self.retry_at_s = now_s + backoff_s(self.failures)

    def view(self, now_s: float) -> VariantView:
        """As the planner sees it."""
        return VariantView(
            name=self.variant.name,
            revision=self.manifest.revision if self.manifest else None,
            wanted=self.wanted,
            evictable=self.variant.warm == "on_demand",
            expected_bytes=self.expected_bytes,
            waiters=self.waiters,
            runs=tuple(run.view(now_s) for run in self.runs),
            started_before=self.cold_start_s is not None,
            retry_at_s=self.retry_at_s,
            gave_up=self.gave_up,
            idle_stop_s=self.variant.idle_stop_s,
        )

    @property
    def expected_bytes(self) -> int:
        """What one more worker is going to take."""
        if self.measured_bytes:
            return self.measured_bytes
        return expected_bytes(self.variant, self.manifest) if self.manifest else 0

    def status(self, *, now_s: float, build: BuildChild | None, path_of: Callable[[str], str]) -> VariantStatus:
        """As told to other processes; `path_of` gives the directory of a revision."""
        state = self._state(build)
        run = self.serving() or (self.runs[-1] if self.runs else None)
        revision = run.revision if run else self.manifest.revision if self.manifest else None
        name = self.variant.name
        step = build.progress.get(name) if build and build.is_building(name) else None
        return VariantStatus(
            name=name,
            state=state,
            load=run.load if run else None,
            socket_path=run.spec.socket_path if run and state is WorkerState.WARM else None,
            model_path=path_of(revision) if revision else None,
            progress=step.done if step else None,
            message=self._message(state, build, now_s=now_s),
            restarts=self.restarts,
            starts_in_s=self._starts_in_s(run, now_s) if run and state is WorkerState.LOADING else None,
            started_in_s=self.cold_start_s,
        )

    def _state(self, build: BuildChild | None) -> WorkerState:
        states = {run.state for run in self.runs}
        for state in (WorkerState.WARM, WorkerState.LOADING, WorkerState.DRAINING):
            if state in states:
                return state
        if self.manifest is None:
            building = build is not None and build.is_building(self.variant.name)
            return WorkerState.BUILDING if building else WorkerState.MISSING
        hopeless = self.wanted and (self.refused or self.failures)
        return WorkerState.FAILED if hopeless or self.gave_up else WorkerState.COLD

    def _message(self, state: WorkerState, build: BuildChild | None, *, now_s: float) -> str:
        built = build.message(self.variant.name) if build else ""
        if state is WorkerState.MISSING:
            return built or self.problem
        if state is not WorkerState.FAILED:
            return built
        if self.refused:
            return self.refused
        if self.gave_up:
            return f"gave up after {self.failures} failures: {self.last_error}"
        return f"tried again in {max(self.retry_at_s - now_s, 0):.1f} s: {self.last_error}"

    def _starts_in_s(self, run: WorkerRun, now_s: float) -> float | None:
        card = self.manifest.card if self.manifest else None
        whole_s = self.cold_start_s or (card.cold_start_s if card else None)
        return max(whole_s - (now_s - run.started_s), 0.0) if whole_s is not None else None
