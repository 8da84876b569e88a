"""`trilemma tenants keys`: make, list, replace and end keys."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from gateway.cli.context import CliContext, print_json
from gateway.cli.tenants_views import author_here, opened_tenants, print_keys, tell_key

if TYPE_CHECKING:
    from gateway.tenants.keys import KeyTerms

__all__ = ("expires", "keys", "name_of_key", "role", "terms_of")

DAY_S = 86_400.0

role = click.option(
    "--role",
    type=click.Choice(["caller", "operator", "admin"]),
    default="caller",
    show_default=True,
    help="What the key may do: send requests; also policies and traces; also tenants and keys.",
)
name_of_key = click.option("--name", default="", help="Whose key it is, for people; 64 characters at most.")
expires = click.option(
    "--expires-days",
    type=click.FloatRange(min=0, min_open=True, max=36_500),
    help="End the key after so many days.  [default: never]",
)
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_key_id = click.argument("key_id", metavar="KEY_ID")


def terms_of(*, role: str, name: str, expires_days: float | None) -> KeyTerms:
    """What a key is for, from the options.

    Raises:
        UsageError: The name is too long, or not for terminals.
    """
    import msgspec

    from gateway.tenants.keys import KeyTerms

    expires_in_s = None if expires_days is None else expires_days * DAY_S
    try:
        return msgspec.convert({"role": role, "name": name, "expires_in_s": expires_in_s}, KeyTerms)
    except msgspec.ValidationError:
        raise click.UsageError("--name has 64 characters at most, and no control characters") from None


@click.group()
def keys() -> None:
    """Make, list, replace and end the keys of tenants."""


@keys.command()
@click.argument("tenant_id", metavar="TENANT")
@role
@name_of_key
@expires
@_json
@click.pass_obj
def add(
    context: CliContext, tenant_id: str, *, role: str, name: str, expires_days: float | None, as_json: bool
) -> None:
    """Make a key for TENANT and print it, this once."""
    terms = terms_of(role=role, name=name, expires_days=expires_days)
    with opened_tenants(context) as store:
        key = store.keys.add(tenant_id, terms, author=author_here())
    print_json(key) if as_json else tell_key(context, key)


@keys.command("list")
@click.argument("tenant_id", metavar="[TENANT]", required=False)
@_json
@click.pass_obj
def list_(context: CliContext, tenant_id: str | None, *, as_json: bool) -> None:
    """Show the keys of TENANT, or all of them; none can be read back."""
    with opened_tenants(context) as store:
        found = store.keys.all(tenant=tenant_id)
    if as_json:
        print_json({"keys": found})
    elif found:
        print_keys(found, now_s=time.time())
    else:
        click.echo("there are no keys; `trilemma tenants keys add TENANT` makes one")


@keys.command()
@_key_id
@_json
@click.pass_obj
def revoke(context: CliContext, key_id: str, *, as_json: bool) -> None:
    """End key KEY_ID now; every running gateway refuses it within a second or two."""
    with opened_tenants(context) as store:
        record = store.keys.revoke(key_id, author=author_here())
    print_json(record) if as_json else click.echo(f"key {key_id} of tenant `{record.tenant}` is revoked")


@keys.command()
@_key_id
@click.option(
    "--grace-hours",
    type=click.FloatRange(min=0, max=90 * 24),
    default=24.0,
    show_default=True,
    help="The old key is in force for so long after.",
)
@_json
@click.pass_obj
def rotate(context: CliContext, key_id: str, *, grace_hours: float, as_json: bool) -> None:
    """Make a key like KEY_ID and print it; the old one ends after the grace period."""
    with opened_tenants(context) as store:
        key = store.keys.rotate(key_id, grace_s=grace_hours * 3600, author=author_here())
    print_json(key) if as_json else tell_key(context, key)
