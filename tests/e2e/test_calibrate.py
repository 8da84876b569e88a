"""`trilemma calibrate` with real variants and a gateway of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import psutil
import pytest

from gateway.decisions.read import export
from tests.serving import ROOT, free_port

pytestmark = [pytest.mark.models, pytest.mark.timeout(120)]

CONFIG = """
server: {{port: {port}}}
variants:
  - {{name: quantized, kind: quantized, engine: openvino, source: "built:q8_0",
     decoding: {{temperature: 0}}, price: {{compute_per_hour_usd: 0.10}}}}
build: {{background: false}}
"""


def test_two_tasks_are_asked_scored_and_logged_and_nothing_is_left_running(models_var: Path, tmp_path: Path) -> None:
    (tmp_path / "models").symlink_to(models_var / "models")
    config = tmp_path / "trilemma.yaml"
    config.write_text(CONFIG.format(port=free_port()))
    command = [sys.executable, "-m", "gateway.cli", "--config", str(config), "--var", str(tmp_path), "calibrate"]
    done = subprocess.run(
        [*command, "--items", "2", "--no-train", "--json"], cwd=ROOT, capture_output=True, timeout=100, check=True
    )
    assert b"starting one for as long as this takes" in done.stderr
    [result] = msgspec.json.decode(done.stdout)["results"]
    assert (result["variant"], result["answered"]) == ("quantized", 2)
    assert 0 <= result["score"] <= 1
    assert 0 < result["tpot_s"] < result["ttft_s"]
    records = list(export(f"sqlite:///{tmp_path / 'trilemma.db'}"))
    assert [record.decision.tags["calibration"] for record in records] == ["checkable-1"] * 2
    assert [len(record.observations) for record in records] == [1, 1]
    assert [p for p in psutil.process_iter(["cmdline"]) if str(tmp_path) in (p.info["cmdline"] or [])] == []
