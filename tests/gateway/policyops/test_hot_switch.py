"""A policy published while requests run comes into force without one of them being lost."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from gateway.policyops.publish import publish
from policies.documents.findings import Known
from tests.gateways import HELLO, RunningGateway, behind, until
from tests.policy_documents import open_store
from tests.providers import Answer, completion_body

GOOD = Answer(body=completion_body("hello"), first_after_s=0.005)
KNOWN = Known(variants={"v0": None, "v1": None})
TEXT = "schema_version: 2\nname: switch\nexploration: {method: epsilon_softmax, epsilon: 0}\nfallback: [v0, v1]\n"
ONLY_V1 = TEXT + "rules: [{name: only, match: {tags: {app: [a]}}, then: {exclude: [v0]}}]\n"


class Traffic:
    """Requests one after the other, until stopped; what each was answered with."""

    def __init__(self, gateway: RunningGateway) -> None:
        self._gateway = gateway
        self.answers: list[tuple[int, str, str, str]] = []
        """Status, policy, variant, decision."""
        self.stopping = False

    async def run(self) -> None:
        while not self.stopping:
            response, _ = await self._gateway.post("/v1/chat/completions", HELLO | {"metadata": {"app": "a"}})
            named = (response.headers.get(f"X-Trilemma-{name}", "") for name in ("Policy", "Variant", "Decision"))
            self.answers.append((response.status, *named))  # type: ignore[arg-type]

    async def meets(self, policy: str, *, within_s: float = 5.0) -> float:
        """Seconds until an answer was decided by this policy."""
        began_s = time.monotonic()
        async with asyncio.timeout(within_s):
            while not any(answer[1] == policy for answer in self.answers[-4:]):
                await asyncio.sleep(0.005)
        return time.monotonic() - began_s


async def put_in_force(directory: Path, text: str) -> str:
    """Publish beside the running gateway; the new policy's hash."""

    def blocking() -> str:
        with open_store(directory / "trilemma.db") as store:
            return publish(store, text, known=KNOWN, source_name="t", author="ada", reason="why", now_s=1.0)[0].hash

    return await asyncio.to_thread(blocking)


async def roll_back(directory: Path) -> None:
    """Go back one version beside the running gateway."""

    def blocking() -> None:
        with open_store(directory / "trilemma.db") as store:
            store.rollback(author="bob", reason="worse", now_s=2.0)

    await asyncio.to_thread(blocking)


async def test_publishing_and_rolling_back_lose_no_request_and_name_every_decision(tmp_path: Path) -> None:
    async with behind(tmp_path, GOOD, GOOD) as (gateway, _):
        traffic = Traffic(gateway)
        running = [asyncio.create_task(traffic.run()) for _ in range(4)]
        first = gateway.services.policies.current.hash
        await traffic.meets(first)
        second = await put_in_force(tmp_path, TEXT)
        assert await traffic.meets(second) < 2.5
        third = await put_in_force(tmp_path, ONLY_V1)
        await traffic.meets(third)
        await roll_back(tmp_path)
        await traffic.meets(second)
        traffic.stopping = True
        await asyncio.gather(*running)

        assert {status for status, *_ in traffic.answers} == {200}
        assert {policy for _, policy, *_ in traffic.answers} == {first, second, third}
        assert {variant for _, policy, variant, _ in traffic.answers if policy == third} == {"v1"}
        assert {variant for _, policy, variant, _ in traffic.answers if policy == second} == {"v0"}
        for _, policy, _, decision in traffic.answers[:: max(1, len(traffic.answers) // 20)]:
            assert (await gateway.record(decision))["decision"]["policy_hash"] == policy


async def test_a_request_the_policy_leaves_nobody_for_is_told_which_rule_it_was(tmp_path: Path) -> None:
    async with behind(tmp_path, GOOD, GOOD) as (gateway, _):
        hash_ = await put_in_force(tmp_path, ONLY_V1)
        await until(lambda: gateway.services.policies.current.hash == hash_)
        response, body = await gateway.post("/v1/chat/completions", HELLO | {"model": "v0", "metadata": {"app": "a"}})
        assert (response.status, body["error"]["code"]) == (400, "policy")
        assert "rule `only` of the policy leaves it out" in body["error"]["message"]
