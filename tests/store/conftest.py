"""Stores to test against: every test that takes `store` runs on each kind.

The kinds are in `KINDS`; a new one needs a line there and a branch in `new_store`. Tests of one kind only take
`sqlite_uri` or `postgres_uri`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from tests.store.postgres import Cluster, binaries, cluster

from runlore.store.base import Store, open_store

KINDS = ("sqlite", "postgres")


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


@pytest.fixture
def postgres_uri(postgres: Cluster, postgres_template: str) -> Iterator[str]:
    """A fresh PostgreSQL database with the schema in it."""
    name = postgres.database(postgres_template)
    yield postgres.uri(name)
    postgres.drop(name)


@pytest.fixture
def sqlite_uri(tmp_path: Path) -> str:
    """A SQLite store that does not exist yet."""
    return f"sqlite:///{tmp_path / 'runlore.db'}"


@pytest.fixture
def new_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], Store]]:
    """A function that opens an empty store of a kind; it is closed after the test."""
    with ExitStack() as stack:

        def new(kind: str) -> Store:
            uri = request.getfixturevalue(f"{kind}_uri")
            return stack.enter_context(closing(open_store(uri, artifacts=str(tmp_path / "artifacts"))))

        yield new


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, new_store: Callable[[str], Store]) -> Store:
    """An empty store of each kind."""
    return new_store(request.param)
