"""Keeping an API server process running: started again when it dies, given up when it cannot start at all."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

from backends.child import Child, LineSink
from backends.errors import BackendError
from backends.supervisor.plan import backoff_s

__all__ = ("ServerKeeper", "ServerPlan")

logger = logging.getLogger(__name__)
_QUICK_S = 5.0
"""A server that lived shorter than this never really started."""
_MAX_QUICK_DEATHS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerPlan:
    """One API server process."""

    name: str
    argv: Sequence[str]
    pass_fds: Sequence[int] = ()
    """Descriptors it inherits: the listening socket."""
    log: LineSink | None = None
    """Receives its output; without it the output goes where ours goes."""


class ServerKeeper:
    """Keeps one server process running until it is stopped."""

    def __init__(self, plan: ServerPlan) -> None:
        self.restarts = 0
        """Times it was started again."""
        self._plan = plan
        self._child: Child | None = None

    @property
    def pid(self) -> int | None:
        """Process id, while it runs."""
        return self._child.pid if self._child is not None and self._child.running else None

    async def keep(self, *, grace_s: float) -> None:
        """Run it until cancelled; then let it finish its requests for `grace_s`.

        Raises:
            BackendError: It died again and again right after its start.
        """
        quick_deaths = 0
        while True:
            started_s = time.monotonic()
            code = await self._run_once(grace_s)
            quick = time.monotonic() - started_s < _QUICK_S
            quick_deaths = quick_deaths + 1 if quick else 0
            if quick_deaths >= _MAX_QUICK_DEATHS:
                raise BackendError(f"{self._plan.name} ends with code {code} as soon as it starts")
            logger.warning("%s ended with code %d; starting it again", self._plan.name, code)
            self.restarts += 1
            await asyncio.sleep(backoff_s(quick_deaths))

    async def _run_once(self, grace_s: float) -> int:
        plan = self._plan
        child = self._child = await Child.start(plan.argv, name=plan.name, pass_fds=plan.pass_fds, log=plan.log)
        try:
            return await child.wait()
        except asyncio.CancelledError:
            await child.stop(grace_s=grace_s)
            raise
