"""Stores to test against: every test that takes `store` runs on each kind.

The kinds are in `KINDS`; a new one needs a line there and a branch in `new_store`. Tests of one kind only take
`sqlite_uri` or `postgres_uri`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import psycopg
import pytest
from tests.server.live import LiveServer
from tests.store.postgres import Cluster, binaries, cluster

from runlore.server.app import App
from runlore.settings import Settings
from runlore.store.base import Store, open_store
from runlore.store.http import HttpStore
from runlore.store.sql.store import SqlStore

KINDS = ("sqlite", "postgres", "http")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """The PostgreSQL server of this session."""
    if binaries() is None:
        pytest.skip("PostgreSQL is not installed (no initdb in /usr/lib/postgresql/*/bin or on the PATH)")
    with cluster() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_template(postgres: Cluster) -> str:
    """A database with the schema in it: copying it is faster than migrating each time."""
    name = postgres.database()
    open_store(postgres.uri(name), artifacts="file:///nowhere").close()
    return name


@pytest.fixture(scope="session")
def postgres_databases(postgres: Cluster, postgres_template: str) -> Databases:
    """Databases that tests lend and give back."""
    return Databases(postgres, postgres_template)


class Databases:
    """Emptying a database takes 1 ms, making one 60 ms: they are used again."""

    def __init__(self, cluster: Cluster, template: str) -> None:
        self._cluster, self._template = cluster, template
        self._free: list[str] = []

    @contextmanager
    def lend(self) -> Iterator[str]:
        """The URI of an empty store; emptied again afterwards."""
        name = self._free.pop() if self._free else self._cluster.database(self._template)
        yield self._cluster.uri(name)
        with psycopg.connect(self._cluster.uri(name), autocommit=True) as connection:
            tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()").fetchall()
            kept = {"schema_version", "experiment", "counter", "secret"}
            empty = [f"DELETE FROM {table}" for (table,) in tables if table not in kept]
            connection.execute("; ".join(["SET session_replication_role = replica", *empty, *_AS_NEW]))
        self._free.append(name)


_AS_NEW = (
    "DELETE FROM experiment WHERE experiment_id <> 0",
    "UPDATE experiment SET name = 'Default', deleted_time = NULL",
    "DELETE FROM counter WHERE name <> 'experiment'",
    "UPDATE counter SET next = 1",
    "INSERT INTO change_mark (position, at, changes) VALUES (0, 0, '[]')",
)


@pytest.fixture
def postgres_uri(postgres: Cluster, postgres_template: str) -> Iterator[str]:
    """A PostgreSQL database of this test alone, with the schema in it."""
    name = postgres.database(postgres_template)
    yield postgres.uri(name)
    postgres.drop(name)


@pytest.fixture
def sqlite_uri(tmp_path: Path) -> str:
    """A SQLite store that does not exist yet."""
    return f"sqlite:///{tmp_path / 'runlore.db'}"


@pytest.fixture
def new_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], Store]]:
    """A function that opens an empty store of a kind. What it opens is closed after the test, the last thing first."""
    with ExitStack() as stack:

        def new(kind: str) -> Store:
            match kind:
                case "sqlite":
                    uri = f"sqlite:///{tmp_path / 'runlore.db'}"
                case "postgres":
                    uri = stack.enter_context(request.getfixturevalue("postgres_databases").lend())
                case "http":
                    behind = open_store(f"sqlite:///{tmp_path / 'served.db'}", artifacts=str(tmp_path / "artifacts"))
                    assert isinstance(behind, SqlStore)
                    server: LiveServer = request.getfixturevalue("live_server")
                    url = stack.enter_context(server.serving(App(behind)))
                    return stack.enter_context(closing(HttpStore(url, Settings())))
                case _:
                    raise ValueError(kind)
            return stack.enter_context(closing(open_store(uri, artifacts=str(tmp_path / "artifacts"))))

        yield new


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, new_store: Callable[[str], Store]) -> Store:
    """An empty store of each kind."""
    return new_store(request.param)
