"""A secret is known to whom it was given: not to logs, answers, errors, metrics, traces or the database."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos_tools import background, config_over
from tests.providers import Answer, ScriptedProvider, chat_events, completion_body
from tests.serving import Gateway, serving

pytestmark = pytest.mark.timeout(60)

OURS = "canary-of-our-provider-key-5d1f"
"""The key by which the gateway is known at a provider."""
THEIRS = "canary-of-a-caller-key-93ab"
"""A key that a caller sends, in whatever place."""
SAID = "canary-of-a-prompt-c0de"
"""What a caller writes; no tenant has asked for its prompts to be kept."""
ANSWERED = "canary-of-an-answer-77aa"

BODY = b'{"messages": [{"role": "user", "content": "%s"}], "user": "%s"%s}'


@pytest.fixture
def provider() -> Iterator[ScriptedProvider]:
    """Answers well, then badly, and repeats the key in its errors."""
    leak = f'{{"error": {{"message": "bad key {OURS}", "type": "x"}}}}'.encode()
    script = (
        Answer(body=completion_body(ANSWERED)),
        Answer(events=chat_events(ANSWERED, finish=None), ending="cut"),
        Answer(status=401, body=leak),
        Answer(status=500, body=leak),
        Answer(body=b"not json " + OURS.encode()),
    )
    with background(*script) as found:
        yield found


@pytest.fixture
def gateway(provider: ScriptedProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    """A gateway that has a key for it."""
    monkeypatch.setenv("CANARY_KEY", OURS)
    config = config_over(
        provider, more="store: {flush_interval_s: 0.1}\ntelemetry: {logs: json, traces: {sample: 1.0}}"
    ).replace("kind: remote", "api_key: 'env:CANARY_KEY', kind: remote")
    with serving(tmp_path / "no-models", tmp_path / "var", config=config) as running:
        yield running


def all_answers(gateway: Gateway) -> list[bytes]:
    """What comes back when the secrets are sent in every place they may be put, and in some they may not."""
    chat = "/v1/chat/completions"
    said, user = SAID.encode(), THEIRS.encode()
    bodies = [
        BODY % (said, user, b""),
        BODY % (said, user, b', "stream": true'),
        BODY % (said, user, b""),
        BODY % (said, user, b""),
        BODY % (said, user, b""),
        BODY % (said, user, b', "temperature": 99'),
        BODY % (said, user, b', "unknown": 1'),
        BODY % (said, user, b', "model": "nobody"'),
        said,
    ]
    answers = [exchanged(gateway, chat, body) for body in bodies]
    paths = (
        f"/v1/decisions/{THEIRS}",
        f"/nowhere/{THEIRS}?key={THEIRS}",
        "/metrics",
        "/admin/v1/traces",
        "/readyz",
        "/v1/models",
    )
    return answers + [exchanged(gateway, path, None) for path in paths] + traces_of(gateway)


def traces_of(gateway: Gateway) -> list[bytes]:
    """Every kept trace, spans and attributes included."""
    time.sleep(0.5)  # They are written in batches.
    listed = json.loads(exchanged(gateway, "/admin/v1/traces?limit=100", None).partition(b"{")[2].join([b"{", b""]))
    assert len(listed["data"]) >= 9
    return [exchanged(gateway, f"/admin/v1/traces/{row['span_id']}", None) for row in listed["data"]]


def exchanged(gateway: Gateway, path: str, body: bytes | None) -> bytes:
    headers = {"Authorization": f"Bearer {THEIRS}", "X-Api-Key": THEIRS, "Cookie": f"session={THEIRS}"}
    request = urllib.request.Request(f"{gateway.url}{path}", data=body, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            return str(reply.headers).encode() + reply.read()
    except urllib.error.HTTPError as error:
        return str(error.headers).encode() + error.read()


def test_no_secret_leaves_the_way_it_was_given(gateway: Gateway, provider: ScriptedProvider) -> None:
    answers = all_answers(gateway)
    assert any(ANSWERED.encode() in answer for answer in answers), "the caller is answered"
    assert any(OURS in received.headers["Authorization"] for received in provider.requests)
    assert any(SAID.encode() in received.body for received in provider.requests)
    gateway.process.terminate()
    gateway.process.wait(timeout=20)
    kept = {path: path.read_bytes() for path in gateway.var.rglob("*") if path.is_file() and path != gateway.config}
    assert {path.name for path in kept} >= {"serve.log", "trilemma.db"}
    for secret in (OURS, THEIRS, SAID, ANSWERED):
        assert not [path for path, content in kept.items() if secret.encode() in content], secret
    for answer in answers:
        assert OURS.encode() not in answer
        assert SAID.encode() not in answer
    told = [answer for answer in answers if THEIRS.encode() in answer]
    assert all(b"/nowhere/" in answer or b"decision `" in answer for answer in told), "a path is not a place for one"
