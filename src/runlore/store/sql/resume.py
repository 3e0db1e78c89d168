"""Runs that go on after a pause: generations, and what each of them replaces.

A generation begins in one transaction, with the client's session id: asking again finds it. What it replaces of a metric is
decided by its first point with a step, in the transaction that stores this point, and written down; a delivery that is repeated
finds the decision made. Points of earlier generations that arrive later meet the same decision.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from runlore.api.delivery import LOST_AFTER_MILLIS
from runlore.api.metrics import MetricHistoryReply
from runlore.api.resume import (
    FormerParam,
    GetReplacedPoints,
    GetRunChanges,
    ReplacesFrom,
    Resumed,
    ResumeRun,
    RunChanges,
    RunResume,
)
from runlore.api.runs import MetricPoint
from runlore.entities import RunStatus
from runlore.exceptions import InvalidParameter
from runlore.series.chunk import Block, Points
from runlore.store.sql.database import Transaction
from runlore.store.sql.handlers import handles
from runlore.store.sql.metrics import entities
from runlore.store.sql.replacing import Cut, Kept, take_out
from runlore.store.sql.run_rows import active_run, existing_run

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PUT = (
    "INSERT INTO metric_resume (run_key, key, generation, earlier, from_step, replaced) VALUES (?, ?, ?, ?, ?, 0) "
    "ON CONFLICT (run_key, key, generation) DO UPDATE SET from_step = excluded.from_step"
)
_MARK = (
    "INSERT INTO writer_mark (run_key, writer_id, next_seq, last_heard, ended, generation) VALUES (?, ?, 0, ?, 0, ?) "
    "ON CONFLICT (run_key, writer_id) DO UPDATE SET last_heard = excluded.last_heard, ended = 0"
)
_RUNNING = RunStatus.RUNNING
_COUNT = "UPDATE metric_resume SET replaced = replaced + ? WHERE run_key = ? AND key = ? AND generation = ?"
_PARTS = 4  # of replaced points in one page


@handles(ResumeRun)
def resume_run(db: Transaction, op: ResumeRun) -> Resumed:
    """A run is running when its status says so and a process that is not known to be gone was heard of in the last 90 s."""
    key = existing_run(db, op.run_id)
    before = db.one("SELECT status, last_activity FROM run WHERE run_key = ?", (key,))
    assert before is not None
    active_run(db, op.run_id)
    same = db.one("SELECT generation FROM run_resume WHERE run_key = ? AND session_id = ?", (key, op.session_id))
    if same is not None:
        return Resumed(generation=same[0])
    if op.gone:
        condition, parameter = db.among("writer_id", op.gone)
        db.execute(f"UPDATE writer_mark SET ended = 1 WHERE run_key = ? AND {condition}", (key, parameter))
    if op.mode == "auto" and not RunStatus.is_terminated(before[0]) and (joined := _joined(db, key, op.writer_id, before[1])):
        return joined
    db.execute("UPDATE run SET generation = generation + 1, status = ?, end_time = NULL WHERE run_key = ?", (_RUNNING, key))
    generation = _generation(db, key)
    db.execute(
        "INSERT INTO run_resume (run_key, generation, session_id, time) VALUES (?, ?, ?, ?)",
        (key, generation, op.session_id, db.now),
    )
    db.execute(_MARK, (key, op.writer_id, db.now, generation))  # the next one to ask joins
    return Resumed(generation=generation)


def _generation(db: Transaction, key: int) -> int:
    row = db.one("SELECT generation FROM run WHERE run_key = ?", (key,))
    return int(row[0]) if row else 0


def _joined(db: Transaction, key: int, writer_id: str, last_activity: int) -> Resumed | None:
    """The answer for a run that is running; None where it is not."""
    marks = db.all("SELECT writer_id, last_heard, ended FROM writer_mark WHERE run_key = ?", (key,))
    living = {
        writer: heard
        for writer, heard, ended in marks
        if writer != writer_id and not ended and db.now - heard <= LOST_AFTER_MILLIS
    }
    if living:
        return Resumed(generation=_generation(db, key), resumed=False, living=sorted(living), heard=max(living.values()))
    if not marks and db.now - last_activity <= LOST_AFTER_MILLIS:  # MLflow's clients leave no marks
        return Resumed(generation=_generation(db, key), resumed=False, heard=last_activity)
    return None


@handles(GetRunChanges)
def get_run_changes(db: Transaction, op: GetRunChanges) -> RunChanges:
    """See `changes_of`."""
    return changes_of(db, existing_run(db, op.run_id))


def changes_of(db: Transaction, key: int) -> RunChanges:
    """What resuming a run has changed, in three statements."""
    replaced = {
        row[0]: row[1:]
        for row in db.all(
            "SELECT generation, SUM(replaced), COUNT(*), MIN(from_step) FROM metric_resume WHERE run_key = ? AND replaced > 0 "
            "GROUP BY generation",
            (key,),
        )
    }
    resumes = []
    for generation, time in db.all("SELECT generation, time FROM run_resume WHERE run_key = ? ORDER BY generation", (key,)):
        points, metrics, from_step = replaced.get(generation, (0, 0, None))
        resumes.append(RunResume(generation=generation, time=time, points=int(points), metrics=metrics, from_step=from_step))
    former = db.all("SELECT key, value, until FROM param_former WHERE run_key = ? ORDER BY generation, key", (key,))
    return RunChanges(
        resumes=resumes, params=[FormerParam(key=name, value=value, until=until) for name, value, until in former]
    )


@handles(GetReplacedPoints)
def get_replaced_points(db: Transaction, op: GetReplacedPoints) -> MetricHistoryReply:
    """A page is a few blocks of up to 4,096 points; its token names the last one."""
    generation, part = _place(op.page_token)
    rows = db.all(
        "SELECT generation, part, data FROM metric_replaced WHERE run_key = ? AND key = ? "
        "AND (generation > ? OR (generation = ? AND part > ?)) ORDER BY generation, part LIMIT ?",
        (existing_run(db, op.run_id), op.metric_key, generation, generation, part, _PARTS + 1),
    )
    metrics = [metric for _, _, data in rows[:_PARTS] for metric in entities(op.metric_key, Block(data).points)]
    token = f"{rows[_PARTS - 1][0]}.{rows[_PARTS - 1][1]}" if len(rows) > _PARTS else None
    return MetricHistoryReply(metrics=metrics, next_page_token=token)


def _place(token: str) -> tuple[int, int]:
    generation, _, part = token.partition(".")
    if not token:
        return -1, -1
    if generation.isdigit() and part.isdigit() and len(token) < 25:
        return int(generation), int(part)
    raise InvalidParameter(f"{token!r} is not a page token of replaced points. Pass the next_page_token of the last page.")


# -- deliveries --------------------------------------------------------------------------------------------------------------


def begin_again(db: Transaction, key: int, generation: int, replaces: Sequence[ReplacesFrom], keys: Iterable[str]) -> None:
    """Make room for points of a generation: `replaces` says from where on they take the place of others, `keys` names all of
    their metrics. Call it before they are stored."""
    steps = {item.key: item.step for item in reversed(replaces)}
    named = dict.fromkeys((*steps, *keys))
    if not named:
        return
    condition, parameter = db.among("key", list(named))
    known = {
        row[0]: row[1:]
        for row in db.all(
            f"SELECT key, earlier, from_step FROM metric_resume WHERE run_key = ? AND generation = ? AND {condition}",
            (key, generation, parameter),
        )
    }
    earlier = {name: count for name, (count, _) in known.items()}
    if new := [name for name in named if name not in known]:
        present = db.all(f"SELECT key, count FROM metric WHERE run_key = ? AND {condition}", (key, parameter))
        counts: dict[str, int] = dict(present)
        earlier |= {name: counts.get(name, 0) for name in new}
    decided = [name for name in steps if name not in known or known[name][1] is None]
    if rows := [(key, name, generation, earlier[name], steps.get(name)) for name in dict.fromkeys((*new, *decided))]:
        db.many(_PUT, rows)
    if cuts := [Cut(name, steps[name], earlier[name]) for name in decided if earlier[name]]:
        _count(db, key, generation, take_out(db, key, generation, cuts))


def _count(db: Transaction, key: int, generation: int, taken: dict[str, int]) -> None:
    rows = [(count, key, name, generation) for name, count in taken.items() if count]
    if rows:
        db.many(_COUNT, rows)


def without_replaced(
    db: Transaction, key: int, generation: int, numbers: list[int] | NDArray[Any], points: Sequence[MetricPoint]
) -> tuple[list[int], list[MetricPoint]]:
    """Points of an earlier generation without those that have been replaced; these are kept beside the others like them."""
    import numpy as np

    condition, parameter = db.among("key", list({point.key for point in points}))
    limits: dict[str, tuple[int, int]] = {}
    for name, later, step in db.all(
        "SELECT key, generation, from_step FROM metric_resume WHERE run_key = ? AND generation > ? AND from_step IS NOT NULL "
        f"AND {condition} ORDER BY generation",
        (key, generation, parameter),
    ):
        if name not in limits or step < limits[name][0]:
            limits[name] = step, later
    late: dict[str, list[MetricPoint]] = {}
    left: list[tuple[int, MetricPoint]] = []
    for number, point in zip(numbers, points, strict=True):
        if point.key in limits and point.step >= limits[point.key][0]:
            late.setdefault(point.key, []).append(point)
        else:
            left.append((int(number), point))
    for name, gone in late.items():
        columns = [point.step for point in gone], [point.timestamp for point in gone], [point.value for point in gone]
        kept = Kept(db, key, name, limits[name][1])
        kept.put(Points(np.array(columns[0], np.int64), np.array(columns[1], np.int64), np.array(columns[2])))
        _count(db, key, limits[name][1], {name: len(gone)})
    return [number for number, _ in left], [point for _, point in left]
