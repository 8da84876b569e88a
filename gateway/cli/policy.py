"""`trilemma policy`: check policy documents, put them in force, go back, and see what changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from gateway.cli.context import CliContext, failures, print_json
from gateway.cli.field_table import field_table
from gateway.cli.policy_views import (
    diffed,
    estimators_text,
    found_text,
    known_to,
    opened_store,
    print_findings,
    print_versions,
    read_text,
    shown,
)
from gateway.cli.schema import described_schema
from gateway.clock import SYSTEM_CLOCK
from gateway.policyops.errors import PolicyOpsError, RefusedError
from gateway.policyops.publish import publish as publish_text
from gateway.policyops.publish import was_in_force
from policies.documents.findings import Severity
from policies.documents.lint import errors_among
from policies.documents.lint import lint as lint_text
from policies.documents.schema import PolicyDocument
from policies.errors import DocumentError, PolicyError

__all__ = ("policy", "user_here")

Command = TypeVar("Command", bound=Callable[..., Any])

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_file = click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))


def _who_and_why(command: Command) -> Command:
    """The options of everything that changes what is in force."""
    author = click.option("--author", default=user_here, show_default="you", help="Who is doing it, for the history.")
    reason = click.option("--reason", required=True, help="Why, for whoever reads the history.")
    return author(reason(command))


def user_here() -> str:
    """The name of whoever runs the command; containers may have none."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


@click.group()
def policy() -> None:
    """Check, publish, compare and roll back routing policies."""


@policy.command()
@_file
@_json
@click.pass_obj
def lint(context: CliContext, file: Path, *, as_json: bool) -> None:
    """Check a document; exit code 1 when it has errors, each with its line."""
    text = read_text(file)
    findings = lint_text(text, known=known_to(context, text), source_name=str(file))
    errors = errors_among(findings)
    if as_json:
        print_json({"file": str(file), "ok": not errors, "findings": findings})
    else:
        print_findings(findings, source_name=str(file))
        if all(finding.severity is Severity.NOTE for finding in findings):
            click.echo(f"{file}: ok")
    if errors:
        raise SystemExit(1)


@policy.command()
@_file
@_who_and_why
@click.option("--once", is_flag=True, help="Do nothing where this very text was in force before.")
@_json
@click.pass_obj
def publish(context: CliContext, file: Path, *, author: str, reason: str, once: bool, as_json: bool) -> None:
    """Put a document in force, without a restart; exit code 1 and no change when the lint finds errors."""
    from sqlalchemy.exc import SQLAlchemyError

    name, text = str(file), read_text(file)
    known = known_to(context, text, tenants="stored")
    if once and _was_in_force(context, text, source_name=name):
        click.echo(f"{name} was in force before: nothing is changed", err=True)
        if as_json:
            print_json({"version": None, "findings": []})
        return
    try:
        with failures(SQLAlchemyError), opened_store(context) as store:
            version, findings = publish_text(
                store,
                text,
                known=known,
                source_name=name,
                author=author,
                reason=reason,
                now_s=SYSTEM_CLOCK.wall_s(),
            )
    except RefusedError as error:
        if as_json:
            print_json({"version": None, "findings": error.findings})
        else:
            print_findings(error.findings, source_name=name)
        raise click.ClickException(str(error)) from None
    if as_json:
        print_json({"version": version, "findings": findings})
        return
    print_findings(findings, source_name=name)
    click.echo(f"{version.name} is in force as version {version.version} ({version.hash})")


def _was_in_force(context: CliContext, text: str, *, source_name: str) -> bool:
    from sqlalchemy.exc import SQLAlchemyError

    with failures(SQLAlchemyError, DocumentError), opened_store(context) as store:
        return was_in_force(store, text, source_name=source_name)


@policy.command()
@click.argument("version", type=int, required=False)
@_who_and_why
@_json
@click.pass_obj
def rollback(context: CliContext, version: int | None, *, author: str, reason: str, as_json: bool) -> None:
    """Put an earlier version in force again: VERSION, or the one before the present one."""
    from sqlalchemy.exc import SQLAlchemyError

    with failures(SQLAlchemyError, PolicyOpsError, DocumentError), opened_store(context) as store:
        found = store.rollback(version, author=author, reason=reason, now_s=SYSTEM_CLOCK.wall_s())
    if as_json:
        print_json({"version": found})
    else:
        click.echo(f"{found.name} is in force again as version {found.version} ({found.hash})")
        click.echo(f"estimators: {estimators_text(found)}")


@policy.command("list")
@_json
@click.pass_obj
def list_(context: CliContext, *, as_json: bool) -> None:
    """Show every version, and which was put in force when, by whom and why."""
    from sqlalchemy.exc import SQLAlchemyError

    with failures(SQLAlchemyError), opened_store(context) as store:
        versions, history = store.versions(), store.history()
    if as_json:
        print_json({"versions": versions, "activations": history})
    elif versions:
        print_versions(versions, history)
    else:
        click.echo("nothing is published: the configuration's policy is in force")


@policy.command()
@click.argument("version", type=int, required=False)
@_json
@click.pass_obj
def show(context: CliContext, version: int | None, *, as_json: bool) -> None:
    """Print a version, or the policy in force; its first lines say where it comes from."""
    from sqlalchemy.exc import SQLAlchemyError

    with failures(SQLAlchemyError, PolicyOpsError), opened_store(context) as store:
        found = store.active() if version is None else store.find(version)
        text = shown(context, store, found)
    if as_json:
        print_json({"version": found, "text": text})
    else:
        click.echo(text, nl=False)


@policy.command()
@click.argument("before")
@click.argument("after")
@_json
@click.pass_obj
def diff(context: CliContext, before: str, after: str, *, as_json: bool) -> None:
    """Say what changes from BEFORE to AFTER, each a file or a version's number: in meaning, then as text."""
    from sqlalchemy.exc import SQLAlchemyError

    with failures(SQLAlchemyError, PolicyOpsError, DocumentError):
        texts = [found_text(context, name) for name in (before, after)]
        changes, lines = diffed(*texts, before_name=before, after_name=after)
    if as_json:
        print_json({"changes": changes, "text": lines})
        return
    click.echo("\n".join(map(str, changes)) or "nothing changes in meaning")
    if lines:
        click.echo(f"\n{lines}")


@policy.command()
@click.argument("source", metavar="FILE|VERSION")
@_json
@click.pass_obj
def upgrade(context: CliContext, source: str, *, as_json: bool) -> None:
    """Print a document of schema version 1 as version 2; standard error says what changes in meaning.

    Nothing is changed: redirect the text into a file, check it, and publish it.
    """
    from sqlalchemy.exc import SQLAlchemyError

    from policies.documents.upgrade import upgraded

    with failures(SQLAlchemyError, PolicyOpsError, DocumentError):
        found = upgraded(found_text(context, source), source_name=source)
    if as_json:
        print_json(found)
        return
    click.echo(found.text, nl=False)
    for line in found.changes or (f"{source} is of schema version 2 already.",):
        click.echo(line, err=True)


@policy.command()
@_file
@_json
@click.pass_obj
def evaluate(context: CliContext, file: Path, *, as_json: bool) -> None:
    """Estimate the quality and the utility that the policy in FILE would have reached on the logged requests.

    A document without `estimators` is judged with those in force, `estimators: none` with cards only. Exit code 1
    when the log cannot tell: too few judged answers, or too little overlap with what was chosen.
    """
    from sqlalchemy.exc import SQLAlchemyError

    from gateway.cli.policy_views import evaluated, print_evaluation

    with failures(SQLAlchemyError, PolicyOpsError, PolicyError):
        estimators, found = evaluated(context, read_text(file), name=file.name)
    if as_json:
        print_json(msgspec.to_builtins(found) | {"estimators": estimators})
    else:
        print_evaluation(found, estimators=estimators)
    if found.quality.problems:
        raise click.exceptions.Exit(1)


@policy.command()
@click.option("--table", is_flag=True, help="As a table for people instead.")
def schema(*, table: bool) -> None:
    """Print the JSON schema of policy documents, every field described; editors can complete by it."""
    if table:
        click.echo(field_table(PolicyDocument))
    else:
        print_json(described_schema(PolicyDocument))
