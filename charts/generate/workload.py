"""Values about what runs: the image, policies, secrets, Redis, the volume, the trainer."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from charts.generate.basics import Count, Digest, EnvName, PinnedImage, Resources, SecretName, Tag, Text

__all__ = (
    "Autoscaling",
    "Env",
    "Image",
    "InternalRedis",
    "PasswordSecret",
    "Persistence",
    "Policies",
    "Redis",
    "SecretEnv",
    "Trainer",
    "UrlSecret",
)

AccessMode = Literal["ReadWriteOnce", "ReadWriteOncePod", "ReadWriteMany"]


class Image(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The gateway's image."""

    repository: Text = "trilemma"
    """Where you pushed the image that the Dockerfile makes."""
    tag: Tag = ""
    """The chart's appVersion when empty."""
    digest: Digest = ""
    """`sha256:…`; wins over the tag."""
    pullPolicy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"  # noqa: N815 - Kubernetes' spelling
    """When the node fetches it."""


class Autoscaling(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """More pods under load."""

    enabled: bool = False
    """Make a HorizontalPodAutoscaler; `replicas` counts no more."""
    minReplicas: Count = 2  # noqa: N815
    """Never fewer."""
    maxReplicas: Count = 6  # noqa: N815
    """Never more."""
    cpuPercent: Annotated[int, Meta(ge=1, le=100)] = 70  # noqa: N815
    """Of the CPU requested, on average over the pods."""


class Policies(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Policy documents."""

    files: dict[Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]+\.yaml$")], str] = {}
    """Text by file name."""
    publish: str = ""
    """The file to put in force when a pod starts. One that was in force before is left alone, so neither what was
    learned since nor a rollback is undone; one with errors keeps the new pods from starting."""


class SecretEnv(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An environment variable from a secret."""

    name: EnvName
    """Of the variable, as in `env:NAME`."""
    secret: Annotated[SecretName, Meta(min_length=1)]
    """A secret that exists."""
    key: Text
    """Which of its entries."""


class Env(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A plain environment variable."""

    name: EnvName
    """Of the variable."""
    value: str
    """Of no secrecy."""


class UrlSecret(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A URL in a secret."""

    secret: SecretName = ""
    """A secret that exists; none when empty."""
    key: Text = "url"
    """Which of its entries."""


class PasswordSecret(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A password in a secret."""

    secret: SecretName = ""
    """A secret that exists."""
    key: Text = "password"
    """Which of its entries: letters and digits, since it becomes part of a URL."""


class InternalRedis(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Redis in the chart: a cache without persistence, which the gateway can lose without refusing a request."""

    enabled: bool = False
    """Make it."""
    image: PinnedImage = "redis:8.2.1-bookworm"
    """Redis 8 or later, with a tag or a digest."""
    password: PasswordSecret = PasswordSecret()
    """What it asks for."""
    maxMemory: Annotated[str, Meta(pattern=r"^[0-9]+(kb|mb|gb)$")] = "256mb"  # noqa: N815
    """The entries used least go first."""
    resources: Resources = Resources(requests={"cpu": "50m", "memory": "320Mi"}, limits={"memory": "320Mi"})
    """Of its container."""


class Redis(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Caches, limits that hold over all pods, live load."""

    external: UrlSecret = UrlSecret()
    """Your own, Redis 8 or later: `redis://` or `rediss://`."""
    internal: InternalRedis = InternalRedis()
    """Or one made here."""


class Persistence(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The volume at /var/lib/trilemma: built models, snapshots of learning, and the database where it is SQLite."""

    enabled: bool = False
    """Have one; otherwise all of it ends with the pod."""
    size: Annotated[str, Meta(pattern=r"^[0-9]+(\.[0-9]+)?(Ki|Mi|Gi|Ti)$")] = "20Gi"
    """Of the claim made here."""
    storageClass: str = ""  # noqa: N815
    """The cluster's own when empty."""
    accessModes: Annotated[tuple[AccessMode, ...], Meta(min_length=1)] = ("ReadWriteOnce",)  # noqa: N815
    """`ReadWriteMany` where several pods are to share it."""
    existingClaim: str = ""  # noqa: N815
    """A claim that exists; none is made then."""


class Trainer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Learning from the log as one job, instead of a trainer in every pod."""

    enabled: bool = False
    """Needs `database`."""
    schedule: Text = "*/5 * * * *"
    """As cron has it: when to look whether there is enough new evidence."""
    resources: Resources = Resources(requests={"cpu": "250m", "memory": "512Mi"}, limits={"memory": "2Gi"})
    """Of its container."""
