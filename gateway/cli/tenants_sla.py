"""`trilemma tenants sla`: whether promises were kept."""

from __future__ import annotations

import click

from gateway.cli.context import CliContext, failures, print_json
from gateway.clock import SYSTEM_CLOCK
from gateway.sla.report import DEFAULT_WINDOWS, MAX_WINDOWS, SlaReport

__all__ = ("sla",)


@click.command()
@click.argument("tenant_id", metavar="[ID]", required=False)
@click.option(
    "--windows",
    type=click.IntRange(1, MAX_WINDOWS),
    default=DEFAULT_WINDOWS,
    show_default=True,
    help="Windows that have ended to look back at, each as long as the tenant's SLA says.",
)
@click.option("--check", is_flag=True, help="Exit with 1 when a promise was broken in more windows than may be.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def sla(context: CliContext, tenant_id: str | None, *, windows: int, check: bool, as_json: bool) -> None:
    """Show whether the promises to tenant ID, or to every tenant, were kept, and what may still go wrong."""
    reports = _read(context, tenant_id, windows=windows)
    if as_json:
        print_json({"reports": reports})
    elif reports:
        from gateway.cli.sla_views import print_reports

        print_reports(reports)
    else:
        click.echo("there are no tenants; `trilemma tenants add` makes one")
    if check and any(of.may_still_break < 0 for report in reports for of in report.promises):
        raise SystemExit(1)


def _read(context: CliContext, tenant_id: str | None, *, windows: int) -> list[SlaReport]:
    from sqlalchemy.exc import SQLAlchemyError

    from gateway.decisions.migrate import upgrade
    from gateway.decisions.schema import open_engine
    from gateway.sla.report import report
    from gateway.tenants.errors import TenantsError
    from gateway.tenants.store import TenantStore

    settings = context.settings()
    engine = open_engine(context.paths.database_url(settings))
    now_s, lost_s = SYSTEM_CLOCK.wall_s(), settings.server.request_timeout_s
    try:
        with failures(SQLAlchemyError, TenantsError):
            upgrade(engine)
            store = TenantStore(engine)
            store.bootstrap(settings.tenants, now_s=now_s)
            found = [store.find(tenant_id)] if tenant_id else [t for t in store.all() if t.removed_at_s is None]
            with engine.connect() as connection:
                return [report(connection, t.tenant, windows=windows, now_s=now_s, lost_s=lost_s) for t in found]
    finally:
        engine.dispose()
