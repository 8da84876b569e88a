"""The real Helm renders every set of values into objects that Kubernetes takes and a configuration that we take."""

from __future__ import annotations

from pathlib import Path

import kubernetes_validate
import pytest

from gateway.cli.context import CliContext
from gateway.settings import load_settings
from policies.documents.findings import Known
from policies.documents.lint import errors_among
from policies.documents.lint import lint as lint_policy
from tests.helm import CHART, SETS, lint, rendered
from tests.manifests import config_text, containers, made, of_kind, one, pods, strings

OURS = ("ServiceMonitor", "PrometheusRule")
"""Kinds that the cluster learns from the Prometheus operator; their shape is held below."""

each_set = pytest.mark.parametrize("values", SETS, ids=lambda path: path.stem)


def test_there_are_sets_of_values_for_each_way_to_run_it() -> None:
    assert [path.stem for path in SETS] == ["everything", "external-services", "local-workers", "minimal-remote"]


@each_set
def test_the_chart_has_nothing_to_find_fault_with(values: Path) -> None:
    assert "0 chart(s) failed" in lint("--values", str(values))


def test_the_default_values_alone_are_sound() -> None:
    assert "0 chart(s) failed" in lint()
    assert rendered()


@each_set
@pytest.mark.parametrize("version", ["1.30", "1.37"])
def test_every_object_is_one_of_kubernetes(values: Path, version: str) -> None:
    for manifest in made(values):
        if manifest["kind"] not in OURS:
            kubernetes_validate.validate(manifest, version, strict=True)


@each_set
def test_the_gateway_takes_the_configuration(values: Path, tmp_path: Path) -> None:
    file = tmp_path / "trilemma.yaml"
    file.write_text(config_text(made(values)))
    settings = load_settings(file)
    assert (settings.server.host, settings.server.port) == ("0.0.0.0", 8080)
    paths = CliContext(config_file=file, var=tmp_path).paths
    if settings.store.database_url is None:
        assert paths.database_url(settings).startswith("sqlite:///")


@each_set
def test_every_name_that_is_taken_from_the_environment_is_put_there(values: Path) -> None:
    manifests = made(values)
    named = {word.removeprefix("env:") for word in config_text(manifests).split() if word.startswith("env:")}
    gateway = next(spec for name, spec in pods(manifests) if name == "Deployment/rel-trilemma")
    for container in containers(gateway):
        assert named <= {variable["name"] for variable in container["env"]}


@each_set
def test_every_volume_and_object_that_a_pod_names_exists(values: Path) -> None:
    manifests = made(values)
    maps = {manifest["metadata"]["name"] for manifest in of_kind(manifests, "ConfigMap")}
    for name, spec in pods(manifests):
        volumes = {volume["name"]: volume for volume in spec.get("volumes", ())}
        for container in containers(spec):
            assert {mount["name"] for mount in container.get("volumeMounts", ())} <= volumes.keys(), name
        assert {v["configMap"]["name"] for v in volumes.values() if "configMap" in v} <= maps, name
        assert spec["serviceAccountName"] in {m["metadata"]["name"] for m in of_kind(manifests, "ServiceAccount")}


@each_set
def test_services_and_budgets_select_the_pods_they_are_about(values: Path) -> None:
    manifests = made(values)
    labels = [manifest["spec"]["template"]["metadata"]["labels"] for manifest in of_kind(manifests, "Deployment")]
    selectors = [manifest["spec"]["selector"] for manifest in of_kind(manifests, "Service")]
    selectors += [m["spec"]["selector"]["matchLabels"] for m in of_kind(manifests, "PodDisruptionBudget")]
    for selector in selectors:
        assert sum(selector.items() <= label.items() for label in labels) == 1


def test_a_policy_of_the_values_is_one_that_the_gateway_would_publish() -> None:
    manifests = made(CHART / "ci" / "everything.yaml")
    text = one(manifests, "ConfigMap", "rel-trilemma-policies")["data"]["main.yaml"]
    findings = lint_policy(text, known=Known(variants=("small", "large")), source_name="main.yaml")
    assert not errors_among(findings)
    gateway = one(manifests, "Deployment", "rel-trilemma")["spec"]["template"]["spec"]
    publish = gateway["initContainers"][0]["args"]
    assert publish[2:6] == ["policy", "publish", "/etc/trilemma-policies/main.yaml", "--once"]


def test_a_changed_configuration_replaces_the_pods_and_a_changed_annotation_of_the_service_does_not() -> None:
    def checksum(*arguments: str) -> str:
        template = one(rendered(*arguments), "Deployment", "rel-trilemma")["spec"]["template"]
        return str(template["metadata"]["annotations"]["checksum/config"])

    assert checksum() != checksum("--set", "config.admission.max_queued=9")
    assert checksum() == checksum("--set", "service.annotations.a=b")


def test_a_pod_is_given_longer_to_end_than_its_requests_are() -> None:
    for values, drain_s in (("minimal-remote", 20), ("local-workers", 45), ("everything", 30.5)):
        spec = one(made(CHART / "ci" / f"{values}.yaml"), "Deployment", "rel-trilemma")["spec"]["template"]["spec"]
        stop_s = spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert spec["terminationGracePeriodSeconds"] >= stop_s + drain_s + 10


def test_an_upgrade_refuses_nobody_where_the_volume_allows_it() -> None:
    for values, expected in (("everything", "RollingUpdate"), ("local-workers", "Recreate")):
        strategy = one(made(CHART / "ci" / f"{values}.yaml"), "Deployment", "rel-trilemma")["spec"]["strategy"]
        assert strategy["type"] == expected
        assert strategy.get("rollingUpdate", {}).get("maxUnavailable", 0) == 0


def test_what_the_prometheus_operator_reads_has_its_shape() -> None:
    manifests = made(CHART / "ci" / "everything.yaml")
    (monitor,), (rule,) = of_kind(manifests, "ServiceMonitor"), of_kind(manifests, "PrometheusRule")
    (endpoint,) = monitor["spec"]["endpoints"]
    assert (endpoint["port"], endpoint["path"]) == ("http", "/metrics")
    assert endpoint["authorization"] == {"type": "Bearer", "credentials": {"name": "trilemma-scrape", "key": "token"}}
    service = one(manifests, "Service", "rel-trilemma")
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    for group in rule["spec"]["groups"]:
        assert group["name"]
        assert all(("record" in r) != ("alert" in r) and r["expr"] for r in group["rules"])
    assert rule["metadata"]["labels"]["role"] == "alert-rules"


def test_nothing_is_asked_of_the_net_but_the_images() -> None:
    for values in SETS:
        for text in strings(list(made(values))):
            assert "latest" not in text.split(":"), text


@pytest.mark.parametrize(
    ("limit", "budget"),
    [
        ("8Gi", 6 * 1024**3),
        ("1.5Gi", int(0.75 * 1.5 * 1024**3)),
        ("4000M", 3_000_000_000),
        ("800000000", 600_000_000),
    ],
)
def test_workers_are_held_to_the_memory_of_the_container_and_not_of_the_node(
    limit: str, budget: int, tmp_path: Path
) -> None:
    given = ("--values", str(CHART / "ci" / "local-workers.yaml"), "--set-string", f"resources.limits.memory={limit}")
    file = tmp_path / "trilemma.yaml"
    file.write_text(config_text(rendered(*given)))
    assert load_settings(file).server.memory_budget_bytes == budget


def test_a_budget_that_is_given_stays() -> None:
    given = ("--values", str(CHART / "ci" / "local-workers.yaml"), "--set", "config.server.memory_budget_bytes=12345")
    assert "memory_budget_bytes: 12345\n" in config_text(rendered(*given))
