"""Values about what stands around the gateway: how it is reached, guarded, watched and tested."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from charts.generate.basics import Count, Duration, Object, Port, SecretName, Text

__all__ = (
    "ApiKey",
    "Bearer",
    "Dashboards",
    "DisruptionBudget",
    "Ingress",
    "IngressHost",
    "NetworkPolicy",
    "Rules",
    "Service",
    "ServiceMonitor",
    "SmokeTest",
)


class DisruptionBudget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many pods a drained node may take at once."""

    enabled: bool = True
    """Made where there is more than one pod."""
    maxUnavailable: Count | Annotated[str, Meta(pattern=r"^[0-9]+%$")] = 1  # noqa: N815
    """A count or a share."""


class Service(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the cluster reaches the gateway."""

    type: Literal["ClusterIP", "NodePort", "LoadBalancer"] = "ClusterIP"
    """Of the Service."""
    port: Port = 80
    """Of the Service."""
    annotations: dict[str, str] = {}
    """For load balancers."""


class IngressHost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A name it is reached by."""

    host: Text
    """The name."""
    path: Annotated[str, Meta(pattern="^/")] = "/"
    """Below which everything is the gateway's."""


class Ingress(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the world reaches the gateway."""

    enabled: bool = False
    """Make one."""
    className: str = ""  # noqa: N815
    """The cluster's own when empty."""
    annotations: dict[str, str] = {}
    """Switch response buffering off here, or streams arrive in one piece."""
    hosts: tuple[IngressHost, ...] = ()
    """By name."""
    tls: tuple[Object, ...] = ()
    """As an Ingress has it."""


class NetworkPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who may speak to whom."""

    enabled: bool = False
    """Make policies for the gateway and the chart's Redis."""
    from_: tuple[Object, ...] = msgspec.field(default=(), name="from")
    """Peers that may call the gateway; any when empty."""
    to: tuple[Object, ...] = ()
    """Further egress rules."""
    egressPorts: tuple[Port, ...] = (443, 5432, 6379, 8000)  # noqa: N815
    """TCP ports it may call anywhere; DNS it always may."""


class Bearer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key of the gateway's in a secret."""

    secret: SecretName = ""
    """A secret that exists, with a key of role `operator`."""
    key: Text = "token"
    """Which of its entries."""


class ServiceMonitor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Scraping by the Prometheus operator."""

    enabled: bool = False
    """Make a ServiceMonitor."""
    labels: dict[str, str] = {}
    """What your Prometheus selects by."""
    interval: Duration = "15s"
    """Between two scrapes."""
    scrapeTimeout: Duration = "10s"  # noqa: N815
    """Longest one."""
    bearer: Bearer = Bearer()
    """What `/metrics` asks for."""


class Rules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Recording and alerting rules for the Prometheus operator."""

    enabled: bool = False
    """Make a PrometheusRule."""
    labels: dict[str, str] = {}
    """What your Prometheus selects by."""


class Dashboards(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Dashboards for Grafana's sidecar."""

    enabled: bool = False
    """Make a ConfigMap of them."""
    sidecarLabel: str = "grafana_dashboard"  # noqa: N815
    """The label that the sidecar looks for; its value is 1."""
    labels: dict[str, str] = {}
    """Further ones."""


class ApiKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key of the gateway's in a secret."""

    secret: SecretName = ""
    """A secret that exists; without one no completion is asked for."""
    key: Text = "key"
    """Which of its entries."""


class SmokeTest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`helm test`: asks /readyz, and with a key for a completion."""

    enabled: bool = True
    """Make the pod that asks."""
    model: Text = "auto"
    """What it asks for."""
    apiKey: ApiKey = ApiKey()  # noqa: N815
    """What it proves itself by."""
