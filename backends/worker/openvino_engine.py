"""OpenVINO GenAI's continuous batching behind the engine contract: GGUF files and OpenVINO IR directories.

Its 8-bit arithmetic rounds by what is computed together. So a seed, or temperature 0, gives the same answer under the
same circumstances; beside other requests, or with another part of the prompt found in the cache, near ties may fall
differently.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from backends.errors import EngineError, MissingExtraError
from backends.types import Capability
from backends.worker.engine import EngineBase, TokenDelta
from backends.worker.errors import RequestError
from backends.worker.messages import Sampling, Turn
from backends.worker.model_files import find_gguf

try:
    import numpy as np
    import openvino as ov
    import openvino_genai as genai
except ImportError as error:
    raise MissingExtraError(package="openvino-genai", extra="local") from error

__all__ = ("OpenVinoEngine",)

_BLOCK_TOKENS = 32
"""Tokens in one block of the KV cache on CPU."""
_STEP_TOKENS = 128
"""Prompt tokens read in one step. Small, because running answers wait for it."""
_DRAFTED_TOKENS = 4
"""Tokens a drafting model proposes in one step."""
_ENCODE_CHARACTERS = 2000
"""Longer texts are encoded in parts: the tokenizer silently cuts what exceeds the model's context."""
_PRECISIONS = {"bfloat16": "bf16", "float16": "f16"}
_CONTROL = re.compile(rb"<[^\s<>]+>|\[[A-Z_/]+\]")


class OpenVinoEngine(EngineBase):
    """Runs requests in one `ContinuousBatchingPipeline`."""

    supports: ClassVar[frozenset[Capability]] = frozenset({Capability.JSON_SCHEMA, Capability.LOGPROBS})

    def load(self) -> None:
        """Load the model, and run a few tokens so that the first request finds everything compiled."""
        path = Path(self.spec.model_path)
        properties: dict[str, Any] = {
            # OpenVINO picks bfloat16 where the CPU has it; by default answers should not depend on the CPU.
            "INFERENCE_PRECISION_HINT": _PRECISIONS.get(self.spec.dtype, "f32"),
            # Its own choice, 8 bits, lets near ties fall differently with whatever else is in the batch.
            "KV_CACHE_PRECISION": "f16",
        }
        if self.spec.threads is not None:
            properties["INFERENCE_NUM_THREADS"] = self.spec.threads
        if self.spec.draft_path is not None:
            properties["draft_model"] = _draft_model(Path(self.spec.draft_path))
        model = path if (path / "openvino_model.xml").is_file() else find_gguf(path)
        try:
            self._pipeline = genai.ContinuousBatchingPipeline(str(model), self._scheduler(), "CPU", properties)
        except Exception as error:  # a broken file surfaces as whatever C++ threw
            raise EngineError(f"OpenVINO cannot load {model}: {error}") from error
        self.tokenizer = OpenVinoTokenizer(self._pipeline.get_tokenizer())
        self._handles: dict[int, Any] = {}
        self._warm_up()

    def check(self, sampling: Sampling) -> None:
        """Beam search takes neither penalties nor a schema."""
        super().check(sampling)
        if self.spec.decoding.strategy != "beam":
            return
        for param in ("presence_penalty", "frequency_penalty"):
            if getattr(sampling, param):
                raise RequestError(f"{param} is not available with beam search", param=param)

    def submit(self, request_id: int, *, prompt_ids: list[int], max_tokens: int, sampling: Sampling) -> None:
        """Hand a request to the pipeline's scheduler."""
        prompt = ov.Tensor(np.array([prompt_ids], dtype=np.int64))
        config = self._config(max_tokens, sampling)
        self._handles[request_id] = self._pipeline.add_request(request_id, prompt, config)

    def cancel(self, request_id: int) -> None:
        """Mark it; the pipeline drops it at the start of its next step."""
        handle = self._handles.pop(request_id, None)
        if handle is not None:
            handle.cancel()
            if not self._handles:
                self._pipeline.step()

    def step(self) -> list[TokenDelta]:
        """Run one step of the pipeline and collect what it produced."""
        self._pipeline.step()
        deltas = []
        for request_id, handle in list(self._handles.items()):
            delta = _read(request_id, handle)
            if delta is not None:
                deltas.append(delta)
                if delta.finish or delta.error:
                    del self._handles[request_id]
        return deltas

    def kv_usage(self) -> float:
        """From the pipeline's metrics, which count in percent."""
        return min(float(self._pipeline.get_metrics().cache_usage) / 100.0, 1.0)

    def _scheduler(self) -> genai.SchedulerConfig:
        config = genai.SchedulerConfig()
        config.num_kv_blocks = math.ceil(self.cached_tokens / _BLOCK_TOKENS) + 1
        config.max_num_seqs = self.spec.max_running * self.spec.decoding.num_beams
        config.max_num_batched_tokens = max(_STEP_TOKENS, config.max_num_seqs)
        config.dynamic_split_fuse = True
        config.enable_prefix_caching = True
        return config

    def _config(self, max_tokens: int, sampling: Sampling) -> genai.GenerationConfig:
        config = self._pipeline.get_config()  # a copy, with the model's own ends of sequence
        config.apply_chat_template = False
        config.do_sample = False
        config.max_new_tokens = max_tokens
        config.logprobs = int(sampling.logprobs)
        if sampling.json_schema is not None:
            config.structured_output_config = genai.StructuredOutputConfig(json_schema=sampling.json_schema)
        if self.spec.decoding.strategy == "beam":
            config.num_beams = self.spec.decoding.num_beams
            return config
        config.presence_penalty = sampling.presence_penalty
        config.frequency_penalty = sampling.frequency_penalty
        if self.spec.draft_path is not None:
            config.num_assistant_tokens = _DRAFTED_TOKENS
        if sampling.temperature > 0:
            config.do_sample = True
            config.temperature = sampling.temperature
            config.top_p = sampling.top_p
            config.rng_seed = sampling.seed
        return config

    def _warm_up(self) -> None:
        prompt = self.tokenizer.encode("Hello, how are you today?")
        self.submit(0, prompt_ids=prompt, max_tokens=3, sampling=Sampling(temperature=0.0))
        while self._handles:
            self.step()


class OpenVinoTokenizer:
    """The tokenizer that comes with the model."""

    def __init__(self, tokenizer: genai.Tokenizer) -> None:
        self._tokenizer = tokenizer
        vocabulary: dict[bytes, int] = tokenizer.get_vocab()
        shaped = {token.decode(): i for token, i in vocabulary.items() if _CONTROL.fullmatch(token)}
        self.control_tokens = frozenset(token for token, i in shaped.items() if tokenizer.decode([i]) == "")

    def encode(self, text: str) -> list[int]:
        """See `Tokenizer`; long texts go in parts that end before a space, where byte-level tokens never cross."""
        return [token for part in _parts(text) for token in self._encode_part(part)]

    def decode(self, rows: Sequence[list[int]]) -> list[str]:
        """See `Tokenizer`."""
        texts: list[str] = self._tokenizer.decode(list(rows)) if rows else []
        return texts

    def render(self, turns: Sequence[Turn]) -> str:
        """See `Tokenizer`."""
        messages = [{"role": turn.role, "content": turn.content} for turn in turns]
        text: str = self._tokenizer.apply_chat_template(messages, add_generation_prompt=True)
        return text

    def _encode_part(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).input_ids.data[0].tolist()
        return ids


def _parts(text: str) -> list[str]:
    parts = []
    while len(text) > _ENCODE_CHARACTERS:
        cut = text.rfind(" ", 1, _ENCODE_CHARACTERS)
        while cut > 0 and text[cut - 1].isspace():
            cut = text.rfind(" ", 1, cut)
        cut = cut if cut > 0 else _ENCODE_CHARACTERS
        parts.append(text[:cut])
        text = text[cut:]
    return [*parts, text] if text else parts


def _read(request_id: int, handle: Any) -> TokenDelta | None:  # noqa: ANN401
    if not handle.can_read():
        if handle.get_status() == genai.GenerationStatus.IGNORED:
            return TokenDelta(id=request_id, token_ids=[], error="the request does not fit the KV cache")
        return None
    outputs = handle.read()
    if not outputs:
        return None
    best = max(outputs.values(), key=lambda output: output.score)
    finish: Literal["stop", "length"] | None = None
    if best.finish_reason == genai.GenerationFinishReason.STOP:
        finish = "stop"
    elif best.finish_reason == genai.GenerationFinishReason.LENGTH:
        finish = "length"
    return TokenDelta(id=request_id, token_ids=best.generated_ids, logprobs=best.generated_log_probs, finish=finish)


def _draft_model(path: Path) -> ov.OVAny:
    if not (path / "openvino_model.xml").is_file():
        raise EngineError(f"OpenVINO drafts only with models in its own format, and {path} holds none")
    return genai.draft_model(str(path), "CPU")
