"""What a caller is told whose request cannot be paid for."""

from __future__ import annotations

from gateway.errors import QuotaError, UnavailableError
from gateway.ledger.account import Account
from gateway.ledger.money import to_usd

__all__ = ("ledger_away", "quota_error")

AWAY_RETRY_AFTER_S = 5.0


def quota_error(account: Account, amount: int, *, now_s: float) -> QuotaError:
    """The budget has not enough; everything is named that explains it, and what would help."""
    wait_s = max(0.0, account.period.ends_s - now_s)
    return QuotaError(
        f"tenant `{account.period.tenant}` has {_usd(max(0, account.left))} left of its budget of"
        f" {_usd(account.budget)} for this period ({_usd(account.spent + account.others)} spent or set aside by other"
        f" processes, {_usd(account.held)} set aside for running requests), and this request may cost up to"
        f" {_usd(amount)}: a smaller `max_tokens` needs less, and the next period begins in {wait_s:.0f} s",
        param="max_tokens",
        code="insufficient_quota",
        retry_after_s=wait_s,
    )


def ledger_away() -> UnavailableError:
    """What is spent cannot be looked up now, and the tenant's setting has it that nothing is spent then."""
    return UnavailableError(
        "the budget cannot be looked up now, and nothing is spent unseen; try again soon",
        code="ledger_unavailable",
        retry_after_s=AWAY_RETRY_AFTER_S,
    )


def _usd(nusd: int) -> str:
    return f"{to_usd(nusd):.6g} USD"
