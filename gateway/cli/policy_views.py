"""Reading and showing policy documents for `trilemma policy`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from gateway.cli.context import CliContext, failures, opened_engine
from gateway.policyops.types import Activation, Version
from policies.documents.diff import Change, changes, unified
from policies.documents.findings import Finding, Known
from policies.documents.stored import decode_stored

if TYPE_CHECKING:
    from gateway.policyops.evaluate import Evaluation
    from gateway.policyops.store import PolicyStore
    from policies.evaluation.report import Report

__all__ = (
    "diffed",
    "estimators_text",
    "evaluated",
    "found_text",
    "known_to",
    "opened_store",
    "print_evaluation",
    "print_findings",
    "print_versions",
    "read_text",
    "shown",
    "used_text",
)


@contextmanager
def opened_store(context: CliContext) -> Iterator[PolicyStore]:
    """The versions of this installation, its database brought up to date."""
    from gateway.policyops.store import PolicyStore

    with opened_engine(context) as engine:
        yield PolicyStore(engine)


def known_to(context: CliContext, text: str, *, tenants: Literal["any", "stored"] = "any") -> Known:
    """What a document is held against here; with `stored`, tenants that rules are about must be in the database."""
    from gateway.cli.tenants_views import opened_tenants
    from gateway.policyops.known import known_here

    settings, paths = context.settings(), context.paths
    # A document that names no estimator can be checked where there is no database.
    estimators = _stored_estimators(context) if "estimators" in text else frozenset()
    if tenants == "any":
        return known_here(settings, paths, estimators=estimators)
    with opened_tenants(context) as store:
        return known_here(settings, paths, estimators=estimators, tenants=store)


def _stored_estimators(context: CliContext) -> frozenset[str]:
    from sqlalchemy.exc import SQLAlchemyError

    from gateway.learning.store import EstimatorStore

    with failures(SQLAlchemyError), opened_engine(context) as engine:
        return EstimatorStore(engine).names()


def read_text(file: Path) -> str:
    """A document's text."""
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise click.ClickException(f"{file}: the text is not UTF-8") from None
    except OSError as error:
        raise click.UsageError(f"cannot read {file}: {error.strerror}") from None


def found_text(context: CliContext, name: str) -> str:
    """The text of a file, or of a version by its number; a file of that name comes first."""
    if (file := Path(name)).is_file():
        return read_text(file)
    if not name.isdecimal():
        raise click.UsageError(f"there is no file `{name}`, and a version is a number")
    with opened_store(context) as store:
        return store.find(int(name)).text


def diffed(before: str, after: str, *, before_name: str, after_name: str) -> tuple[tuple[Change, ...], str]:
    """What changes in meaning, and as text."""
    documents = [decode_stored(t, source_name=n) for t, n in ((before, before_name), (after, after_name))]
    return changes(*documents), unified(before, after, before_name=before_name, after_name=after_name)


def shown(context: CliContext, store: PolicyStore, version: Version | None) -> str:
    """A version's text under its origin; the configuration's policy as a document where nothing is published."""
    if version is None:
        from gateway.policyops.publish import document_in_force
        from gateway.routing.policy import policy_from
        from policies.documents.compile import estimators_used
        from policies.documents.schema import encode_document

        policy = policy_from(context.settings())
        text = encode_document(document_in_force(store, configured=policy))
        used = used_text(estimators_used(policy))
        return f"# Nothing is published: the configuration's policy ({policy.hash}), estimators: {used}.\n{text}"
    where = f"version {version.version}, {version.state}, {version.hash}, estimators: {estimators_text(version)}"
    return f"# {where}, by {version.author} at {_when(version.created_at_s)}\n{version.text}"


def estimators_text(version: Version) -> str:
    """Which estimators a version uses, in words."""
    from gateway.policyops.watcher import estimators_of

    return used_text(estimators_of(version))


def used_text(used: str | dict[str, str] | None) -> str:
    """What `estimators_used` returned, in words; None is that of a version that cannot be read."""
    if isinstance(used, dict):
        return "pinned: " + ", ".join(f"{kind} {content}" for kind, content in used.items())
    return used or "unknown: the text cannot be read"


def print_findings(findings: Sequence[Finding], *, source_name: str) -> None:
    """One line each, as compilers write them, so that editors lead to the place."""
    for finding in findings:
        place = f"{source_name}:{finding.line}:{finding.column}"
        click.echo(f"{place}: {finding.severity}: {finding.message} [{finding.code}]")


def print_versions(versions: Sequence[Version], history: Sequence[Activation]) -> None:
    """The versions as a table, latest first, then what was done to them."""
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    table = Table(
        "version", "state", "name", "hash", "estimators", "written", "by", "reason", box=None, pad_edge=False
    )
    for v in reversed(versions):
        used = estimators_text(v).split(":")[0]
        table.add_row(str(v.version), v.state, v.name, v.hash, used, _when(v.created_at_s), v.author, v.reason)
    console.print(table)
    console.print()
    table = Table("in force from", "version", "by way of", "by", "reason", box=None, pad_edge=False)
    for a in reversed(history):
        table.add_row(_when(a.created_at_s), str(a.version), a.action, a.author, a.reason)
    console.print(table)


def _when(unix_s: float) -> str:
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def evaluated(context: CliContext, text: str, *, name: str) -> tuple[str, Evaluation]:
    """Which estimators a document's policy uses, and what it would have been worth on this installation's log."""
    from gateway.decisions.read import export
    from gateway.learning.train import candidates_at_rest
    from gateway.policyops.evaluate import evaluate_on_log
    from gateway.policyops.replayed import replayed
    from policies.documents.compile import compile_document, estimators_used
    from policies.documents.schema import decode_document

    settings, paths = context.settings(), context.paths
    policy = compile_document(decode_document(text, source_name=name))
    candidates = candidates_at_rest(settings, paths)
    with opened_engine(context) as engine:
        played = replayed(policy, engine, candidates=candidates, max_rows=settings.training.max_rows)
    found = evaluate_on_log(
        export(paths.database_url(settings)),
        played.policy,
        candidates=candidates,
        estimator=lambda: played.estimator,
        learn=played.learn,
    )
    return used_text(estimators_used(policy)), found


def print_evaluation(found: Evaluation, *, estimators: str) -> None:
    """For each reward one line an estimator, then what was left out, and what stands against believing it."""
    click.echo(f"estimators: {estimators}")
    _print_report("quality", found.quality)
    if found.utility is not None:
        click.echo()
        _print_report("utility", found.utility)
    left_out = ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in sorted(found.left_out.items()))
    click.echo(f"left out: {left_out or 'nothing'}")
    for problem in found.quality.problems:
        click.echo(f"not to be believed: {problem.detail}", err=True)


def _print_report(what: str, report: Report) -> None:
    share = f"{report.confidence:.0%}"
    click.echo(f"{'estimator':<12} {what:>8}  {share + ' interval':<18} {'against the log':<18}")
    for line in report.lines:
        interval, lift = line.interval, line.lift
        between, gained = f"{interval.low:.3f} to {interval.high:.3f}", f"{lift.low:+.3f} to {lift.high:+.3f}"
        click.echo(f"{line.method:<12} {line.value:>8.3f}  {between:<18} {gained:<18}")
    click.echo(f"effective rows: {report.support.ess:.0f} of {report.support.rows}")
