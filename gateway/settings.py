"""The configuration: what `trilemma.yaml` may say, with units and ranges, and how it is read.

With no file at all, `default.yaml` beside this module applies; `trilemma init` writes the same file for editing, so
the documented defaults and the real ones cannot differ.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from backends.types import Capability, Variant
from gateway.admission.settings import AdmissionSettings
from gateway.routing.settings import CallSettings
from gateway.shared.settings import CacheSettings
from gateway.telemetry.settings import TelemetrySettings
from gateway.tenants.types import Tenant
from policies.documents.yaml_text import decode_yaml
from policies.errors import DocumentError
from policies.objective import Ratio, Weights
from policies.policy import Exploration, ExplorationMethod
from policies.priorities import DEFAULT_PRIORITIES

__all__ = (
    "BuildSettings",
    "PolicySettings",
    "ServerSettings",
    "Settings",
    "StoreSettings",
    "TrainingSettings",
    "default_text",
    "load_settings",
)

RESERVED_NAMES = frozenset({"auto"})


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `server` section."""

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: Annotated[int, Meta(ge=0, le=65535)] = 8080
    """TCP port; 0 takes a free one."""
    workers: Annotated[int, Meta(ge=1, le=64)] = 1
    """API processes sharing the port. Without Redis each lets through its share of a tenant's quotas."""
    max_body_bytes: Annotated[int, Meta(ge=1024)] = 4 * 1024 * 1024
    """Larger request bodies are refused with 413."""
    request_timeout_s: Annotated[float, Meta(gt=0)] = 600.0
    """Longest a request may take, whatever its own limits say."""
    idle_timeout_s: Annotated[float, Meta(gt=0)] = 60.0
    """Longest silence between two tokens of a variant."""
    start_timeout_s: Annotated[float, Meta(gt=0)] = 120.0
    """Longest a request waits for a cold variant to start."""
    drain_s: Annotated[float, Meta(ge=0)] = 20.0
    """After SIGTERM, requests in flight may run on for this long."""
    memory_budget_bytes: Annotated[int, Meta(ge=1)] | None = None
    """Resident bytes all workers together may take; three quarters of the machine's memory when absent."""


class StoreSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `store` section: where decisions are logged."""

    database_url: str | None = None
    """SQLAlchemy URL; an SQLite file under the state directory when absent. `env:NAME` takes it from the
    environment."""
    flush_interval_s: Annotated[float, Meta(gt=0, le=60)] = 0.5
    """The log is written this often; a killed process loses at most this much."""
    max_age_s: Annotated[float, Meta(ge=86_400)] | None = 90 * 86_400.0
    """Older decisions are removed with their outcomes and feedback: neither reports nor training see further back.
    `null` keeps them for good."""


class PolicySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `policy` section: routing when no published policy says otherwise."""

    exploration: Exploration = Exploration()
    """How much is tried that is not thought best, as in a policy document."""
    epsilon: Ratio | None = None
    """Share of traffic spread evenly over the feasible variants; short for `exploration.epsilon`. 0 switches all
    exploration off: no draws and no early answers either."""
    temperature: Annotated[float, Meta(ge=0)] | None = None
    """Above 0: a softmax on utility with this temperature in place of Thompson sampling; short for
    `exploration: {method: epsilon_softmax, temperature: ...}`."""
    priorities: dict[str, Weights] = {}
    """Weights behind a named hint, replacing the built-in ones; prices, as in a policy document."""
    fallback: tuple[str, ...] = ()
    """Order in which variants are tried when estimates cannot be trusted; that of `variants` when empty."""

    def __post_init__(self) -> None:
        """A figure is stated in one place only."""
        plain = Exploration()
        for name in ("epsilon", "temperature"):
            if getattr(self, name) is not None and getattr(self.exploration, name) != getattr(plain, name):
                raise ValueError(f"policy.{name} and policy.exploration.{name} are both given")

    def explored(self) -> Exploration:
        """The exploration, with what is stated in short."""
        found = self.exploration
        if self.epsilon is not None:
            found = msgspec.structs.replace(found, epsilon=self.epsilon)
        if self.epsilon == 0.0:
            found = msgspec.structs.replace(found, scale=0.0, first=0)
        if self.temperature:
            method = ExplorationMethod.EPSILON_SOFTMAX
            found = msgspec.structs.replace(found, method=method, temperature=self.temperature)
        return found


class BuildSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `build` section: making what is missing."""

    background: bool = True
    """Build missing variants while the others already serve."""
    distill_minutes: Annotated[float, Meta(ge=0, le=24 * 60)] = 15.0
    """Time given to distillation."""


class TrainingSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `training` section: learning from the log, in a process of its own at the lowest priority."""

    enabled: bool = True
    """Train on schedule while the gateway serves."""
    interval_s: Annotated[float, Meta(ge=60)] = 60.0
    """Least time between the starts of two trainings; whether one is due is looked at every few seconds."""
    min_judged: Annotated[int, Meta(ge=20)] = 50
    """Judged answers of the first training; later ones follow when there are half as many again, or when a variant
    changed."""
    min_rows: Annotated[int, Meta(ge=50)] = 500
    """Answered requests, judged or not, that are enough too: lengths and times are learned from all of them."""
    max_rows: Annotated[int, Meta(ge=50)] = 100_000
    """Of a longer log the newest so many are learned from."""
    publish: Literal["draft", "auto"] = "auto"
    """`auto` puts in force what does better on later requests than what is; `draft` only records it, for a person to
    promote with `trilemma train --promote`."""
    shadow_share: Ratio = 0.02
    """Share of answered requests that the reference variant is asked too, once it is idle, to see whether it agrees;
    only requests that are decoded greedily and that the policy would let it answer. 0 switches this off."""
    reference: str | None = None
    """Variant that others are held against; the local one of the highest card quality when absent."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole configuration file."""

    variants: Annotated[tuple[Variant, ...], Meta(min_length=1)]
    """What can answer, in the order in which it is built and started."""
    server: ServerSettings = ServerSettings()
    """How the API listens, and how long it waits."""
    aliases: dict[str, Annotated[tuple[str, ...], Meta(min_length=1)]] = {}
    """Further names for `model`, each a list of variants to choose from."""
    policy: PolicySettings = PolicySettings()
    """Routing when no published policy says otherwise."""
    store: StoreSettings = StoreSettings()
    """Where decisions are logged."""
    build: BuildSettings = BuildSettings()
    """Making the variants that are missing."""
    training: TrainingSettings = TrainingSettings()
    """Learning from the log."""
    calls: CallSettings = CallSettings()
    """How variants are called, and what is done about one that fails."""
    cache: CacheSettings = CacheSettings()
    """Answers given again, and what replicas share."""
    admission: AdmissionSettings = AdmissionSettings()
    """The queue in front of the variants."""
    telemetry: TelemetrySettings = TelemetrySettings()
    """What is kept and told of requests."""
    tenants: tuple[Tenant, ...] = ()
    """Tenants made at the first start, where the database has none of this name; `trilemma tenants` manages them."""

    def __post_init__(self) -> None:
        """Names must be unique and known."""
        names = [variant.name for variant in self.variants]
        for name in {*names, *self.aliases} & RESERVED_NAMES:
            raise ValueError(f"`{name}` is reserved")
        for name in names:
            if names.count(name) > 1 or name in self.aliases:
                raise ValueError(f"`{name}` names more than one variant or alias")
        listed = {f"alias `{alias}`": members for alias, members in self.aliases.items()}
        listed["policy.fallback"] = self.policy.fallback
        if self.training.reference is not None:
            listed["training.reference"] = (self.training.reference,)
        listed |= {f"the draft of `{v.name}`": (v.decoding.draft,) for v in self.variants if v.decoding.draft}
        listed |= {f"tenant `{t.id}`": t.variants for t in self.tenants if t.variants}
        if self.cache.embedder is not None:
            listed["cache.embedder"] = (self.cache.embedder,)
        for place, members in listed.items():
            for unknown in sorted(set(members) - set(names)):
                raise ValueError(f"{place} names unknown variant `{unknown}`; known: {', '.join(names)}")
        hints = ", ".join(DEFAULT_PRIORITIES)
        for unknown in sorted(set(self.policy.priorities) - set(DEFAULT_PRIORITIES)):
            raise ValueError(f"policy.priorities names unknown hint `{unknown}`; known: {hints}")
        self._check_embedders()

    def _check_embedders(self) -> None:
        """What is to embed must be able to, and what only embeds is not to generate."""
        able = {v.name for v in self.variants if Capability.EMBEDDINGS in (v.capabilities or ())}
        if self.cache.embedder not in {None, *able}:
            raise ValueError(
                f"cache.embedder names `{self.cache.embedder}`, which cannot embed: `capabilities` lacks `embeddings`"
            )
        only = {v.name for v in self.variants if v.embeds_only}
        generating: dict[str, tuple[str | None, ...]] = {
            "training.reference": (self.training.reference,),
            "policy.fallback": self.policy.fallback,
        }
        generating |= {f"the draft of `{v.name}`": (v.decoding.draft,) for v in self.variants}
        for place, names in generating.items():
            for name in sorted(only.intersection(names)):
                raise ValueError(f"{place} names `{name}`, which only embeds")


def default_text() -> str:
    """The commented default configuration."""
    return resources.files("gateway").joinpath("default.yaml").read_text(encoding="utf-8")


def load_settings(path: Path | None = None) -> Settings:
    """Read a configuration file, or the built-in default.

    Raises:
        DocumentError: The text is not a valid configuration; the message names the line and the key.
        OSError: The file cannot be read.
    """
    if path is None:
        return decode_yaml(default_text(), Settings, source_name="default.yaml")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise DocumentError(source_name=str(path), line=line, column=1, what="the text is not UTF-8") from None
    return decode_yaml(text, Settings, source_name=str(path))
