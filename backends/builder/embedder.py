"""`built:minilm`: all-MiniLM-L6-v2 for OpenVINO GenAI, which pools and scales what its graph gives for each token.

https://arxiv.org/abs/1908.10084
"""

from __future__ import annotations

import contextlib
import io
import shutil
import warnings
from pathlib import Path

import msgspec

from backends.builder.recipe import RecipeContext
from backends.errors import BuildError, MissingExtraError
from backends.models import bundled
from backends.models.manifest import Lineage
from backends.models.sources import fetch

try:
    import openvino as ov
    import torch
    from openvino_tokenizers import convert_tokenizer
    from transformers import AutoTokenizer, BertModel
except ImportError as error:
    raise MissingExtraError(package=error.name or "transformers", extra="local") from error

__all__ = ("SentenceEmbedder", "check_pooling", "run")


class SentenceEmbedder(torch.nn.Module):
    """A text encoder by the names that GenAI's pipeline knows its inputs and its output by."""

    def __init__(self, checkpoint: Path) -> None:
        super().__init__()
        with contextlib.redirect_stderr(io.StringIO()):  # transformers draws bars there and takes no other sink
            self.encoder = BertModel.from_pretrained(checkpoint, dtype=torch.float32).eval()

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """States (texts, length, width) of token ids (texts, length), where the mask is 1 for what is no padding."""
        states: torch.Tensor = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return states


def run(context: RecipeContext) -> None:
    """Convert once, so that the worker needs neither torch nor the checkpoint."""
    store = context.store
    checkpoint = fetch(bundled.EMBEDDER_SOURCE, into=store.downloads, sink=context.sink, variant=context.variant.name)
    check_pooling(checkpoint)
    directory = context.staging()
    context.report("convert", message="tracing the encoder")
    model = _converted(SentenceEmbedder(checkpoint))
    context.report("write", done=0.8, message="writing OpenVINO IR")
    ov.save_model(model, directory / "openvino_model.xml", compress_to_fp16=False)
    ov.save_model(convert_tokenizer(AutoTokenizer.from_pretrained(checkpoint)), directory / "openvino_tokenizer.xml")
    for name in ("config.json", "tokenizer.json"):
        shutil.copyfile(checkpoint / name, directory / name)
    context.publish(directory, lineage=Lineage(recipe="minilm", parents=(bundled.EMBEDDER_SOURCE,)))


def _converted(embedder: SentenceEmbedder) -> ov.Model:
    """The graph, for any number of texts of any length."""
    example = {name: torch.ones((2, 8), dtype=torch.int64) for name in ("input_ids", "attention_mask")}
    with warnings.catch_warnings(), torch.no_grad():
        # The tracer warns of branches on shapes; the attention mask is always given, so none of them turns.
        warnings.simplefilter("ignore")
        model = ov.convert_model(embedder, example_input=example)
    model.output(0).set_names({"last_hidden_state"})
    return model


def check_pooling(checkpoint: Path) -> None:
    """The checkpoint says itself how it is to be pooled; another way would give vectors that mean little.

    Raises:
        BuildError: It is not by the mean over the tokens.
    """
    stated = msgspec.json.decode((checkpoint / "1_Pooling" / "config.json").read_bytes(), type=dict[str, bool | int])
    modes = [name for name, value in stated.items() if name.startswith("pooling_mode") and value]
    if modes != ["pooling_mode_mean_tokens"]:
        found = ", ".join(modes) or "nothing stated"
        raise BuildError(f"{checkpoint} is to be pooled by {found}, expected the mean of the tokens")
