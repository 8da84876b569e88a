"""What runs in the cluster may do next to nothing, and no secret lies where many may read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.helm import SETS, refused
from tests.manifests import containers, made, of_kind, pods, strings

each_set = pytest.mark.parametrize("values", SETS, ids=lambda path: path.stem)

VARIANT = "config.variants[0].name=a,config.variants[0].kind=remote,config.variants[0].engine=openai"
OTLP = "config.telemetry.otlp"
PRICE = "config.variants[0].price.compute_per_hour_usd=1"


@each_set
def test_every_container_is_without_privilege_and_bounded(values: Path) -> None:
    for name, spec in pods(made(values)):
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["runAsUser"] > 0, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        for container in containers(spec):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name
            assert container["resources"]["limits"]["memory"], name
            assert container["resources"]["requests"].keys() >= {"cpu", "memory"}, name


@each_set
def test_no_pod_speaks_to_the_cluster_or_sees_the_node(values: Path) -> None:
    manifests = made(values)
    assert not [m["kind"] for m in manifests if m["kind"].endswith(("Role", "RoleBinding"))]
    for name, spec in pods(manifests):
        assert spec["automountServiceAccountToken"] is False, name
        assert spec["enableServiceLinks"] is False, name
        assert not spec.keys() & {"hostNetwork", "hostPID", "hostIPC"}, name
        assert not [v for v in spec.get("volumes", ()) if "hostPath" in v], name


@each_set
def test_every_image_is_pinned(values: Path) -> None:
    for name, spec in pods(made(values)):
        for container in containers(spec):
            assert re.fullmatch(r"[^@:]+(:\d+/[^@:]+)?(:[\w.-]+|@sha256:[0-9a-f]{64})", container["image"]), name
            assert not container["image"].endswith(":latest"), name


@each_set
def test_secrets_are_referred_to_and_never_made(values: Path) -> None:
    manifests = made(values)
    assert not of_kind(manifests, "Secret")
    for config in of_kind(manifests, "ConfigMap"):
        for text in strings(config["data"]):
            assert not re.search(r"(?i)://[^/\s]*:[^/\s]*@|bearer\s+\w{8}|password\s*[:=]\s*\w", text)


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("config.store.database_url=postgresql+psycopg://u:p@db/x", "config.store.database_url"),
        ("config.cache.url=redis://:p@redis:6379", "config.cache.url"),
        (
            "config.telemetry.otlp.endpoint=http://c:4317,config.telemetry.otlp.headers.X-Api-Key=s3",
            "headers.X-Api-Key",
        ),
        (f"{VARIANT},{PRICE},config.variants[0].source=https://user:pass@host/v1", "config.variants"),
        (f"{VARIANT},{PRICE},config.variants[0].source=https://h/v1,config.variants[0].api_key=sk-1", "api_key"),
    ],
)
def test_a_secret_among_the_values_is_refused_by_name(setting: str, told: str) -> None:
    assert told in refused("--set", setting)
