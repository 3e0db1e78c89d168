"""Runs from the rows of a table: which there are, what belongs to each, and bringing them into a store without doubling any."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import TypeVar

import msgspec

from runlore.api.runs import CreateRun, GetRun, LogBatch, MetricPoint, ParamEntry, TagEntry, UpdateRun
from runlore.cli.table_columns import Columns, millis, number, whole
from runlore.cli.table_files import Cell, Row, TableFile
from runlore.entities import LifecycleStage, RunInfo, RunStatus
from runlore.exceptions import InvalidParameter, NotFound, RunloreError
from runlore.store.base import Store

Found = TypeVar("Found")

_ID = re.compile(r"[0-9a-f]{32}")
_PARTS = 100
_POINTS = 1_000
_SHOWN = 10
_ELAPSED_MS = 100_000_000_000  # times below are no dates
_STATUS = {
    "finished": RunStatus.FINISHED, "completed": RunStatus.FINISHED, "success": RunStatus.FINISHED, "done": RunStatus.FINISHED,
    "failed": RunStatus.FAILED, "crashed": RunStatus.FAILED, "error": RunStatus.FAILED, "killed": RunStatus.KILLED,
    "canceled": RunStatus.KILLED, "cancelled": RunStatus.KILLED, "running": RunStatus.RUNNING, "scheduled": RunStatus.SCHEDULED,
}  # fmt: skip
_TAG = "runlore.import.file"


class FoundRun(msgspec.Struct):
    """A run as a table describes it. Times in Unix ms; without one it is the time of the import."""

    run_id: str
    line: int
    name: str = ""
    status: str = RunStatus.FINISHED
    start: int | None = None
    end: int | None = None
    user: str = ""
    params: dict[str, str] = msgspec.field(default_factory=dict)
    tags: dict[str, str] = msgspec.field(default_factory=dict)
    points: int = 0
    known: bool = False
    """Whether the store had it before."""
    last: int = 0
    """The time of its last point that was logged."""


class Imported(msgspec.Struct):
    """What an import did, or would do."""

    new: int = 0
    known: int = 0
    points: int = 0
    problems: list[str] = msgspec.field(default_factory=list)


class RunsTable:
    """The runs of a table. Runs without an id in the table get one made of the experiment's name and what names them there, so
    that the same table, or a longer one, means the same runs the next time."""

    def __init__(self, table: TableFile, columns: Columns, experiment: str, run_name: str | None = None) -> None:
        """`run_name` is for a table of one run, instead of the name of the file."""
        self._table, self._columns = table, columns
        self._space = f"runlore import\0{experiment}\0"
        self._only = run_name or table.path.stem
        self._contents: dict[str, int] = {}
        self.problems: list[str] = []
        self.runs = self._survey()

    def check(self) -> None:
        """Raises `InvalidParameter` when cells can not be what their columns are; says the first ten, by their lines."""
        if self.problems:
            more = len(self.problems) - _SHOWN
            rest = f"\n… and {more:,} more." if more > 0 else ""
            raise InvalidParameter("Nothing was imported.\n" + "\n".join(self.problems[:_SHOWN]) + rest)

    def bring(self, store: Store, experiment_id: str, told: Callable[[int], object] = int) -> Imported:
        """Make the runs that are not there, and log what the table says. `told` hears of the line of each row.

        What the store refuses is among the problems of the reply, and harms no other run.
        """
        done = Imported()
        begun = {run_id: start for run_id, run in self.runs.items() if (start := self._make(store, experiment_id, run, done))}
        waiting: dict[str, list[MetricPoint]] = {}
        for run_id, line, points in self._points(begun):
            waiting.setdefault(run_id, []).extend(points)
            if len(waiting[run_id]) >= _POINTS:
                self._log(store, run_id, waiting.pop(run_id), done)
            told(line)
        for run_id, points in waiting.items():
            self._log(store, run_id, points, done)
        for run_id in begun:
            self._end(store, self.runs[run_id], done)
        return done

    # -- reading ----------------------------------------------------------------------------------------------------------

    def _survey(self) -> dict[str, FoundRun]:
        """Read everything once: runs, params, tags, and what is wrong with the cells."""
        runs: dict[str, FoundRun] = {}
        self._contents.clear()
        for row in self._table.rows():
            run_id = self._run_id(row)
            run = runs.get(run_id)
            if run is None:
                run = runs[run_id] = self._begun(run_id, row)
            elif self._columns.layout == "runs":
                self._problem(row, f"the run of line {run.line} comes again")
                continue
            self._texts(row, self._columns.params, run.params, run)
            self._texts(row, self._columns.tags, run.tags, run)
            run.end = self._cell(row, "end", millis) or run.end
            run.points += len(list(self._values(row, 0, complain=True)))
        return runs

    def _begun(self, run_id: str, row: Row) -> FoundRun:
        cells, meanings = row.cells, self._columns.meanings
        named = cells.get(meanings.get("name", "")) or cells.get(meanings.get("run", ""))
        name = str(named) if named is not None else self._only if self._columns.layout != "runs" else ""
        run = FoundRun(run_id, row.line, name="" if _ID.fullmatch(name) else name)
        run.user = str(cells.get(meanings.get("user", "")) or "")
        run.start = self._cell(row, "start", millis)
        if self._columns.layout != "runs" and (moment := self._cell(row, "time", millis, quiet=True) or 0) > _ELAPSED_MS:
            run.start = moment
        run.status = self._cell(row, "status", _status) or run.status
        return run

    def _run_id(self, row: Row) -> str:
        """The id that the table has, else one that is made of what names the run in it."""
        meanings = self._columns.meanings
        cell = row.cells.get(meanings.get("run", ""))
        if cell is not None and _ID.fullmatch(str(cell).lower()):
            return str(cell).lower()
        if cell is None and self._columns.layout == "runs":
            content = json.dumps(row.cells, sort_keys=True, default=str)
            again = self._contents[content] = self._contents.get(content, 0) + 1  # equal rows are runs of their own
            return self._made(f"row\0{content}\0{again}")
        if cell is None and "name" in meanings:
            cell = row.cells.get(meanings["name"])
        return self._made(f"run\0{self._only if cell is None else cell}")

    def _made(self, what: str) -> str:
        return sha256((self._space + what).encode("utf-8", "surrogateescape")).hexdigest()[:32]

    def _texts(self, row: Row, columns: dict[str, str], found: dict[str, str], run: FoundRun) -> None:
        for column, key in columns.items():
            if column in row.cells:
                text = str(row.cells[column])
                if found.setdefault(key, text) != text:
                    self._problem(row, f"{column} is {text!r}, which line {run.line} began as {found[key]!r}")

    def _cell(self, row: Row, meaning: str, read: Callable[[Cell], Found], quiet: bool = False) -> Found | None:
        """What the cell of a meaning says; None where there is none, or none that can be read, which is a problem."""
        column = self._columns.meanings.get(meaning)
        if column is None or column not in row.cells:
            return None
        try:
            return read(row.cells[column])
        except ValueError as error:
            if not quiet:
                self._problem(row, f"{column}: {error}")
            return None

    def _problem(self, row: Row, what: str) -> None:
        self.problems.append(self._table.mistake(row.line, what).message)

    def _points(self, begun: dict[str, int]) -> Iterator[tuple[str, int, list[MetricPoint]]]:
        self._contents.clear()
        for row in self._table.rows():
            run_id = self._run_id(row)
            if run_id in begun:
                yield run_id, row.line, list(self._values(row, begun[run_id]))

    def _values(self, row: Row, start: int, complain: bool = False) -> Iterator[MetricPoint]:
        """The points of a row. Cells that can not be any are left out, with a complaint or without."""
        cells, meanings = row.cells, self._columns.meanings
        try:
            step = whole(cells[meanings["step"]]) if meanings.get("step") in cells else 0
            moment = millis(cells[meanings["time"]]) if meanings.get("time") in cells else 0
        except ValueError as error:
            if complain:
                self._problem(row, str(error))
            return
        moment = moment if moment > _ELAPSED_MS else start + moment
        pairs = self._columns.metrics.items()
        if self._columns.layout == "points":
            pairs = {meanings["value"]: str(cells.get(meanings["key"], ""))}.items()
        for column, key in pairs:
            if column in cells:
                try:
                    yield MetricPoint(key, number(cells[column]), moment, step)
                except ValueError as error:
                    if complain:
                        self._problem(row, f"{column}: {error}")

    # -- writing ----------------------------------------------------------------------------------------------------------

    def _make(self, store: Store, experiment_id: str, run: FoundRun, done: Imported) -> int | None:
        """The start of a run that is in the store now, with its params and tags; None when the store refuses it."""
        try:
            info = self._existing(store, run.run_id)
            if info is None:
                start = run.start or int(time.time() * 1000)
                tags = [TagEntry(key="mlflow.user", value=run.user)] if run.user else []
                tags.append(TagEntry(key=_TAG, value=self._table.path.name))
                info = store.call(
                    CreateRun(experiment_id, run.user, run.name, start, tags=tags, client_run_id=run.run_id)
                ).run.info
                done.new += 1
            else:
                if info.lifecycle_stage != LifecycleStage.ACTIVE:
                    raise InvalidParameter(f"run {run.run_id} is in the trash. hint: runlore runs restore {run.run_id[:8]}")
                done.known += 1
                run.known = True
            for first in range(0, max(len(run.params), len(run.tags)), _PARTS):
                params = [_param(*item) for item in list(run.params.items())[first : first + _PARTS]]
                tags = [TagEntry(key=key, value=value) for key, value in list(run.tags.items())[first : first + _PARTS]]
                store.call(LogBatch(run.run_id, params=params, tags=tags))
        except RunloreError as error:
            done.problems.append(self._table.mistake(run.line, error.message.rstrip(".")).message)
            return None
        return info.start_time

    def _existing(self, store: Store, run_id: str) -> RunInfo | None:
        try:
            return store.call(GetRun(run_id=run_id)).run.info
        except NotFound:
            return None

    def _log(self, store: Store, run_id: str, points: list[MetricPoint], done: Imported) -> None:
        try:
            for first in range(0, len(points), _POINTS):
                store.call(LogBatch(run_id=run_id, metrics=points[first : first + _POINTS]))
            done.points += len(points)
            run = self.runs[run_id]
            run.last = max([run.last, *(point.timestamp for point in points)])
        except RunloreError as error:
            done.problems.append(self._table.mistake(self.runs[run_id].line, error.message.rstrip(".")).message)

    def _end(self, store: Store, run: FoundRun, done: Imported) -> None:
        if run.status == RunStatus.RUNNING or (run.known and "status" not in self._columns.meanings):
            return
        try:
            end = run.end or run.last or run.start
            store.call(UpdateRun(run_id=run.run_id, status=run.status, end_time=end))  # type: ignore[arg-type]
        except RunloreError as error:
            done.problems.append(self._table.mistake(run.line, error.message.rstrip(".")).message)


def _param(key: str, value: str) -> ParamEntry:
    return ParamEntry(key=key, value=value[:6_000], rest=value[6_000:])


def _status(cell: Cell) -> str:
    found = _STATUS.get(str(cell).strip().lower())
    if found is None:
        raise ValueError(f"{cell!r} is no status: expected finished, failed, killed, running or scheduled")
    return found
