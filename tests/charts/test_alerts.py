"""Alerts fire when they should and are silent when they should, as Prometheus itself evaluates them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from charts.generate.files import CHART
from tests.alert_cases import CASES, Case, promise
from tests.promtool import told

RULES = CHART / "rules" / "trilemma.yaml"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.what)
def test_an_alert_fires_exactly_when_it_should(case: Case, tmp_path: Path) -> None:
    """Counted as a query, since what is said to people is held elsewhere."""
    alerts = f'ALERTS{{alertname="{case.alert}",alertstate="firing",severity=~"{case.severity}"}}'
    expected = [{"labels": "{}", "value": int(case.fires)}]
    test: dict[str, Any] = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in case.series.items()],
        "promql_expr_test": [
            {"expr": f"count({alerts}) > bool 0 or vector(0)", "eval_time": case.after, "exp_samples": expected}
        ],
    }
    told(tmp_path, RULES, [test])


def test_every_alert_is_made_to_fire_by_some_case() -> None:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    alerts = {rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule}
    assert alerts == {case.alert for case in CASES if case.fires}


def test_what_a_pager_shows_names_who_is_concerned(tmp_path: Path) -> None:
    test = {
        "interval": "1m",
        "input_series": [
            {"series": name, "values": values} for name, values in promise(asked="0+60x90", broken="0+60x90").items()
        ],
        "alert_rule_test": [
            {
                "alertname": "TrilemmaPromiseBurns",
                "eval_time": "40m",
                "exp_alerts": [
                    {
                        "exp_labels": {
                            "tenant": "a",
                            "promise": "ttft_p95_s",
                            "severity": severity,
                            "window": window,
                        },
                        "exp_annotations": {
                            "summary": "Tenant a: ttft_p95_s is being broken",
                            "description": "Its error budget burns 20 times as fast as it may. Look at the slow"
                            " requests of this tenant in the console, and at who answered them.",
                        },
                    }
                    for window, severity in (("1h", "page"), ("6h", "page"), ("1d", "ticket"), ("3d", "ticket"))
                ],
            }
        ],
    }
    told(tmp_path, RULES, [test])
