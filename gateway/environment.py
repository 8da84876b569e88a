"""Secrets that the configuration only names: `env:NAME` stands for what the environment has under NAME."""

from __future__ import annotations

import os

__all__ = ("MissingVariableError", "from_environment")

_PREFIX = "env:"


class MissingVariableError(RuntimeError):
    """The configuration names a variable that is not set, or is empty."""


def from_environment(value: str, *, key: str) -> str:
    """The value itself, or what it stands for.

    Args:
        value: As configured.
        key: Where in the configuration, for the message.

    Raises:
        MissingVariableError: The environment lacks it.
    """
    if not value.startswith(_PREFIX):
        return value
    name = value.removeprefix(_PREFIX)
    if not (found := os.environ.get(name)):
        raise MissingVariableError(f"{key} takes its value from the environment variable {name}, which is not set")
    return found
