"""The full model in torch, layer by layer: what pruning measures and distillation learns from."""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from backends.builder.convert import hf_to_gguf_tensors, write_gguf
from backends.errors import MissingExtraError

try:
    import torch
    from transformers import AutoModelForCausalLM
except ImportError as error:
    raise MissingExtraError(package=error.name or "torch", extra="local") from error

__all__ = (
    "Conversation",
    "Teacher",
    "fast_dtype",
    "kl_divergence",
    "mean_kl",
    "pad",
    "run_layers",
    "to_batches",
    "torch",
)

Layers = Sequence[torch.nn.Module]
Rotary = tuple[torch.Tensor, torch.Tensor]
"""Cosines and sines, (1, length, head size) each."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """Token ids of a prompt with the chat template applied, and of the answer."""

    prompt: list[int]
    answer: list[int]

    @property
    def length(self) -> int:
        """Tokens in all."""
        return len(self.prompt) + len(self.answer)


class Teacher:
    """A Llama checkpoint whose layers can be run one after another. Nothing in it is changed by its methods."""

    def __init__(self, checkpoint: Path) -> None:
        with contextlib.redirect_stderr(io.StringIO()):  # transformers draws bars there and takes no other sink
            self.model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32).eval()
        self.model.requires_grad_(requires_grad=False)
        self.layers: list[torch.nn.Module] = list(self.model.model.layers)
        self.norm: torch.nn.Module = self.model.model.norm
        self.head: torch.Tensor = self.model.lm_head.weight.detach()
        """(vocabulary, hidden)"""

    def embed(self, ids: torch.Tensor) -> torch.Tensor:
        """(batch, length) ids -> (batch, length, hidden)."""
        return self.model.model.embed_tokens(ids)

    def rotary(self, length: int) -> Rotary:
        """Cosines and sines of the positions 0 to `length` - 1, shared by all layers."""
        return self.model.model.rotary_emb(torch.zeros(1, length, 1), torch.arange(length)[None])

    def write(self, path: Path, *, layers: Layers, norm: torch.nn.Module, metadata_from: Path) -> None:
        """Write a model of these layers, in Q8_0, with the teacher's embedding and head."""
        weights = {
            "model.embed_tokens.weight": self.model.model.embed_tokens.weight,
            "model.norm.weight": norm.weight,
        }
        for index, layer in enumerate(layers):
            weights |= {f"model.layers.{index}.{name}": weight for name, weight in layer.state_dict().items()}
        if not self.model.config.tie_word_embeddings:
            weights["lm_head.weight"] = self.head
        tensors = hf_to_gguf_tensors(
            {name: weight.detach().float().numpy() for name, weight in weights.items()},
            heads=self.model.config.num_attention_heads,
            kv_heads=self.model.config.num_key_value_heads,
            block_count=len(layers),
        )
        write_gguf(path, tensors=tensors, metadata_from=metadata_from, block_count=len(layers))


def run_layers(layers: Iterable[torch.nn.Module], hidden: torch.Tensor, rotary: Rotary) -> torch.Tensor:
    """Run layers one after another.

    Attention is causal without a mask: batches are padded on the right, where no real token looks.
    """
    for layer in layers:
        hidden = layer(hidden, attention_mask=None, position_embeddings=rotary)
    return hidden


def to_batches(conversations: Sequence[Conversation], *, tokens: int) -> list[list[Conversation]]:
    """Batches of conversations of like length, at most `tokens` a batch with padding, in order of length."""
    batches: list[list[Conversation]] = []
    for conversation in sorted(conversations, key=lambda one: one.length):
        if not batches or (len(batches[-1]) + 1) * conversation.length > tokens:
            batches.append([])
        batches[-1].append(conversation)
    return batches


def pad(batch: Sequence[Conversation]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A batch as tensors, all (batch, length).

    Returns:
        Token ids; where they are real and not padding; at which positions the next token belongs to the answer.
    """
    shape = (len(batch), max(conversation.length for conversation in batch))
    ids = torch.zeros(shape, dtype=torch.long)
    real = torch.zeros(shape, dtype=torch.bool)
    answers = torch.zeros(shape, dtype=torch.bool)
    for row, conversation in enumerate(batch):
        ids[row, : conversation.length] = torch.tensor(conversation.prompt + conversation.answer)
        real[row, : conversation.length] = True
        answers[row, len(conversation.prompt) - 1 : conversation.length - 1] = True
    return ids, real, answers


def kl_divergence(head: torch.Tensor, targets: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
    """Sum over tokens of KL(teacher | student), in nats, of next-token distributions.

    Args:
        head: Output projection of both, (vocabulary, width).
        targets: The teacher's last hidden states, (tokens, width).
        states: The student's, likewise.
    """
    with torch.no_grad():
        wanted = torch.log_softmax(torch.nn.functional.linear(targets, head).float(), dim=-1)
    found = torch.log_softmax(torch.nn.functional.linear(states, head).float(), dim=-1)
    return torch.nn.functional.kl_div(found, wanted, log_target=True, reduction="sum")


@torch.no_grad()
def mean_kl(head: torch.Tensor, pairs: Iterable[tuple[torch.Tensor, torch.Tensor]]) -> float:
    """Nats per token over batches of (targets, states), as `kl_divergence` takes them."""
    total, tokens = 0.0, 0
    for targets, states in pairs:
        total += float(kl_divergence(head, targets, states))
        tokens += len(targets)
    return total / tokens


def fast_dtype() -> torch.dtype:
    """bfloat16 where this processor multiplies it clearly faster than float32, as measured now; else float32."""
    seconds = {dtype: _multiply_s(dtype) for dtype in (torch.float32, torch.bfloat16)}
    return torch.bfloat16 if seconds[torch.bfloat16] < 0.7 * seconds[torch.float32] else torch.float32


def _multiply_s(dtype: torch.dtype) -> float:
    left, right = torch.ones(512, 576, dtype=dtype), torch.ones(576, 1536, dtype=dtype)
    return min(_timed(lambda: left @ right) for _ in range(5))


def _timed(work: Callable[[], object]) -> float:
    started_s = time.perf_counter()
    work()
    return time.perf_counter() - started_s
