"""A page's address with a control character in it names nothing, on either database."""

from __future__ import annotations

from pathlib import Path

from tests.consoles import signed_in
from tests.gateways import behind
from tests.providers import Answer, completion_body


async def test_an_address_with_a_control_character_names_nothing(tmp_path: Path, url: str) -> None:
    answer = Answer(body=completion_body("Paris"))
    async with behind(tmp_path, answer, store={"database_url": url}) as (gateway, _), signed_in(gateway) as browser:
        for place in (
            "/console/requests/{}",
            "/console/tenants/{}",
            "/console/policies/{}",
            "/console/variants/{}/stop",
        ):
            for text in ("%00", "a%00b", "%0a", "%1b[2J"):
                response, _page = await browser.get(f"/console/{place.format(text)}")
                assert response.status == 404, (place, text)
