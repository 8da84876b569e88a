"""transformers' continuous batching behind the engine contract: any checkpoint directory, on CPU."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from backends.errors import EngineError, MissingExtraError
from backends.types import Capability
from backends.worker.engine import EngineBase, TokenDelta
from backends.worker.messages import Sampling, Turn

try:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, ContinuousBatchingConfig, GenerationConfig
    from transformers.utils import logging as transformers_logging

    from backends.worker.transformers_sampling import Draw, processor_list
except ImportError as error:
    raise MissingExtraError(package="transformers with torch", extra="local") from error

__all__ = ("TransformersEngine",)

_PAGE_TOKENS = 64
_STEP_TOKENS = 256
"""Prompt tokens read in one step. Small, because running answers wait for it."""
_POLL_S = 0.02
"""How long a step may pass without news before commands are looked at."""


class TransformersEngine(EngineBase):
    """Runs requests in the manager that `init_continuous_batching` gives, which steps in a thread of its own."""

    supports: ClassVar[frozenset[Capability]] = frozenset({Capability.LOGPROBS})

    def load(self) -> None:
        """Load the checkpoint, start the manager, and run a few tokens so that its cache is set up."""
        if self.spec.decoding.strategy == "beam" or self.spec.draft_path is not None:
            raise EngineError("engine transformers runs neither beam search nor a drafting model in a batch")
        if self.spec.threads is not None:
            torch.set_num_threads(self.spec.threads)
        transformers_logging.disable_progress_bar()
        path = self.spec.model_path
        dtype = "auto" if self.spec.dtype == "native" else self.spec.dtype
        try:
            self.tokenizer = TransformersTokenizer(AutoTokenizer.from_pretrained(path, local_files_only=True))
            model = AutoModelForCausalLM.from_pretrained(
                path, dtype=dtype, attn_implementation="sdpa", local_files_only=True
            )
        except (OSError, ValueError, RuntimeError) as error:
            raise EngineError(f"transformers cannot load {path}: {error}") from error
        self._eos_ids = _as_set(model.generation_config.eos_token_id)
        self._manager = model.init_continuous_batching(
            generation_config=GenerationConfig(do_sample=False, eos_token_id=sorted(self._eos_ids) or -1),
            continuous_batching_config=self._batching(),
        )
        self._manager.logit_processor = processor_list()
        self._requests: dict[str, _Request] = {}
        self._manager.start()
        self._warm_up()

    def submit(self, request_id: int, *, prompt_ids: list[int], max_tokens: int, sampling: Sampling) -> None:
        """Hand a request to the manager."""
        name, draw = str(request_id), Draw(sampling)
        self._requests[name] = _Request(draw)
        self._manager.add_request(prompt_ids, request_id=name, max_new_tokens=max_tokens, streaming=True, draw=draw)

    def cancel(self, request_id: int) -> None:
        """Tell the manager, which drops it before its next step."""
        del self._requests[str(request_id)]
        self._manager.cancel_request(str(request_id))

    def step(self) -> list[TokenDelta]:
        """Collect what the manager's steps have produced."""
        deltas = []
        output = self._manager.get_result(timeout=_POLL_S)
        if output is None and not self._manager.is_running():
            raise EngineError(f"continuous batching ended: {self._manager.background_thread_status.fatal_error}")
        while output is not None:
            if output.request_id in self._requests:
                deltas.append(self._delta(output))
            output = self._manager.get_result(timeout=0)
        return deltas

    def kv_usage(self) -> float:
        """From the cache, which counts prefixes kept for reuse as used."""
        return 1.0 - float(self._manager.batch_processor.cache.compute_free_capacity())

    def _batching(self) -> ContinuousBatchingConfig:
        return ContinuousBatchingConfig(
            page_size=_PAGE_TOKENS,
            num_blocks=math.ceil(self.cached_tokens / _PAGE_TOKENS) + 1,
            max_batch_tokens=max(_STEP_TOKENS, self.spec.max_running),
            max_requests_per_batch=self.spec.max_running,
            max_blocks_per_request=0,  # a CUDA path
            use_async_batching=False,
            use_cuda_graph=False,
            auto_switch_to_flash=False,
        )

    def _delta(self, output: Any) -> TokenDelta:  # noqa: ANN401
        request_id, request = output.request_id, self._requests[output.request_id]
        if output.error is not None:
            del self._requests[request_id]
            return TokenDelta(id=int(request_id), token_ids=[], error=str(output.error))
        finish: Literal["stop", "length"] | None = None
        if output.is_finished():
            del self._requests[request_id]
            finish = "stop" if output.generated_tokens[-1] in self._eos_ids else "length"
        seen, request.seen = request.seen, len(output.generated_tokens)
        return TokenDelta(
            id=int(request_id),
            token_ids=output.generated_tokens[seen:],
            logprobs=request.draw.logprobs[seen : request.seen],
            finish=finish,
        )

    def _warm_up(self) -> None:
        prompt = self.tokenizer.encode("Hello, how are you today?")
        self.submit(0, prompt_ids=prompt, max_tokens=3, sampling=Sampling(temperature=0.0))
        while self._requests:
            self.step()


class _Request:
    """What was already reported of one request."""

    __slots__ = ("draw", "seen")

    def __init__(self, draw: Draw) -> None:
        self.draw = draw
        self.seen = 0


class TransformersTokenizer:
    """The checkpoint's tokenizer. Its Rust part is used directly: the wrapper around it is not thread-safe."""

    def __init__(self, tokenizer: Any) -> None:  # noqa: ANN401
        self._tokenizer = tokenizer
        self._rust = tokenizer.backend_tokenizer
        self._rust.no_truncation()
        self._rust.no_padding()
        added = tokenizer.added_tokens_decoder.values()
        self.control_tokens = frozenset(token.content for token in added if token.special)

    def encode(self, text: str) -> list[int]:
        """See `Tokenizer`."""
        ids: list[int] = self._rust.encode(text, add_special_tokens=False).ids
        return ids

    def decode(self, rows: Sequence[list[int]]) -> list[str]:
        """See `Tokenizer`."""
        texts: list[str] = self._rust.decode_batch(list(rows), skip_special_tokens=True)
        return texts

    def render(self, turns: Sequence[Turn]) -> str:
        """See `Tokenizer`."""
        messages = [{"role": turn.role, "content": turn.content} for turn in turns]
        text: str = self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        return text


def _as_set(ids: int | list[int] | None) -> set[int]:
    if ids is None:
        return set()
    return {ids} if isinstance(ids, int) else set(ids)
