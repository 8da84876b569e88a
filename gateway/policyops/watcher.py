"""Follows the database, and swaps the policy in force when another one is activated.

Nothing that is wrong with the database or with a stored policy reaches a request: the last policy that could be read
stays in force, and what is wrong is told once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

from gateway.policyops.active import ActivePolicy
from gateway.policyops.store import PolicyStore
from gateway.policyops.types import Version
from policies.documents.compile import compile_document, estimators_used
from policies.documents.stored import decode_stored
from policies.errors import DocumentError
from policies.policy import Policy

__all__ = ("PolicyWatcher", "compile_version", "estimators_of")

POLL_S = 1.0
"""How long after it was published a policy comes into force, at most."""

STEPS_BACK = 5
"""Versions tried, latest first, when the one in force cannot be read."""

logger = logging.getLogger(__name__)


class PolicyWatcher:
    """Keeps one process's `ActivePolicy` at what the database says."""

    def __init__(self, policies: ActivePolicy, store: PolicyStore, *, poll_s: float = POLL_S) -> None:
        self._policies = policies
        self._store = store
        self._poll_s = poll_s
        self._seen = 0
        """Activation that the policy in force was read at."""
        self._trouble = ""
        self._closing = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Look once, so that the first request already finds the published policy, and go on looking."""
        await self._refresh()
        self._watching = asyncio.create_task(self._watch())

    async def aclose(self) -> None:
        """Stop looking; a look in progress is ended first, so that its connection is given back."""
        self._closing.set()
        if self._watching is not None:
            await self._watching

    async def _watch(self) -> None:
        while not self._closing.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), self._poll_s)
                return
            await self._refresh()

    async def _refresh(self) -> None:
        try:
            found = await asyncio.to_thread(self._read)
            trouble = ""
        except Exception as error:  # noqa: BLE001 - a policy that is never looked at again would be worse
            found, trouble = None, f"{type(error).__name__}: {error}"
        if found is not None:
            self._policies.swap(found)
        if trouble != self._trouble:
            logger.warning("published policies cannot be followed: %s", trouble or "they can again")
            self._trouble = trouble

    def _read(self) -> Policy | None:
        """The policy to put in force, or None where nothing has changed or nothing can be read. Blocks."""
        latest = self._store.last_activation()
        if latest == self._seen:
            return None
        policy = next(filter(None, map(_compiled, self._store.lately_active(limit=STEPS_BACK))), None)
        self._seen = latest
        return policy


def compile_version(version: Version) -> Policy:
    """The policy of a stored version, under the hash it was stored with.

    Raises:
        DocumentError: The text is damaged, or from a version of this software that is not understood.
    """
    document = decode_stored(version.text, source_name=f"policy version {version.version}")
    return compile_document(document, stored_hash=version.hash)


def estimators_of(version: Version) -> str | dict[str, str] | None:
    """Which estimators a version decides with, as `estimators_used` has it; None where it cannot be read."""
    try:
        return estimators_used(compile_version(version))
    except DocumentError:
        return None


def _compiled(version: Version) -> Policy | None:
    try:
        return compile_version(version)
    except Exception as error:  # noqa: BLE001 - whatever a damaged text makes of the reader, requests go on
        logger.error("policy version %d cannot be used: %s", version.version, error)
        return None
