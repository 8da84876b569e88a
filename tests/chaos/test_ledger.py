"""A gateway is killed at random moments while tenants spend: the account never shows less than the log."""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx2
import openai
import pytest

from gateway.tenants.changes import Author
from gateway.tenants.keys import KeyTerms
from gateway.tenants.store import TenantStore
from tests.chaos_tools import api_process, background, config_over, until_true
from tests.decision_rows import sqlite_url
from tests.gateways import USAGE_EVENT
from tests.ledger_tools import engine_at, granted_nusd, read, tenant
from tests.providers import Answer, ScriptedProvider, chat_events
from tests.serving import Gateway, serving

pytestmark = [pytest.mark.timeout(120), pytest.mark.chaos]

TENANTS = [tenant("law", usd=0.05), tenant("support", usd=0.02)]
KILLS = 4


@pytest.fixture
def provider() -> Iterator[ScriptedProvider]:
    """Takes its time, so that there is always something on its way."""
    with background(Answer(events=[*chat_events(*["word "] * 8), USAGE_EVENT], every_s=0.01)) as found:
        yield found


def keys(database: Path) -> list[str]:
    """One for each tenant."""
    engine = engine_at(sqlite_url(database))
    store, author = TenantStore(engine), Author(name="test", now_s=time.time())
    issued = [store.add(of, author=author, key=KeyTerms())[1] for of in TENANTS]
    engine.dispose()
    return [key.text for key in issued if key is not None]


@contextmanager
def callers(gateway: Gateway, held: list[str], *, each: int = 3) -> Iterator[Counter[str]]:
    """So many callers of each tenant, who ask again and again, whatever comes."""
    over, told = threading.Event(), Counter[str]()

    def call(key: str, number: int) -> None:
        with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=key, max_retries=0, timeout=10) as client:
            while not over.is_set():
                messages = [{"role": "user", "content": f"hello {number} {time.monotonic()}"}]
                try:
                    list(client.chat.completions.create(model="auto", messages=messages, max_tokens=16, stream=True))  # type: ignore[call-overload]
                    told["answered"] += 1
                except (openai.OpenAIError, httpx2.HTTPError) as error:
                    told[type(error).__name__] += 1
                    time.sleep(0.05)

    threads = [threading.Thread(target=call, args=(key, n)) for n in range(each) for key in held]
    for thread in threads:
        thread.start()
    try:
        yield told
    finally:
        over.set()
        for thread in threads:
            thread.join()


def spent_usd(database: Path, of: str) -> float:
    """What the log says that a tenant's requests did cost."""
    query = "SELECT sum(cost_usd) FROM outcomes JOIN decisions USING (decision_id) WHERE tenant = ?"
    with closing(sqlite3.connect(database, timeout=10)) as connection:
        return float(connection.execute(query, (of,)).fetchone()[0] or 0.0)


def test_a_killed_gateway_never_forgets_what_was_spent_and_never_goes_over(
    provider: ScriptedProvider, tmp_path: Path
) -> None:
    rng, database = random.Random(4), tmp_path / "gateway" / "trilemma.db"
    database.parent.mkdir()
    held = keys(database)
    config = config_over(provider, more="store: {flush_interval_s: 0.1}\nserver: {drain_s: 2}")
    with serving(tmp_path / "none", database.parent, config=config) as gateway, callers(gateway, held) as told:
        for _ in range(KILLS):
            before = told["answered"]
            until_true(lambda: told["answered"] > before + 8, within_s=30)  # noqa: B023 - called at once
            time.sleep(rng.random() * 0.5)
            api_process(gateway).kill()
            for of in TENANTS:
                assert of.budget is not None
                assert spent_usd(database, of.id) <= granted_nusd(sqlite_url(database), of.id) / 1e9
        until_true(lambda: told["answered"] > before + 8, within_s=30)
    assert told["answered"] > 8 * KILLS, told
    for of in TENANTS:
        found = read(sqlite_url(database), of, now_s=time.time() + 120)
        logged = spent_usd(database, of.id)
        assert 0 < logged <= found.spent_usd + found.lost_usd <= found.usd
        # What a killed process took with it: room, what its requests held, what it had not yet written down.
        assert found.spent_usd + found.lost_usd - logged <= KILLS * (found.usd / 50 + 3 * 0.001)
    with closing(sqlite3.connect(database)) as connection:
        decided, ended = (
            connection.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in ("decisions", "outcomes")
        )
        strays = "SELECT count(*) FROM outcomes WHERE decision_id NOT IN (SELECT decision_id FROM decisions)"
        assert connection.execute(strays).fetchone()[0] == 0
        assert 0 <= decided - ended <= KILLS * 6, "only what was on its way has no outcome"
