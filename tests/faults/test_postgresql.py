"""PostgreSQL stops, starts, and throws connections out under load; its settings must not make promises that we do not keep."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from tests.faults.load import load
from tests.faults.oracle import Ledger, check_http, check_postgresql
from tests.faults.served import ROOT, serving
from tests.faults.sizes import size
from tests.store.postgres import Cluster

from runlore.api.experiments import CreateExperiment
from runlore.exceptions import Unavailable
from runlore.store.base import open_store
from runlore.store.sql.database import READERS

_OURS = "FROM pg_stat_activity WHERE application_name = 'runlore' AND datname = current_database()"


def test_restarts_of_postgresql_under_load(tmp_path: Path, own_cluster: Cluster, postgresql: str) -> None:
    ledger, back = Ledger(), []
    with serving(postgresql, tmp_path) as served:
        with load(ledger, served.url) as work:
            for _ in range(size(2, 20)):
                work.wait_for(200)
                own_cluster.stop()
                assert served.health("/health/ready") == 503
                assert served.health() == 200  # nothing that a restart of the server would help
                own_cluster.start()
                began = time.monotonic()
                while served.health("/health/ready") != 200:
                    time.sleep(0.01)
                back.append(time.monotonic() - began)
                work.wait_for(200)
        check_http(ledger, served.url)
        served.stop()
    check_postgresql(ledger, postgresql)
    print(f"{len(ledger):,} points acknowledged; ready {max(back):.2f} s after PostgreSQL at the latest")


def test_connections_that_are_thrown_out_under_load(tmp_path: Path, postgresql: str) -> None:
    ledger, most = Ledger(), 0
    with serving(postgresql, tmp_path) as served, psycopg.connect(postgresql, autocommit=True) as other:
        with load(ledger, served.url) as work:
            for _ in range(size(10, 100)):
                work.wait_for(50)
                most = max(most, other.execute(f"SELECT COUNT(*) {_OURS}").fetchone()[0])  # type: ignore[index]
                other.execute(f"SELECT pg_terminate_backend(pid) {_OURS}")
        assert 1 <= most <= READERS + 1
        check_http(ledger, served.url)
        served.stop()
    check_postgresql(ledger, postgresql)


def test_a_commit_of_unknown_outcome_is_said_to_be_one(postgresql: str) -> None:
    """Clients repeat creations after 503, which says that nothing was done; they must not after this."""
    with (
        closing(open_store(postgresql, artifacts="file:///nowhere")) as store,
        psycopg.connect(postgresql, autocommit=True) as other,
    ):
        other.execute(
            "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(20); RETURN NULL; END'"
        )
        other.execute(
            "CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON experiment DEFERRABLE INITIALLY DEFERRED "
            "FOR EACH ROW EXECUTE FUNCTION slow()"
        )
        found: list[Unavailable] = []

        def create() -> None:
            with pytest.raises(Unavailable) as caught:
                store.call(CreateExperiment(name="doubtful"))
            found.append(caught.value)

        thread = threading.Thread(target=create)
        thread.start()
        while not other.execute(
            f"SELECT pg_terminate_backend(pid) {_OURS} AND query = 'COMMIT' AND state = 'active'"
        ).fetchall():
            assert thread.is_alive()
        thread.join()
    assert found[0].status == 504
    assert "may have happened" in found[0].message


def test_a_network_that_goes_dead_holds_nobody_for_ever(own_network: list[str]) -> None:
    """Packets vanish and nobody says so: by default, Linux would send them again for a quarter of an hour."""
    command = [*own_network, sys.executable, "-m", "tests.faults.dead_network"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=100, check=True)
    found = json.loads(done.stdout)
    assert found["usual"] == [20_000, 10, 3, 5]
    for what in ("write", "read"):  # a second of patience and up to two of connecting, chores before it
        kind, seconds = found[what]
        assert kind == "unavailable"
        assert seconds < 30
    print(f"refused after {found['write'][1]:.1f} and {found['read'][1]:.1f} s, back after {found['back']:.1f} s")


def test_a_server_says_that_its_postgresql_is_not_safe(tmp_path: Path, postgresql: str) -> None:
    with serving(postgresql, tmp_path) as served:
        served.stop()
    said = "\n".join(served.lines)
    for setting in ("fsync=off", "full_page_writes=off"):  # as these tests run it
        assert f"PostgreSQL runs with {setting}: a power failure can lose" in said


def test_a_later_change_of_the_default_does_not_make_commits_unsafe(own_cluster: Cluster, postgresql: str) -> None:
    with closing(open_store(postgresql, artifacts="file:///nowhere")) as store:
        writer = store._database.write()  # type: ignore[attr-defined]
        try:
            own_cluster.execute("ALTER SYSTEM SET synchronous_commit = off")
            own_cluster.execute("SELECT pg_reload_conf()")
            with psycopg.connect(postgresql) as other:
                while other.execute("SHOW synchronous_commit").fetchone() != ("off",):
                    other.rollback()
            assert writer.one("SHOW synchronous_commit") == ("on",)
        finally:
            writer.rollback()
            own_cluster.execute("ALTER SYSTEM RESET synchronous_commit")
            own_cluster.execute("SELECT pg_reload_conf()")
