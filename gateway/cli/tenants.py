"""`trilemma tenants`: who may use the gateway, what they were promised, and the keys they prove it by.

All of it works on the database itself: no gateway need run, and one that runs follows within a second.
"""

from __future__ import annotations

from pathlib import Path

import click

from gateway.cli.context import CliContext, print_json
from gateway.cli.field_table import field_table
from gateway.cli.schema import described_schema
from gateway.cli.tenant_keys import expires, keys, name_of_key, role, terms_of
from gateway.cli.tenants_sla import sla
from gateway.cli.tenants_views import (
    author_here,
    opened_tenants,
    pairs_of,
    print_changes,
    print_tenants,
    read_tenant,
    tell_key,
)

__all__ = ("tenants",)

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_id = click.argument("tenant_id", metavar="ID")
_pairs = click.argument("pairs", nargs=-1, metavar="[PATH=VALUE]...")
_file = click.option(
    "--file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Start from this YAML file; `trilemma tenants schema --table` shows its fields.",
)


@click.group()
def tenants() -> None:
    """Manage tenants, what they were promised and may ask for, and their keys."""


@tenants.command()
@_id
@_pairs
@_file
@role
@name_of_key
@expires
@click.option("--no-key", is_flag=True, help="Make no key yet.")
@_json
@click.pass_obj
def add(
    context: CliContext,
    tenant_id: str,
    pairs: tuple[str, ...],
    *,
    file: Path | None,
    role: str,
    name: str,
    expires_days: float | None,
    no_key: bool,
    as_json: bool,
) -> None:
    """Add tenant ID and print its first key, this once.

    Fields follow as PATH=VALUE, such as sla.ttft_p95_s=0.5 or budget.usd=10.
    """
    from gateway.tenants.edit import assigned, checked
    from gateway.tenants.types import Tenant

    terms = None if no_key else terms_of(role=role, name=name, expires_days=expires_days)
    with opened_tenants(context) as store:
        begun = Tenant(id=_fit(tenant_id)) if file is None else read_tenant(file, tenant_id)
        tenant = checked(assigned(begun, pairs_of(pairs)), variants=_variants(context))
        stored, key = store.add(tenant, author=author_here(), key=terms)
    if as_json:
        print_json({"tenant": stored, "key": key})
        return
    click.echo(f"tenant `{tenant_id}` is added", err=True)
    if key is not None:
        tell_key(context, key)


@tenants.command("list")
@click.option("--all", "and_removed", is_flag=True, help="Show removed tenants too.")
@_json
@click.pass_obj
def list_(context: CliContext, *, and_removed: bool, as_json: bool) -> None:
    """Show the tenants, each with what differs from the defaults."""
    with opened_tenants(context) as store:
        known = store.all()
    found = [stored for stored in known if and_removed or stored.removed_at_s is None]
    if as_json:
        print_json({"tenants": found})
    elif found:
        print_tenants(found)
    elif known:
        click.echo("all tenants are removed and nobody is served; `--all` shows them, `restore` brings one back")
    else:
        click.echo(
            "there are no tenants: only this machine's own programs are served; `trilemma tenants add` makes one"
        )


@tenants.command()
@_id
@_json
@click.pass_obj
def show(context: CliContext, tenant_id: str, *, as_json: bool) -> None:
    """Print tenant ID as YAML, ready for `add --file` and `set --file`."""
    import msgspec

    from policies.documents.yaml_text import encode_yaml

    with opened_tenants(context) as store:
        found = store.find(tenant_id)
    if as_json:
        print_json(found)
    else:
        click.echo(encode_yaml(msgspec.to_builtins(found.tenant)), nl=False)


@tenants.command("set")
@_id
@_pairs
@_file
@_json
@click.pass_obj
def set_(context: CliContext, tenant_id: str, pairs: tuple[str, ...], *, file: Path | None, as_json: bool) -> None:
    """Change fields of tenant ID, such as quotas.requests_per_min=60; null takes a limit away."""
    from gateway.tenants.edit import assigned, checked

    if not pairs and file is None:
        raise click.UsageError("nothing to change: say PATH=VALUE, or --file")
    with opened_tenants(context) as store:
        begun = store.find(tenant_id).tenant if file is None else read_tenant(file, tenant_id)
        tenant = checked(assigned(begun, pairs_of(pairs)), variants=_variants(context))
        stored = store.replace(tenant, author=author_here())
    if as_json:
        print_json(stored)
    else:
        print_tenants([stored])


@tenants.command()
@_id
@_json
@click.pass_obj
def remove(context: CliContext, tenant_id: str, *, as_json: bool) -> None:
    """Serve tenant ID no more: its keys are refused, its name and its log stay."""
    with opened_tenants(context) as store:
        stored = store.remove(tenant_id, author=author_here())
    print_json(stored) if as_json else click.echo(f"tenant `{tenant_id}` is removed; `restore` brings it back")


@tenants.command()
@_id
@_json
@click.pass_obj
def restore(context: CliContext, tenant_id: str, *, as_json: bool) -> None:
    """Serve removed tenant ID again, by the keys it had."""
    with opened_tenants(context) as store:
        stored = store.restore(tenant_id, author=author_here())
    print_json(stored) if as_json else click.echo(f"tenant `{tenant_id}` is served again")


@tenants.command()
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many lines.")
@_json
@click.pass_obj
def changes(context: CliContext, *, limit: int, as_json: bool) -> None:
    """Show who changed which tenant or key, latest first."""
    with opened_tenants(context) as store:
        found = store.changes(limit=limit)
    print_json({"changes": found}) if as_json else print_changes(found)


@tenants.command()
@click.option("--table", is_flag=True, help="As a table for people instead.")
def schema(*, table: bool) -> None:
    """Print the JSON schema of a tenant, every field with its unit and range."""
    from gateway.tenants.types import Tenant

    if table:
        click.echo(field_table(Tenant))
    else:
        print_json(described_schema(Tenant))


def _variants(context: CliContext) -> list[str]:
    return [variant.name for variant in context.settings().variants]


def _fit(tenant_id: str) -> str:
    """The name, if it is one."""
    import msgspec

    from gateway.tenants.types import TenantId

    try:
        return msgspec.convert(tenant_id, TenantId)
    except msgspec.ValidationError:
        raise click.UsageError(
            f"`{tenant_id}` is no name: small letters, digits, `.`, `_` and `-`, a letter or digit first, 64 at most"
        ) from None


tenants.add_command(keys)
tenants.add_command(sla)
