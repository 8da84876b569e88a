"""The child process that builds what is missing, at the lowest priority, while other variants already serve."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from backends.child import Child
from backends.progress import Progress, decode_progress

__all__ = ("BuildChild", "BuildPlan")

logger = logging.getLogger(__name__)
_NICENESS = 19
_GRACE_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildPlan:
    """What to run, and what it is going to build."""

    argv: Sequence[str]
    """A program that writes `Progress` as JSON lines to its standard output."""
    variants: Sequence[str]
    """Names of the variants it builds, in its order."""


class BuildChild:
    """A running build. It is not started again when it fails: what went wrong is told instead."""

    def __init__(self, plan: BuildPlan, *, on_change: Callable[[], None]) -> None:
        self.progress: dict[str, Progress] = {}
        """The last step of each variant."""
        self.error: str | None = None
        """Why the program as a whole failed."""
        self._plan = plan
        self._on_change = on_change
        self._task = asyncio.create_task(self._live(), name="build")

    def is_building(self, name: str) -> bool:
        """Whether this variant is being built or is still to be."""
        step = self.progress.get(name)
        return name in self._plan.variants and not self._task.done() and (step is None or step.stage not in _OVER)

    def message(self, name: str) -> str:
        """What is going on with a variant, or what went wrong; empty if there is nothing to say."""
        if name not in self._plan.variants:
            return ""
        step = self.progress.get(name)
        if self.is_building(name):
            return "waits to be built" if step is None else f"{step.stage} {step.message}".rstrip()
        if step is not None and step.stage == "failed":
            return f"the build failed: {step.message}"
        return "" if step is not None and step.stage == "ready" else self.error or ""

    async def stop(self) -> None:
        """Let the program end, if it has not."""
        self._task.cancel()
        await asyncio.wait({self._task})

    async def _live(self) -> None:
        try:
            await self._follow()
        except OSError as error:
            self.error = f"the build could not start: {error}"
        finally:
            # After this task is done, so that nothing counts as being built any more.
            asyncio.get_running_loop().call_soon(self._on_change)

    async def _follow(self) -> None:
        child = await Child.start(
            self._plan.argv, name="build", log=logger.info, on_stdout=self._hear, niceness=_NICENESS
        )
        try:
            code = await child.wait()
        except asyncio.CancelledError:
            await child.stop(grace_s=_GRACE_S)
            raise
        if code:
            self.error = f"the build ended with code {code}: {child.tail[-1000:]}".rstrip(": ")
            logger.warning("%s", self.error)

    def _hear(self, line: str) -> None:
        step = decode_progress(line.encode())
        if step is None:
            logger.info("%s", line)
            return
        self.progress[step.variant] = step
        self._on_change()


_OVER = frozenset({"ready", "failed"})
