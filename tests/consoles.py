"""Opening the console of a running gateway as a browser does, for tests."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp

from gateway.tenants.types import Role
from tests.gateways import RunningGateway
from tests.tenancy import with_tenant

__all__ = ("CONSOLE_ROUTES", "OPEN_ROUTES", "Browser", "browser", "signed_in")

OPEN_ROUTES = {
    ("GET", "/console/login"),
    ("POST", "/console/login"),
    ("GET", "/console/static/{name}"),
}
"""What anybody may ask for; the form is still protected against forgery."""

CONSOLE_ROUTES = {
    ("GET", "/console"),
    ("GET", "/console/overview/live"),
    ("GET", "/console/overview/frontier"),
    ("GET", "/console/overview/promises"),
    ("GET", "/console/learning"),
    ("GET", "/console/learning/report"),
    ("GET", "/console/variants"),
    ("GET", "/console/variants/list"),
    ("GET", "/console/variants/{name}/stop"),
    ("POST", "/console/variants/{name}/stop"),
    ("POST", "/console/variants/{name}/start"),
    ("GET", "/console/tenants"),
    ("GET", "/console/tenants/{tenant_id}"),
    ("GET", "/console/policies"),
    ("GET", "/console/policies/{name}"),
    ("GET", "/console/requests"),
    ("GET", "/console/requests/{id}"),
    ("GET", "/console/playground"),
    ("GET", "/console/playground/variants"),
    ("POST", "/console/playground/answers"),
    ("POST", "/console/logout"),
}
"""What takes the session of an operator."""

_FORM_TOKEN = re.compile(r'name="csrf" value="([0-9a-f]{64})"')
PERSON = {"Accept": "text/html,application/xhtml+xml"}


@dataclass(frozen=True, kw_only=True)
class Browser:
    """Cookies, and what a person does with them."""

    url: str
    session: aiohttp.ClientSession

    async def get(self, path: str, **headers: str) -> tuple[aiohttp.ClientResponse, str]:
        """Open a page; redirects are not followed."""
        named = PERSON | {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.get(f"{self.url}{path}", headers=named, allow_redirects=False) as response:
            return response, await response.text()

    async def post(self, path: str, fields: dict[str, str], **headers: str) -> tuple[aiohttp.ClientResponse, str]:
        """Send a form as it is; redirects are not followed."""
        named = PERSON | {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.post(
            f"{self.url}{path}", data=fields, headers=named, allow_redirects=False
        ) as response:
            return response, await response.text()

    async def form_token(self, path: str = "/console/login") -> str:
        """What the forms of a page carry."""
        _, html = await self.get(path)
        found = _FORM_TOKEN.search(html)
        assert found is not None, html
        return found[1]

    async def sign_in(self, key: str, *, target: str = "/console") -> aiohttp.ClientResponse:
        """Sign in as the form does it."""
        fields = {"csrf": await self.form_token(), "key": key, "next": target}
        return (await self.post("/console/login", fields))[0]


@asynccontextmanager
async def browser(gateway: RunningGateway) -> AsyncIterator[Browser]:
    """A browser that has never been here."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield Browser(url=gateway.url, session=session)


@asynccontextmanager
async def signed_in(gateway: RunningGateway, key: str | None = None) -> AsyncIterator[Browser]:
    """A browser that is signed in, with the key of a new operator where none is given."""
    if key is None:
        key = (await with_tenant(gateway, "ops", role=Role.OPERATOR)).text
    async with browser(gateway) as found:
        response = await found.sign_in(key)
        assert response.status == 303, response.status
        yield found
