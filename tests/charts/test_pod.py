"""What the chart would run in a cluster runs here: the gateway's containers in their order, Redis, the smoke test."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import redis

from tests.chaos_tools import until_true
from tests.helm import CHART, rendered
from tests.manifests import Manifest, one, pods
from tests.pods import Pod
from tests.providers import Answer, ScriptedProvider, completion_body
from tests.redis_server import redis_program
from tests.serving import free_port

POLICY = "schema_version: 2\nname: deployed\nfallback: [model]\n"


def values(provider: ScriptedProvider, folder: Path) -> list[str]:
    """One remote variant and a policy; the database's address is a secret."""
    given = {
        "config": {
            "variants": [
                {
                    "name": "model",
                    "kind": "remote",
                    "engine": "openai",
                    "source": f"{provider.base_url}/v1",
                    "price": {"prompt_per_mtok_usd": 1, "completion_per_mtok_usd": 1},
                }
            ],
            "server": {"drain_s": 1},
            "cache": {"exact": False},
        },
        "policies": {"publish": "main.yaml", "files": {"main.yaml": POLICY}},
        "database": {"secret": "db"},
        "smokeTest": {"apiKey": {"secret": "smoke"}},
    }
    file = folder / "values.yaml"
    file.write_text(json.dumps(given))
    return ["--values", str(file)]


async def test_a_pod_publishes_its_policy_serves_and_passes_the_smoke_test(tmp_path: Path) -> None:
    async with ScriptedProvider(Answer(body=completion_body("hello"))) as provider:
        manifests = rendered(*values(provider, tmp_path))
        await asyncio.to_thread(_lived_through, manifests, tmp_path)
        assert json.loads(provider.requests[-1].body)["model"] == "model"


def _lived_through(manifests: list[Manifest], tmp_path: Path) -> None:
    secrets = {"db/url": f"sqlite:///{tmp_path}/log.db"}
    specs = dict(pods(manifests))
    pod = Pod(specs["Deployment/rel-trilemma"], manifests, root=tmp_path, secrets=secrets)
    (publish,), (gateway,) = pod.spec["initContainers"], pod.spec["containers"]
    first, again = pod.run(publish), pod.run(publish)
    assert (first.returncode, again.returncode) == (0, 0), first.stderr + again.stderr
    assert "deployed is in force as version 1" in first.stdout
    assert "nothing is changed" in again.stderr

    port = free_port()
    with pod.running(gateway, "--port", str(port), log=tmp_path / "serve.log") as process:
        url = f"http://127.0.0.1:{port}"
        _probed(url, gateway, process, log=tmp_path / "serve.log")
        added = pod.run(gateway | {"args": [*gateway["args"][:-1], "tenants", "add", "my-team", "--json"]})
        assert added.returncode == 0, added.stderr
        secrets["smoke/key"] = json.loads(added.stdout)["key"]["text"]
        smoke = Pod(specs["Pod/rel-trilemma-smoke"], manifests, root=tmp_path, secrets=secrets)
        for attempt in range(20):
            asked = smoke.run(smoke.spec["containers"][0], GATEWAY=url)
            if asked.returncode == 0 or attempt == 19:
                break
        assert asked.returncode == 0, asked.stderr
        assert "answered by model" in asked.stdout
    assert process.returncode == 0, (tmp_path / "serve.log").read_text()


def _probed(url: str, container: Manifest, process: subprocess.Popen[bytes], *, log: Path) -> None:
    """As the kubelet would: until each probe has passed."""
    for name in ("startupProbe", "readinessProbe", "livenessProbe"):
        path = container[name]["httpGet"]["path"]
        deadline_s = time.monotonic() + 30
        while True:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline_s, f"{name}: {log.read_text()}"
            try:
                with urllib.request.urlopen(f"{url}{path}", timeout=container[name]["timeoutSeconds"]):
                    break
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)


def test_the_chart_runs_a_redis_that_asks_for_its_password_and_keeps_nothing(tmp_path: Path) -> None:
    manifests = rendered("--values", str(CHART / "ci" / "everything.yaml"))
    spec = one(manifests, "Deployment", "rel-trilemma-redis")["spec"]["template"]["spec"]
    pod = Pod(spec, manifests, root=tmp_path, secrets={"trilemma-redis/password": "s3cret"})
    (container,) = spec["containers"]
    ours = container | {"command": [str(redis_program())]}
    port, log = free_port(), tmp_path / "redis.log"
    with pod.running(ours, "--port", str(port), "--bind", "127.0.0.1", log=log) as process:
        client = redis.Redis(port=port, password="s3cret", retry=None)

        def answers() -> bool:
            assert process.poll() is None, log.read_text()
            try:
                return bool(client.ping())
            except redis.ConnectionError:
                return False

        until_true(answers, within_s=15.0)
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "allkeys-lru"}
        assert client.config_get("maxmemory") == {"maxmemory": str(256 * 1024**2)}
        assert client.config_get("save") == {"save": ""}
        assert client.execute_command("VADD", "v", "VALUES", 2, 1.0, 0.0, "a") == 1
        client.close()
        stranger = redis.Redis(port=port, retry=None)
        try:
            stranger.ping()
            raise AssertionError("no password was asked for")
        except redis.AuthenticationError:
            pass
        finally:
            stranger.close()


def test_the_gateway_is_told_where_the_chart_s_redis_is() -> None:
    manifests = rendered("--values", str(CHART / "ci" / "everything.yaml"))
    service = one(manifests, "Service", "rel-trilemma-redis")
    spec = one(manifests, "Deployment", "rel-trilemma")["spec"]["template"]["spec"]
    variables = {v["name"]: v.get("value", "") for v in spec["containers"][0]["env"]}
    address = re.fullmatch(r"redis://:\$\(REDIS_PASSWORD\)@([\w-]+):(\d+)/0", variables["TRILEMMA_REDIS_URL"])
    assert address is not None
    assert address[1] == service["metadata"]["name"]
    assert int(address[2]) == service["spec"]["ports"][0]["port"]
    assert list(variables).index("REDIS_PASSWORD") < list(variables).index("TRILEMMA_REDIS_URL")
