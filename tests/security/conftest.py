"""A gateway of its own process, over a provider that always answers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos_tools import background, config_over
from tests.providers import Answer, completion_body
from tests.serving import Gateway, serving


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """`trilemma serve`; a module's tests share it, and none may break it."""
    directory = tmp_path_factory.mktemp("gateway")
    with (
        background(Answer(body=completion_body("fine"))) as provider,
        serving(directory / "no-models", directory / "var", config=config_over(provider)) as running,
    ):
        yield running
