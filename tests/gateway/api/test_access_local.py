"""Without tenants this machine's own programs are served, and nobody else, however it is dressed up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from litestar.connection import ASGIConnection

from gateway.api.local import is_local
from tests.gateways import local, running


def came_from(client: str | None, **headers: str) -> bool:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope: Any = {"type": "http", "client": None if client is None else (client, 4711), "headers": raw}
    return is_local(ASGIConnection(scope))


@pytest.mark.parametrize("client", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"])
def test_the_loopback_is_local(client: str) -> None:
    assert came_from(client)
    assert came_from(client, host="localhost:8080")
    assert came_from(client, host="[::1]:8080", origin="http://127.0.0.1:8080", sec_fetch_site="same-origin")


@pytest.mark.parametrize(
    "client",
    [None, "", "10.0.0.1", "192.168.1.2", "0.0.0.0", "::", "fe80::1", "::ffff:10.0.0.1", "localhost", "testclient"],
)
def test_everything_else_is_not(client: str | None) -> None:
    assert not came_from(client)
    assert not came_from(client, x_forwarded_for="127.0.0.1", host="localhost")


@pytest.mark.parametrize(
    "headers",
    [
        {"x_forwarded_for": "127.0.0.1"},
        {"x_forwarded_for": ""},
        {"forwarded": "for=127.0.0.1"},
        {"x_real_ip": "127.0.0.1"},
        {"via": "1.1 proxy"},
        {"x_forwarded_proto": "https"},
        {"x_forwarded_port": "443"},
        {"x_envoy_external_address": "10.0.0.1"},
        {"cf_connecting_ip": "10.0.0.1"},
    ],
)
def test_what_a_proxy_on_this_machine_passes_on_is_not(headers: dict[str, str]) -> None:
    assert not came_from("127.0.0.1", **headers)


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost.evil.example"},
        {"origin": "http://["},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"host": "evil.example"},
        {"host": "127.0.0.1.evil.example:8080"},
        {"host": ""},
    ],
)
def test_what_a_web_page_sends_through_a_browser_on_this_machine_is_not(headers: dict[str, str]) -> None:
    assert not came_from("127.0.0.1", **headers)


async def test_who_is_not_local_is_refused_with_what_to_do(tmp_path: Path) -> None:
    async with running(tmp_path, local("v")) as gateway:
        for header in ("X-Forwarded-For", "Forwarded", "Origin", "Host"):
            headers = {header: "evil.example"}
            async with gateway.session.get(f"{gateway.url}/v1/models", headers=headers) as response:
                body = await response.json()
            assert (response.status, body["error"]["type"]) == (401, "authentication_error"), header
            assert "`trilemma tenants add NAME`" in body["error"]["message"]


async def test_a_key_is_not_needed_yet_and_does_no_harm(tmp_path: Path) -> None:
    async with running(tmp_path, local("v")) as gateway:
        headers = {"Authorization": "Bearer none"}
        async with gateway.session.get(f"{gateway.url}/v1/models", headers=headers) as response:
            assert response.status == 200
