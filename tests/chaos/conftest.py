"""Gateways that a test may break: one over scripted providers, one over real workers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos_tools import background, config_over
from tests.e2e.conftest import models_var
from tests.providers import Answer, ScriptedProvider, completion_body
from tests.serving import Gateway, serving

__all__ = ("models_var",)


@pytest.fixture
def provider() -> Iterator[ScriptedProvider]:
    """A server that always answers."""
    with background(Answer(body=completion_body("fine"))) as found:
        yield found


@pytest.fixture
def gateway(provider: ScriptedProvider, tmp_path: Path) -> Iterator[Gateway]:
    """`trilemma serve` over that server, with a log that is written at once."""
    config = config_over(provider, more="store: {flush_interval_s: 0.1}\nserver: {drain_s: 2}")
    with serving(tmp_path / "no-models", tmp_path / "gateway", config=config) as running:
        yield running
