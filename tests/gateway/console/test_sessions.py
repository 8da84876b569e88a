"""Sessions begin with an operator's key, end with it, and prove nothing outside the console."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from gateway.console.sessions import ABSOLUTE_S, IDLE_S, SessionStore, console_sessions
from gateway.decisions.migrate import upgrade
from gateway.decisions.schema import open_engine
from gateway.tenants.keys import KeyTerms, mint
from gateway.tenants.types import Role
from tests.consoles import CONSOLE_ROUTES, browser, signed_in
from tests.gateways import RunningGateway, local, running
from tests.tenancy import ALICE, bearer, with_tenant


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[RunningGateway]:
    async with running(tmp_path, local("v")) as found:
        yield found


async def test_every_page_of_the_console_takes_a_session_and_no_key(gateway: RunningGateway) -> None:
    admin = await with_tenant(gateway, "law", role=Role.ADMIN)
    async with browser(gateway) as stranger, signed_in(gateway, admin.text) as known:
        for method, path in sorted(CONSOLE_ROUTES - {("POST", "/console/logout")}):
            if method != "GET":
                continue
            concrete = path.replace("{tenant_id}", "law").replace("{name}", "v")
            response, _ = await stranger.get(concrete, Authorization=f"Bearer {admin.text}")
            assert response.status == 303, concrete
            assert response.headers["Location"].startswith("/console/login?next=/console"), concrete
            response, html = await known.get(concrete)
            assert response.status in {200, 400, 404}, (concrete, html)
        async with known.session.get(f"{gateway.url}/v1/models") as answer:
            assert answer.status == 401, "a session opens nothing but the console"


async def test_only_operators_and_administrators_sign_in(gateway: RunningGateway) -> None:
    caller = await with_tenant(gateway, "law")
    admin = await with_tenant(gateway, "ops", role=Role.ADMIN)
    async with browser(gateway) as page:
        for key, status in ((caller.text, 403), (mint()[1], 401), ("", 401), ("' OR 1=1 --", 401)):
            assert (await page.sign_in(key)).status == status
            assert (await page.get("/console"))[0].status == 303
        assert (await page.sign_in(admin.text)).status == 303
        assert (await page.get("/console"))[0].status == 200
    async with gateway.session.post(
        f"{gateway.url}/console/login", headers=bearer(admin), data={"key": admin.text}
    ) as answer:
        assert answer.status == 403, "without the form's token nobody signs in, with the right key neither"


async def test_a_session_dies_with_its_key(gateway: RunningGateway) -> None:
    admin = await with_tenant(gateway, "ops", role=Role.ADMIN)
    change = gateway.services.directory.change
    made = await change(lambda store: store.keys.add("ops", KeyTerms(role=Role.OPERATOR), author=ALICE))
    async with signed_in(gateway, made.text) as page, signed_in(gateway, admin.text) as other:
        assert (await page.get("/console"))[0].status == 200
        await change(lambda store: store.keys.revoke(made.record.key_id, author=ALICE))
        assert (await page.get("/console"))[0].status == 303
        assert (await other.get("/console"))[0].status == 200, "other keys' sessions go on"
        await change(lambda store: store.remove("ops", author=ALICE))
        assert (await other.get("/console"))[0].status == 303


async def test_signing_out_ends_a_session_for_whoever_kept_its_cookie(gateway: RunningGateway) -> None:
    async with signed_in(gateway) as page, browser(gateway) as thief:
        thief.session.cookie_jar.update_cookies({c.key: c.value for c in page.session.cookie_jar})
        assert (await thief.get("/console"))[0].status == 200
        response, _ = await page.post("/console/logout", {"csrf": await page.form_token("/console")})
        assert (response.status, response.headers["Location"]) == (303, "/console/login")
        assert (await page.get("/console"))[0].status == 303
        assert (await thief.get("/console"))[0].status == 303


async def test_a_cookie_is_out_of_reach_and_never_the_one_from_before(gateway: RunningGateway) -> None:
    key = (await with_tenant(gateway, "ops", role=Role.OPERATOR)).text
    async with browser(gateway) as page:
        first, _ = await page.get("/console/login")
        planted = first.cookies["trilemma-visitor"].value
        page.session.cookie_jar.update_cookies({"trilemma-console": planted})
        response = await page.sign_in(key)
        cookie = response.cookies["trilemma-console"]
        assert cookie.value != planted
        assert key.rpartition("_")[2] not in str(response.headers)
        assert (cookie["httponly"], cookie["samesite"].lower(), cookie["path"], cookie["secure"]) == (
            True,
            "strict",
            "/",
            "",
        )
        over_tls, _ = await page.get("/console/login", **{"X-Forwarded-Proto": "https"})
        cookie = over_tls.cookies["__Host-trilemma-visitor"]
        assert (cookie["httponly"], cookie["secure"], cookie["path"], cookie["domain"]) == (True, True, "/", "")


async def test_signing_in_leads_back_to_the_page_asked_for_and_nowhere_else(gateway: RunningGateway) -> None:
    key = (await with_tenant(gateway, "ops", role=Role.OPERATOR)).text
    async with browser(gateway) as page:
        response, _ = await page.get("/console/tenants?sort=id&x=a%20b")
        login = response.headers["Location"]
        _, html = await page.get(login)
        assert 'name="next" value="/console/tenants?sort=id&amp;x=a%20b"' in html
        for asked, led in {
            "/console/variants?x=1": "/console/variants?x=1",
            "https://evil.example/console": "/console",
            "//evil.example/console": "/console",
            "/\\evil.example": "/console",
            "/console/../v1/models": "/console",
            "/consoleevil": "/console",
            "javascript:alert(1)": "/console",
            "/console\r\nSet-Cookie: a=b": "/console",
            "": "/console",
        }.items():
            assert (await page.sign_in(key, target=asked)).headers["Location"] == led, asked


async def test_a_link_from_another_site_is_followed_once_more_from_here(gateway: RunningGateway) -> None:
    await with_tenant(gateway, "ops", role=Role.OPERATOR)
    async with browser(gateway) as page:
        response, html = await page.get("/console/variants?a=%22b", **{"Sec-Fetch-Site": "cross-site"})
        assert response.status == 200
        assert '<meta http-equiv="refresh" content="0;url=/console/variants?a=%22b">' in html
        assert not response.cookies, "what the browser has, and could not send, is left alone"
        assert (await page.get("/console/variants", **{"Sec-Fetch-Site": "same-origin"}))[0].status == 303


async def test_failures_to_sign_in_are_bounded_and_lock_nobody_out(gateway: RunningGateway) -> None:
    key = (await with_tenant(gateway, "ops", role=Role.OPERATOR)).text
    async with browser(gateway) as page:
        answers = [(await page.sign_in(mint()[1])).status for _ in range(10)]
        assert set(answers) == {401}
        response = await page.sign_in(mint()[1])
        assert response.status == 429
        assert 0 < int(response.headers["Retry-After"]) <= 60
        assert (await page.sign_in(key)).status == 303, "a key that is in force comes from nobody who guesses"


async def test_without_tenants_this_machine_gets_in_and_what_a_proxy_passes_on_does_not(
    gateway: RunningGateway,
) -> None:
    async with browser(gateway) as page:
        assert (await page.get("/console"))[0].status == 200
        assert (await page.get("/console/login"))[0].headers["Location"] == "/console"
        for headers in ({"X-Forwarded-For": "10.0.0.1"}, {"Host": "evil.example"}):
            response, html = await page.get("/console", **headers)
            assert response.status == 401
            assert "trilemma tenants add NAME" in html


def test_every_replica_knows_a_session_and_the_database_holds_nothing_that_opens_one(url: str) -> None:
    one, other = open_engine(url), open_engine(url)
    upgrade(one)
    token = SessionStore(one).begin("k1", now_s=5.0)
    assert SessionStore(other).find(token, now_s=6.0) is not None
    with one.connect() as connection:
        assert token not in str(connection.execute(sa.select(console_sessions)).all())
    SessionStore(other).end(token)
    assert SessionStore(one).find(token, now_s=6.0) is None
    one.dispose()
    other.dispose()


def test_a_session_ends_when_it_is_idle_and_when_it_is_old(url: str) -> None:
    engine = open_engine(url)
    upgrade(engine)
    store, began_s = SessionStore(engine), 1_000_000.0
    token = store.begin("k1", now_s=began_s)
    assert store.find(token, now_s=began_s + IDLE_S - 1) is not None
    assert store.find(token, now_s=began_s + IDLE_S) is None, "looking does not renew it"
    now_s = began_s
    while now_s + IDLE_S / 2 < began_s + ABSOLUTE_S:
        now_s += IDLE_S / 2
        found = store.use(token, now_s=now_s)
        assert found is not None
        assert found.key_id == "k1"
    assert store.use(token, now_s=began_s + ABSOLUTE_S) is None, "however much it was used"
    assert store.find("another", now_s=began_s) is None
    second = store.begin("k2", now_s=now_s)
    store.end(second)
    assert store.find(second, now_s=now_s) is None
    engine.dispose()
