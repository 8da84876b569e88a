"""The text a student learns from: the teacher's own answers to the prompts of `corpus`, sampled in batches."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from backends.builder.corpus import Prompt, prompt
from backends.builder.teacher import Conversation
from backends.errors import MissingExtraError

try:
    import openvino_genai as genai
except ImportError as error:
    raise MissingExtraError(package="openvino-genai", extra="local") from error

__all__ = ("Writer", "read_text", "write_text")

_BLOCKS_PER_ANSWER = 12
"""Blocks of 32 tokens in the KV cache: the longest prompt and answer of `corpus` with room to spare."""
_TOP_P = 0.95
_decoder = msgspec.json.Decoder(Conversation)


class Writer:
    """The quantised teacher in OpenVINO GenAI: several times faster than torch, and the same answers."""

    def __init__(self, gguf: Path, *, seed: int, batch: int = 32) -> None:
        scheduler = genai.SchedulerConfig()
        scheduler.num_kv_blocks = _BLOCKS_PER_ANSWER * batch
        scheduler.max_num_seqs = batch
        scheduler.max_num_batched_tokens = 512
        scheduler.dynamic_split_fuse = True
        # The numbers must not depend on what the processor is good at, or the text would.
        self._pipeline = genai.ContinuousBatchingPipeline(
            str(gguf), scheduler, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
        )
        self._tokenizer = self._pipeline.get_tokenizer()
        self._seed = seed

    def write(self, indices: range) -> list[Conversation]:
        """Answer the prompts with these numbers; the same for the same numbers."""
        prompts = [prompt(index, seed=self._seed) for index in indices]
        texts = [self._chat(one) for one in prompts]
        handles = [
            self._pipeline.add_request(index, text, self._config(one, index))
            for index, text, one in zip(indices, texts, prompts, strict=True)
        ]
        answers: list[list[int]] = [[] for _ in handles]
        while self._pipeline.has_non_finished_requests():
            self._pipeline.step()
            for answer, handle in zip(answers, handles, strict=True):
                if handle.can_read():
                    for part in handle.read().values():
                        answer.extend(part.generated_ids)
        return [
            Conversation(self._tokenizer.encode(text).input_ids.data[0].tolist(), answer)
            for text, answer in zip(texts, answers, strict=True)
        ]

    def _chat(self, prompt: Prompt) -> str:
        turns = [{"role": "user", "content": prompt.text}]
        return self._tokenizer.apply_chat_template(turns, add_generation_prompt=True)

    def _config(self, prompt: Prompt, index: int) -> genai.GenerationConfig:
        config = self._pipeline.get_config()
        config.apply_chat_template = False
        config.max_new_tokens = prompt.max_tokens
        config.do_sample = prompt.temperature > 0
        if config.do_sample:
            config.temperature = prompt.temperature
            config.top_p = _TOP_P
            config.rng_seed = self._seed * 1_000_003 + index
        return config


def write_text(path: Path, conversations: Iterable[Conversation]) -> None:
    """Append conversations to a file, one JSON object a line."""
    with path.open("ab") as file:
        file.writelines(msgspec.json.encode(conversation) + b"\n" for conversation in conversations)


def read_text(path: Path) -> list[Conversation]:
    """What `write_text` has written; a line that was cut by the end of the process is left out."""
    if not path.is_file():
        return []
    lines = path.read_bytes().splitlines(keepends=True)
    return [_decoder.decode(line) for line in lines if line.endswith(b"\n")]
