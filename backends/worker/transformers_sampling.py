"""Each request's own way of drawing tokens, inside transformers' continuous batching.

Tokens are drawn by the Gumbel-max trick: the most likely token after adding seeded noise is a sample from the
distribution. So the batch is always decoded greedily, greedy requests get no noise, and a request with a seed draws
the same tokens whatever else is in the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from transformers import LogitsProcessorList, TopPLogitsWarper
from transformers.generation.continuous_batching.cb_logits_processors import (
    ContinuousBatchingLogitsProcessor,
    ContinuousBatchingLogitsProcessorList,
)

from backends.worker.messages import Sampling

__all__ = ("Draw", "Drawer", "processor_list")


class Draw:
    """The drawing state of one request."""

    def __init__(self, sampling: Sampling) -> None:
        self._sampling = sampling
        self._generator = torch.Generator().manual_seed(sampling.seed)
        self._counts: torch.Tensor | None = None
        self._penalised = bool(sampling.presence_penalty or sampling.frequency_penalty)
        self.logprobs: list[float] = []
        """Of each token drawn, where asked for."""

    def __call__(self, logits: torch.Tensor) -> torch.Tensor:
        """Scores of shape [vocabulary] whose maximum is the token drawn."""
        sampling = self._sampling
        scores = self._with_penalties(logits) if self._penalised else logits
        if sampling.temperature > 0:
            scores = scores / sampling.temperature
            if sampling.top_p < 1:
                scores = TopPLogitsWarper(sampling.top_p)(None, scores[None])[0]
            noise = torch.empty_like(scores).exponential_(generator=self._generator)
            scores = scores - noise.log()
        if self._penalised or sampling.logprobs:
            self._record(int(scores.argmax()), logits)
        return scores

    def _with_penalties(self, logits: torch.Tensor) -> torch.Tensor:
        if self._counts is None:
            self._counts = torch.zeros_like(logits)
        sampling, counts = self._sampling, self._counts
        return logits - sampling.frequency_penalty * counts - sampling.presence_penalty * (counts > 0)

    def _record(self, token: int, logits: torch.Tensor) -> None:
        if self._counts is not None:
            self._counts[token] += 1
        if self._sampling.logprobs:
            self.logprobs.append(float(logits[token] - logits.logsumexp(0)))


class Drawer(ContinuousBatchingLogitsProcessor):
    """Applies each request's `Draw` to its row."""

    supported_kwargs: ClassVar[dict[str, type]] = {"draw": Draw}
    ignored_kwargs: tuple[str, ...] = ()

    def __init__(self) -> None:
        self._rows: list[Draw] = []

    def fill_defaults(self, int32_tensor: torch.Tensor) -> None:
        """Nothing is passed through the tensor."""
        int32_tensor.zero_()

    def prepare_tensor_args(self, requests_with_new_token: Sequence[Any]) -> torch.Tensor:
        """Note whose rows come next."""
        self._rows = [request.state.logit_processor_kwargs["draw"] for request in requests_with_new_token]
        return torch.zeros(len(self._rows), dtype=torch.int32)

    def __call__(self, scores: torch.Tensor, _tensor_arg: torch.Tensor) -> torch.Tensor:
        """Scores of shape [sequences, vocabulary].

        The rows of `prepare_tensor_args` come first; rows of prompts that are only partly read follow, unused.
        """
        for i, draw in enumerate(self._rows):
            scores[i] = draw(scores[i])
        return scores


def processor_list() -> ContinuousBatchingLogitsProcessorList:
    """What a manager takes instead of the processors it derives from a generation configuration."""
    processors = ContinuousBatchingLogitsProcessorList(LogitsProcessorList([Drawer()]))
    processors.tensors_required = 1
    return processors
