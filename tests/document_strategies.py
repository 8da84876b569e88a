"""Random policy documents, with names that YAML could mistake for something else."""

from __future__ import annotations

from hypothesis import strategies as st
from msgspec import UNSET

from policies.documents.schema import PolicyDocument
from policies.documents.version1 import DocumentV1, ExplorationV1
from policies.policy import Budget, Cascade, Exploration, ExplorationMethod, Hedge, Match, Rule, Then, Trial
from tests.policy_strategies import limits, ratios, weights

__all__ = ("any_documents", "documents", "old_documents")

words = st.text("abé09 .:#-'\"{[*&!%@\n", max_size=8) | st.sampled_from(
    ["1234e5678901", "1e5", "null", "yes", "~", "0x1f", "123456789012", "1_0", ".5", "2001-01-01"]
)
lists = st.none() | st.lists(words, max_size=3).map(tuple)
tokens = st.none() | st.integers(0, 10_000)
matches = st.builds(
    Match,
    tenant=lists,
    tags=st.dictionaries(words, st.lists(words, max_size=2).map(tuple), max_size=2),
    hint=lists,
    service_tier=lists,
    language=lists,
    needs=lists,
    min_prompt_tokens=tokens,
    max_prompt_tokens=tokens,
)
thens = st.builds(
    Then,
    include=lists,
    exclude=st.lists(words, max_size=2).map(tuple),
    prefer=st.dictionaries(words, st.floats(-1, 1), max_size=2),
    limits=limits,
    weights=st.none() | weights,
    quality_confidence=st.none() | st.floats(0.5, 0.99),
    cascade=st.booleans(),
)
shared = {
    "name": st.from_regex(r"\A[a-z0-9][a-z0-9._-]{0,63}\Z"),
    "description": words,
    "priorities": st.dictionaries(words, weights, max_size=2),
    "rules": st.lists(st.builds(Rule, name=words, match=matches, then=thens), max_size=2).map(tuple),
    "budgets": st.dictionaries(words, st.builds(Budget, usd=st.floats(1e-6, 1e6)), max_size=2),
    "cascade": st.none() | st.builds(Cascade, first=words, then=words, threshold=st.none() | ratios),
    "hedge": st.none() | st.builds(Hedge, max_share=ratios),
    "trials": st.lists(st.builds(Trial, variant=words, parent=st.none() | words), max_size=2).map(tuple),
    "fallback": st.lists(words, max_size=3).map(tuple),
}
methods = st.sampled_from(ExplorationMethod)
hashes = st.dictionaries(words, words, max_size=2)
documents = st.builds(
    PolicyDocument,
    schema_version=st.just(2),
    exploration=st.builds(
        Exploration, method=methods, epsilon=ratios, temperature=st.floats(0, 10), first=st.integers(0, 9)
    ),
    estimators=st.just(UNSET) | st.just("none") | st.dictionaries(words, words, min_size=1, max_size=2),
    **shared,
)
old_documents = st.builds(
    DocumentV1,
    schema_version=st.just(1),
    exploration=st.builds(ExplorationV1, method=methods, epsilon=ratios, temperature=st.floats(0, 10)),
    estimators=hashes,
    **shared,
)
any_documents = documents | old_documents
