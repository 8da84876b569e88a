"""Scores answers by callers' checks, which may do anything, in a process of its own that may be ended at any time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from asyncio.subprocess import PIPE, Process

import msgspec

from gateway.learning.scoring import Score, Task
from policies.checks import Check

__all__ = ("Checker",)

REPLY_S = 30.0
"""On a machine with nothing to spare a check of little processor time may still take long."""

_ARGV = (sys.executable, "-m", "gateway.learning.scoring")

logger = logging.getLogger(__name__)


class Checker:
    """One check after another; the process starts with the first one, and anew after one that was ended."""

    def __init__(self) -> None:
        self._process: Process | None = None
        self._turn = asyncio.Lock()
        self._decoder = msgspec.json.Decoder(Score)

    async def score(self, check: Check, text: str) -> float | None:
        """How well an answer does on a check, in [0, 1]; None where that could not be found out in time."""
        async with self._turn:
            try:
                async with asyncio.timeout(REPLY_S):
                    line = await self._ask(msgspec.json.encode(Task(check=check, text=text)) + b"\n")
                return self._decoder.decode(line).score
            except (OSError, TimeoutError, msgspec.MsgspecError) as error:
                logger.info("check `%s` was given up: %s", check.name, error or type(error).__name__)
                await self._end()
                return None
            except BaseException:
                await self._end()  # Its reply would be taken for that of the next check.
                raise

    async def aclose(self) -> None:
        """End the process; a check that is under way is given up."""
        await self._end()

    async def _ask(self, line: bytes) -> bytes:
        if self._process is None:
            self._process = await asyncio.create_subprocess_exec(*_ARGV, stdin=PIPE, stdout=PIPE)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line)
        await self._process.stdin.drain()
        reply = await self._process.stdout.readline()
        if not reply.endswith(b"\n"):
            raise ConnectionResetError("it took more than it may")
        return reply

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
