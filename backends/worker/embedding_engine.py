"""A sentence embedder in OpenVINO GenAI: texts in, unit vectors out, as `built:minilm` lays it out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from backends.errors import EngineError, MissingExtraError
from backends.worker.errors import RequestError
from backends.worker.spec import WorkerSpec

try:
    import openvino_genai as genai
    from tokenizers import Tokenizer
except ImportError as error:
    raise MissingExtraError(package=error.name or "openvino-genai", extra="local") from error

__all__ = ("EmbeddingEngine",)

_PRECISIONS = {"bfloat16": "bf16", "float16": "f16"}
_CHARACTERS_PER_TOKEN = 64
"""No text has more on average; what exceeds it is refused before it is tokenised, which would take seconds."""


class _Config(msgspec.Struct):
    max_position_embeddings: int


class EmbeddingEngine:
    """One model, used by one thread for `lengths` and one for `compute`.

    The pipeline tokenises by itself and tells no lengths, so these are counted beside it by the same vocabulary: what
    the model would cut is refused before it is computed.
    """

    def __init__(self, spec: WorkerSpec) -> None:
        self.spec = spec
        self.width = 0
        """Numbers in a vector; known once loaded."""

    def load(self) -> None:
        """Load the model and its tokenizer, and compute one text so that the first request finds all compiled.

        Raises:
            EngineError: The build cannot be loaded, or reads less than the variant promises.
        """
        path = Path(self.spec.model_path)
        # By default vectors should not depend on the CPU: it would pick bfloat16 by itself where there is.
        properties: dict[str, Any] = {"INFERENCE_PRECISION_HINT": _PRECISIONS.get(self.spec.dtype, "f32")}
        if self.spec.threads is not None:
            properties["INFERENCE_NUM_THREADS"] = self.spec.threads
        try:
            config = msgspec.json.decode((path / "config.json").read_bytes(), type=_Config)
            self._tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
            self._pipeline = genai.TextEmbeddingPipeline(str(path), "CPU", _pooling(), **properties)
        except Exception as error:  # a broken file surfaces as whatever C++ or Rust threw
            raise EngineError(f"{path} cannot be loaded as an embedder: {error}") from error
        if self.spec.context_tokens > config.max_position_embeddings:
            raise EngineError(
                f"{self.spec.name} has context_tokens {self.spec.context_tokens}, and its model reads at most "
                f"{config.max_position_embeddings}: set context_tokens to that or less"
            )
        # The file asks for cut and padded texts; here long ones are refused, and padding is per batch.
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._tokenizer.encode_special_tokens = True  # `[SEP]` in a text is text.
        tokens = self._tokenizer.get_added_tokens_decoder().values()
        self._control = re.compile("|".join(re.escape(token.content) for token in tokens))
        self.width = self.compute(["Hello, how are you today?"]).shape[1]

    def lengths(self, texts: list[str]) -> list[int]:
        """See `Embedder`. Nothing is cut: the vector of half a text would pass for that of the whole."""
        for number, text in enumerate(texts):
            if len(text) > _CHARACTERS_PER_TOKEN * self.spec.context_tokens:
                raise self._too_long(number, f"{len(text)} characters")
        found = [len(encoding.ids) for encoding in self._tokenizer.encode_batch_fast(texts)]
        for number, tokens in enumerate(found):
            if tokens > self.spec.context_tokens:
                raise self._too_long(number, f"{tokens} tokens")
        return found

    def compute(self, texts: list[str]) -> NDArray[np.float32]:
        """See `Embedder`."""
        plain = [self._control.sub(_apart, text) for text in texts]
        return np.array(self._pipeline.embed_documents(plain), dtype=np.float32)

    def _too_long(self, number: int, length: str) -> RequestError:
        return RequestError(
            f"input[{number}] has {length}, and {self.spec.name} reads at most {self.spec.context_tokens} tokens: "
            "shorten or split it",
            param="input",
            code="context_length_exceeded",
        )


def _apart(found: re.Match[str]) -> str:
    """`[SEP]` as `[ SEP]`: the same tokens, and no control token. BERT's vocabulary takes punctuation for itself."""
    return f"{found[0][0]} {found[0][1:]}"


def _pooling() -> genai.TextEmbeddingPipeline.Config:
    """As the model's card states it: the mean over the tokens of a text, scaled to length 1."""
    config = genai.TextEmbeddingPipeline.Config()
    config.pooling_type = genai.TextEmbeddingPipeline.PoolingType.MEAN
    config.normalize = True
    return config
