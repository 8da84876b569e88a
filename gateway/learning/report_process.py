"""Makes a report on learning, in a process of its own where a gateway serves.

Twenty thousand decisions are some hundred thousand objects. In the serving process, one garbage collection over them
would stop every request for up to a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import sys
from asyncio.subprocess import PIPE

import msgspec
from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError

from gateway.decisions.schema import open_engine
from gateway.learning import trainings
from gateway.learning.errors import ReportError
from gateway.learning.learning_report import LearningQuery, LearningReport, TrainingLine
from gateway.learning.learning_words import caveats, headline

__all__ = ("learning_report", "main", "report_from_process")

MAX_TRAININGS = 10
NICENESS = 10
WITHIN_S = 120.0

_ARGV = (sys.executable, "-m", "gateway.learning.report_process")
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


class _Task(msgspec.Struct, frozen=True, kw_only=True):
    url: str
    query: LearningQuery
    now_s: float


def learning_report(engine: Engine, query: LearningQuery, *, now_s: float) -> LearningReport:
    """Read the log and compute the figures; blocks for some seconds where the log is long.

    Raises:
        SQLAlchemyError: The database cannot be read.
    """
    # The process that serves imports this module too, and is to load neither scipy nor the trainer's modules.
    from gateway.learning.routed_log import read_routed  # noqa: PLC0415
    from policies.evaluation.learning_figures import learning_figures  # noqa: PLC0415

    since_s = now_s - query.period_s
    log = read_routed(engine, since_s=since_s, until_s=now_s, tenant=query.tenant, hint=query.hint)
    figures = learning_figures(log.requests, since_s=since_s, until_s=now_s)
    lines = [
        msgspec.convert(training, TrainingLine, from_attributes=True)
        for training in trainings.latest(engine, limit=MAX_TRAININGS)
    ]
    return LearningReport(
        query=query,
        since_s=since_s,
        until_s=now_s,
        complete=log.complete,
        headline=headline(figures, period_s=query.period_s),
        caveats=caveats(figures, complete=log.complete),
        figures=figures,
        trainings=tuple(sorted(lines, key=lambda line: -line.created_at_s)),
    )


async def report_from_process(url: str, query: LearningQuery, *, now_s: float) -> LearningReport:
    """A report from a process that is started for it.

    Args:
        url: Of the database; it may hold a password, and so it goes through a pipe.
        query: What the report is about.
        now_s: Unix time at which the period ends.

    Raises:
        ReportError: The database could not be read, or it took too long.
    """
    task = msgspec.json.encode(_Task(url=url, query=query, now_s=now_s))
    environment = os.environ | _ONE_THREAD
    process = await asyncio.create_subprocess_exec(*_ARGV, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=environment)
    try:
        async with asyncio.timeout(WITHIN_S):
            text, trouble = await process.communicate(task)
    except TimeoutError:
        raise ReportError(f"the report on learning was not made within {WITHIN_S:.0f} s") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode != 0:
        last = trouble.decode(errors="replace").strip().rpartition("\n")[2]
        raise ReportError(f"the report on learning could not be made: {last[:300]}")
    return msgspec.json.decode(text, type=LearningReport)


def main() -> None:
    """Make one report: a task on standard input, the report on standard output."""
    os.nice(NICENESS)
    gc.disable()  # It ends soon, and what it makes it keeps.
    task = msgspec.json.decode(sys.stdin.buffer.read(), type=_Task)
    engine = open_engine(task.url)
    try:
        report = learning_report(engine, task.query, now_s=task.now_s)
    except SQLAlchemyError as error:
        raise SystemExit(type(error).__name__) from None
    finally:
        engine.dispose()
    sys.stdout.buffer.write(msgspec.json.encode(report))


if __name__ == "__main__":
    main()
