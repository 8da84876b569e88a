"""`trilemma train`: learn from the log, and say what of it is in force."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from gateway.cli.context import CliContext, failures, opened_engine, print_json
from gateway.cli.progress import progress_sink

if TYPE_CHECKING:
    from gateway.learning.trainings import Training

__all__ = ("print_training", "train")


@click.command()
@click.option("--since", "since_s", type=float, help="Unix time; what is older is not learned from.")
@click.option(
    "--publish/--draft",
    "and_publish",
    default=None,
    help="Put in force what is better, or leave it to a person.  [default: as `training.publish` says]",
)
@click.option("--if-due", is_flag=True, help="Do nothing unless there is enough new evidence; for a scheduled job.")
@click.option("--watch", "and_watch", is_flag=True, help="Train whenever it is due, as `serve` does.")
@click.option("--promote", type=int, metavar="NUMBER", help="Put in force what this training found better.")
@click.option("--revert", type=int, metavar="NUMBER", help="Put in force again what was so after this training.")
@click.option("--off", is_flag=True, help="Put nothing learned in force: cards and stated figures decide.")
@click.option("--reason", help="Why, for the history; with --promote, --revert and --off.")
@click.option("--author", help="Who, for the history.  [default: you]")
@click.option("--json", "as_json", is_flag=True, help="Print the training as JSON.")
@click.pass_obj
def train(context: CliContext, /, **options: Any) -> None:  # noqa: ANN401 - as click hands them over
    """Learn from the log what predicts quality, length and times, and put in force what is better than before.

    What was reverted or turned off stays so: trainings are then only recorded, until one is put in force by
    --promote. Exit code 1 when there is too little to learn from.
    """
    modes = {name: options[name] for name in ("if_due", "and_watch", "promote", "revert", "off")}
    given = [name for name, value in modes.items() if value is not None and value is not False]
    if len(given) > 1:
        raise click.UsageError("only one of --if-due, --watch, --promote, --revert and --off may be given")
    if given and given[0] in ("promote", "revert", "off"):
        _operate(context, given[0], modes[given[0]], options)
    elif options["and_watch"]:
        _watch(context)
    else:
        _train(context, options)


def _train(context: CliContext, options: dict[str, Any]) -> None:
    from sqlalchemy.exc import SQLAlchemyError

    from backends.lifeline import follow_parent
    from gateway.learning.errors import LearningError
    from gateway.learning.schedule import due, evidence
    from policies.errors import PolicyError

    settings = context.settings()
    with failures(LearningError, PolicyError, SQLAlchemyError):
        if options["if_due"]:
            follow_parent()
            with opened_engine(context) as engine:
                if due(evidence(engine), settings.training) is None:
                    click.echo("too little is new since the last training: nothing is due", err=True)
                    return
        # It loads the libraries of the fits, which a look has no need of.
        from gateway.learning.train import train as learn

        since_s, and_publish = options["since_s"], options["and_publish"]
        with progress_sink() as sink:
            training = learn(settings, context.paths, since_s=since_s, and_publish=and_publish, sink=sink)
    if options["as_json"]:
        print_json(training)
    else:
        print_training(training, tables=not options["if_due"])


def _watch(context: CliContext) -> None:
    import logging

    from sqlalchemy.exc import SQLAlchemyError

    from backends.lifeline import follow_parent
    from gateway.learning.schedule import run_in_process, watch

    follow_parent()
    logging.basicConfig(format="%(message)s")
    logging.getLogger("gateway.learning.schedule").setLevel(logging.INFO)
    argv = context.argv("gateway.cli", "train", "--if-due")
    with failures(SQLAlchemyError), opened_engine(context) as engine:
        watch(engine, context.settings().training, train=lambda: run_in_process(argv))


def _operate(context: CliContext, mode: str, number: int, options: dict[str, Any]) -> None:
    from sqlalchemy.exc import SQLAlchemyError

    from gateway.cli.policy import user_here
    from gateway.learning import trainings
    from gateway.learning.errors import LearningError

    if not options["reason"]:
        raise click.UsageError(f"--{mode} needs --reason")
    author = trainings.Author(name=options["author"] or user_here(), reason=options["reason"])
    with failures(LearningError, SQLAlchemyError), opened_engine(context) as engine:
        if mode == "off":
            made = trainings.turn_off(engine, author=author)
        else:
            change = trainings.promote if mode == "promote" else trainings.revert
            made = change(engine, number, author=author)
    if options["as_json"]:
        print_json(made)
        return
    in_force = ", ".join(f"{kind} {name}" for kind, name in sorted(made.in_force.items()))
    click.echo(f"{made.number}: in force is now {in_force or 'nothing that was learned'}")


def print_training(training: Training, *, tables: bool = False, err: bool = False) -> None:
    """What a training saw, and why each kind was or was not put in force."""
    from policies.training.report import lines_of, markdown

    click.echo(
        f"Training {training.number} read {training.rows} answered requests, {training.judged_rows} of them judged, "
        f"in {training.took_s:.1f} s.",
        err=err,
    )
    for kind, because in training.because.items():
        did = "put in force" if training.promoted.get(kind) else "not put in force"
        click.echo(f"{kind} {did}: {because}", err=err)
    found = lines_of(training.report.get("latency", {}).get("lines", ()))
    if tables and found:
        click.echo(f"\n{markdown(found)}", err=err)
