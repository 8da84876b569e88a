"""The example of two tenants: every command of its README, against a gateway with real models.

The closed-form build stands in for the distilled variant, which takes a quarter of an hour to make.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import openai
import pytest

from tests.serving import ROOT, Gateway, serving

pytestmark = [pytest.mark.models, pytest.mark.timeout(120)]

EXAMPLE = ROOT / "examples" / "two-tenants"
WEAK = "pruned"
PROMPT = "May a tenant end the lease early?"
_BLOCK = re.compile(r"^```sh\n(.*?)^```", flags=re.DOTALL | re.MULTILINE)
KEYS, ASKED, TIGHTENED, REPORTED = _BLOCK.findall((EXAMPLE / "README.md").read_text())


def text_of(name: str) -> str:
    """A file of the example, for the variants that there are."""
    return (EXAMPLE / name).read_text().replace("distilled", WEAK)


@pytest.fixture(scope="module")
def gateway(models_var: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    config = text_of("trilemma.yaml") + "\nbuild: {background: false}\ntraining: {enabled: false, shadow_share: 0}\n"
    with serving(models_var, tmp_path_factory.mktemp("two-tenants"), config=config) as running:
        for variant in ("quantized", WEAK):
            running.wait_for(variant, "warm", timeout_s=60)
        yield running


@pytest.fixture(scope="module")
def keys(gateway: Gateway) -> dict[str, str]:
    """What the first commands of the README leave in the environment, once they are in force."""
    (gateway.var / "policy.yaml").write_text(text_of("policy.yaml"))
    told = sh(gateway, f'{KEYS}\necho "$SUPPORT $LEGAL"').split()[-2:]
    named = dict(zip(("support-bot", "legal-analyser"), told, strict=True))
    deadline_s = time.monotonic() + 10
    while not all(in_force(gateway, key) for key in named.values()):
        assert time.monotonic() < deadline_s
        time.sleep(0.2)
    return named


def in_force(gateway: Gateway, key: str) -> bool:
    """Whether the gateway knows a key, and decides by the published policy."""
    try:
        with client(gateway, key) as asking:
            reply = asking.chat.completions.with_raw_response.create(
                model="auto", messages=[{"role": "user", "content": "Hello"}], max_tokens=1
            )
    except openai.AuthenticationError:
        return False
    return "two-tenants" in sh(gateway, "trilemma policy list") and reply.headers["X-Trilemma-Policy"] == hash_of(
        gateway
    )


def hash_of(gateway: Gateway) -> str:
    listed: dict[str, Any] = msgspec.json.decode(sh(gateway, "trilemma policy list --json"))
    return str(listed["versions"][-1]["hash"])


def client(gateway: Gateway, key: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=key, max_retries=0)


def sh(gateway: Gateway, script: str, **environment: str) -> str:
    """Run lines of the README as they stand, in a folder like the example's."""
    command = [sys.executable, "-m", "gateway.cli", "--config", str(gateway.config), "--var", str(gateway.var)]
    here = f'trilemma() {{ (cd {ROOT} && {shlex.join(command)} "$@"); }}\n'
    script = script.replace("http://127.0.0.1:8080", gateway.url).replace(
        "policy.yaml", str(gateway.var / "policy.yaml")
    )
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", here + script],
        capture_output=True,
        check=False,
        text=True,
        timeout=100,
        env=os.environ | environment,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def answered_by(gateway: Gateway, key: str, *, times: int) -> Counter[str | None]:
    """Who answers the same prompt, so many times, nothing being given again."""
    found: Counter[str | None] = Counter()
    with client(gateway, key) as asking:
        for _ in range(times):
            stream = asking.chat.completions.create(
                model="auto",
                messages=[{"role": "user", "content": PROMPT}],
                max_tokens=8,
                stream=True,
                extra_body={"cache": {"mode": "no-cache"}},
            )
            found[[chunk.model for chunk in stream][-1]] += 1
    return found


def test_the_same_prompt_is_answered_by_different_variants(gateway: Gateway, keys: dict[str, str]) -> None:
    support = answered_by(gateway, keys["support-bot"], times=12)
    legal = answered_by(gateway, keys["legal-analyser"], times=12)
    assert support[WEAK] > 6, "while little is known, the learner tries the others too"
    assert legal == {"quantized": 12}, "a floor knows no exception"


def test_the_commands_of_the_readme_show_it(gateway: Gateway, keys: dict[str, str]) -> None:
    environment = {"SUPPORT": keys["support-bot"], "LEGAL": keys["legal-analyser"]}
    assert (
        re.findall(r"X-Trilemma-Variant: (\w+)", sh(gateway, ASKED, **environment), re.IGNORECASE)[1] == "quantized"
    )
    assert "quantized" in sh(gateway, TIGHTENED, **environment), "asking for less than was promised gets no less"


def reports(gateway: Gateway, keys: dict[str, str]) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """What the README's commands print of both, the legal analyser's own report, and the support bot's."""
    for key in keys.values():
        answered_by(gateway, key, times=2)
    table, _, body = sh(gateway, REPORTED, LEGAL=keys["legal-analyser"]).partition("{")
    listed = msgspec.json.decode(sh(gateway, "trilemma tenants sla support-bot --json"))["reports"]
    [support] = listed
    return table, msgspec.json.decode("{" + body), support


def of_one_window(gateway: Gateway, keys: dict[str, str]) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """The same, asked for again where a window ended, and an empty one began, between the requests and the report."""
    for _ in range(3):
        table, own, support = reports(gateway, keys)
        if all(of["now"] is not None for of in (*own["promises"], *support["promises"])):
            break
    return table, own, support


def test_the_report_shows_who_kept_what(gateway: Gateway, keys: dict[str, str]) -> None:
    table, own, support = of_one_window(gateway, keys)
    assert all(words in table for words in (*keys, "p95 first token", "mean quality", "USD spent"))
    assert own["tenant"] == "legal-analyser"
    stands = {of["promise"]: (of["now_verdict"], of["now"]) for of in own["promises"]}
    assert stands == {"mean_quality": ("kept", pytest.approx(0.77)), "availability": ("kept", 1.0)}
    for of in support["promises"]:
        below = of["promise"] != "availability"
        holds = of["now"] <= of["limit"] if below else of["now"] >= of["limit"]
        assert of["now_verdict"] == ("kept" if holds else "broken")
    assert {of["promise"] for of in support["promises"]} == {"ttft_p95_s", "latency_p95_s", "availability"}


def test_a_caller_sees_its_own_promises_and_nobody_elses(gateway: Gateway, keys: dict[str, str]) -> None:
    ask = (
        f"curl -sS {gateway.url}/admin/v1/tenants/support-bot/sla -H 'Authorization: Bearer {keys['legal-analyser']}'"
    )
    assert msgspec.json.decode(sh(gateway, ask))["error"]["type"] == "permission_error"
