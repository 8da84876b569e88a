"""Every version of the database leads to the current one, and that is the one the code expects."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext

from gateway.console import sessions  # noqa: F401 - so that the metadata has them
from gateway.decisions import migrate
from gateway.decisions.migrate import upgrade
from gateway.decisions.read import export
from gateway.decisions.schema import metadata, open_engine
from gateway.decisions.types import Record
from gateway.decisions.write import insert
from gateway.learning import tables as learned_state  # noqa: F401 - likewise
from gateway.tenants import tables  # noqa: F401 - likewise
from gateway.traces import table  # noqa: F401 - likewise
from tests.decision_rows import decision, sqlite_url

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(params=sorted(GOLDEN.glob("*.sql")), ids=lambda file: file.stem)
def golden(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, list[dict[str, Any]]]:
    """A database as an earlier version wrote it, and the records that were in it."""
    dump: Path = request.param
    file = tmp_path / "log.sqlite"
    with sqlite3.connect(file) as connection:
        connection.executescript(dump.read_text())
    connection.close()
    lines = dump.with_suffix(".jsonl").read_bytes().splitlines()
    return sqlite_url(file), [msgspec.json.decode(line) for line in lines]


def test_migrations_lead_to_the_tables_the_code_uses(url: str) -> None:
    engine = open_engine(url)
    upgrade(engine)
    with engine.connect() as connection:
        opts = {"compare_type": True, "compare_server_default": _defaults_differ}
        context = MigrationContext.configure(connection, opts=opts)
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_a_current_database_is_left_alone(url: str) -> None:
    engine = open_engine(url)
    upgrade(engine)
    insert(engine, [decision()])
    statements: list[str] = []
    sa.event.listen(engine, "before_cursor_execute", lambda _c, _cur, statement, *_: statements.append(statement))
    upgrade(engine)
    engine.dispose()
    assert not [s for s in statements if s.startswith(("CREATE", "ALTER", "DROP", "INSERT", "UPDATE", "BEGIN"))]
    assert len(list(export(url))) == 1


def test_every_version_ships_inside_the_package_and_keeps_a_golden_file() -> None:
    versions = Path(migrate.__file__).parent / "migrations" / "versions"
    numbers = {int(file.name[:4]) for file in versions.glob("*.py")}
    assert numbers == {int(file.stem[1:]) for file in GOLDEN.glob("v*.sql")} != set()


def test_what_an_earlier_version_wrote_is_read_back_unchanged(golden: tuple[str, list[dict[str, Any]]]) -> None:
    url, written = golden
    records = [msgspec.to_builtins(record) for record in export(url)]
    assert len(records) == len(written) > 0
    for record, line in zip(records, written, strict=True):
        assert _kept(record, line)


def test_an_earlier_database_goes_on_being_written(golden: tuple[str, list[dict[str, Any]]]) -> None:
    url, written = golden
    engine = open_engine(url)
    upgrade(engine)
    assert insert(engine, [decision("later", created_at_s=2e9)]) == 0
    engine.dispose()
    assert [r.decision.decision_id for r in export(url)][len(written) :] == ["later"]


@pytest.mark.parametrize("back", [False, True])
def test_of_judgements_that_were_added_up_the_last_one_is_kept(url: str, back: bool) -> None:
    engine = open_engine(url)
    _migrate(engine, "0012")
    old = sa.Table("observations", sa.MetaData(), autoload_with=engine)
    plain = {"decision_id": "dec_1", "weight": 1.0}
    rows = [
        plain | {"observation_id": f"obs_{n}", "created_at_s": float(n), "source": s, "name": name, "score": n / 10}
        for n, (s, name) in enumerate(
            [("feedback", "a"), ("feedback", "b"), ("check", "a"), ("check", "b"), ("check", "a"), ("judge", "a")]
        )
    ]
    with engine.begin() as connection:
        connection.execute(old.insert(), rows)
    upgrade(engine)
    if back:
        _migrate(engine, "0012")
    with engine.connect() as connection:
        kept = connection.execute(sa.text("SELECT observation_id FROM observations ORDER BY 1")).scalars().all()
    engine.dispose()
    assert kept == ["obs_1", "obs_3", "obs_4", "obs_5"]


def _migrate(engine: sa.Engine, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).parent / "migrations"))
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        found = MigrationContext.configure(connection).get_current_revision() or ""
        (command.downgrade if found > revision else command.upgrade)(config, revision)
        connection.commit()


def test_earlier_exports_are_read_by_the_current_types(golden: tuple[str, list[dict[str, Any]]]) -> None:
    _, written = golden
    assert [_kept(msgspec.to_builtins(msgspec.convert(line, Record)), line) for line in written] == [True] * len(
        written
    )


def _defaults_differ(
    _context: Any, _found: Any, _expected: Any, inspected: str | None, _default: Any, rendered: str | None
) -> bool | None:
    """PostgreSQL shows the type of a JSON default and cannot compare two of them; None leaves the rest to Alembic."""
    if inspected is not None and inspected.endswith("::json"):
        return inspected.removesuffix("::json") != rendered
    return None


def _kept(now: Any, then: Any) -> bool:
    """Whether all that was there still is; later versions may add."""
    if isinstance(then, dict):
        return isinstance(now, dict) and all(key in now and _kept(now[key], value) for key, value in then.items())
    if isinstance(then, list):
        return len(now) == len(then) and all(_kept(n, t) for n, t in zip(now, then, strict=True))
    return bool(now == then)
