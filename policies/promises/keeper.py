"""Keeps one tenant's promises: what they ask of its next request, given how the window stands.

- A limit that 95 % of the answers keep is held against predictions, tightened while more are late than may be for the
  rest of the window, and loosened while fewer are.
- A mean quality is a constraint on the mean and not a floor for every answer: it becomes the price of the quality an
  answer lacks, solved so that the rest of the window brings the mean out. A hard question may then be answered as
  well as it can be, and an easy one makes up for it.
- Availability asks nothing of a decision: who fails is left by the calling of variants.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from policies.duals import Alternating, Foreseen
from policies.objective import Limits
from policies.prices import NO_PRICES, Prices
from policies.promises.aims import needed_mean, spare_share
from policies.promises.held import HeldLimit
from policies.promises.types import LATE, Sla

__all__ = ("Answer", "Keeper")

EVERY = 20
"""Requests between two solutions of the price; fewer where a tenth of those still to come is less."""

FORESEEN = 300
"""Latest requests that the price is solved on."""

LEAST_AHEAD = 10.0
"""A window is never steered by fewer requests than this: its last ones cannot make up for all of it."""

MEMORY = 0.99
"""Of how far answers fell from what was predicted, per answer."""

SEED_ANSWERS = 5.0
"""Answers that `what was predicted comes true` is worth at first."""

SPREAD = 0.15
"""Standard deviation of the predicted quality from prompt to prompt."""

MOST_AHEAD = 300.0
"""Requests over which what was saved is used up, or what was lost made up for, however long the window is."""

HIGHEST_PRICE = 1e3
"""Above any utility: from there on only quality counts."""


class Answer(NamedTuple):
    """One answer that its caller was sent."""

    ttft_s: float | None
    """None where it was not streamed."""
    latency_s: float
    quality: float | None
    """As judged, else as predicted; None where nobody can say."""


class Keeper:
    """One tenant's promises in one process. Mutable, and pure: the time is an argument.

    Per request: `admit`, read `limits` and `prices`, decide, `foresee`; when it was answered, `answered`. A judgement
    that comes later corrects what was counted.
    """

    def __init__(self, sla: Sla, *, now_s: float) -> None:
        self._sla = sla
        self._seen_s = now_s
        self._gap_s: float | None = None
        self._admitted = 0
        self._foreseen = Foreseen(window=FORESEEN)
        self._prices = Alternating()
        self._per_quality = 0.0
        self._times = {
            name: _Timed(HeldLimit(promised))
            for name, promised in (("ttft_s", sla.ttft_p95_s), ("latency_s", sla.latency_p95_s))
            if promised is not None
        }
        self._solve_at = 1
        self._rated, self._total = 0, 0.0
        self._counted = self._fell = self._spread = 0.0
        self.window = int(now_s // sla.window_s)
        """Number of the window that runs, counted from the Unix epoch."""

    def admit(self, *, now_s: float) -> None:
        """A request has come."""
        self._roll(now_s)
        gap_s = max(0.0, now_s - self._seen_s)
        if self._admitted:
            self._gap_s = gap_s if self._gap_s is None else self._gap_s + (gap_s - self._gap_s) / EVERY
        self._seen_s = now_s
        self._admitted += 1
        if self._sla.mean_quality is not None and self._admitted >= self._solve_at:
            self._solve(self._sla.mean_quality)
            self._solve_at = self._admitted + round(min(EVERY, max(1.0, self._ahead / 10.0)))
        self._per_quality = min(HIGHEST_PRICE, self._prices.next_price())

    @property
    def limits(self) -> Limits:
        """What the predictions of the next request are held against."""
        ahead = self._ahead
        return Limits(**{name: timed.held.value(spare=timed.spare(ahead)) for name, timed in self._times.items()})

    @property
    def prices(self) -> Prices:
        """What the quality that an answer lacks costs now."""
        return Prices(per_quality=self._per_quality) if self._per_quality else NO_PRICES

    def foresee(self, utilities: Sequence[float], qualities: Sequence[float]) -> None:
        """Remember what a request could have chosen from, utilities without the price of quality."""
        self._foreseen.add(utilities, [1.0 - quality for quality in qualities])

    def answered(self, answer: Answer, *, now_s: float) -> None:
        """A request was answered."""
        self._roll(now_s)
        for name, value in (("ttft_s", answer.ttft_s), ("latency_s", answer.latency_s)):
            if value is not None and (timed := self._times.get(name)) is not None:
                timed.learn(value, ahead=self._ahead)
        if answer.quality is not None:
            self._rated += 1
            self._total += answer.quality
            self._counted = MEMORY * self._counted + 1.0
            self._fell, self._spread = MEMORY * self._fell, MEMORY * self._spread

    def judged(self, *, change: float, window: int, earlier: float = 0.0) -> None:
        """An answer of that window turned out better, or worse, than was counted.

        Args:
            change: Of its quality, against what it counted with.
            window: In which it was answered.
            earlier: Sum of its earlier changes, which this one adds to.
        """
        self._fell += change
        self._spread = max(0.0, self._spread + (earlier + change) ** 2 - earlier**2)
        if window == self.window:
            self._total += change

    @property
    def _ahead(self) -> float:
        """Requests that the rest of the window is expected to bring, as far as it is looked ahead."""
        left_s = (self.window + 1) * self._sla.window_s - self._seen_s
        if not self._gap_s:
            return min(MOST_AHEAD, max(LEAST_AHEAD, float(self._admitted)))
        return min(MOST_AHEAD, max(LEAST_AHEAD, left_s / self._gap_s))

    def _roll(self, now_s: float) -> None:
        """Begin anew in a new window; what was learned of the predictions stays."""
        window = int(now_s // self._sla.window_s)
        if window != self.window:
            self.window = window
            self._rated, self._total = 0, 0.0
            for timed in self._times.values():
                timed.begin()

    def _solve(self, floor: float) -> None:
        # Answers may be judged other than predicted: aim as far beside as they fell.
        answers = self._counted + SEED_ANSWERS
        missed, spread = self._fell / answers, math.sqrt(SPREAD**2 + self._spread / answers)
        needed = needed_mean(floor, seen=self._rated, total=self._total, ahead=self._ahead, spread=spread)
        target = 1.0 - min(1.0, max(0.0, needed - missed))
        self._prices.dual = self._foreseen.solve(target=target) or self._prices.dual


class _Timed:
    """One limit of time, and how the window stands with it."""

    def __init__(self, held: HeldLimit) -> None:
        self.held = held
        self._seen = self._late = 0

    def begin(self) -> None:
        self._seen = self._late = 0

    def spare(self, ahead: float) -> float:
        return spare_share(LATE, seen=self._seen, broken=self._late, ahead=ahead)

    def learn(self, value: float, *, ahead: float) -> None:
        self.held.learn(value, spare=self.spare(ahead))
        self._seen += 1
        self._late += self.held.broke(value)
