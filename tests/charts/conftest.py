"""Fetches the tools before the first test, whose time is not to be spent on that."""

from __future__ import annotations

import contextlib

import pytest

from tests import helm, system_tools


@pytest.fixture(scope="session", autouse=True)
def _tools() -> None:
    for tool in (helm.program, system_tools.promtool, system_tools.prometheus):
        with contextlib.suppress(pytest.skip.Exception):  # The tests that need it say so themselves.
            tool()
