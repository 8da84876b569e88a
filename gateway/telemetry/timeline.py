"""What a request spends its time on, noted as it happens: cheap enough to be done for every request.

Nothing here is sent or stored; what a trace is made of is read from a timeline once the request has ended.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any

from gateway.clock import SYSTEM_CLOCK, Clock
from gateway.telemetry.origin import Origin, new_span_id

__all__ = ("CURRENT", "Span", "Timeline", "aside")


class Span:
    """A stretch of a request's time. Its owner ends it; what is still open when the request ends, ends with it."""

    __slots__ = ("attributes", "began_s", "ended_s", "name", "parent", "span_id")

    def __init__(self, name: str, *, parent: Span | None, began_s: float) -> None:
        self.name = name
        self.parent = parent
        self.span_id = new_span_id()
        self.began_s = began_s
        """By the monotonic clock."""
        self.ended_s: float | None = None
        """None while it goes on."""
        self.attributes: dict[str, Any] = {}

    @property
    def duration_s(self) -> float:
        """How long it took; 0 while it goes on."""
        return 0.0 if self.ended_s is None else self.ended_s - self.began_s


class Timeline:
    """The spans of one request, in the order in which they began."""

    __slots__ = ("_open", "client_wait_s", "clock", "origin", "root", "sampled", "spans", "wall_s")

    def __init__(self, *, clock: Clock = SYSTEM_CLOCK, origin: Origin | None = None) -> None:
        self.clock = clock
        self.origin = origin or Origin()
        self.wall_s = clock.wall_s()
        """Unix time at which the root began."""
        self.root = Span("request", parent=None, began_s=clock.monotonic_s())
        self.spans: list[Span] = []
        """All but the root."""
        self._open: list[Span] = []
        self.sampled = self.origin.sampled is not False
        """Whether those whom the request is sent on to are to record it too."""
        self.client_wait_s = 0.0
        """Seconds for which an answer that was there waited for its caller to read it; part of `generate`."""

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits."""
        return f"{self.origin.trace_id:032x}"

    def onward(self, span: Span) -> dict[str, str]:
        """Headers that make a span the parent of what is done elsewhere."""
        headers = {"traceparent": f"00-{self.trace_id}-{span.span_id:016x}-{int(self.sampled):02x}"}
        return headers | {"tracestate": self.origin.state} if self.origin.state else headers

    def begin(self, name: str, *, within: Span | None = None) -> Span:
        """A new span, by default directly below the root; whoever begins it ends it."""
        span = Span(name, parent=within or self.root, began_s=self.clock.monotonic_s())
        self.spans.append(span)
        return span

    def end(self, span: Span) -> None:
        """Note that a span ends now."""
        span.ended_s = self.clock.monotonic_s()

    def add(self, name: str, *, within: Span | None, began_s: float, ended_s: float) -> Span:
        """A span that others have measured, kept inside the one that it is part of."""
        parent = within or self.root
        latest_s = self.clock.monotonic_s() if parent.ended_s is None else parent.ended_s
        span = Span(name, parent=parent, began_s=min(max(began_s, parent.began_s), latest_s))
        span.ended_s = max(span.began_s, min(ended_s, latest_s))
        self.spans.append(span)
        return span

    def until_now(self, name: str) -> Span:
        """A span from where the last one directly below the root ended, or where the root began, to now."""
        began_s = max(
            (s.ended_s for s in self.spans if s.parent is self.root and s.ended_s), default=self.root.began_s
        )
        return self.add(name, within=None, began_s=began_s, ended_s=self.clock.monotonic_s())

    def stage(
        self, name: str, *, within: Span | None = None, tally: dict[str, float] | None = None
    ) -> AbstractContextManager[Span]:
        """The block as a span; what goes on aside in it, such as a call to Redis, becomes a part of it.

        Args:
            name: Of the span.
            within: Its parent, by default the root.
            tally: Where its seconds are added up by name.
        """
        return _Block(self, name, within=within, tally=tally)

    def enter(self, span: Span) -> None:
        """What goes on aside is a part of this span from now on."""
        self._open.append(span)

    def leave(self, span: Span) -> None:
        """Note that a span that was entered ends now."""
        self._open.remove(span)
        self.end(span)

    @property
    def innermost(self) -> Span:
        """The stage that was entered last and has not ended."""
        return self._open[-1] if self._open else self.root


class _Block:
    """A block that is a span. A class of its own: a dozen are entered for every request, and generators cost more."""

    __slots__ = ("_name", "_span", "_tally", "_timeline", "_within")

    def __init__(self, timeline: Timeline, name: str, *, within: Span | None, tally: dict[str, float] | None) -> None:
        self._timeline, self._name, self._within, self._tally = timeline, name, within, tally

    def __enter__(self) -> Span:
        span = self._span = self._timeline.begin(self._name, within=self._within)
        self._timeline.enter(span)
        return span

    def __exit__(self, *_: object) -> None:
        self._timeline.leave(self._span)
        if self._tally is not None:
            self._tally[self._name] = self._tally.get(self._name, 0.0) + self._span.duration_s


CURRENT: ContextVar[Timeline | None] = ContextVar("timeline", default=None)
"""The timeline of the request that is being served, for parts that know nothing of requests."""


@contextmanager
def aside(name: str) -> Iterator[None]:
    """The block as a part of whatever stage the current request is in; does nothing where there is no request."""
    timeline = CURRENT.get()
    if timeline is None:
        yield
        return
    span = timeline.begin(name, within=timeline.innermost)
    try:
        yield
    finally:
        timeline.end(span)
