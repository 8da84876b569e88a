"""Reading, editing and showing tenants and keys for `trilemma tenants`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from gateway.cli.context import CliContext, failures
from gateway.tenants.errors import TenantsError

if TYPE_CHECKING:
    from gateway.tenants.changes import Author, Change
    from gateway.tenants.keys import IssuedKey, KeyRecord
    from gateway.tenants.store import StoredTenant, TenantStore
    from gateway.tenants.types import Tenant

__all__ = (
    "author_here",
    "opened_tenants",
    "pairs_of",
    "print_changes",
    "print_keys",
    "print_tenants",
    "read_tenant",
    "tell_key",
)


@contextmanager
def opened_tenants(context: CliContext) -> Iterator[TenantStore]:
    """The tenants of this installation, its database brought up to date and those of the configuration in it.

    Raises:
        ClickException: The database refuses, or what was to be changed cannot be.
    """
    from sqlalchemy.exc import SQLAlchemyError

    from gateway.decisions.migrate import upgrade
    from gateway.decisions.schema import open_engine
    from gateway.tenants.store import TenantStore

    settings = context.settings()
    engine = open_engine(context.paths.database_url(settings))
    try:
        with failures(SQLAlchemyError, TenantsError):
            upgrade(engine)
            store = TenantStore(engine)
            store.bootstrap(settings.tenants, now_s=time.time())
            yield store
    finally:
        engine.dispose()


def author_here() -> Author:
    """Whoever runs the command, as the audit trail has it."""
    from gateway.tenants.changes import Author

    return Author(name=f"cli:{_user()}", now_s=time.time())


def pairs_of(words: Sequence[str]) -> dict[str, object]:
    """`PATH=VALUE` words as values by path, each value read as YAML.

    Raises:
        UsageError: A word has no `=`, or its value is no YAML.
    """
    from policies.documents.yaml_text import parse_yaml
    from policies.errors import DocumentError

    pairs: dict[str, object] = {}
    for word in words:
        path, equals, text = word.partition("=")
        if not equals or not path:
            raise click.UsageError(f"`{word}` is not PATH=VALUE, such as quotas.requests_per_min=60")
        try:
            pairs[path] = parse_yaml(f"value: {text}", source_name=path)[1]["value"]
        except (DocumentError, KeyError, TypeError):
            raise click.UsageError(f"`{text}` is no value for `{path}`; quote what has a colon in it") from None
    return pairs


def read_tenant(file: Path, tenant_id: str) -> Tenant:
    """A tenant from a YAML file, which may leave out the id.

    Raises:
        ClickException: The text does not fit; the message has the line.
    """
    from gateway.tenants.types import Tenant
    from policies.documents.yaml_text import decode_yaml, parse_yaml
    from policies.errors import DocumentError

    try:
        text = file.read_text(encoding="utf-8")
        _, plain = parse_yaml(text, source_name=str(file))
        if isinstance(plain, dict) and "id" not in plain:
            text = f"{text.rstrip()}\nid: {tenant_id}\n"
        tenant = decode_yaml(text, Tenant, source_name=str(file))
    except (DocumentError, UnicodeDecodeError) as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.UsageError(f"cannot read {file}: {error.strerror}") from None
    if tenant.id != tenant_id:
        raise click.ClickException(f"{file} is of tenant `{tenant.id}`, not `{tenant_id}`")
    return tenant


def tell_key(context: CliContext, key: IssuedKey) -> None:
    """Print a key, for the first and only time, and a line that uses it."""
    server = context.settings().server
    host = "127.0.0.1" if server.host in {"0.0.0.0", "::"} else server.host  # noqa: S104 - compared, not bound
    record = key.record
    click.echo(key.text)
    click.echo(
        f"This key of tenant `{record.tenant}` ({record.role}) is shown once; keep it as TRILEMMA_API_KEY, where"
        f" `trilemma chat` finds it too. It is in force within a second or two:\n\n"
        f'  curl http://{host}:{server.port}/v1/chat/completions -H "Authorization: Bearer $TRILEMMA_API_KEY" \\\n'
        '    -d \'{"model": "auto", "messages": [{"role": "user", "content": "Hello"}]}\'',
        err=True,
    )


def print_tenants(tenants: Sequence[StoredTenant]) -> None:
    """One line per tenant: since when, and what differs from a tenant without any promise or limit."""
    from gateway.tenants.types import Tenant

    for stored in tenants:
        plain = dict(_flat(msgspec.to_builtins(Tenant(id=stored.tenant.id))))
        given = [
            f"{path}={value}" for path, value in _flat(msgspec.to_builtins(stored.tenant)) if plain.get(path) != value
        ]
        removed = "" if stored.removed_at_s is None else f" removed {_when(stored.removed_at_s)}"
        click.echo(f"{stored.tenant.id}  since {_when(stored.created_at_s)}{removed}  {' '.join(given)}".rstrip())


def print_keys(keys: Sequence[KeyRecord], *, now_s: float) -> None:
    """One line per key: whose, what for, and whether it is in force."""
    for key in keys:
        made = _when(key.created_at_s)
        click.echo(f"{key.key_id}  {key.tenant}  {key.role}  {_state(key, now_s)}  made {made}  {key.name}".rstrip())


def print_changes(found: Sequence[Change]) -> None:
    """One line per change: when, who, what."""
    for change in found:
        what = " ".join(filter(None, (change.action, change.tenant, change.key_id)))
        click.echo(f"{_when(change.at_s)}  {change.actor}  {what}")


def _state(key: KeyRecord, now_s: float) -> str:
    if key.revoked_at_s is not None:
        return f"revoked {_when(key.revoked_at_s)}"
    if key.expires_at_s is None:
        return "in force"
    return f"{'in force until' if key.in_force(now_s=now_s) else 'expired'} {_when(key.expires_at_s)}"


def _when(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, tz=UTC).strftime("%Y-%m-%d %H:%M")


def _flat(document: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """The values of a document by path."""
    for name, value in document.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", value


def _user() -> str:
    """The name of whoever runs the command; containers may have none."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
