"""Is what the database says true? Points against their checksums and their summaries, rows against each other.

Each run is looked at in a snapshot of its own, so that writers go on and no snapshot lives long. Nothing is changed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Literal

import msgspec

from runlore.exceptions import Damaged, InvalidState
from runlore.series.chunk import Block, decode_row, is_row
from runlore.series.pyramid import decode_page
from runlore.store.sql.database import Database, Transaction
from runlore.store.sql.migrate import migrations

_RUNS_AT_ONCE = 500
_CHUNKS_AT_ONCE = 64
_RESTORE = "The other runs are not concerned. Restore the store from a backup if these points matter."


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at: is it well, what was found, what to do."""

    level: Literal["ok", "note", "warning", "error"]
    what: str
    advice: str = ""


def check_schema(database: Database) -> Finding:
    """An error when the rest can not be looked at by this Runlore."""
    newest = migrations()[-1].number
    with database.read() as db:
        tables = database.tables(db)
        row = db.one("SELECT MAX(number) FROM schema_version") if "schema_version" in tables else None
    if row is None or row[0] is None:
        raise InvalidState("This is no database of Runlore's: it has no table schema_version.")
    if row[0] > newest:
        advice = "hint: pip install --upgrade runlore"
        return Finding(
            level="error", what=f"Schema version {row[0]} is newer than this Runlore knows ({newest}).", advice=advice
        )
    if row[0] < newest:
        advice = "Opening the store brings it up to date; a copy is made before (of SQLite files; use pg_dump for PostgreSQL)."
        return Finding(level="warning", what=f"Schema version {row[0]} is older than {newest}.", advice=advice)
    return Finding(level="ok", what=f"Schema version {newest} is the newest.")


def check_runs(database: Database) -> Iterator[Finding]:
    """Every point of every run is there and readable, and summaries count them right."""
    last, runs, points = -1, 0, 0
    sound = True
    while True:
        with database.read() as db:
            page = db.all("SELECT run_key, run_id FROM run WHERE run_key > ? ORDER BY run_key LIMIT ?", (last, _RUNS_AT_ONCE))
        for key, run_id in page:
            with database.read() as db:
                found = _Run(db, key, run_id)
                problems = list(found.problems())
            runs, points, sound = runs + 1, points + found.points, sound and not problems
            yield from problems
        if len(page) < _RUNS_AT_ONCE:
            break
        last = page[-1][0]
    if sound:
        yield Finding(
            level="ok", what=f"All {points:,} metric points of {runs:,} runs are readable, and summaries count them right."
        )


class _Run:
    """One run in one snapshot."""

    def __init__(self, db: Transaction, key: int, run_id: str) -> None:
        self._db, self._key, self._run_id = db, key, run_id
        self.points = 0
        self._in_chunks: Counter[int] = Counter()
        self._in_tail: Counter[int] = Counter()

    def problems(self) -> Iterator[Finding]:
        yield from self._tail()
        yield from self._chunks()
        yield from self._pyramid()
        yield from self._summaries()

    def _error(self, what: str) -> Finding:
        return Finding(level="error", what=f"Run {self._run_id}: {what}", advice=_RESTORE)

    def _tail(self) -> Iterator[Finding]:
        for seq, data in self._db.all("SELECT seq, data FROM metric_tail WHERE run_key = ? ORDER BY seq", (self._key,)):
            try:
                self._in_tail.update(decode_row(data).series if is_row(data) else Block(data).series.tolist())
            except Damaged as error:
                yield self._error(f"tail row {seq}: {error.message}")

    def _chunks(self) -> Iterator[Finding]:
        series, first = -1, -1
        while True:
            rows = self._db.all(
                "SELECT series, first_index, points, data FROM metric_chunk WHERE run_key = ? AND (series > ? OR "
                "(series = ? AND first_index > ?)) ORDER BY series, first_index LIMIT ?",
                (self._key, series, series, first, _CHUNKS_AT_ONCE),
            )
            for series, first, count, data in rows:
                where = f"points {first} to {first + count - 1} of metric {self._name(series)}"
                try:
                    block = Block(data)
                    if block.count != count:
                        yield self._error(f"{where}: the chunk holds {block.count} points instead of {count}.")
                except Damaged as error:
                    yield self._error(f"{where}: {error.message}")
                if first != self._in_chunks[series]:
                    yield self._error(
                        f"{where}: they should begin at {self._in_chunks[series]}; points before them are missing."
                    )
                self._in_chunks[series] = first + count
            if len(rows) < _CHUNKS_AT_ONCE:
                return

    def _pyramid(self) -> Iterator[Finding]:
        rows = self._db.all("SELECT series, level, page FROM metric_pyramid WHERE run_key = ?", (self._key,))
        where = "run_key = ? AND series = ? AND level = ? AND page = ?"
        for place in rows:
            row = self._db.one(f"SELECT data FROM metric_pyramid WHERE {where}", (self._key, *place))
            try:
                decode_page(row[0] if row else b"")
            except Damaged as error:
                yield self._error(
                    f"chart page {place[2]} of level {place[1]} of metric {self._name(place[0])}: {error.message}"
                )

    def _summaries(self) -> Iterator[Finding]:
        rows = self._db.all("SELECT key, series, count, folded FROM metric WHERE run_key = ? ORDER BY key", (self._key,))
        for key, series, count, folded in rows:
            chunks, tail = self._in_chunks[series], self._in_tail[series]
            self.points += count
            if (folded, count) != (chunks, chunks + tail):
                yield self._error(
                    f"metric {key!r} counts {count} points, {folded} of them in chunks; there are {chunks + tail}, "
                    f"{chunks} of them in chunks."
                )
        unknown = (self._in_chunks.keys() | self._in_tail.keys()) - {row[1] for row in rows}
        if unknown:
            yield self._error(f"there are points of {len(unknown)} metrics that have no name.")

    def _name(self, series: int) -> str:
        row = self._db.one("SELECT key FROM metric WHERE run_key = ? AND series = ?", (self._key, series))
        return repr(row[0]) if row else f"number {series}"


def check_postgresql(database: Database) -> Iterator[Finding]:
    """Settings of the server on which it depends whether what was acknowledged survives."""
    advice = {
        "fsync": "Set fsync = on: a power failure can damage the whole database.",
        "full_page_writes": "Set full_page_writes = on: a power failure can damage tables.",
        "synchronous_commit": "Runlore switches it on for itself; other programs lose their last commits at a crash.",
        "autovacuum": "Set autovacuum = on: tables grow and searches get slow.",
    }
    with database.read() as db:
        rows = db.all(
            "SELECT name, setting FROM pg_settings WHERE name IN "
            "('fsync', 'full_page_writes', 'synchronous_commit', 'autovacuum', 'server_version', 'server_encoding')"
        )
    settings: dict[str, str] = dict(rows)
    bad = [name for name in advice if settings.get(name) == "off"]
    for name in bad:
        level: Literal["warning", "error"] = "error" if name in ("fsync", "full_page_writes") else "warning"
        yield Finding(level=level, what=f"PostgreSQL runs with {name} = off.", advice=advice[name])
    if settings["server_encoding"] != "UTF8":
        what = f"The database is encoded in {settings['server_encoding']}: most texts can not be stored."
        yield Finding(level="error", what=what, advice="Make a database with ENCODING 'UTF8' and copy the data with pg_dump.")
    if not bad:
        yield Finding(level="ok", what=f"PostgreSQL {settings['server_version']} keeps what it acknowledges.")
