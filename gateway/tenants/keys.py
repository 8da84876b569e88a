"""API keys: how one looks, and what is kept of it.

A key is `tri_`, its id, `_`, its secret: 49 characters of letters, digits and underscores. The id names the key in
lists, logs and messages and opens nothing. The secret has 190 random bits and is told once; what is stored is the
SHA-256 of the whole key. No salt and no slow hash: what they defend is guessable, and 2^190 is not. A digest is no
key: whoever reads the database cannot make a request with what is there.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import Annotated

import msgspec
from msgspec import Meta

from gateway.tenants.types import Role

__all__ = ("IssuedKey", "KeyRecord", "KeyTerms", "digest_of", "key_id_of", "mint")

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ID_CHARS = 12
_SECRET_CHARS = 32
_KEY = re.compile(rf"tri_([0-9A-Za-z]{{{_ID_CHARS}}})_[0-9A-Za-z]{{{_SECRET_CHARS}}}", re.ASCII)

Name = Annotated[str, Meta(max_length=64, pattern=r"^[^\x00-\x1f\x7f]*(?!\n)$")]
"""Is shown on terminals: no control characters."""


class KeyTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a new key is for."""

    role: Role = Role.CALLER
    """What it may do."""
    name: Name = ""
    """Whose it is, for people."""
    expires_in_s: Annotated[float, Meta(gt=0, le=1e10)] | None = None
    """Seconds from now until it ends; None: it holds until it is revoked."""


class KeyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A key as it may be shown: without anything that it could be proven by."""

    key_id: str
    tenant: str
    role: Role
    name: str
    created_at_s: float
    """Unix time."""
    expires_at_s: float | None = None
    """Unix time from which it is not in force any more."""
    revoked_at_s: float | None = None
    """Unix time at which somebody ended it."""

    def in_force(self, *, now_s: float) -> bool:
        """Whether it opens anything at this Unix time."""
        return self.revoked_at_s is None and (self.expires_at_s is None or now_s < self.expires_at_s)


class IssuedKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key at the only moment at which it can be told."""

    text: str
    """All of it, as it is sent."""
    record: KeyRecord

    def __repr__(self) -> str:
        """Without the secret: it must not get into a log."""
        return f"IssuedKey({self.record!r})"


def mint() -> tuple[str, str]:
    """A key that nobody has, from the operating system's randomness: its id, and all of it."""
    key_id = _random(_ID_CHARS)
    return key_id, f"tri_{key_id}_{_random(_SECRET_CHARS)}"


def key_id_of(text: str) -> str | None:
    """The id within something that looks like a key; None where it does not. It need not be in force."""
    match = _KEY.fullmatch(text)
    return None if match is None else match[1]


def digest_of(text: str) -> str:
    """What is kept of a key: 64 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
