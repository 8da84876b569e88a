"""The one contract all inference libraries are put behind, and the list of those there are.

An engine is used by a single thread, except for its tokenizer. It is asked to `step`, which makes every running
request one token longer, so it needs no threads, callbacks or queues of its own.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Literal, Protocol

import msgspec

from backends.errors import EngineError
from backends.types import Capability, Engine
from backends.worker.errors import RequestError
from backends.worker.messages import Sampling, Turn
from backends.worker.spec import WorkerSpec

__all__ = ("EngineBase", "TokenDelta", "Tokenizer", "create_engine")

_USUAL_TOKENS = 1024
"""Few requests are longer, prompt and answer together."""
_FACTORIES = {
    Engine.OPENVINO: ("backends.worker.openvino_engine", "OpenVinoEngine"),
    Engine.TRANSFORMERS: ("backends.worker.transformers_engine", "TransformersEngine"),
    Engine.LLAMACPP: ("backends.worker.llamacpp_engine", "LlamaCppEngine"),
}


class TokenDelta(msgspec.Struct, frozen=True, kw_only=True):
    """What one step added to one request."""

    id: int
    token_ids: list[int]
    logprobs: list[float] = []
    """Natural log of each token's probability, where asked for."""
    finish: Literal["stop", "length"] | None = None
    error: str | None = None
    """The request cannot go on; the engine has dropped it."""


class Tokenizer(Protocol):
    """Text to tokens and back. Called from several threads."""

    control_tokens: frozenset[str]
    """Tokens such as `<|im_end|>` that steer the model and print nothing."""

    def encode(self, text: str) -> list[int]:
        """Tokens of a text in which control tokens are recognised; none are added."""
        ...

    def decode(self, rows: Sequence[list[int]]) -> list[str]:
        """Text of each non-empty row, control tokens left out."""
        ...

    def render(self, turns: Sequence[Turn]) -> str:
        """The conversation in the model's chat template, ending where the answer begins."""
        ...


class EngineBase(ABC):
    """One loaded model."""

    supports: ClassVar[frozenset[Capability]] = frozenset()
    """What the library can do beyond plain text."""
    tokenizer: Tokenizer

    def __init__(self, spec: WorkerSpec) -> None:
        self.spec = spec
        self.capabilities = self.supports if spec.capabilities is None else self.supports & set(spec.capabilities)
        """What of that the variant offers."""
        self.max_running = spec.max_running
        """Requests that may be in flight; lowered by an engine that cannot batch."""
        self.cached_tokens = max(spec.context_tokens, _USUAL_TOKENS * spec.max_running)
        """Tokens that the KV cache holds; what does not fit at a time waits, or is computed again."""

    @abstractmethod
    def load(self) -> None:
        """Load the weights and set `tokenizer`.

        Raises:
            EngineError: The build cannot be loaded.
            MissingExtraError: The library is not installed.
        """

    def check(self, sampling: Sampling) -> None:
        """Refuse what this engine cannot do; never ignore it. Called from any thread.

        Raises:
            RequestError: Names the parameter.
        """
        needs = {
            "response_format": (sampling.json_schema is not None, Capability.JSON_SCHEMA),
            "logprobs": (sampling.logprobs, Capability.LOGPROBS),
        }
        for param, (asked, capability) in needs.items():
            if asked and capability not in self.capabilities:
                raise RequestError(f"{self.spec.name} does not offer {param}", param=param)

    @abstractmethod
    def submit(self, request_id: int, *, prompt_ids: list[int], max_tokens: int, sampling: Sampling) -> None:
        """Begin a request. At most `max_running` are in flight at any time."""

    @abstractmethod
    def cancel(self, request_id: int) -> None:
        """Drop a running request: no further token is computed for it."""

    @abstractmethod
    def step(self) -> list[TokenDelta]:
        """Compute until there is something to say, at least one step; may be empty-handed during long prompts.

        Raises:
            Exception: The engine is broken and cannot be used further.
        """

    @abstractmethod
    def kv_usage(self) -> float:
        """Share of the KV cache in use, in [0, 1]."""


def create_engine(spec: WorkerSpec) -> EngineBase:
    """The engine of a spec, not loaded yet; its library is imported by `load`.

    Raises:
        EngineError: The engine runs elsewhere.
        MissingExtraError: The library is not installed.
    """
    if spec.engine not in _FACTORIES:
        raise EngineError(f"engine {spec.engine} does not run in a worker")
    module, name = _FACTORIES[spec.engine]
    engine: EngineBase = getattr(importlib.import_module(module), name)(spec)
    return engine
