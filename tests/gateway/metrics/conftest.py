"""Has the tools at hand before the first test."""

from __future__ import annotations

import pytest

from tests.system_tools import fetch, prometheus, promtool


@pytest.fixture(scope="session", autouse=True)
def _tools() -> None:
    fetch(promtool, prometheus)
