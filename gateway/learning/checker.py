"""Verifies callers' checks and scores answers by them, in a process of its own that may be ended at any time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from asyncio.subprocess import PIPE, Process

import msgspec

from gateway.learning.scoring import CPU_S, Fault, Reply, Task
from policies.checks import Check

__all__ = ("Checker",)

REPLY_S = 30.0
"""On a machine with nothing to spare a check of little processor time may still take long."""

VERIFY_S = 5.0
"""Longest wait for the process while a request waits too."""

_ARGV = (sys.executable, "-m", "gateway.learning.scoring")

logger = logging.getLogger(__name__)


class _EndedError(ConnectionError):
    """The process ended in the middle of a check: the check used more than it may."""


class Checker:
    """One check after another; the process starts with the first one, and anew after one that was ended."""

    def __init__(self) -> None:
        self._process: Process | None = None
        self._turn = asyncio.Lock()
        self._decoder = msgspec.json.Decoder(Reply)

    async def score(self, check: Check, text: str) -> float | None:
        """How well an answer does on a check, in [0, 1]; None where that could not be found out in time."""
        try:
            return (await self._reply(Task(check=check, text=text), within_s=REPLY_S)).score
        except (OSError, TimeoutError, ValueError) as error:
            logger.info("check `%s` was given up: %s", check.name, error or type(error).__name__)
            return None

    async def verify(self, check: Check) -> Fault | None:
        """Why a check cannot be used; None where it can, and where the process is to blame for not knowing."""
        try:
            return (await self._reply(Task(check=check), within_s=VERIFY_S)).fault
        except _EndedError as error:
            return Fault(field="", message=f"the check cannot be used: {error}")
        except (OSError, TimeoutError) as error:
            logger.warning("check `%s` was not verified: %s", check.name, error or type(error).__name__)
            return None

    async def aclose(self) -> None:
        """End the process; a check that is under way is given up."""
        await self._end()

    async def _reply(self, task: Task, *, within_s: float) -> Reply:
        line = msgspec.json.encode(task) + b"\n"
        async with self._turn:
            try:
                async with asyncio.timeout(within_s):
                    return self._decoder.decode(await self._ask(line))
            except BaseException:
                await self._end()  # Its reply would be taken for that of the next check.
                raise

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
