from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from backends.errors import AuthenticationError, ConnectError, NotFoundError, OverloadedError
from backends.models.store import Store
from backends.types import VariantStatus, WorkerState
from gateway.errors import UpstreamFailedError
from gateway.paths import StatePaths
from tests.gateways import CARD, HELLO, Fleet, exchange, local, opened, remote, running, until
from tests.model_helpers import a_variant, publish_bytes
from tests.providers import Answer, ScriptedProvider, chat_events, completion_body

SLOW = Answer(events=chat_events(*"abcdefgh"), every_s=0.05)
GOOD = Answer(body=completion_body("new"))


def status(state: WorkerState, socket: Path | None = None, **fields: object) -> VariantStatus:
    return VariantStatus(name="near", state=state, socket_path=str(socket) if socket else None, **fields)  # type: ignore[arg-type]


async def test_a_worker_that_is_replaced_keeps_the_streams_it_has(tmp_path: Path) -> None:
    old, new = tmp_path / "old.sock", tmp_path / "new.sock"
    fleet = Fleet({"near": status(WorkerState.WARM, old)})
    async with ScriptedProvider(SLOW, socket_path=old) as first, ScriptedProvider(GOOD, socket_path=new) as second:
        async with running(tmp_path, local("near"), fleet=fleet) as gateway:
            streaming = asyncio.create_task(gateway.stream("/v1/chat/completions", HELLO))
            await until(lambda: len(first.requests) == 1)
            fleet.states["near"] = status(WorkerState.WARM, new)
            await gateway.services.catalogue.refresh()
            _, body = await gateway.post("/v1/chat/completions", HELLO)
            assert body["choices"][0]["message"]["content"] == "new"
            assert not streaming.done()
            events = await streaming
        assert "".join(c["delta"].get("content", "") for e in events[:-1] for c in e["choices"]) == "abcdefgh"
        assert events[-1] == "[DONE]"
        assert (len(first.requests), len(second.requests)) == (1, 1)


async def test_a_new_worker_does_not_pay_for_the_failures_of_the_one_before(tmp_path: Path) -> None:
    old, new = tmp_path / "old.sock", tmp_path / "new.sock"
    fleet = Fleet({"near": status(WorkerState.WARM, old)})
    async with opened(tmp_path, local("near"), fleet=fleet, calls={"breaker_failures": 1}) as services:
        with pytest.raises(UpstreamFailedError):
            await services.answering.whole(exchange(services))
        for state, socket in ((WorkerState.WARM, old), (WorkerState.FAILED, None)):
            fleet.states["near"] = status(state, socket)
            await services.catalogue.refresh()
            assert services.catalogue.view("near").shut_s is not None
        fleet.states["near"] = status(WorkerState.WARM, new)
        await services.catalogue.refresh()
        assert services.catalogue.view("near").shut_s is None


async def test_a_cold_variant_is_started_and_used_at_once(tmp_path: Path) -> None:
    socket = tmp_path / "near.sock"
    fleet = Fleet({"near": status(WorkerState.COLD)}, starts={"near": status(WorkerState.WARM, socket)})
    async with ScriptedProvider(GOOD, socket_path=socket), opened(tmp_path, local("near"), fleet=fleet) as services:
        answer = await services.answering.whole(exchange(services))
        assert answer["model"] == "near"
        assert services.catalogue.view("near").status.state is WorkerState.WARM
        await services.answering.whole(exchange(services))
        assert fleet.asked == ["near"], "a warm variant is not asked to start"


async def test_a_variant_that_will_not_start_is_told_with_its_reason(tmp_path: Path) -> None:
    fleet = Fleet({"near": status(WorkerState.COLD)}, starts={"near": OverloadedError("no room for it")})
    async with opened(tmp_path, local("near"), fleet=fleet) as services:
        with pytest.raises(OverloadedError, match="no room for it"):
            await services.catalogue.start("near", timeout_s=1)
        fleet.starts.clear()
        with pytest.raises(NotFoundError):
            await services.catalogue.start("near", timeout_s=1)


async def test_a_variant_without_a_worker_cannot_be_leased(tmp_path: Path) -> None:
    fleet = Fleet({"near": status(WorkerState.FAILED, message="exit code 3")})
    async with opened(tmp_path, local("near"), fleet=fleet) as services:
        with pytest.raises(ConnectError, match="`near` is failed: exit code 3"), services.catalogue.lease("near"):
            pass
        assert services.catalogue.view("near").in_flight == 0


async def test_a_lease_is_counted_while_it_lasts_and_after_an_error_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_KEY", "sk-2")
    async with ScriptedProvider(GOOD) as provider:
        far = remote("far", provider, api_key="env:A_KEY", model="org/F")
        async with opened(tmp_path, far) as services:
            catalogue = services.catalogue
            with suppress(RuntimeError), catalogue.lease("far") as client, catalogue.lease("far") as again:
                assert client is again, "one pool of connections per endpoint"
                assert catalogue.view("far").in_flight == 2
                assert (client.endpoint.model, client.endpoint.api_key) == ("org/F", "sk-2")
                raise RuntimeError
            assert catalogue.view("far").in_flight == 0
            monkeypatch.delenv("A_KEY")
            with pytest.raises(AuthenticationError, match="A_KEY"), catalogue.lease("far"):
                pass


async def test_remote_variants_need_no_supervisor_and_unknown_statuses_are_ignored(tmp_path: Path) -> None:
    async with ScriptedProvider(GOOD) as provider:
        fleet = Fleet({"other": VariantStatus(name="other", state=WorkerState.WARM)})
        async with opened(tmp_path, remote("far", provider), local("near"), fleet=fleet) as services:
            assert [view.status.state for view in services.catalogue.views()] == [
                WorkerState.WARM,
                WorkerState.MISSING,
            ]
            assert services.catalogue.names == ["far", "near"]
            with pytest.raises(KeyError):
                services.catalogue.view("other")


async def test_the_view_follows_the_supervisor_and_survives_its_absence(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fleet = Fleet({"near": status(WorkerState.LOADING)})
    async with opened(tmp_path, local("near"), fleet=fleet) as services:
        fleet.states["near"] = status(WorkerState.WARM, message="up")
        await until(lambda: services.catalogue.view("near").status.message == "up")
        fleet.trouble = OverloadedError("not now")
        await until(lambda: "cannot be followed" in caplog.text)
        assert services.catalogue.view("near").status.state is WorkerState.WARM
        await asyncio.sleep(0.6)
        assert caplog.text.count("cannot be followed") == 1, "told once, not at every look"
        fleet.trouble, fleet.states["near"] = None, status(WorkerState.COLD)
        await until(lambda: services.catalogue.view("near").status.state is WorkerState.COLD)
        await until(lambda: "it can again" in caplog.text)


async def test_a_card_is_seen_as_soon_as_it_is_measured(tmp_path: Path) -> None:
    store = Store(StatePaths(root=tmp_path).models)
    async with opened(tmp_path, local("near")) as services:
        assert services.catalogue.view("near").card is None
        revision = publish_bytes(store, b"weights", variant=a_variant("near")).revision
        store.write_card("near", CARD, revision=revision)
        await until(lambda: services.catalogue.view("near").card == CARD)


async def test_a_manifest_that_cannot_be_read_does_not_end_the_watch(tmp_path: Path) -> None:
    store = Store(StatePaths(root=tmp_path).models)
    manifest = publish_bytes(store, b"weights", variant=a_variant("near"))
    fleet = Fleet({"near": status(WorkerState.COLD)})
    async with opened(tmp_path, local("near"), fleet=fleet) as services:
        (store.path("near", revision=manifest.revision) / "manifest.json").write_bytes(b"{")
        await asyncio.sleep(0.4)
        fleet.states["near"] = status(WorkerState.WARM)
        await until(lambda: services.catalogue.view("near").status.state is WorkerState.WARM)
        assert services.catalogue.view("near").card is None
