"""How long a variant is waited for, and when it is left for another one.

There is one deadline for a request, whatever is tried within it. Below that a variant may be silent for a multiple of
what was predicted of it: longer, and it is left, but only for another variant that may answer. The caller's limit on
the time to first token works the same way. It is a promise of the decision and no switch that kills: where nobody
else is predicted to keep it, the answer comes late rather than never.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from backends.client import Timeouts
from backends.errors import UpstreamTimeoutError
from gateway.routing.settings import CallSettings
from policies.objective import Limits
from policies.types import Estimate

__all__ = ("Patience", "TooSlowError", "patience_with")

LOOK_AGAIN_S = 0.5
"""A variant that is overdue is left as soon as another one may answer."""


class TooSlowError(UpstreamTimeoutError):
    """It was left for another at the caller's own limit, which says nothing about how well it is."""

    error_type = "too_slow"


def _nobody() -> bool:
    return False


@dataclass(frozen=True, kw_only=True)
class Patience:
    """For one call."""

    first_s: float
    """Longest wait for the first token, or for a whole answer."""
    idle_s: float
    """Longest silence between two events of a stream."""
    total_s: float
    """What is left for everything."""
    leave_s: float = math.inf
    """From then on the first token is no longer waited for if somebody else may answer."""
    leave_as: type[UpstreamTimeoutError] = UpstreamTimeoutError
    """What leaving it raises."""
    others: Callable[[], bool] = _nobody
    """Whether somebody else may answer."""

    @property
    def timeouts(self) -> Timeouts:
        """As the client takes them."""
        return Timeouts(first_s=self.first_s, idle_s=self.idle_s, total_s=self.total_s)

    @asynccontextmanager
    async def first(self) -> AsyncGenerator[None, None]:
        """Bound the wait for the first token, or for the whole answer.

        Raises:
            UpstreamTimeoutError: It did not come in time.
        """
        loop, began_s = asyncio.get_running_loop(), asyncio.get_running_loop().time()
        overdue = False
        timer: asyncio.TimerHandle | None = None

        def look() -> None:
            nonlocal overdue, timer
            if self.others():
                overdue = True
                bound.reschedule(loop.time())
            else:
                timer = loop.call_later(LOOK_AGAIN_S, look)

        try:
            async with asyncio.timeout(min(self.first_s, self.total_s)) as bound:
                if self.leave_s < self.first_s:
                    timer = loop.call_later(self.leave_s, look)
                try:
                    yield
                finally:
                    if timer is not None:
                        timer.cancel()
        except TimeoutError:
            kind = self.leave_as if overdue else UpstreamTimeoutError
            raise kind(f"nothing came within {loop.time() - began_s:.3g} s") from None


def patience_with(
    estimate: Estimate | None,
    limits: Limits,
    *,
    stream: bool,
    elapsed_s: float,
    remaining_s: float,
    idle_timeout_s: float,
    settings: CallSettings,
    others: Callable[[], bool],
) -> Patience:
    """The patience with one call.

    Args:
        estimate: What was predicted of the variant; None where nothing could be.
        limits: The request's. Once its limit on the first token has passed, nobody can keep it any more.
        stream: Whether the first token can be told from the answer.
        elapsed_s: Since the request was taken up.
        remaining_s: Until its deadline.
        idle_timeout_s: Longest silence between two tokens of any variant.
        settings: Multiples of what was predicted, and their bounds.
        others: Whether somebody else may answer.
    """
    predicted_s = 0.0 if estimate is None else estimate.ttft_held_s if stream else estimate.latency_held_s
    leave_s, leave_as = max(settings.least_patience_s, settings.patience_factor * predicted_s), UpstreamTimeoutError
    limit_s = limits.ttft_s - elapsed_s if stream and limits.ttft_s is not None else 0.0
    if 0 < limit_s < leave_s:
        leave_s, leave_as = limit_s, TooSlowError
    stall_s = max(settings.least_stall_s, settings.stall_factor * (0.0 if estimate is None else estimate.tpot_s))
    return Patience(
        first_s=min(remaining_s, settings.first_token_timeout_s) if stream else remaining_s,
        idle_s=min(idle_timeout_s, stall_s),
        total_s=remaining_s,
        leave_s=leave_s,
        leave_as=leave_as,
        others=others,
    )
