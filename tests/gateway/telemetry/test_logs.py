"""The log: one line a request, joined to its trace, never a key or a prompt in it."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.telemetry.logs import FIELDS, JsonFormatter, TextFormatter, configure_logs, redacted
from gateway.telemetry.request_log import REQUEST_FIELDS
from gateway.telemetry.timeline import CURRENT, Timeline
from gateway.tenants.keys import mint
from tests.gateways import HELLO, behind
from tests.providers import Answer, completion_body

CHAT = "/v1/chat/completions"
PARIS = Answer(body=completion_body("Paris"))


@pytest.fixture
def root() -> Iterator[None]:
    """The root logger as the test runner has it, restored afterwards."""
    logger = logging.getLogger()
    handlers, level = logger.handlers[:], logger.level
    yield
    logger.handlers[:] = handlers
    logger.setLevel(level)


def record(message: str, **fields: Any) -> logging.LogRecord:
    made = logging.LogRecord("room", logging.INFO, "", 0, message, None, None)
    setattr(made, FIELDS, fields)
    return made


def test_a_json_line_holds_message_fields_and_the_trace_it_belongs_to() -> None:
    timeline = Timeline()
    token = CURRENT.set(timeline)
    try:
        line = json.loads(JsonFormatter().format(record("two\nlines", variant="v")))
    finally:
        CURRENT.reset(token)
    assert (line["message"], line["variant"], line["level"]) == ("two\nlines", "v", "info")
    assert line["trace_id"] == timeline.trace_id
    assert "trace_id" not in json.loads(JsonFormatter().format(record("outside of any request")))


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
@pytest.mark.parametrize(
    "secret", [mint()[1], "sk-proj-abcdefghijklmnop", "Bearer abcdefgh12345678"], ids=["ours", "theirs", "a header"]
)
def test_what_looks_like_a_key_is_not_written(formatter: logging.Formatter, secret: str) -> None:
    line = formatter.format(record(f"refused {secret}!", told=secret))
    assert secret.rsplit(maxsplit=1)[-1] not in line
    assert "[redacted]" in line


def test_what_is_no_key_stays_as_it_is() -> None:
    assert redacted("task-force of disk-storage, trilemma") == "task-force of disk-storage, trilemma"


def test_a_traceback_goes_along() -> None:
    try:
        raise ValueError("why")
    except ValueError as error:
        made = logging.LogRecord(
            "room", logging.ERROR, "", 0, "failed", None, (ValueError, error, error.__traceback__)
        )
    assert "ValueError: why" in json.loads(JsonFormatter().format(made))["exception"]
    assert "ValueError: why" in TextFormatter().format(made)


@pytest.mark.usefixtures("root")
def test_what_was_logged_before_the_end_is_written() -> None:
    stream = io.StringIO()
    handler = configure_logs("json", stream=stream)
    for number in range(100):
        logging.getLogger("room").info("line %d", number)
    handler.close()
    written = [json.loads(line)["message"] for line in stream.getvalue().splitlines()]
    assert written == [f"line {number}" for number in range(100)]


async def test_every_request_has_one_line_with_listed_fields_and_nothing_of_what_was_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="gateway.requests")
    said = {"messages": [{"role": "user", "content": "canary-prompt"}], "user": "canary-user"}
    async with behind(tmp_path, PARIS) as (gateway, _):
        response, _ = await gateway.post(f"{CHAT}?key=canary-query", said, X_Tags="a=canary-tag")
        await gateway.post(CHAT, {"messages": 7})
        await gateway.get("/livez")
    lines = [getattr(made, FIELDS) for made in caplog.records if made.name == "gateway.requests"]
    assert [(line["route"], line["status"]) for line in lines] == [(CHAT, 200), (CHAT, 400)]
    assert lines[0]["request_id"] == response.headers["X-Request-Id"]
    assert (lines[0]["variant"], lines[0]["ending"], lines[0]["attempts"]) == ("v0", "done", 1)
    assert all(set(line) <= set(REQUEST_FIELDS) for line in lines)
    assert "canary" not in json.dumps(lines)


@pytest.mark.parametrize(("which", "expected"), [("failures", [400]), ("none", [])])
async def test_a_setting_says_which_requests_have_a_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, which: str, expected: list[int]
) -> None:
    caplog.set_level(logging.INFO, logger="gateway.requests")
    async with behind(tmp_path, PARIS, telemetry={"request_log": which}) as (gateway, _):
        await gateway.post(CHAT, HELLO)
        await gateway.post(CHAT, {"messages": 7})
    lines = [getattr(made, FIELDS) for made in caplog.records if made.name == "gateway.requests"]
    assert [line["status"] for line in lines] == expected
