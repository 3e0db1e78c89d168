"""A PostgreSQL server of the test session: its own data directory, a unix socket, nothing left behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from urllib.parse import quote

import psycopg

_SETTINGS = (
    "listen_addresses=", "fsync=off", "full_page_writes=off", "autovacuum=off", "max_connections=200", "max_wal_size=2GB",
    "shared_buffers=32MB", "log_min_messages=fatal",
)  # fmt: skip


def binaries() -> Path | None:
    """The directory of `initdb` and `pg_ctl`, newest version first; None when PostgreSQL is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3].split(".")[0]))
    on_path = shutil.which("initdb")
    places = [path.parent for path in reversed(found)] + ([Path(on_path).parent] if on_path else [])
    return next((place for place in places if (place / "pg_ctl").exists()), None)


class Cluster:
    """A running server."""

    def __init__(self, directory: Path, bin_directory: Path, settings: Sequence[str] = ()) -> None:
        self._settings = (*_SETTINGS, f"unix_socket_directories={directory}", *settings)
        self.directory, self.data, self._bin = directory, directory / "data", bin_directory
        self._as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        self._numbers = count(1)
        if self._as_user:
            shutil.chown(directory, "postgres")
        self._run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8")
        self.start()

    def start(self) -> None:
        """Start the server and wait for it."""
        options = " ".join(f'-c "{setting}"' for setting in self._settings)
        self._run("pg_ctl", "-D", self.data, "-w", "-t", "60", "-l", self.directory / "log", "-o", options, "start")

    def stop(self) -> None:
        """Stop at once, as a crash would."""
        self._run("pg_ctl", "-D", self.data, "-w", "-m", "immediate", "stop")

    def uri(self, database: str) -> str:
        """Where a database is."""
        return f"postgresql://postgres@/{database}?host={quote(os.fspath(self.directory), safe='')}"

    def database(self, template: str = "template0") -> str:
        """Make a database, as a copy of `template`; returns its name."""
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def drop(self, database: str) -> None:
        """Remove a database and whoever is connected to it."""
        self.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")

    def execute(self, sql: str) -> None:
        """Run one statement as the superuser."""
        with psycopg.connect(self.uri("postgres"), autocommit=True) as connection:
            connection.execute(sql)

    def _run(self, program: str, *args: object) -> None:
        command = [*self._as_user, str(self._bin / program), *map(str, args)]
        done = subprocess.run(command, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stderr.decode(errors='replace')}")


@contextmanager
def cluster(*settings: str) -> Iterator[Cluster]:
    """A server for the time of the block, with further settings. Needs `binaries()`."""
    bin_directory = binaries()
    assert bin_directory is not None
    directory = Path(tempfile.mkdtemp(prefix="rl-pg-", dir="/tmp"))  # short: a unix socket's path has 107 bytes
    try:
        server = Cluster(directory, bin_directory, settings)
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(directory, ignore_errors=True)
