"""An empty database for each test: SQLite always, PostgreSQL where its programs and its driver are installed."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from gateway.decisions.migrate import upgrade
from gateway.decisions.schema import open_engine
from tests.decision_rows import sqlite_url

_numbers = count()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database that holds nothing yet."""
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "log.sqlite")
    server: sa.URL = request.getfixturevalue("postgresql_server")
    name = f"log_{next(_numbers)}"
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    return server.set(database=name).render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[sa.URL]:
    """A PostgreSQL server on a Unix socket, in a directory of its own; it refuses to run as root."""
    initdb, pg_ctl = _program("initdb"), _program("pg_ctl")
    if initdb is None or pg_ctl is None or importlib.util.find_spec("psycopg") is None:
        pytest.skip("PostgreSQL or psycopg is not installed")
    user = "postgres" if os.geteuid() == 0 else None
    directory = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    data = directory / "data"
    options = f"-k {directory} -c listen_addresses='' -c fsync=off"
    try:
        if user is not None:
            shutil.chown(directory, user)
        start = [pg_ctl, "start", "-w", "-s", "-D", data, "-l", directory / "log", "-o", options]
        for command in ([initdb, "-N", "-A", "trust", "-U", "trilemma", "-E", "UTF8", "-D", data], start):
            subprocess.run(command, check=True, user=user, cwd=directory, stdout=subprocess.DEVNULL)
        yield sa.URL.create(
            "postgresql+psycopg", username="trilemma", database="postgres", query={"host": str(directory)}
        )
        subprocess.run([pg_ctl, "stop", "-m", "immediate", "-s", "-D", data], check=True, user=user, cwd=directory)
    finally:
        shutil.rmtree(directory)


def _program(name: str) -> str | None:
    """Debian keeps PostgreSQL's programs off the path."""
    places = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    return shutil.which(name) or next((str(place) for place in places), None)


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    """Such a database with today's tables."""
    made = open_engine(url)
    upgrade(made)
    yield made
    made.dispose()
