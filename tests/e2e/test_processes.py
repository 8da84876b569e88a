"""Several API processes on one port."""

from __future__ import annotations

import subprocess
import sys
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

import pytest

from tests.chaos_tools import background, config_over
from tests.providers import Answer, completion_body
from tests.serving import ROOT, Gateway, serving

pytestmark = pytest.mark.timeout(120)

BODY = b'{"model": "auto", "messages": [{"role": "user", "content": "hello"}]}'


def add_tenant(var: Path, config: str, *fields: str) -> str:
    """The key of a tenant that is there before the gateway is."""
    var.mkdir()
    file = var / "trilemma.yaml"
    file.write_text(config)
    command = [
        sys.executable,
        "-m",
        "gateway.cli",
        "--config",
        str(file),
        "--var",
        str(var),
        "tenants",
        "add",
        "shop",
    ]
    done = subprocess.run([*command, *fields], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def status(gateway: Gateway, key: str) -> int:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}", "Connection": "close"}
    request = urllib.request.Request(f"{gateway.url}/v1/chat/completions", data=BODY, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as reply:
            return int(reply.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_two_processes_keep_one_quota_without_redis(tmp_path: Path) -> None:
    with background(Answer(body=completion_body("fine"))) as provider:
        config = config_over(provider, more="server: {workers: 2}\ncache: {exact: false}")
        key = add_tenant(tmp_path / "var", config, "quotas.requests_per_min=8")
        with serving(tmp_path / "no-models", tmp_path / "var", config=config) as gateway:
            seen = Counter(status(gateway, key) for _ in range(40))
    assert seen.keys() == {200, 429}
    assert 4 <= seen[200] <= 8
