"""`trilemma calibrate`: predictions without any traffic, learned from tasks whose answers can be checked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.context import CliContext, failures, print_json

if TYPE_CHECKING:
    from gateway.learning.tasks import TaskSet

__all__ = ("calibrate",)


@click.command()
@click.option(
    "--tasks",
    "file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="JSON lines, each with `prompt` and `checks`, or with `question` and `answer`.  [default: built-in tasks]",
)
@click.option("--items", type=click.IntRange(min=1), help="Ask only so many of the tasks.  [default: all]")
@click.option("--variants", "listed", help="Names, separated by commas.  [default: all]")
@click.option("--repeat", is_flag=True, help="Ask also what a variant has answered before.")
@click.option("--together", type=click.IntRange(1, 64), default=4, show_default=True, help="Requests in flight.")
@click.option("--url", help="Gateway to ask.  [default: the configured one, else one that is started for this]")
@click.option("--train/--no-train", "and_train", default=True, help="Learn from the answers afterwards.")
@click.option(
    "--publish/--draft",
    "and_publish",
    default=None,
    help="Put in force what was learned, or leave it to a person.  [default: as `training.publish` says]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
@click.pass_obj
def calibrate(
    context: CliContext,
    *,
    file: Path | None,
    items: int | None,
    listed: str | None,
    repeat: bool,
    together: int,
    url: str | None,
    and_train: bool,
    and_publish: bool | None,
    as_json: bool,
) -> None:
    """Put checkable tasks to every variant and learn from the answers.

    What has been answered is kept when this is interrupted, and not asked again. A gateway at --url must write to the
    database of this configuration, where the answers are looked up.
    """
    from sqlalchemy.exc import SQLAlchemyError

    from gateway.cli.calibration import Calibration
    from gateway.cli.calibration_views import print_results
    from gateway.learning.calibrate import GatewayGoneError

    names = _variants(context, listed)
    tasks = _tasks(file, items)
    with failures(SQLAlchemyError, GatewayGoneError), Calibration(context, tasks) as calibration:
        finished = calibration.run(names, url=url, repeat=repeat, together=together)
        results = calibration.results()
    if as_json:
        print_json({"task_set": tasks.name, "tasks": len(tasks.items), "results": results})
    else:
        print_results(results)
    if not finished:
        raise click.ClickException("not every task was answered; run this again to go on where it ended")
    if and_train:
        _learn(context, and_publish=and_publish)


def _learn(context: CliContext, *, and_publish: bool | None) -> None:
    from sqlalchemy.exc import SQLAlchemyError

    from gateway.cli.progress import progress_sink
    from gateway.cli.train import print_training
    from gateway.learning.errors import LearningError
    from gateway.learning.train import train
    from policies.errors import PolicyError

    try:
        with progress_sink() as sink, failures(PolicyError, SQLAlchemyError):
            training = train(context.settings(), context.paths, and_publish=and_publish, sink=sink)
    except LearningError as error:
        click.echo(f"Nothing was learned: {error}", err=True)
        return
    print_training(training, err=True)


def _tasks(file: Path | None, items: int | None) -> TaskSet:
    import msgspec

    from gateway.learning.tasks import TaskFileError, built_in, read_tasks

    with failures(OSError):
        try:
            tasks = built_in() if file is None else read_tasks(file.read_bytes(), name=file.stem)
        except TaskFileError as error:
            raise click.ClickException(f"{file}: {error}") from None
    chosen = tuple(tasks.request_ids().values())[:items]
    return msgspec.structs.replace(tasks, items=chosen)


def _variants(context: CliContext, listed: str | None) -> list[str]:
    known = [variant.name for variant in context.settings().variants if not variant.embeds_only]
    names = known if listed is None else [name.strip() for name in listed.split(",") if name.strip()]
    if unknown := sorted(set(names) - set(known)):
        raise click.UsageError(f"there is no variant {', '.join(unknown)}; there are {', '.join(known)}")
    return names
