"""Finds the principal behind a key, without leaving the process."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from sqlalchemy.engine import Engine

from gateway.clock import Clock
from gateway.settings import Settings
from gateway.tenants.types import ANYONE, Principal

__all__ = ("Directory", "open_directory")


class Directory:
    """All tenants and keys, as this process knows them."""

    def authenticate(self, authorization: str | None, *, client_host: str | None) -> Principal:
        """Who sends this `Authorization` header."""
        return ANYONE


@asynccontextmanager
async def open_directory(settings: Settings, engine: Engine, *, clock: Clock) -> AsyncGenerator[Directory, None]:
    """A directory that follows the database until it is closed."""
    yield Directory()
