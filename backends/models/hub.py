"""`hf:ORG/REPO[@REVISION][/FILE]`: a model repository, or one file of it, through the hub's own client and cache."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from backends.errors import MissingExtraError, OfflineError, SourceError
from backends.models.target import Target

try:
    from huggingface_hub import hf_hub_download, snapshot_download
    from huggingface_hub.errors import (
        EntryNotFoundError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
    )
    from huggingface_hub.utils import tqdm
except ImportError as error:
    raise MissingExtraError(package="huggingface-hub", extra="local") from error

__all__ = ("fetch_from_hub",)

MODEL_FILES = [
    "*.safetensors",
    "*.safetensors.index.json",
    "*.json",
    "*.jinja",
    "*.txt",
    "tokenizer.model",
    "LICENSE*",
]
"""What a checkpoint needs; repositories also hold the same weights in older and other formats."""


def fetch_from_hub(reference: str, *, target: Target) -> Path:
    """The file, or the directory with the repository's safetensors checkpoint, inside the hub's cache.

    The cache is used as the hub's client does: `HF_HOME`, `HF_TOKEN` and `HF_HUB_OFFLINE` are honoured, and what is
    cached is served when the hub cannot be reached.

    Raises:
        OfflineError: Not cached, and the hub cannot be reached or is not to be.
        SourceError: No such repository, file or permission.
    """
    organisation, _, rest = reference.partition("/")
    repository, _, name = rest.partition("/")
    repository, _, revision = repository.partition("@")
    if not organisation or not repository:
        raise SourceError(f"hf:{reference} is not of the form hf:ORG/REPO[@REVISION][/FILE]")
    options: dict[str, Any] = {
        "repo_id": f"{organisation}/{repository}",
        "revision": revision or None,
        "tqdm_class": _bar(target),
    }
    try:
        if name:
            return Path(hf_hub_download(filename=name, **options))
        return Path(snapshot_download(allow_patterns=MODEL_FILES, **options))
    except (LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        raise OfflineError(f"hf:{reference} is not in the local cache and the hub cannot be used: {error}") from error
    except (HfHubHTTPError, EntryNotFoundError, HFValidationError) as error:
        raise SourceError(f"hf:{reference} could not be fetched: {error}") from error


def _bar(target: Target) -> type[Any]:
    """A progress bar class for the hub's client that draws nothing and tells the target's sink."""

    class Bar(tqdm):
        def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  whatever the client passes
            super().__init__(*args, **{**kwargs, "file": io.StringIO(), "disable": False})
            self._meter = target.meter(str(self.desc or "model"), total_bytes=int(self.total or 0) or None)

        def update(self, n: float | None = 1) -> bool | None:
            shown: bool | None = super().update(n)
            if self.unit == "B":
                self._meter.at(int(self.n))
            return shown

    return Bar
