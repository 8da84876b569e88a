"""Writes every generated file of the chart, and the table of alerts on the page about deploying."""

from __future__ import annotations

from charts.generate.alert_table import PAGE, with_table
from charts.generate.files import CHART, generated

for path, text in generated().items():
    target = CHART / path
    target.parent.mkdir(exist_ok=True)
    target.write_text(text, encoding="utf-8")
PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
