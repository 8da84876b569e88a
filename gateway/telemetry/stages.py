"""The stages of a request. Closed: they name spans, metric labels, `Server-Timing` entries and what is to blame."""

from __future__ import annotations

from typing import Literal

__all__ = ("STAGES", "Stage")

Stage = Literal[
    "http",
    "auth",
    "body",
    "parse",
    "schedule",
    "terms",
    "limits",
    "checks",
    "flight",
    "cache",
    "likeness",
    "queue",
    "features",
    "decide",
    "reserve",
    "load",
    "first_token",
    "upstream",
    "generate",
    "hedge",
    "embed",
    "backoff",
    "judge",
    "keep",
    "respond",
]

STAGES: dict[Stage, str] = {
    "http": "finding the handler of the route",
    "auth": "finding out who asks, and whether they may",
    "body": "receiving the request's body",
    "parse": "reading the request",
    "schedule": "waiting for the event loop to take the request up",
    "terms": "finding what an answer must keep",
    "limits": "counting against the tenant's quotas",
    "checks": "verifying the request's checks",
    "flight": "waiting for the answer to an identical request",
    "cache": "looking in the exact cache",
    "likeness": "looking for the answer to a prompt that means the same",
    "queue": "waiting for a variant to have room",
    "features": "extracting features of the prompt",
    "decide": "choosing the variant",
    "reserve": "setting aside what an answer may cost",
    "load": "starting the variant, where it is cold",
    "first_token": "waiting for the first token",
    "upstream": "waiting for a whole answer",
    "generate": "passing on the rest of a stream",
    "hedge": "waiting for the duplicate of a slow attempt",
    "embed": "waiting for vectors",
    "backoff": "waiting before a further attempt",
    "judge": "judging a cascade's first answer",
    "keep": "storing the answer in the cache",
    "respond": "writing the answer, and sending its last byte",
}
"""Each stage, and what its time goes to."""
