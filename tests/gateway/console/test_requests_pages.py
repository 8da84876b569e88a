"""The list of kept requests and the page of each, over HTTP."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest

from gateway.console.filters import Filters, filters_of
from gateway.telemetry import names
from gateway.traces.types import TraceRow
from tests.gateways import RunningGateway, local, running
from tests.trace_rows import span, trace, waited

HOSTILE = "<script>alert(1)</script>\"'&{{7*7}}`"


class _Tags(HTMLParser):
    """Every tag with its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def tags(html: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = _Tags()
    parser.feed(html)
    return parser.found


async def html(gateway: RunningGateway, path: str, *, status: int = 200) -> str:
    async with gateway.session.get(gateway.url + path, headers={"Accept": "text/html"}) as response:
        text = await response.text()
        assert response.status == status, text
        return text


async def keep(gateway: RunningGateway, *rows: TraceRow) -> None:
    for row in rows:
        gateway.services.tracing.traces.record(row)
    await gateway.reported()


def now_trace(gateway: RunningGateway, number: int, /, **changes: object) -> TraceRow:
    return trace(number, **({"started_at_s": gateway.services.clock.wall_s() - number} | changes))


def minutes_ago(minutes: float) -> str:
    """As a form states it."""
    return (datetime.now(UTC) - timedelta(minutes=minutes)).isoformat(timespec="minutes").removesuffix("+00:00")


async def test_without_any_trace_the_list_says_what_is_going_to_be_kept(tmp_path: Path) -> None:
    async with running(tmp_path, local("quantized")) as gateway:
        assert "No trace has been kept yet" in await html(gateway, "/console/requests")
        assert "clear a filter" not in await html(gateway, "/console/requests")


async def test_a_kept_request_is_listed_and_its_page_blames_the_stage(tmp_path: Path) -> None:
    async with running(tmp_path, local("quantized")) as gateway:
        await keep(gateway, now_trace(gateway, 1))
        listed = await html(gateway, "/console/requests")
        [address] = set(re.findall(r'href="(/console/requests/[0-9a-f]{16})"', listed))
        shown = await html(gateway, address)
        assert "Slow because it waited 2.4 s of its 3.0 s in the queue" in shown
        assert '<svg class="waterfall"' in shown
        assert "lane-blamed" in shown


@pytest.mark.parametrize("name", ["trace_id", "request_id", "decision_id"])
async def test_a_request_is_found_by_each_of_its_ids(tmp_path: Path, name: str) -> None:
    async with running(tmp_path, local("quantized")) as gateway:
        row = now_trace(gateway, 7)
        await keep(gateway, row)
        assert row.trace_id in await html(gateway, f"/console/requests/{getattr(row, name)}")


async def test_a_request_that_was_not_kept_is_told_to_be_so(tmp_path: Path) -> None:
    async with running(tmp_path, local("quantized")) as gateway:
        assert "no trace of this request is kept" in await html(gateway, "/console/requests/nothing", status=404)


async def test_the_pages_of_a_list_show_every_request_once(tmp_path: Path) -> None:
    async with running(tmp_path, local("quantized")) as gateway:
        await keep(gateway, *(now_trace(gateway, number) for number in range(120)))
        seen, address = list[str](), "/console/requests"
        while address:
            listed = await html(gateway, address)
            seen += re.findall(r'href="/console/requests/([0-9a-f]{16})"', listed)
            address = next((a["href"] or "" for tag, a in tags(listed) if a.get("rel") == "next"), "")
        assert sorted(seen) == [f"{number:016x}" for number in range(120)]


async def test_filters_narrow_the_list_and_stay_in_its_form(tmp_path: Path) -> None:
    async with running(tmp_path, local("quantized")) as gateway:
        await keep(
            gateway,
            now_trace(gateway, 1, stage="redis", kept="failed"),
            now_trace(gateway, 2, tenant="zoo"),
            now_trace(gateway, 3, duration_s=9.0, error_type="upstream_timeout"),
            now_trace(gateway, 4, started_at_s=gateway.services.clock.wall_s() - 5400),
        )
        for query, expected in {
            "stage=redis": 1,
            "kept=failed": 1,
            "tenant=zoo": 2,
            "min_s=5": 3,
            "error=upstream_timeout": 3,
            "variant=quantized&min_s=8": 3,
            f"window=1h&until={minutes_ago(60)}": 4,
            f"window=15m&order=slowest&until={minutes_ago(-2)}&tenant=zoo": 2,
        }.items():
            listed = await html(gateway, f"/console/requests?{query}")
            assert re.findall(r'href="/console/requests/([0-9a-f]{16})"', listed) == [f"{expected:016x}"], query
        assert "clear a filter" in await html(gateway, "/console/requests?tenant=nobody-here")


async def test_a_condition_that_is_none_is_left_out_and_told(tmp_path: Path) -> None:
    async with running(tmp_path, local("quantized")) as gateway:
        assert "a number of seconds" in await html(gateway, "/console/requests?min_s=long")
        for moment in ("noon", "2026-13-01T00:00", "9999-12-31T23:59-12:00"):
            assert "a moment in UTC" in await html(gateway, f"/console/requests?until={moment}")
        await html(gateway, "/console/requests?cursor=nonsense", status=400)


async def test_hostile_names_are_shown_as_text(tmp_path: Path) -> None:
    said = {names.PROMPT: HOSTILE, names.ANSWER: HOSTILE, names.TAGS: HOSTILE}
    root = span("request", 0.0, 3.0, under=None, **said)
    attempt = span("attempt", 0.1, 2.0, **{names.VARIANT: HOSTILE, names.ERROR_TYPE: HOSTILE})
    async with running(tmp_path, local("quantized")) as gateway:
        told = {"tenant": HOSTILE, "variant": HOSTILE, "error_type": HOSTILE, "stage": "queue"}
        await keep(gateway, now_trace(gateway, 1, spans=(root, attempt, *waited()[1:]), **told))
        for path in ("/console/requests", "/console/requests?error=%3Cscript%3E", f"/console/requests/{1:016x}"):
            shown = await html(gateway, path)
            assert not re.findall(r"<script>(?!</script>)", shown)


async def test_no_page_has_anything_inline(tmp_path: Path) -> None:
    async with running(tmp_path, local("quantized")) as gateway:
        await keep(gateway, now_trace(gateway, 1))
        for path in ("/console/requests", f"/console/requests/{1:016x}", "/console/playground"):
            for tag, attributes in tags(await html(gateway, path)):
                assert tag != "style"
                assert tag != "script" or attributes.get("src")
                assert not [name for name in attributes if name == "style" or name.startswith("on")]


async def test_every_field_has_a_label_and_every_table_a_caption(tmp_path: Path) -> None:
    async with running(tmp_path, local("quantized")) as gateway:
        await keep(gateway, now_trace(gateway, 1))
        for path in ("/console/requests", f"/console/requests/{1:016x}", "/console/playground"):
            shown = await html(gateway, path)
            found = tags(shown)
            labelled = {attributes.get("for") for tag, attributes in found if tag == "label"}
            for tag, attributes in found:
                if tag in {"input", "select", "textarea"} and attributes.get("type") != "hidden":
                    assert attributes.get("id") in labelled, attributes
            assert shown.count("<table") == shown.count("<caption")


def test_the_address_of_a_list_says_all_its_conditions_and_nothing_else() -> None:
    filters = Filters(tenant="a&b", min_s=2.5, kept="slow", order="slowest", window="7d")
    query = dict(part.split("=") for part in filters.url().partition("?")[2].split("&"))
    assert query == {"tenant": "a%26b", "min_s": "2.5", "kept": "slow", "order": "slowest", "window": "7d"}
    assert Filters().url() == "/console/requests"
    until = datetime(2026, 1, 31, 14, 5, tzinfo=UTC)
    assert Filters(until=until).url() == "/console/requests?until=2026-01-31T14%3A05"
    for text in ("2026-01-31T14:05", "2026-01-31T14:05Z", "2026-01-31T15:05+01:00"):
        assert filters_of({"until": text})[0] == Filters(until=until)
    assert filters_of({"min_s": "2.5", "kept": "nonsense"})[0] == Filters(min_s=2.5)
