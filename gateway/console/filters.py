"""What the list of kept requests is narrowed to: as it stands in the address, and as a form."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, get_args
from urllib.parse import urlencode

import msgspec

from gateway.telemetry.blame import CAUSES
from gateway.traces.types import Kept

__all__ = ("ORDERS", "WINDOWS", "Choice", "Field", "Filters", "Order", "Window", "fields_of", "filters_of")

PATH = "/console/requests"

Window = Literal["15m", "1h", "6h", "24h", "7d", "all"]
WINDOWS: Mapping[Window, tuple[str, float | None]] = {
    "15m": ("the last 15 minutes", 900.0),
    "1h": ("the last hour", 3600.0),
    "6h": ("the last 6 hours", 21_600.0),
    "24h": ("the last 24 hours", 86_400.0),
    "7d": ("the last 7 days", 604_800.0),
    "all": ("any time", None),
}
"""What a window is called, and its seconds."""

Order = Literal["newest", "slowest"]
ORDERS: dict[str, str] = {"newest": "newest first", "slowest": "slowest first"}


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """What the list is narrowed to; None is no condition."""

    tenant: str | None = None
    variant: str | None = None
    stage: str | None = None
    kept: Kept | None = None
    window: Window = "24h"
    until: datetime | None = None
    """When the window ends, in UTC; now, where nothing is said."""
    min_s: float | None = None
    """Seconds that a request took at least."""
    error: str | None = None
    order: Order = "newest"
    cursor: str | None = None
    """Where the page begins; None for the first."""

    def url(self, **changes: object) -> str:
        """The address of the list with these conditions."""
        stated = msgspec.structs.asdict(self) | changes
        plain = msgspec.structs.asdict(Filters())
        shown = {
            name: _stated(value) if isinstance(value, datetime) else value
            for name, value in stated.items()
            if value is not None and value != plain[name]
        }
        return f"{PATH}?{urlencode(shown)}" if shown else PATH

    def within(self, now_s: float) -> tuple[float | None, float | None]:
        """Unix time of the window's beginning, and of its end; None where it is open."""
        until_s = None if self.until is None else self.until.timestamp()
        length_s = WINDOWS[self.window][1]
        ends_s = now_s if until_s is None else until_s
        return None if length_s is None else ends_s - length_s, until_s


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One option of a field."""

    value: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Field:
    """One condition in the form."""

    name: str
    label: str
    value: str
    kind: Literal["text", "datetime-local"] = "text"
    """Of the input, where nothing is to be chosen."""
    choices: tuple[Choice, ...] = ()
    hint: str = ""
    error: str = ""


def filters_of(query: Mapping[str, str]) -> tuple[Filters, Mapping[str, str]]:
    """The conditions that an address states, and what is wrong with those that will not do, by their names."""
    found, errors = dict[str, object](), dict[str, str]()
    for name in Filters.__struct_fields__:
        text = query.get(name, "").strip()[:256]
        if not text or not text.isprintable():
            continue
        try:
            value = _READ.get(name, str)(text)
            msgspec.convert({name: value}, Filters)
        except (ValueError, OverflowError, msgspec.ValidationError):
            errors[name] = _EXPECTED.get(name, "not understood")
            continue
        found[name] = value
    return msgspec.convert(found, Filters), errors


def _moment(text: str) -> datetime:
    """A moment as a form, or a person, states it; without a time zone it is UTC.

    Raises:
        ValueError: It is none.
        OverflowError: It lies before the year 1, or after the year 9999, in UTC.
    """
    stated = datetime.fromisoformat(text)
    return stated.replace(tzinfo=UTC) if stated.tzinfo is None else stated.astimezone(UTC)


def _stated(until: datetime) -> str:
    """As a form has it: to the minute."""
    return until.isoformat()[: len("2026-01-31T14:05")]


_READ: Mapping[str, Callable[[str], object]] = {"min_s": float, "until": _moment}
"""How a condition is read that is no text."""

_EXPECTED = {
    "min_s": "a number of seconds, such as 2.5",
    "kept": f"one of: {', '.join(get_args(Kept))}",
    "until": "a moment in UTC, such as 2026-01-31T14:05",
    "window": f"one of: {', '.join(WINDOWS)}",
    "order": f"one of: {', '.join(ORDERS)}",
}


def fields_of(filters: Filters, names: Mapping[str, Sequence[str]], errors: Mapping[str, str]) -> tuple[Field, ...]:
    """The form as it stands.

    Args:
        filters: What is in force.
        names: Known tenants and variants, by field.
        errors: What is wrong with conditions that were left out.
    """

    def select(name: str, label: str, options: Mapping[str, str]) -> Field:
        value = str(getattr(filters, name) or "")
        known = options if value in options or not value else {**options, value: value}
        return Field(
            name=name,
            label=label,
            value=value,
            choices=tuple(Choice(value=value, text=text) for value, text in known.items()),
            error=errors.get(name, ""),
        )

    def any_of(options: Iterable[str]) -> dict[str, str]:
        return {"": "any"} | {option: option for option in options}

    return (
        select("window", "Time", {window: text for window, (text, _) in WINDOWS.items()}),
        Field(
            name="until",
            label="Until (UTC)",
            kind="datetime-local",
            value="" if filters.until is None else _stated(filters.until),
            error=errors.get("until", ""),
        ),
        select("tenant", "Tenant", any_of(names.get("tenant", ()))),
        select("variant", "Variant", any_of(names.get("variant", ()))),
        select("stage", "To blame", any_of(sorted(CAUSES))),
        select("kept", "Kept as", any_of(get_args(Kept))),
        Field(
            name="min_s",
            label="Took at least (s)",
            value="" if filters.min_s is None else f"{filters.min_s:g}",
            hint="2.5",
            error=errors.get("min_s", ""),
        ),
        Field(name="error", label="Error", value=filters.error or "", hint="upstream_timeout"),
        select("order", "Order", ORDERS),
    )
