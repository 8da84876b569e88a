"""Policy documents of schema version 1, which keep their meaning for ever.

Their weights count shares of the cheapest and the fastest candidate (`Formula.RATIO`), their hints and exploration
have the defaults of that time, and the kinds of estimators that they name can no longer be read. Nothing here
changes any more.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from policies.content import digest, stated
from policies.documents.places import Path
from policies.objective import NonNegative, Ratio, Weights
from policies.policy import Budget, Cascade, Exploration, ExplorationMethod, Formula, Hedge, Policy, Rule, Trial
from policies.priorities import RATIO_PRIORITIES

__all__ = ("DocumentV1", "ExplorationV1", "compile_v1", "document_v1_of", "meant_exploration", "misplaced_keep")


class ExplorationV1(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `exploration` section, with the defaults of version 1."""

    method: ExplorationMethod = ExplorationMethod.EPSILON_SOFTMAX
    """`epsilon_softmax` follows the utilities, `thompson` how uncertain they are."""
    epsilon: Ratio = 0.05
    """Share spread evenly over the feasible warm candidates."""
    temperature: NonNegative = 0.0
    """Of the softmax on utility that the rest follows. Not read by `thompson`."""
    draws: Annotated[int, Meta(ge=16, le=4096)] = 128
    """Posterior draws behind the propensities of `thompson`."""


class DocumentV1(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole document of schema version 1."""

    schema_version: Literal[1]
    """Version of the schema."""
    name: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    """What people call the policy."""
    description: Annotated[str, Meta(max_length=2000)] = ""
    """What it is for."""
    priorities: dict[str, Weights] = {}
    """Weights behind a named hint, replacing those of version 1."""
    rules: tuple[Rule, ...] = ()
    """Read from the top; the first that matches a request applies, alone."""
    exploration: ExplorationV1 = ExplorationV1()
    """How much is tried that is not thought best."""
    budgets: dict[str, Budget] = {}
    """By tenant; `*` is every tenant without one of its own."""
    cascade: Cascade | None = None
    """Start with a cheaper variant and escalate."""
    hedge: Hedge | None = None
    """Send a duplicate of a slow request."""
    trials: tuple[Trial, ...] = ()
    """New variants, tried a bounded number of times."""
    fallback: tuple[str, ...] = ()
    """Order in which variants are taken when estimates cannot be trusted."""
    estimators: dict[str, str] = {}
    """Content hashes of kinds that can no longer be read; the estimators in force are used instead."""


_SHARED = ("rules", "budgets", "cascade", "hedge", "trials", "fallback")
"""Fields that a policy takes as they are."""


def compile_v1(document: DocumentV1, *, stored_hash: str | None = None) -> Policy:
    """The policy that a document of version 1 means; `stored_hash` names it where it was published."""
    return Policy(
        hash=stored_hash or _hash(document),
        priorities=RATIO_PRIORITIES | document.priorities,
        formula=Formula.RATIO,
        exploration=meant_exploration(document.exploration),
        **{name: getattr(document, name) for name in _SHARED},
    )


def document_v1_of(policy: Policy, *, name: str, description: str = "") -> DocumentV1:
    """A document of version 1 that means the same as a policy by `Formula.RATIO`."""
    exploration = ExplorationV1(
        **{field: getattr(policy.exploration, field) for field in ExplorationV1.__struct_fields__}
    )
    return DocumentV1(
        schema_version=1,
        name=name,
        description=description,
        priorities=policy.priorities,
        exploration=exploration,
        **{field: getattr(policy, field) for field in _SHARED},
    )


def meant_exploration(exploration: ExplorationV1) -> Exploration:
    """What the section means now: `thompson` drew from each quality as it was, without caution or early answers."""
    plain: dict[str, Any] = {name: getattr(exploration, name) for name in ExplorationV1.__struct_fields__}
    if exploration.method is ExplorationMethod.THOMPSON:
        plain |= {"scale": 1.0, "caution": 0.0, "first": 0}
    return Exploration(**plain)


def misplaced_keep(document: DocumentV1) -> Path | None:
    """Where weights state `keep`, which version 1 does not have."""
    for hint, weights in document.priorities.items():
        if weights.keep is not None:
            return "priorities", hint, "keep"
    for at, rule in enumerate(document.rules):
        if rule.then.weights is not None and rule.then.weights.keep is not None:
            return "rules", at, "then", "weights", "keep"
    return None


def _hash(document: DocumentV1) -> str:
    """The hash that every release has given this text: over what is stated, built-in hints included."""
    content = {name: part for name, part in stated(document).items() if name in Policy.__struct_fields__}
    return digest({"hash": "", **content, "priorities": stated(RATIO_PRIORITIES | document.priorities)})
