"""What a decision is timed against."""

from __future__ import annotations

import atexit
import importlib
import importlib.util
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline, make_union

__all__ = ("paretobandit", "scikit_learn")

Way = Callable[[str], object]

_BUCKETS = 2**15
"""For words and for characters each: together as many as ours."""

_ENCODER = "all-MiniLM-L6-v2"


def scikit_learn(texts: Sequence[str], *, heads: int) -> Way:
    """The quality of every variant from the same kinds of n-grams: words, pairs of words, runs of four characters."""
    grams = make_union(
        HashingVectorizer(n_features=_BUCKETS, ngram_range=(1, 2)),
        HashingVectorizer(n_features=_BUCKETS, analyzer="char", ngram_range=(4, 4)),
    )
    scores = np.random.default_rng(0).random((len(texts), heads))
    model = make_pipeline(grams, Ridge()).fit(texts, scores)
    return lambda text: model.predict([text])


def paretobandit(names: Sequence[str], texts: Sequence[str]) -> tuple[dict[str, Way], list[str]]:
    """Its router with its own encoder and from a ready vector, as far as installed; and what is not, in words."""
    if importlib.util.find_spec("pareto_bandit") is None:
        return {}, ["paretobandit is not installed, and so not compared"]
    package = importlib.import_module("pareto_bandit")
    service, missing = _encoder(package)
    ways: dict[str, Way] = {}
    if service is not None:
        with_encoder = _router(package, names, service)
        ways["paretobandit_with_its_encoder"] = with_encoder.route
        vectors = {text: service.extract_features(text) for text in texts}
        alone = package.FeatureService.for_precomputed(len(vectors[texts[0]]))
    else:
        vectors = dict(zip(texts, np.random.default_rng(0).standard_normal((len(texts), 26)), strict=True))
        alone = package.FeatureService.for_precomputed(26)
    router = _router(package, names, alone)
    ways["paretobandit_routing_alone"] = lambda text: router.route(vectors[text])
    return ways, missing


def _router(package: Any, names: Sequence[str], service: Any) -> Any:  # noqa: ANN401 - of the package
    prices = {"input_cost_per_m": 0.1, "output_cost_per_m": 0.4}
    return package.BanditRouter.create(
        model_registry={name: dict(prices) for name in names}, feature_service=service, priors="none"
    )


def _encoder(package: Any) -> tuple[Any, list[str]]:  # noqa: ANN401 - of the package
    """Its feature service over the encoder that it was published with, from a package that carries its weights."""
    needed = ("sentence_transformers", "all_minilm_l6_v2")
    lacking = [name for name in needed if importlib.util.find_spec(name) is None]
    if lacking:
        return None, [
            f"paretobandit's encoder needs {' and '.join(lacking)}: only its routing from a vector is timed"
        ]
    weights = importlib.import_module("all_minilm_l6_v2").get_model_zip_path()
    directory = Path(tempfile.mkdtemp(prefix="encoder-"))
    atexit.register(shutil.rmtree, directory)
    shutil.unpack_archive(weights, directory / _ENCODER)
    pca = importlib.import_module("pareto_bandit.config").DEFAULT_PCA_PATH
    return package.FeatureService(encoder_model=str(directory / _ENCODER), pca_path=pca), []
