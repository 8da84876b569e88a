"""The key by which commands speak to a gateway: from the environment, else made for as long as it is needed."""

from __future__ import annotations

import os
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import click

from gateway.cli.context import CliContext
from gateway.cli.tenants_views import author_here, opened_tenants

__all__ = ("ENVIRONMENT", "headers_with", "own_key", "stated_key")

ENVIRONMENT = "TRILEMMA_API_KEY"

LONGEST_S = 86_400.0
"""After which a key of a command that was killed ends by itself."""

KNOWN_WITHIN_S = 10.0
"""A running gateway follows the database within a second or two."""


def stated_key() -> str | None:
    """The key in the environment."""
    return os.environ.get(ENVIRONMENT) or None


def headers_with(key: str | None) -> dict[str, str]:
    """The header that proves it, where there is one."""
    return {} if key is None else {"Authorization": f"Bearer {key}"}


@contextmanager
def own_key(context: CliContext, url: str, *, name: str) -> Iterator[str | None]:
    """A key for the gateway at a URL; None where it needs none.

    Without one in the environment, whoever may write to the database may make one: of the tenant that this machine's
    own users are, with the lowest role, revoked at the end.

    Args:
        context: Whose database the gateway uses.
        url: Of the gateway.
        name: What the key is for, for the list of keys.

    Raises:
        ClickException: The gateway does not take it: it uses another database.
    """
    if (stated := stated_key()) is not None:
        yield stated
        return
    from gateway.tenants.keys import KeyTerms
    from gateway.tenants.types import ANYONE

    with opened_tenants(context) as store:
        if not store.names():
            yield None
            return
        terms = KeyTerms(name=name, expires_in_s=LONGEST_S)
        key = store.keys.add(ANYONE.tenant.id, terms, author=author_here())
        try:
            _wait_until_taken(url, key.text)
            yield key.text
        finally:
            store.keys.revoke(key.record.key_id, author=author_here())


def _wait_until_taken(url: str, key: str) -> None:
    asked = urllib.request.Request(f"{url}/v1/models", headers=headers_with(key))  # noqa: S310 - the caller's own URL
    deadline_s = time.monotonic() + KNOWN_WITHIN_S
    while True:
        try:
            with urllib.request.urlopen(asked, timeout=5):  # noqa: S310
                return
        except urllib.error.HTTPError as error:
            error.close()
            trouble: OSError = error
        except OSError as error:
            trouble = error
        if time.monotonic() > deadline_s:
            raise click.ClickException(
                f"the gateway at {url} does not take keys of the database configured here ({trouble});"
                f" put one of its own into {ENVIRONMENT}"
            )
        time.sleep(0.2)
