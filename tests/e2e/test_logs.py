"""What the processes of a gateway write on standard error, all of them together."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.serving import serving

pytestmark = pytest.mark.timeout(120)

CONFIG = """
variants:
  - {name: far, kind: remote, engine: openai, source: "http://127.0.0.1:9", quality: 0.5, ttft_s: 0.1, tpot_s: 0.01,
     price: {prompt_per_mtok_usd: 1.0, completion_per_mtok_usd: 1.0}}
  - {name: near, kind: quantized, engine: openvino, source: "built:q8_0", warm: on_demand,
     decoding: {temperature: 0, max_tokens: 256}, price: {compute_per_hour_usd: 0.10}}
build: {background: false}
training: {enabled: false}
telemetry: {logs: json}
"""


def test_where_the_log_is_json_every_line_of_every_process_is(tmp_path: Path) -> None:
    with serving(tmp_path, tmp_path / "var", config=CONFIG) as gateway:
        body = b'{"model": "auto", "messages": [{"role": "user", "content": "hi"}]}'
        asked = urllib.request.Request(
            f"{gateway.url}/v1/chat/completions", data=body, headers={"Content-Type": "application/json"}
        )
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(asked, timeout=30)
    lines = [json.loads(line) for line in (tmp_path / "var" / "serve.log").read_text().splitlines()]
    assert {"time", "level", "logger", "message"} <= set.intersection(*(set(line) for line in lines))
    told = [line["message"] for line in lines if line["logger"] == "gateway.cli.serve"]
    assert any("Trilemma listens on" in message for message in told)
    assert any("near" in message for message in told)
    [request] = [line for line in lines if line.get("route") == "/v1/chat/completions"]
    assert request["trace_id"]
