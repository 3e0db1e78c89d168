"""Runs to search for: many shapes, known in full, so that a few lines of Python can tell what a search must answer."""

from __future__ import annotations

import math
import random
import re
from dataclasses import dataclass, field
from typing import Any

from runlore.api.experiments import CreateExperiment
from runlore.api.runs import CreateRun, DeleteRun, LogBatch, LogInputs, MetricPoint, ParamEntry, TagEntry, UpdateRun
from runlore.entities import Dataset, DatasetInput, InputTag
from runlore.store.base import Store

TEXTS = [
    "adam",
    "Adam",
    "ADAM",
    "sgd",
    "a_b",
    "aXb",
    "50%",
    "",
    "été",
    "ÉTÉ",
    "x*y?[z]",
    "back\\slash",
    "it's",
    "1e-3",
    "0.001",
]
VALUES = [0.0, 0.5, 0.5, 1.0, -2.0, 1e300, math.inf, -math.inf, math.nan, 3.25]
NAMES = ["calm-otter", "Calm-Otter", "bold fox", "zebra", "Ärger", "ärger"]


@dataclass
class Seen:
    """What was logged in one run."""

    run_id: str
    experiment_id: str
    attributes: dict[str, Any]
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, list[float]] = field(default_factory=dict)
    datasets: list[dict[str, str | None]] = field(default_factory=list)
    deleted: bool = False


def populate(store: Store, runs: int = 40, seed: int = 7) -> tuple[list[str], list[Seen]]:
    """Two experiments and their runs, some of them deleted."""
    chance = random.Random(seed)
    experiments = [store.call(CreateExperiment(name=f"population {number}")).experiment_id for number in (1, 2)]
    return experiments, [_run(store, chance, experiments[number % 4 == 3]) for number in range(runs)]


def _run(store: Store, chance: random.Random, experiment: str) -> Seen:
    name, start = chance.choice(NAMES), chance.randrange(1_000, 1_010)
    run_id = f"{chance.getrandbits(128):032x}"
    user = chance.choice(["ada", "Ada", "bob"])
    store.call(CreateRun(experiment_id=experiment, run_name=name, start_time=start, user_id=user, client_run_id=run_id))
    seen = Seen(run_id, experiment, {"run_id": run_id, "run_name": name, "start_time": start, "user_id": user})
    status = chance.choice(["RUNNING", "FINISHED", "FAILED"])
    end = None if status == "RUNNING" else start + chance.randrange(5)
    store.call(UpdateRun(run_id=run_id, status=status, end_time=end))
    seen.attributes |= {"status": status, "end_time": end}
    seen.params = {key: chance.choice(TEXTS) for key in ("opt", "lr", "weird key/é") if chance.random() < 0.8}
    seen.tags = {key: chance.choice(TEXTS) for key in ("team", "mlflow.user") if chance.random() < 0.8}
    seen.metrics = {
        key: [chance.choice(VALUES) for _ in range(chance.randrange(1, 4))] for key in ("loss", "acc") if chance.random() < 0.8
    }
    points = [
        MetricPoint(key=key, value=value, timestamp=step, step=step)
        for key, values in seen.metrics.items()
        for step, value in enumerate(values)
    ]
    store.call(
        LogBatch(
            run_id=run_id,
            metrics=points,
            params=[ParamEntry(key=key, value=value) for key, value in seen.params.items()],
            tags=[TagEntry(key=key, value=value) for key, value in seen.tags.items()],
        )
    )
    seen.tags["mlflow.runName"] = name
    _datasets(store, chance, seen)
    if chance.random() < 0.15:
        store.call(DeleteRun(run_id=run_id))
        seen.deleted = True
    return seen


def _datasets(store: Store, chance: random.Random, seen: Seen) -> None:
    for name in chance.sample(["train", "Train", "test"], chance.randrange(3)):
        context = chance.choice(["training", "eval", None])
        tags = [InputTag(key="mlflow.data.context", value=context)] if context else []
        dataset = Dataset(name=name, digest=f"d{chance.randrange(3)}", source_type="local", source="x")
        store.call(LogInputs(run_id=seen.run_id, datasets=[DatasetInput(dataset=dataset, tags=tags)]))
        seen.datasets.append({"name": name, "digest": dataset.digest, "context": context})


# -- what a comparison means ------------------------------------------------------------------------------------------


def compare(left: Any, operator: str, right: Any) -> bool:
    """`left operator right` for a left side that is there."""
    match operator:
        case "=":
            return bool(left == right)
        case "!=":
            return bool(left != right)
        case "<":
            return bool(left < right)
        case "<=":
            return bool(left <= right)
        case ">":
            return bool(left > right)
        case ">=":
            return bool(left >= right)
        case "IN":
            return left in right
        case "NOT IN":
            return left not in right
    flags = re.DOTALL | (re.IGNORECASE if operator == "ILIKE" else 0)
    pattern = "".join({"%": ".*", "_": "."}.get(letter, re.escape(letter)) for letter in right)
    return re.fullmatch(pattern, left, flags) is not None


def summary(values: list[float], aggregate: str) -> float:
    """An aggregate of the points of a metric: last, first and count of all, the others of finite values."""
    finite = [value for value in values if math.isfinite(value)]
    if aggregate in ("last", "first", "count"):
        return {"last": values[-1], "first": values[0], "count": float(len(values))}[aggregate]
    if not finite:
        return math.nan
    return {"min": min(finite), "max": max(finite), "mean": sum(finite) / len(finite)}[aggregate]


def number(text: str) -> float | None:
    """The finite number that a param's text is."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
