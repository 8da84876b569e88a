"""What an answer costs, from the prices of a variant and what the answer is predicted to take."""

from __future__ import annotations

from policies.types import Candidate

__all__ = ("cost_usd",)


def cost_usd(candidate: Candidate, *, prompt_tokens: float, completion_tokens: float, busy_s: float) -> float:
    """Dollars for one answer: tokens at their price and seconds at theirs.

    Args:
        candidate: With its prices.
        prompt_tokens: Read.
        completion_tokens: Written.
        busy_s: Reading and writing; waiting costs nothing.
    """
    return (
        candidate.prompt_per_token_usd * prompt_tokens
        + candidate.completion_per_token_usd * completion_tokens
        + candidate.compute_per_s_usd * busy_s
    )
