"""Alerts: what happens to runs and metrics that somebody wants to be told of.

Ends of runs are looked at where a status is written, metrics where their summaries are: a bound costs a comparison of the
least and greatest value for each delivery of points, not for each point. Runs that are lost write nothing, so somebody has to
look for them: a server does (`server/webhooks.py`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from runlore.api.delivery import LOST_AFTER_MILLIS
from runlore.entities import RunStatus
from runlore.query.alerts import Bound, read_alert_event
from runlore.store.sql.database import Transaction
from runlore.store.sql.messages import listeners, put_messages

if TYPE_CHECKING:
    from runlore.store.sql.summaries import Summary

CACHE_MILLIS = 1_000
"""Bounds that another process added are known after so long, at the latest."""
_REMEMBERED = 10_000
_MOST_LOST = 1_000

_ENDS = {
    RunStatus.FINISHED: ("finished", "has finished"),
    RunStatus.FAILED: ("failed", "has failed"),
    RunStatus.KILLED: ("killed", "was killed"),
}
_LOST = (
    "SELECT run.run_key, MAX(writer_mark.last_heard) FROM run JOIN writer_mark ON writer_mark.run_key = run.run_key "
    "WHERE run.status = 'RUNNING' AND run.deleted_time IS NULL GROUP BY run.run_key "
    "HAVING MAX(CASE WHEN writer_mark.ended = 0 THEN writer_mark.last_heard ELSE 0 END) < ? "
    "AND MAX(writer_mark.last_heard) >= ? ORDER BY 2, 1 LIMIT ?"
)
"""What `get_run_lives` calls LOST: nobody writes any more, or nobody was heard of lately."""


class _Rule(NamedTuple):
    webhook_id: str
    event: str
    bound: Bound
    experiments: frozenset[int]


class Watched:
    """The bounds that are watched, as they were at `read`, and of which runs they were told already."""

    __slots__ = ("read", "rules", "told")

    def __init__(self, read: int, rules: dict[str, list[_Rule]], told: set[tuple[int, str, str]]) -> None:
        self.read, self.rules, self.told = read, rules, told


def forget_watched(db: Transaction) -> None:
    """Webhooks were changed."""
    db.hints.alerts = None


def watch_metrics(db: Transaction, run_key: int, summaries: Mapping[str, Summary]) -> None:
    """Points were counted into these summaries, which are not written yet. Costs nothing where no bound is watched."""
    watched: Watched | None = db.hints.alerts
    if watched is None or not 0 <= db.now - watched.read < CACHE_MILLIS:
        watched = db.hints.alerts = _read_watched(db, watched)
    for key, rules in watched.rules.items():
        if (summary := summaries.get(key)) is not None:
            for rule in rules:
                if rule.bound.is_beyond(summary.min_value, summary.max_value, summary.non_finite > 0):
                    _tell_of_metric(db, watched, run_key, rule, summary)


def _read_watched(db: Transaction, before: Watched | None) -> Watched:
    rules: dict[str, list[_Rule]] = {}
    for webhook_id, events, experiments in listeners(db, "alert"):
        for event in events:
            bound = read_alert_event(event)
            if isinstance(bound, Bound):
                rules.setdefault(bound.key, []).append(_Rule(webhook_id, event, bound, experiments))
    told = before.told if before is not None and len(before.told) < _REMEMBERED else set()
    return Watched(db.now, rules, told)


def _tell_of_metric(db: Transaction, watched: Watched, run_key: int, rule: _Rule, summary: Summary) -> None:
    place = (run_key, rule.webhook_id, rule.event)
    if place in watched.told:
        return
    row = db.one("SELECT time FROM alert_told WHERE run_key = ? AND webhook_id = ? AND event = ?", place)
    if row is not None:
        if row[0] != db.now:  # of another transaction, so it was committed: what this one wrote may be undone
            watched.told.add(place)
        return
    run = _run(db, run_key)
    if rule.experiments and int(run["experiment_id"]) not in rule.experiments:
        watched.told.add(place)  # nothing to tell, and so it stays
        return
    if not _note(db, place):
        return
    value, step = _extreme(rule.bound, summary)
    what = f"{rule.bound.key} is {value}" + ("" if step is None else f" at step {step}")
    text = f"{rule.event}: {what} in run {run['run_name']} of experiment {run['experiment_name']}."
    metric = {"key": rule.bound.key, "value": value, "step": step}
    data = {**run, "condition": rule.event, "metric": metric, "text": text}
    put_messages(db, [rule.webhook_id], rule.event, ("metric", "reached"), data)


def _extreme(bound: Bound, summary: Summary) -> tuple[Any, int | None]:
    """The value that went beyond, and its step where that is known: the greatest or the least one of the delivery."""
    if bound.operator is None:
        if not summary.newer and summary.first is None:  # the last value is not known
            return "NaN or infinite", None
        last = math.nan if summary.last_value is None else summary.last_value
        return ("NaN or infinite", None) if math.isfinite(last) else (last, summary.last_step)
    if bound.operator.startswith(">"):
        return summary.max_value, summary.max_step
    return summary.min_value, summary.min_step


def tell_of_end(db: Transaction, run_key: int, status: str) -> None:
    """A run was RUNNING or SCHEDULED and is not any more, or has ended in another way than before."""
    if status not in _ENDS:
        return
    action, said = _ENDS[status]
    wanting = [each for each in listeners(db, "alert") if f"run.{action}" in each[1]]
    if not wanting:
        return
    run = _run(db, run_key)
    chosen = [webhook_id for webhook_id, _, experiments in wanting if _concerns(experiments, run)]
    text = f"Run {run['run_name']} of experiment {run['experiment_name']} {said}."
    put_messages(db, chosen, f"run.{action}", ("run", action), {**run, "text": text})


def losses(db: Transaction) -> tuple[bool, list[tuple[str, int, int]]]:
    """Whether anybody waits for lost runs, and (webhook, run, when it was heard of last) that were not told yet."""
    wanting = [each for each in listeners(db, "alert") if "run.lost" in each[1]]
    if not wanting:
        return False, []
    condition, parameter = db.among("webhook_id", [each[0] for each in wanting])
    began: dict[str, int] = dict(db.all(f"SELECT webhook_id, creation_time FROM webhook WHERE {condition}", (parameter,)))
    silent = db.now - LOST_AFTER_MILLIS
    lost = db.all(_LOST, (silent, min(began.values()) - LOST_AFTER_MILLIS, _MOST_LOST))
    if not lost:
        return True, []
    condition, parameter = db.among("run_key", [run_key for run_key, _ in lost])
    told = set(db.all(f"SELECT run_key, webhook_id, event FROM alert_told WHERE {condition}", (parameter,)))
    return True, [
        (webhook_id, run_key, heard)
        for webhook_id, _, _ in wanting
        for run_key, heard in lost
        if heard >= began[webhook_id] - LOST_AFTER_MILLIS and (run_key, webhook_id, _silence(heard)) not in told
    ]


def tell_of_losses(db: Transaction) -> None:
    """Write a message for each, once. One whose run is none of its experiments is noted, too."""
    experiments = {webhook_id: each for webhook_id, _, each in listeners(db, "alert")}
    for webhook_id, run_key, heard in losses(db)[1]:
        if not _note(db, (run_key, webhook_id, _silence(heard))):
            continue
        run = _run(db, run_key)
        if _concerns(experiments[webhook_id], run):
            seconds = (db.now - heard) // 1_000
            text = f"Run {run['run_name']} of experiment {run['experiment_name']} is lost: not heard of for {seconds} s."
            put_messages(
                db, [webhook_id], "run.lost", ("run", "lost"), {**run, "status": "LOST", "last_heard": heard, "text": text}
            )


def _silence(heard: int) -> str:
    return f"run.lost {heard}"


def _note(db: Transaction, place: tuple[int, str, str]) -> bool:
    """Note that it was told; False when another process did before."""
    sql = "INSERT INTO alert_told (run_key, webhook_id, event, time) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
    return db.execute(sql, (*place, db.now)) > 0


def _concerns(experiments: frozenset[int], run: Mapping[str, Any]) -> bool:
    return not experiments or int(run["experiment_id"]) in experiments


def _run(db: Transaction, run_key: int) -> dict[str, Any]:
    row = db.one(
        "SELECT run.run_id, run.name, run.status, run.start_time, run.end_time, run.experiment_id, experiment.name FROM run "
        "JOIN experiment ON experiment.experiment_id = run.experiment_id WHERE run.run_key = ?",
        (run_key,),
    )
    assert row is not None  # it is being written to
    run_id, name, status, start, end, experiment_id, experiment = row
    return {
        "run_id": run_id, "run_name": name, "status": status, "start_time": start, "end_time": end,
        "experiment_id": str(experiment_id), "experiment_name": experiment,
    }  # fmt: skip
