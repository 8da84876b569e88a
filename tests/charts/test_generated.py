"""Generated files are what would be generated now."""

from __future__ import annotations

import pytest

from charts.generate.files import CHART, generated


@pytest.mark.parametrize("path", sorted(generated()))
def test_a_generated_file_is_up_to_date(path: str) -> None:
    """Mend it with `make generate`."""
    assert (CHART / path).read_text(encoding="utf-8") == generated()[path]
