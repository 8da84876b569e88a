"""Requests that are made slow in four ways: the list and the page blame what was slow, each in its own words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.causes import CAUSES, Cause
from tests.consoles import signed_in


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.stage)
async def test_the_list_and_the_page_blame_what_was_slow(tmp_path: Path, cause: Cause) -> None:
    async with cause.made(tmp_path) as slow, signed_in(slow.gateway, slow.key.text) as browser:
        _, listed = await browser.get(f"/console/requests?kept=slow&stage={cause.stage}")
        [(address, stage)] = re.findall(
            r'href="(/console/requests/[0-9a-f]{16})">.*?<strong>(.*?)</strong>', listed, re.DOTALL
        )
        assert stage == cause.stage
        _, page = await browser.get(address)
    headline = re.search(r'<h1 id="headline">(.*?)</h1>', page, re.DOTALL)
    assert headline is not None
    assert re.match(cause.sentence, re.sub(r"<[^>]+>", "", headline[1]))
