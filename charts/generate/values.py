"""Every value of the chart: its type, default and meaning. Its schema and the table in its README come from here.

Where Kubernetes' own objects are passed on (tolerations, affinity and the like) their schema is Kubernetes' business.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from charts.generate.basics import Count, Object, Resources
from charts.generate.surroundings import (
    Dashboards,
    DisruptionBudget,
    Ingress,
    NetworkPolicy,
    Rules,
    Service,
    ServiceMonitor,
    SmokeTest,
)
from charts.generate.workload import (
    Autoscaling,
    Env,
    Image,
    Persistence,
    Policies,
    Redis,
    SecretEnv,
    Trainer,
    UrlSecret,
)
from gateway.settings import Settings

__all__ = ("Values",)


class Values(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All values of the chart."""

    image: Image = Image()
    """The gateway's image."""
    imagePullSecrets: tuple[Object, ...] = ()  # noqa: N815
    """For a registry that asks."""
    replicas: Count = 1
    """Gateway pods; more than one needs `database` and Redis."""
    autoscaling: Autoscaling = Autoscaling()
    """More pods under load."""
    config: Settings
    """`trilemma.yaml`, checked here key by key; the chart adds the address to listen on, the database and Redis."""
    policies: Policies = Policies()
    """Policy documents."""
    secretEnv: tuple[SecretEnv, ...] = ()  # noqa: N815
    """Environment variables from secrets that exist."""
    env: tuple[Env, ...] = ()
    """Plain environment variables."""
    database: UrlSecret = UrlSecret()
    """PostgreSQL as `postgresql+psycopg://…`; SQLite on the volume without."""
    redis: Redis = Redis()
    """Caches, limits that hold over all pods, live load."""
    persistence: Persistence = Persistence()
    """The volume at /var/lib/trilemma."""
    trainer: Trainer = Trainer()
    """Learning from the log as one job."""
    resources: Resources = Resources(requests={"cpu": "500m", "memory": "512Mi"}, limits={"memory": "1Gi"})
    """Of the gateway's container, its workers included."""
    preStopSeconds: Annotated[int, Meta(ge=1, le=120)] = 5  # noqa: N815
    """Between being taken out of the Service and being told to stop."""
    podDisruptionBudget: DisruptionBudget = DisruptionBudget()  # noqa: N815
    """How many pods a drained node may take at once."""
    podAnnotations: dict[str, str] = {}  # noqa: N815
    """Of the gateway's pods."""
    podLabels: dict[str, str] = {}  # noqa: N815
    """Of the gateway's pods."""
    nodeSelector: dict[str, str] = {}  # noqa: N815
    """Of all pods."""
    tolerations: tuple[Object, ...] = ()
    """Of all pods."""
    affinity: Object = {}
    """Of all pods."""
    topologySpreadConstraints: tuple[Object, ...] = ()  # noqa: N815
    """Of the gateway's pods; over nodes, where possible, when empty."""
    priorityClassName: str = ""  # noqa: N815
    """Of all pods."""
    service: Service = Service()
    """How the cluster reaches the gateway."""
    ingress: Ingress = Ingress()
    """How the world reaches it."""
    networkPolicy: NetworkPolicy = NetworkPolicy()  # noqa: N815
    """Who may speak to whom."""
    serviceMonitor: ServiceMonitor = ServiceMonitor()  # noqa: N815
    """Scraping by the Prometheus operator."""
    prometheusRule: Rules = Rules()  # noqa: N815
    """Recording and alerting rules."""
    dashboards: Dashboards = Dashboards()
    """Dashboards for Grafana's sidecar."""
    smokeTest: SmokeTest = SmokeTest()  # noqa: N815
    """What `helm test` does."""
