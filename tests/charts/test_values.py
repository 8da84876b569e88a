"""Values that are wrong are refused before anything is deployed, by a message that names them."""

from __future__ import annotations

import pytest

from charts.generate.values import Values
from policies.documents.yaml_text import decode_yaml
from tests.helm import CHART, refused, rendered
from tests.manifests import one

SEVERAL = "replicas=2"
DATABASE = "database.secret=db"
REDIS = "redis.external.secret=redis"


def test_the_defaults_written_down_for_people_are_the_defaults() -> None:
    written = decode_yaml((CHART / "values.yaml").read_text(), Values, source_name="values.yaml")
    assert written == Values(config=written.config)


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("replica=2", "additional properties 'replica' not allowed"),
        ("replicas=0", "/replicas"),
        ("image.tag=has space", "/image/tag"),
        ("image.digest=sha256:12", "/image/digest"),
        ("service.type=Balancer", "/service/type"),
        ("serviceMonitor.interval=often", "/serviceMonitor/interval"),
        ("redis.internal.image=redis", "/redis/internal/image"),
        ("persistence.accessModes[0]=ReadOnly", "/persistence/accessModes/0"),
        ("config.server.drain_s=-1", "/config/server/drain_s"),
        ("config.server.drian_s=3", "additional properties 'drian_s' not allowed"),
        ("config.admision.max_queued=3", "additional properties 'admision' not allowed"),
        ("config.variants[0].kind=big", "/config/variants/0"),
        ("secretEnv[0].name=A B,secretEnv[0].secret=s,secretEnv[0].key=k", "/secretEnv/0/name"),
    ],
)
def test_a_value_that_is_not_one_is_refused_by_name(setting: str, told: str) -> None:
    assert told in refused("--set", setting)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ([SEVERAL], "database.secret"),
        (["autoscaling.enabled=true", REDIS], "database.secret"),
        ([SEVERAL, DATABASE], "redis.external.secret"),
        ([SEVERAL, DATABASE, REDIS, "persistence.enabled=true"], "ReadWriteMany"),
        (["trainer.enabled=true"], "trainer.enabled"),
        (["redis.internal.enabled=true"], "redis.internal.password.secret"),
        (["redis.internal.enabled=true", "redis.internal.password.secret=p", REDIS], "not both"),
        (["serviceMonitor.enabled=true"], "serviceMonitor.bearer.secret"),
        (["policies.publish=a.yaml"], "policies.publish"),
    ],
)
def test_values_that_do_not_go_together_are_refused_with_what_to_do(settings: list[str], told: str) -> None:
    assert told in refused("--set", ",".join(settings))


def test_with_several_pods_none_of_them_trains() -> None:
    manifests = rendered("--set", f"{SEVERAL},{DATABASE},{REDIS}")
    config = one(manifests, "ConfigMap", "rel-trilemma-config")["data"]["trilemma.yaml"]
    assert "training:\n  enabled: false\n" in config


def test_a_release_named_like_the_chart_is_not_named_twice() -> None:
    assert one(rendered(release="trilemma"), "Deployment", "trilemma")
