"""Writes every generated file of the chart. `tests/charts/test_generated.py` tells when that is due."""

from __future__ import annotations

from charts.generate.files import CHART, generated

for path, text in generated().items():
    target = CHART / path
    target.parent.mkdir(exist_ok=True)
    target.write_text(text, encoding="utf-8")
