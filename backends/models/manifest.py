"""What is recorded beside every build: where it came from, what it consists of, and how it measured.

A manifest is stored text: readers ignore fields they do not know, so that an older release can read what a newer one
wrote. `tests/backends/models/golden/` keeps one file of every schema version.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from backends.types import VariantKind

__all__ = (
    "SCHEMA_VERSION",
    "BuildStage",
    "Card",
    "Conditions",
    "FileEntry",
    "Format",
    "Lineage",
    "Machine",
    "Manifest",
    "Parameter",
    "TaskScore",
)

SCHEMA_VERSION = 1

Format = Literal["gguf", "safetensors", "openvino"]
BuildStage = Literal["checkpoint", "final"]
Parameter = str | int | float | bool | list[int]


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """The machine a card was measured on. Cards of different machines are not to be compared unsaid."""

    fingerprint: str
    """Digest over the fields below."""
    cpu: str
    cores: int
    memory_bytes: int
    system: str
    """Operating system and architecture."""


class TaskScore(msgspec.Struct, frozen=True, kw_only=True):
    """Right answers in one family of checkable tasks."""

    correct: int
    total: int


class Conditions(msgspec.Struct, frozen=True, kw_only=True):
    """What else the machine did while a card's times were taken."""

    busy: bool
    """Whether it did so much that the times are not to be trusted; the card is measured again when it is quiet."""
    others_cpu: float
    """Share of the processor time that other processes took, in [0, 1]."""
    stolen_cpu: float
    """Share that the hypervisor gave to other virtual machines, in [0, 1]."""
    spread: float
    """Difference between the slowest and the fastest turn's time per token, relative to their median."""


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """What a variant measured on one machine, through its own worker."""

    machine: Machine
    measured_at_s: float
    """Unix time."""
    ttft_s: float
    """Median time to first token, one request, a prompt of `prompt_tokens`."""
    tpot_s: float
    """Median time per output token after the first, one request."""
    prompt_tokens: int
    """Prompt length behind `ttft_s`."""
    prefill_tokens_per_s: float
    """Prompt tokens read per second, from prompts of two lengths."""
    batch_tokens_per_s: float
    """Tokens generated per second in all with eight requests together."""
    cold_start_s: float
    """From starting the process to its first ready answer."""
    resident_bytes: int
    """Resident memory of the process after the measurements."""
    quality: float
    """Share of checkable tasks answered right, in [0, 1]."""
    quality_se: float
    """Binomial standard error of `quality`."""
    tasks: dict[str, TaskScore]
    """Score by task family."""
    completion_tokens: float
    """Mean length of the answers to the tasks."""
    task_set: str
    """Name and version of the task set; scores of different sets are not comparable."""
    conditions: Conditions | None = None
    """Of the measurement; None for cards of releases that did not look."""

    @property
    def busy(self) -> bool:
        """Whether it is known to have been measured on a busy machine."""
        return self.conditions is not None and self.conditions.busy


class FileEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a build."""

    path: str
    """Relative to the build's directory."""
    sha256: str
    size_bytes: int


class Lineage(msgspec.Struct, frozen=True, kw_only=True):
    """How a build came to be."""

    recipe: str
    """`source`, `dequantize`, `q8_0`, `prune`, `distill`."""
    parents: tuple[str, ...] = ()
    """`NAME@REVISION` or the source string of what it was made from."""
    parameters: dict[str, Parameter] = {}
    """What the recipe was told and what it chose: seed, layers removed, minutes, tokens, losses."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The record of one build of one variant."""

    schema_version: int = SCHEMA_VERSION
    name: str
    kind: VariantKind
    revision: str
    """First 12 hex digits of the digest over the files."""
    format: Format
    lineage: Lineage
    files: tuple[FileEntry, ...]
    created_at_s: float
    """Unix time."""
    source: str = ""
    """The variant's `source` when it was built; another source means another build."""
    stage: BuildStage = "final"
    """`checkpoint` while the recipe that made it means to replace it by something better."""
    licence: str = ""
    """SPDX identifier of the weights' licence."""
    card: Card | None = None
    """Measured after the build; None until then."""
