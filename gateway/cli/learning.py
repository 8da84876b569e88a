"""`trilemma learning`: whether routing gets better, against always taking one variant."""

from __future__ import annotations

import click

from gateway.cli.context import CliContext, failures, print_json
from gateway.clock import SYSTEM_CLOCK
from gateway.learning.periods import parse_period

__all__ = ("PERIOD", "learning")


class _Period(click.ParamType[float]):
    """A length of time such as `30m`, `24h` or `7d`, in seconds."""

    name = "period"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return parse_period(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


PERIOD = _Period()


@click.command()
@click.option("--since", "period_s", type=PERIOD, default="24h", show_default=True, help="Look back so far.")
@click.option("--tenant", default=None, help="Requests of this tenant only.")
@click.option("--hint", default=None, help="Requests that named this priority only, such as balanced.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def learning(context: CliContext, /, *, period_s: float, tenant: str | None, hint: str | None, as_json: bool) -> None:
    """Show whether routing is better than always taking one variant.

    Below it: how right the predictions are, the variants' shares, what exploring costs, and the last trainings.
    """
    from sqlalchemy.exc import SQLAlchemyError

    from gateway.decisions.migrate import upgrade
    from gateway.decisions.schema import open_engine
    from gateway.learning.learning_report import LearningQuery
    from gateway.learning.report_process import learning_report

    engine = open_engine(context.paths.database_url(context.settings()))
    query = LearningQuery(period_s=period_s, tenant=tenant, hint=hint)
    try:
        with failures(SQLAlchemyError):
            upgrade(engine)
            report = learning_report(engine, query, now_s=SYSTEM_CLOCK.wall_s())
    finally:
        engine.dispose()
    if as_json:
        print_json(report)
        return
    from gateway.cli.learning_views import print_learning

    print_learning(report)
