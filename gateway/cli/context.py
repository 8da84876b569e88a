"""What every command shares: the configuration, the state directory, and how failures are told."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from gateway.paths import StatePaths
from gateway.settings import Settings, load_settings
from policies.errors import DocumentError

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

__all__ = ("CliContext", "failures", "opened_engine", "print_json")

DEFAULT_CONFIG = Path("trilemma.yaml")


@dataclass(frozen=True, kw_only=True)
class CliContext:
    """The global options."""

    config_file: Path | None
    var: Path

    @property
    def config_path(self) -> Path | None:
        """The file to read, or None for the built-in configuration."""
        if self.config_file is not None:
            return self.config_file
        return DEFAULT_CONFIG if DEFAULT_CONFIG.exists() else None

    @property
    def paths(self) -> StatePaths:
        """Where state is kept."""
        return StatePaths(root=self.var)

    def argv(self, module: str, *arguments: str) -> list[str]:
        """The command that runs a module of ours with the same global options."""
        config = ["--config", str(self.config_path)] if self.config_path else []
        return [sys.executable, "-m", module, *config, "--var", str(self.var), *arguments]

    def settings(self) -> Settings:
        """The configuration; a bad one ends the command with exit code 1 and the line to blame."""
        try:
            return load_settings(self.config_path)
        except DocumentError as error:
            raise click.ClickException(str(error)) from None
        except OSError as error:
            raise click.UsageError(f"cannot read {self.config_path}: {error.strerror}") from None


@contextmanager
def failures(*kinds: type[Exception]) -> Iterator[None]:
    """Tell failures of these kinds in one line and exit with 1."""
    try:
        yield
    except kinds as error:
        raise click.ClickException(str(error)) from None


@contextmanager
def opened_engine(context: CliContext) -> Iterator[Engine]:
    """This installation's database, brought up to date.

    Raises:
        SQLAlchemyError: It cannot be reached or migrated.
    """
    from gateway.decisions.migrate import upgrade
    from gateway.decisions.schema import open_engine

    engine = open_engine(context.paths.database_url(context.settings()))
    try:
        upgrade(engine)
        yield engine
    finally:
        engine.dispose()


def print_json(value: object) -> None:
    """Write one JSON document to standard output."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")
