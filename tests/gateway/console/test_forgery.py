"""What changes something comes from a page of ours, and every answer says how little browsers may do with it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.console.assets import load_assets
from gateway.console.forgery import form_token
from gateway.console.sessions import new_token
from gateway.console.throttle import Throttle
from gateway.tenants.types import Role
from tests.consoles import CONSOLE_ROUTES, OPEN_ROUTES, browser, signed_in
from tests.gateways import RunningGateway, local, running
from tests.tenancy import with_tenant

POSTS = sorted(path for method, path in CONSOLE_ROUTES | OPEN_ROUTES if method == "POST")


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[RunningGateway]:
    async with running(tmp_path, local("v")) as found:
        yield found


def concrete(path: str) -> str:
    return path.replace("{name}", "v").replace("{tenant_id}", "law").replace("{id}", "none")


async def test_no_form_is_taken_without_the_token_of_this_very_browser(gateway: RunningGateway) -> None:
    admin = (await with_tenant(gateway, "ops", role=Role.ADMIN)).text
    async with signed_in(gateway, admin) as page, signed_in(gateway, admin) as other:
        stolen = await other.form_token("/console")
        for path in POSTS:
            for fields in ({}, {"csrf": ""}, {"csrf": "0" * 64}, {"csrf": stolen}, {"csrf": form_token(new_token())}):
                response, _ = await page.post(concrete(path), {"key": admin, **fields})
                assert response.status == 403, (path, fields)
            response, _ = await page.post(concrete(path), {}, **{"X-Csrf-Token": stolen})
            assert response.status == 403, path
        assert (await page.get("/console"))[0].status == 200, "nobody was signed out"


FOREIGN = (
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://["},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
)


async def test_a_form_from_another_site_is_refused_with_the_right_token_too(gateway: RunningGateway) -> None:
    async with signed_in(gateway) as page:
        token = await page.form_token("/console")
        for headers in FOREIGN:
            response, _ = await page.post("/console/logout", {"csrf": token}, **headers)
            assert response.status == 403, headers
        own = {"Origin": gateway.url, "Sec-Fetch-Site": "same-origin"}
        assert (await page.post("/console/logout", {"csrf": token}, **own))[0].status == 303


async def test_nobody_is_signed_in_by_another_site(gateway: RunningGateway) -> None:
    attacker = (await with_tenant(gateway, "ops", role=Role.OPERATOR)).text
    async with browser(gateway) as victim:
        token = await victim.form_token()
        response, _ = await victim.post(
            "/console/login", {"csrf": token, "key": attacker}, **{"Sec-Fetch-Site": "cross-site"}
        )
        assert response.status == 403
        assert (await victim.get("/console"))[0].status == 303


async def test_every_answer_carries_the_strict_headers(gateway: RunningGateway) -> None:
    async with signed_in(gateway) as page:
        asked = [concrete(path) for method, path in sorted(CONSOLE_ROUTES) if method == "GET"]
        for path in [*asked, "/console/login", "/console/nothing", "/console/static/console.css?v=0", "/console/%00"]:
            response, html = await page.get(path)
            policy = response.headers["Content-Security-Policy"]
            assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'"), path
            for part in ("frame-ancestors 'none'", "form-action 'self'", "base-uri 'none'", "connect-src 'self'"):
                assert part in policy, path
            assert "unsafe-inline" not in policy
            assert "unsafe-eval" not in policy
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert response.headers["Cache-Control"] == "no-store"
            assert response.headers["Referrer-Policy"] == "same-origin"
            if response.headers["Content-Type"].startswith("text/html"):
                assert " style=" not in html, path
                assert "<style" not in html, path
                assert " onclick=" not in html, path
        response, _ = await page.get("/livez")
        assert "Content-Security-Policy" not in response.headers


async def test_files_are_kept_by_browsers_under_the_address_of_their_content(gateway: RunningGateway) -> None:
    async with browser(gateway) as page:
        for name, found in load_assets().items():
            response, _ = await page.get(f"/console/static/{name}?v={found.version}")
            assert response.status == 200
            assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
            assert response.headers["Content-Encoding"] == "gzip"
        assert "plotly.min.js" in load_assets()
        for name in ("../routes.py", "%2e%2e%2froutes.py", "routes.py", "base.html"):
            assert (await page.get(f"/console/static/{name}"))[0].status == 404, name


def test_failures_are_counted_by_address_within_a_window_and_in_bounded_memory() -> None:
    throttle = Throttle(failures=3, window_s=60.0, max_keys=2)
    for second in range(3):
        assert throttle.wait_s("a", now_s=second) == 0
        throttle.failed("a", now_s=second)
    assert throttle.wait_s("a", now_s=10.0) == 50.0
    assert throttle.wait_s("b", now_s=10.0) == 0
    assert throttle.wait_s("a", now_s=60.0) == 0, "the first failure is over"
    throttle.failed("b", now_s=11.0)
    throttle.failed("c", now_s=12.0)
    assert throttle.wait_s("a", now_s=12.0) == 0, "the longest unseen was let go"
