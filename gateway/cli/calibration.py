"""One run of `trilemma calibrate`: what is left to ask, the asking, and what the log has of it afterwards."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Self

import click

from gateway.cli.api_key import headers_with, own_key
from gateway.cli.context import CliContext
from gateway.cli.own_gateway import any_gateway
from gateway.cli.progress import progress_sink
from gateway.decisions.migrate import upgrade
from gateway.decisions.schema import open_engine
from gateway.learning.calibrate import Tally, calibrate
from gateway.learning.calibrated import Answered, Result, answered, results
from gateway.learning.tasks import TaskSet

__all__ = ("Calibration",)

SCORES_S = 5.0
"""How long the last scores may take, beyond the interval at which the log is written."""

LOOK_EVERY_S = 0.2


class Calibration:
    """A task set and the log its answers end up in; a context manager."""

    def __init__(self, context: CliContext, tasks: TaskSet) -> None:
        self._context = context
        self._tasks = tasks
        self._items = tasks.request_ids()
        self._engine = open_engine(context.paths.database_url(context.settings()))

    def __enter__(self) -> Self:
        upgrade(self._engine)
        return self

    def __exit__(self, *_: object) -> None:
        self._engine.dispose()

    def run(self, names: Sequence[str], *, url: str | None, repeat: bool, together: int) -> bool:
        """Ask what is left to ask; Ctrl-C ends it in order. Returns whether all of it was answered.

        Raises:
            ClickException: There is no gateway, or it writes to another database.
            GatewayGoneError: The gateway has gone meanwhile.
            SQLAlchemyError: The database cannot be read.
        """
        before = self._answered()
        known = [] if repeat else [(answer.request_id, answer.variant) for answer in before]
        tallies = {name: Tally() for name in names}
        with (
            any_gateway(self._context, url) as place,
            own_key(self._context, place, name="calibrate") as key,
            progress_sink() as sink,
        ):
            headers = headers_with(key)
            asking = calibrate(
                place, self._tasks, tallies, answered=set(known), together=together, headers=headers, sink=sink
            )
            try:
                asyncio.run(asking)
                interrupted = False
            except KeyboardInterrupt:
                click.echo("Stopped; what has been answered is kept.", err=True)
                interrupted = True
            self._wait_for_scores(len(before) + sum(tally.answered for tally in tallies.values()))
        for name, tally in tallies.items():
            if tally.trouble:
                click.echo(f"{name}: {_failed(tally)}", err=True)
        return not interrupted and not any(tally.trouble for tally in tallies.values())

    def results(self) -> list[Result]:
        """How each variant has done so far, earlier runs included."""
        return results(self._answered(), self._items)

    def _answered(self) -> list[Answered]:
        return answered(self._engine, self._items)

    def _wait_for_scores(self, expected: int) -> None:
        """Answers are scored and logged after they were given; wait for the last ones."""
        deadline_s = time.monotonic() + self._context.settings().store.flush_interval_s + SCORES_S
        while time.monotonic() < deadline_s:
            found = self._answered()
            if len(found) >= expected and all(answer.score is not None for answer in found):
                return
            time.sleep(LOOK_EVERY_S)
        if len(self._answered()) < expected:
            raise click.ClickException("the gateway writes to another database than the one configured here")


def _failed(tally: Tally) -> str:
    return f"{tally.answered} of {tally.asked} answered; {tally.trouble}" if tally.asked else tally.trouble
