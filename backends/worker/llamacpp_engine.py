"""llama.cpp behind the engine contract: GGUF files, one request at a time, each token streamed as it comes.

The Python binding decodes a single sequence, so requests queue. A prefix that the last request shared with this one
is not read again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from backends.errors import EngineError, MissingExtraError
from backends.types import Capability
from backends.worker.engine import EngineBase, TokenDelta
from backends.worker.messages import Sampling, Turn
from backends.worker.model_files import find_gguf
from backends.worker.spec import WorkerSpec

try:
    import llama_cpp
    from llama_cpp.llama_chat_format import Jinja2ChatFormatter
except ImportError as error:
    raise MissingExtraError(package="llama-cpp-python", extra="llamacpp") from error

__all__ = ("LlamaCppEngine",)

_SEEDS = 2**32 - 1
"""llama.cpp takes 32 bits, and the highest value to mean a random seed."""


class LlamaCppEngine(EngineBase):
    """Runs one request at a time in a `Llama`."""

    supports: ClassVar[frozenset[Capability]] = frozenset({Capability.JSON_SCHEMA})

    def __init__(self, spec: WorkerSpec) -> None:
        super().__init__(spec)
        self.max_running = 1
        self._request: tuple[int, int, Iterator[int]] | None = None

    def load(self) -> None:
        """Load the model and run a token."""
        if self.spec.decoding.strategy == "beam" or self.spec.draft_path is not None:
            raise EngineError("engine llamacpp runs neither beam search nor a drafting model")
        path = find_gguf(Path(self.spec.model_path))
        try:
            self._llama = llama_cpp.Llama(
                model_path=str(path), n_ctx=self.spec.context_tokens, n_threads=self.spec.threads, verbose=False
            )
        except ValueError as error:
            raise EngineError(f"llama.cpp cannot load {path}: {error}") from error
        self.tokenizer = LlamaCppTokenizer(self._llama)
        prompt = self.tokenizer.encode("Hello, how are you today?")
        self.submit(0, prompt_ids=prompt, max_tokens=1, sampling=Sampling(temperature=0.0))
        self.step()

    def submit(self, request_id: int, *, prompt_ids: list[int], max_tokens: int, sampling: Sampling) -> None:
        """Make it the current request."""
        grammar = None
        if sampling.json_schema is not None:
            grammar = llama_cpp.LlamaGrammar.from_json_schema(sampling.json_schema, verbose=False)
        self._llama.set_seed(sampling.seed % _SEEDS)
        tokens = self._llama.generate(
            prompt_ids,
            top_k=0,
            top_p=sampling.top_p,
            min_p=0.0,
            temp=sampling.temperature,
            presence_penalty=sampling.presence_penalty,
            frequency_penalty=sampling.frequency_penalty,
            grammar=grammar,
        )
        self._request = (request_id, max_tokens, tokens)

    def cancel(self, request_id: int) -> None:
        """Forget it."""
        if self._request is not None and self._request[0] == request_id:
            self._request = None

    def step(self) -> list[TokenDelta]:
        """Generate one token, after the whole prompt at first."""
        if self._request is None:
            return []
        request_id, left, tokens = self._request
        token = next(tokens)
        finish: Literal["stop", "length"] | None = None
        if llama_cpp.llama_vocab_is_eog(_vocabulary(self._llama), token):
            finish = "stop"
        elif left == 1:
            finish = "length"
        self._request = None if finish else (request_id, left - 1, tokens)
        return [TokenDelta(id=request_id, token_ids=[token], finish=finish)]

    def kv_usage(self) -> float:
        """Tokens of the last request, over the context."""
        return float(self._llama.n_tokens / self.spec.context_tokens)


class LlamaCppTokenizer:
    """The tokenizer in the GGUF file."""

    def __init__(self, llama: Any) -> None:  # noqa: ANN401
        self._llama = llama
        vocabulary = _vocabulary(llama)
        control = [i for i in range(llama.n_vocab()) if llama_cpp.llama_vocab_is_control(vocabulary, i)]
        text = {i: llama_cpp.llama_vocab_get_text(vocabulary, i).decode() for i in control}
        self.control_tokens = frozenset(text.values())
        self._template = Jinja2ChatFormatter(
            llama.metadata.get("tokenizer.chat_template", "{{ raise_exception('the model has no chat template') }}"),
            eos_token=text.get(llama.token_eos(), ""),
            bos_token=text.get(llama.token_bos(), ""),
        )

    def encode(self, text: str) -> list[int]:
        """See `Tokenizer`."""
        ids: list[int] = self._llama.tokenize(text.encode(), add_bos=False, special=True)
        return ids

    def decode(self, rows: Sequence[list[int]]) -> list[str]:
        """See `Tokenizer`."""
        return [self._llama.detokenize(row).decode(errors="replace") for row in rows]

    def render(self, turns: Sequence[Turn]) -> str:
        """See `Tokenizer`."""
        messages = [{"role": turn.role, "content": turn.content} for turn in turns]
        text: str = self._template(messages=messages).prompt
        return text


def _vocabulary(llama: Any) -> Any:  # noqa: ANN401
    return llama_cpp.llama_model_get_vocab(llama.model)
