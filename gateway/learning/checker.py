"""Verifies callers' checks and scores answers by them, in a process of its own that may be ended at any time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator

import msgspec

from gateway.learning.backlog import FairBacklog
from gateway.learning.scoring import CPU_S, Fault, Reply, Task
from policies.checks import Check

__all__ = ("BusyError", "Checker")

REPLY_S = 30.0
"""On a machine with nothing to spare a check of little processor time may still take long."""

VERIFY_S = 5.0
"""Longest wait for the process while a request waits too."""

_ARGV = (sys.executable, "-m", "gateway.learning.scoring")

logger = logging.getLogger(__name__)


MAX_WAITING = 1024
MAX_WAITING_PER_TENANT = 64


class BusyError(Exception):
    """The tenant has too many checks waiting."""


class _EndedError(ConnectionError):
    """The process ended in the middle of a check: the check used more than it may."""


class Checker:
    """One check after another, tenants in turns.

    The process starts with the first check, and anew after one that was ended.
    """

    def __init__(self) -> None:
        self._process: Process | None = None
        self._busy = False
        self._waiting: FairBacklog[asyncio.Future[None]] = FairBacklog(
            per_tenant=MAX_WAITING_PER_TENANT, total=MAX_WAITING
        )
        self._decoder = msgspec.json.Decoder(Reply)

    async def score(self, check: Check, text: str, *, tenant: str) -> float | None:
        """How well an answer does on a check, in [0, 1]; None where that could not be found out in time."""
        try:
            return (await self._reply(Task(check=check, text=text), tenant, within_s=REPLY_S)).score
        except (OSError, TimeoutError, ValueError, BusyError) as error:
            logger.info("check `%s` was given up: %s", check.name, error or type(error).__name__)
            return None

    async def verify(self, check: Check, *, tenant: str) -> Fault | None:
        """Why a check cannot be used; None where it can, and where the process is to blame for not knowing.

        Raises:
            BusyError: The tenant has too many checks waiting.
        """
        try:
            return (await self._reply(Task(check=check), tenant, within_s=VERIFY_S)).fault
        except _EndedError as error:
            return Fault(field="", message=f"the check cannot be used: {error}")
        except (OSError, TimeoutError) as error:
            logger.warning("check `%s` was not verified: %s", check.name, error or type(error).__name__)
            return None

    async def aclose(self) -> None:
        """End the process; a check that is under way is given up."""
        await self._end()

    async def _reply(self, task: Task, tenant: str, *, within_s: float) -> Reply:
        line = msgspec.json.encode(task) + b"\n"
        async with self._turn(tenant):
            try:
                async with asyncio.timeout(within_s):
                    return self._decoder.decode(await self._ask(line))
            except BaseException:
                await self._end()  # Its reply would be taken for that of the next check.
                raise

    @contextlib.asynccontextmanager
    async def _turn(self, tenant: str) -> AsyncGenerator[None, None]:
        if self._busy:
            await self._wait(tenant)
        else:
            self._waiting.serve(tenant)
        self._busy = True
        try:
            yield
        finally:
            self._next()

    async def _wait(self, tenant: str) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        for dropped in self._waiting.put(tenant, turn):
            dropped.set_exception(BusyError("too many checks wait"))
        try:
            await turn
        except asyncio.CancelledError:
            self._waiting.discard(tenant, turn)
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._next()  # The turn came at the same moment: pass it on.
            raise

    def _next(self) -> None:
        """Give the turn to the next one that waits; `_busy` stays set until there is none."""
        while (taken := self._waiting.take()) is not None:
            _, turn = taken
            if not turn.done():  # One that is being cancelled is.
                turn.set_result(None)
                return
        self._busy = False

    async def _ask(self, line: bytes) -> bytes:
        if self._process is None:
            self._process = await asyncio.create_subprocess_exec(*_ARGV, stdin=PIPE, stdout=PIPE)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line)
        await self._process.stdin.drain()
        reply = await self._process.stdout.readline()
        if not reply.endswith(b"\n"):
            raise _EndedError(f"it takes more than {CPU_S:g} s of processor time, or too much memory")
        return reply

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
