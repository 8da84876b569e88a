"""The builds of the bundled model, made once: under `var/test-models`, or where TRILEMMA_TEST_VAR says."""

import os
from pathlib import Path

import pytest

from backends.models.store import Store

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def model_store() -> Store:
    """The store that all tests of real models share; builds in it are idempotent and locked."""
    return Store(Path(os.environ.get("TRILEMMA_TEST_VAR", ROOT / "var" / "test-models")) / "models")
