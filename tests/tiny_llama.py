"""A Llama of random weights, small enough to train in a test, with layers that do little on purpose."""

from pathlib import Path

import numpy as np

__all__ = ("VOCABULARY", "save_tiny_llama", "tiny_text")

VOCABULARY = 96


def save_tiny_llama(directory: Path, *, idle_layers: tuple[int, ...] = (), layers: int = 8) -> Path:
    """Save a checkpoint; the idle layers add less to the residual stream than the others."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=True,
        initializer_range=0.2,
    )
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        for index in idle_layers:
            model.model.layers[index].mlp.down_proj.weight.mul_(0.3)
            model.model.layers[index].self_attn.o_proj.weight.mul_(0.3)
    model.save_pretrained(directory)
    return directory


def tiny_text(count: int, *, seed: int) -> list[tuple[list[int], list[int]]]:
    """Prompts and answers of random tokens and lengths."""
    rng = np.random.default_rng(seed)
    return [
        (rng.integers(VOCABULARY, size=rng.integers(3, 9)).tolist(), rng.integers(VOCABULARY, size=12).tolist())
        for _ in range(count)
    ]
