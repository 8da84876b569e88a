"""`trilemma train`: learn from the log, and draft a policy that uses what was learned."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.cli.context import CliContext, failures, print_json
from gateway.cli.progress import progress_sink

__all__ = ("train",)


@click.command()
@click.option("--since", "since_s", type=float, help="Unix time; what is older is not learned from.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Also write the drafted policy here.")
@click.option("--publish", "and_publish", is_flag=True, help="Put the drafted policy in force.")
@click.option("--if-due", is_flag=True, help="Do nothing unless enough requests are new; what the schedule runs.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.pass_obj
def train(
    context: CliContext, *, since_s: float | None, out: Path | None, and_publish: bool, if_due: bool, as_json: bool
) -> None:
    """Fit the estimators of quality, length and times; keep those that do better than what is in force.

    Exit code 1 when there is too little to learn from.
    """
    from sqlalchemy.exc import SQLAlchemyError

    from backends.lifeline import follow_parent
    from gateway.cli.policy_views import print_findings
    from gateway.learning.errors import LearningError
    from gateway.learning.schedule import is_due
    from gateway.learning.train import train as learn
    from gateway.policyops.errors import PolicyOpsError, RefusedError
    from policies.errors import PolicyError
    from policies.training.report import markdown

    settings = context.settings()
    if if_due:
        follow_parent()
    with failures(LearningError, PolicyError, PolicyOpsError, SQLAlchemyError, OSError):
        if if_due and not is_due(settings, context.paths):
            click.echo(f"fewer than {settings.training.min_rows} requests are new: nothing is due", err=True)
            return
        try:
            with progress_sink() as sink:
                outcome = learn(settings, context.paths, since_s=since_s, and_publish=and_publish, sink=sink)
        except RefusedError as error:
            print_findings(error.findings, source_name="draft")
            raise
        if out is not None and outcome.draft is not None:
            out.write_text(outcome.draft, encoding="utf-8")
    if as_json:
        print_json(outcome)
        return
    click.echo(markdown(outcome.report))
    click.echo(f"The report is {Path(outcome.report_file).with_suffix('.md')}")
    if outcome.version is None:
        click.echo("Nothing did better than what is in force: there is no new policy.")
    else:
        version = outcome.version
        click.echo(f"Policy version {version.version} ({version.hash}) is {version.state}: it uses what was learned.")
