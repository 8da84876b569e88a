"""Where state lives on disk: models, the database, sockets. One directory, `./var` unless `--var` says otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gateway.environment import from_environment
from gateway.settings import Settings

__all__ = ("StatePaths",)


@dataclass(frozen=True, kw_only=True)
class StatePaths:
    """Paths below the state directory."""

    root: Path

    @property
    def models(self) -> Path:
        """Built variants."""
        return self.root / "models"

    @property
    def learned(self) -> Path:
        """What each process has learned since the last fit."""
        return self.root / "learned"

    @property
    def run(self) -> Path:
        """Sockets of the running processes."""
        return self.root / "run"

    @property
    def control_socket(self) -> Path:
        """Where the supervisor listens."""
        return self.run / "supervisor.sock"

    def database_url(self, settings: Settings) -> str:
        """The configured database, or an SQLite file here.

        Raises:
            MissingVariableError: It is to be taken from the environment, which lacks it.
        """
        url = settings.store.database_url
        if url is None:
            return f"sqlite:///{(self.root / 'trilemma.db').resolve()}"
        return from_environment(url, key="store.database_url")
