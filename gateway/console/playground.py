"""The playground: one question to several variants at once, each answered as any request of its tenant is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from backends.types import WorkerState
from gateway.api.parse import decode_body, parse_chat
from gateway.api.wire import PriorityName
from gateway.routing.catalogue import VariantView
from gateway.routing.request import ValidRequest

__all__ = ("Column", "Question", "columns", "parse_question", "question_from")

SOURCE = "console-playground"
"""Tag by which its requests are told from others."""


class Question(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of `POST /console/playground/answers`: what one column asks."""

    prompt: Annotated[str, Meta(min_length=1, max_length=200_000)]
    """What the user says."""
    model: Annotated[str, Meta(min_length=1, max_length=256)] = "auto"
    """A variant, an alias, or `auto`."""
    hint: PriorityName | None = None
    """What matters; None leaves that to the policy."""
    max_tokens: Annotated[int, Meta(ge=1, le=32_768)] | None = None
    """Most tokens of the answer."""
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    """None is the variant's own."""
    cache: Literal["default", "no-cache"] = "default"
    """`no-cache` has the variant answer, whatever is stored."""


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """One who can be asked, as the page shows it."""

    model: str
    state: str
    """`auto` has none of its own: it is empty."""
    note: str
    """What to expect of it before it is asked."""


def parse_question(body: bytes, _: Mapping[str, str]) -> ValidRequest:
    """A question as a streamed chat request that explains itself; headers of a browser are no hints.

    Raises:
        InvalidRequestError: It is none; the message names the field.
    """
    asked = decode_body(body, Question)
    chat: dict[str, Any] = {
        "model": asked.model,
        "messages": [{"role": "user", "content": asked.prompt}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "metadata": {"source": SOURCE},
        "cache": {"mode": asked.cache},
    }
    stated = {"priority": asked.hint, "max_tokens": asked.max_tokens, "temperature": asked.temperature}
    chat |= {name: value for name, value in stated.items() if value is not None}
    return parse_chat(msgspec.json.encode(chat), {"x-trilemma-explain": "1"})


def columns(views: Iterable[VariantView]) -> tuple[Column, ...]:
    """Who can be asked: the router, and every variant that generates."""
    auto = Column(model="auto", state="", note="the router chooses")
    return (auto, *(_column(view) for view in views if not view.variant.embeds_only))


def _column(view: VariantView) -> Column:
    state, status = view.status.state, view.status
    if state is WorkerState.WARM:
        note = "ready"
    elif state is WorkerState.LOADING:
        note = "is starting" + (f", ready in about {status.starts_in_s:.0f} s" if status.starts_in_s else "")
    elif state is WorkerState.COLD:
        start_s = None if view.card is None else view.card.cold_start_s
        note = "is started by its first request" + (f", which takes about {start_s:.0f} s" if start_s else "")
    else:
        note = status.message or f"is {state}, and cannot answer now"
    return Column(model=view.variant.name, state=str(state), note=note)


def question_from(query: Mapping[str, str], *, prompt: str | None) -> Question:
    """What the form begins with; a value in the address that will not do is left out.

    Args:
        query: Of the page's address.
        prompt: The prompt of the trace that is replayed, where it was kept.
    """
    found = Question(prompt=prompt or " ", model=query.get("only") or "auto")
    for name in ("hint", "max_tokens", "temperature", "cache"):
        if name not in query:
            continue
        try:
            fields = msgspec.structs.asdict(found) | {name: query[name]}
            found = msgspec.convert(fields, Question, strict=False)
        except msgspec.ValidationError:
            continue
    return found
