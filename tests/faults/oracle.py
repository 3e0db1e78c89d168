"""The one oracle of all fault tests: numbered writers, a list of what was acknowledged, and what must be stored afterwards.

A point's value follows from its writer and its number, so whatever is stored can be judged without having kept it. What was
acknowledged must be there, what was sent may be there (the answer was lost), and nothing else may.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg

from runlore.api.metrics import GetMetricHistory
from runlore.api.runs import CreateRun, GetRun, LogBatch, MetricPoint, ParamEntry, TagEntry
from runlore.entities import Run
from runlore.exceptions import NotFound
from runlore.series.chunk import Block, Points
from runlore.series.tail import gather
from runlore.settings import Settings
from runlore.store.base import Store
from runlore.store.http import HttpStore

START = 1_700_000_000_000
PARAM_EVERY = 20
KEY = "value"


def value_of(writer: int, number: int) -> float:
    """The value of a point. Whole, so that sums do not depend on the order in which they are taken."""
    return float((number * 2_654_435_761 + writer * 40_503) % 1_000_003)


def run_id_of(writer: int) -> str:
    """The run of a writer."""
    return hashlib.sha256(b"writer %d" % writer).hexdigest()[:32]


def creation(writer: int) -> CreateRun:
    """How a writer makes its run; may be repeated."""
    return CreateRun(client_run_id=run_id_of(writer), run_name=f"writer {writer}")


def batch(writer: int, first: int, count: int) -> LogBatch:
    """`count` numbered points from `first` on, a param for each number that `PARAM_EVERY` divides, and a tag with the last."""
    numbers = range(first, first + count)
    return LogBatch(
        run_id=run_id_of(writer),
        metrics=[MetricPoint(key=KEY, value=value_of(writer, n), timestamp=START + n, step=n) for n in numbers],
        params=[ParamEntry(key=f"p{n}", value=str(value_of(writer, n))) for n in numbers if n % PARAM_EVERY == 0],
        tags=[TagEntry(key="last", value=str(first + count - 1))],
    )


class Ledger:
    """What was sent and what was acknowledged: only ever added to."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.sent: Counter[int] = Counter()
        """Writer -> numbers below this one were sent."""
        self.acknowledged: list[tuple[int, int, int]] = []
        """(writer, first number, count), in the order of the answers."""

    def send(self, writer: int, first: int, count: int) -> None:
        """These numbers are about to be sent."""
        with self._lock:
            self.sent[writer] = max(self.sent[writer], first + count)

    def acknowledge(self, writer: int, first: int, count: int) -> None:
        """These numbers were answered with success."""
        with self._lock:
            self.acknowledged.append((writer, first, count))

    def numbers(self, writer: int, answers: int | None = None) -> set[int]:
        """What was acknowledged to one writer, by the first so many answers or by all."""
        found: set[int] = set()
        for one, first, count in self.acknowledged[:answers]:
            if one == writer:
                found.update(range(first, first + count))
        return found

    def __len__(self) -> int:
        return sum(count for _, _, count in self.acknowledged)


Stored = list[tuple[int, int, float]]
"""(step, time, value) of the points of a run, in the order in which they are stored."""


def problems_of(writer: int, stored: Stored, ledger: Ledger, answers: int | None = None) -> list[str]:
    """What is wrong with the points of one writer: missing, repeated or invented ones."""
    numbers = Counter(step for step, _, _ in stored)
    problems = []
    if missing := sorted(ledger.numbers(writer, answers) - numbers.keys()):
        problems.append(f"writer {writer}: {len(missing)} acknowledged points are missing: {missing[:5]} …")
    if repeated := [number for number, times in numbers.items() if times > 1]:
        problems.append(f"writer {writer}: {len(repeated)} points are stored more than once: {repeated[:5]} …")
    for step, time, value in stored:
        if not 0 <= step < ledger.sent[writer] or time != START + step or value != value_of(writer, step):
            problems.append(f"writer {writer}: nobody sent step {step}, time {time}, value {value}")
            break
    return problems


def problems_of_run(writer: int, run: Run, stored: Stored, ledger: Ledger) -> list[str]:
    """What is wrong with the last values of one writer's run, given its points."""
    acknowledged = ledger.numbers(writer)
    problems = []
    if stored and run.data.metrics[KEY] != value_of(writer, max(step for step, _, _ in stored)):
        problems.append(f"writer {writer}: the last value is {run.data.metrics[KEY]}")
    expected = {f"p{n}": str(value_of(writer, n)) for n in acknowledged if n % PARAM_EVERY == 0}
    if not run.data.params.items() >= expected.items():
        problems.append(f"writer {writer}: params are missing: {sorted(expected.keys() - run.data.params.keys())[:5]}")
    if any(value != str(value_of(writer, int(key[1:]))) for key, value in run.data.params.items()):
        problems.append(f"writer {writer}: a param has another value")
    if acknowledged and int(run.data.tags["last"]) not in range(max(acknowledged), ledger.sent[writer]):
        problems.append(f"writer {writer}: the tag says {run.data.tags['last']}, not {max(acknowledged)} or later")
    return problems


def check_store(ledger: Ledger, store: Store) -> None:
    """Read everything back through the operations of a store and compare it with the ledger."""
    problems = []
    for writer in sorted(ledger.sent):
        try:
            run = store.call(GetRun(run_id=run_id_of(writer))).run
        except NotFound:
            assert not ledger.numbers(writer), f"the run of writer {writer} is missing"
            continue
        stored = history(store, writer)
        problems += problems_of(writer, stored, ledger) + problems_of_run(writer, run, stored, ledger)
    assert problems == []


def history(store: Store, writer: int) -> Stored:
    """All points of a writer's run, page by page."""
    token, stored = "", []
    while True:
        page = store.call(GetMetricHistory(run_id=run_id_of(writer), metric_key=KEY, page_token=token))
        stored += [(point.step, point.timestamp, point.value) for point in page.metrics]
        if not page.next_page_token:
            return stored
        token = page.next_page_token


def check_http(ledger: Ledger, url: str) -> None:
    """Compare what a server answers with the ledger."""
    with closing(HttpStore(url, Settings(), patience=20.0)) as store:
        check_store(ledger, store)


def check_file(ledger: Ledger, path: Path, answers: int | None = None) -> None:
    """Compare what the tables of a SQLite file hold with the ledger, read with the standard library's SQLite."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        _check_tables(ledger, lambda sql, *values: connection.execute(sql, values).fetchall(), answers)


def check_postgresql(ledger: Ledger, uri: str) -> None:
    """Compare what the tables of a PostgreSQL database hold with the ledger."""
    with psycopg.connect(uri) as connection:
        _check_tables(ledger, lambda sql, *values: connection.execute(sql.replace("?", "%s"), values).fetchall())


def _check_tables(ledger: Ledger, query: Callable[..., list[Any]], answers: int | None = None) -> None:
    problems = []
    for writer in sorted(ledger.sent):
        runs = query("SELECT run_key FROM run WHERE run_id = ?", run_id_of(writer))
        assert len(runs) <= 1
        stored = _points_in_tables(query, runs[0][0]) if runs else []
        problems += problems_of(writer, stored, ledger, answers)
        if stored:
            (count,) = query("SELECT count FROM metric WHERE run_key = ? AND key = ?", runs[0][0], KEY)[0]
            if count != len(stored):
                problems.append(f"writer {writer}: the summary counts {count} points, {len(stored)} are stored")
    assert problems == []


def _points_in_tables(query: Callable[..., list[Any]], run_key: int) -> Stored:
    stored: Stored = []
    for series, folded in query("SELECT series, folded FROM metric WHERE run_key = ? AND key = ?", run_key, KEY):
        chunks = query("SELECT data FROM metric_chunk WHERE run_key = ? AND series = ? ORDER BY first_index", run_key, series)
        stored += [point for (data,) in chunks for point in _rows(Block(bytes(data)).points)]
        assert len(stored) == folded, f"{len(stored)} points in chunks, not {folded}"
        rows = query("SELECT data FROM metric_tail WHERE run_key = ? ORDER BY seq", run_key)
        tail = gather((bytes(data) for (data,) in rows), {series}).get(series)
        stored += _rows(tail) if tail is not None else []
    return stored


def _rows(points: Points) -> Iterable[tuple[int, int, float]]:
    return list(zip(points.steps.tolist(), points.times.tolist(), points.values.tolist(), strict=True))
