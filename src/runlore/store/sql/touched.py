"""What an operation that was carried out has changed, in the words of `api/events.py`.

Most operations name the object that they change in the field that says which right they need; what they change of it is in the
tables below. The others have a function here. An operation that is in no table says that something of its object changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal, NamedTuple

from runlore.api.delivery import Deliver
from runlore.api.experiments import CreateExperiment
from runlore.api.logged_models import CreateLoggedModel
from runlore.api.metrics import LogMetric
from runlore.api.operation import Operation
from runlore.api.registry import CreateModelVersion, CreateRegisteredModel, RenameRegisteredModel
from runlore.api.runs import CreateRun, LogBatch, UpdateRun
from runlore.api.trash import MoveRuns, PurgeTrash
from runlore.store.outbox import OUTBOX

Kind = Literal["run", "experiment", "registered_model", "logged_model", "other"]

NAMED_METRICS = 32
"""Metrics that one change names, at most; beyond that it is all of them."""
NAMED_RUNS = 100
"""Runs that one operation names, at most; beyond that it is the runs of an experiment."""
_LOOKED_AT = 256  # points of a batch whose keys are looked at one by one


class Touch(NamedTuple):
    """One object and what changed of it. `metrics`: which ones, None for any."""

    kind: Kind
    name: str
    parts: frozenset[str]
    metrics: frozenset[str] | None = frozenset()


def _parts(*parts: str) -> frozenset[str]:
    return frozenset(parts)


_CREATED, _LIFECYCLE, _METRICS = _parts("created"), _parts("lifecycle"), _parts("metrics")

PARTS: dict[str, frozenset[str]] = {
    "UpdateRun": _parts("status"),
    "ResumeRun": _parts("status", "params"),
    "DeleteRun": _LIFECYCLE,
    "RestoreRun": _LIFECYCLE,
    "LogParam": _parts("params"),
    "SetTag": _parts("tags"),
    "DeleteTag": _parts("tags"),
    "LogModel": _parts("tags"),
    "LogInputs": _parts("inputs", "models"),
    "LogOutputs": _parts("models"),
    "SetRunNote": _parts("tags"),
    "SetExperimentNote": _parts("tags"),
    "UpdateExperiment": _parts("name"),
    "DeleteExperiment": _LIFECYCLE,
    "RestoreExperiment": _LIFECYCLE,
    "SetExperimentTag": _parts("tags"),
    "DeleteExperimentTag": _parts("tags"),
    "FinalizeLoggedModel": _parts("status"),
    "DeleteLoggedModel": _LIFECYCLE,
    "RestoreLoggedModel": _LIFECYCLE,
    "LogLoggedModelParams": _parts("params"),
    "SetLoggedModelTags": _parts("tags"),
    "DeleteLoggedModelTag": _parts("tags"),
    "UpdateRegisteredModel": _parts("description"),
    "DeleteRegisteredModel": _LIFECYCLE,
    "SetRegisteredModelTag": _parts("tags"),
    "DeleteRegisteredModelTag": _parts("tags"),
    "SetRegisteredModelAlias": _parts("aliases"),
    "DeleteRegisteredModelAlias": _parts("aliases"),
    "UpdateModelVersion": _parts("versions"),
    "TransitionModelVersionStage": _parts("versions"),
    "DeleteModelVersion": _parts("versions", "aliases"),
    "SetModelVersionTag": _parts("versions"),
    "DeleteModelVersionTag": _parts("versions"),
}
"""What the operation of this name changes of its object, where that is always the same."""

_SILENT = frozenset({"ForgetReleasedFiles", *(kind.__name__ for kind in OUTBOX)})  # what nobody sees
_ANYTHING: dict[str, frozenset[str]] = {
    "run": _parts("status", "metrics", "params", "tags", "inputs", "models"),
    "experiment": _parts("name", "tags"),
    "registered_model": _parts("description", "tags", "aliases", "versions"),
    "logged_model": _parts("status", "params", "tags"),
}


def touched(operation: Operation[Any], reply: Any) -> Iterable[Touch]:
    """Everything that an operation changed, from what was asked and what was answered."""
    special = _SPECIAL.get(type(operation))
    return special(operation, reply) if special else _named(operation, reply)


def _named(operation: Operation[Any], reply: Any) -> Iterable[Touch]:
    name = type(operation).__name__
    if name in _SILENT:
        return ()
    if hasattr(reply, "run_ids"):  # the reply knows best which runs were changed
        return _many_runs(reply.run_ids, _LIFECYCLE | PARTS["SetTag"])
    need = operation.route.needs
    if need.kind == "webhook":
        return (Touch("other", "webhooks", _parts("webhooks")),)
    if need.kind == "saved_view" or name.endswith("SavedView"):
        return (Touch("other", "views", _parts("views")),)
    if need.kind == "server" or need.field is None:
        return (Touch("other", "runs", _parts("runs")),)
    values = getattr(operation, need.field)
    parts = PARTS.get(name) or _ANYTHING[need.kind]
    metrics = None if "metrics" in parts else frozenset[str]()
    return [Touch(need.kind, value, parts, metrics) for value in ([values] if isinstance(values, str) else values)]


def _many_runs(run_ids: list[str], parts: frozenset[str]) -> Iterable[Touch]:
    if len(run_ids) > NAMED_RUNS:
        return (Touch("other", "runs", _parts("runs")),)
    return [Touch("run", run_id, parts) for run_id in run_ids]


def _log_metric(operation: LogMetric, reply: Any) -> Iterable[Touch]:
    return (Touch("run", operation.run_id, _METRICS, frozenset((operation.key,))),)


def _log_batch(operation: LogBatch, reply: Any) -> Iterable[Touch]:
    parts = [name for name in ("metrics", "params", "tags") if getattr(operation, name)]
    return (Touch("run", operation.run_id, frozenset(parts), _keys(operation.metrics)),)


def _keys(points: Any) -> frozenset[str] | None:
    return frozenset(point.key for point in points) if len(points) <= _LOOKED_AT else None


def _deliver(operation: Deliver, reply: Any) -> Iterable[Touch]:
    parts: set[str] = set()
    metrics: frozenset[str] | None = frozenset(operation.points.keys[: NAMED_METRICS + 1])
    if operation.points.keys:
        parts.add("metrics")
    for record in operation.records:
        if record.log_batch is not None:
            (touch,) = _log_batch(record.log_batch, None)
            parts |= touch.parts
            metrics = None if metrics is None or touch.metrics is None else metrics | touch.metrics
        if record.log_inputs is not None:
            parts |= PARTS["LogInputs"]
        if record.log_outputs is not None:
            parts |= PARTS["LogOutputs"]
        if record.update_run is not None:
            parts |= PARTS["UpdateRun"]
    return (Touch("run", operation.run_id, frozenset(parts), metrics),) if parts else ()


def _update_run(operation: UpdateRun, reply: Any) -> Iterable[Touch]:
    return (Touch("run", operation.run_id, _parts("status", "tags") if operation.run_name else _parts("status")),)


def _create_logged_model(operation: CreateLoggedModel, reply: Any) -> Iterable[Touch]:
    yield Touch("logged_model", reply.model.info.model_id, _CREATED)
    if operation.source_run_id:
        yield Touch("run", operation.source_run_id, _parts("models"))


def _create_model_version(operation: CreateModelVersion, reply: Any) -> Iterable[Touch]:
    yield Touch("registered_model", operation.name, _parts("versions"))
    if operation.run_id:
        yield Touch("run", operation.run_id, _parts("models"))


def _purge(operation: PurgeTrash, reply: Any) -> Iterable[Touch]:
    if operation.dry_run:
        return ()
    return (Touch("other", "trash", _parts("trash")), Touch("other", "runs", _parts("runs")))


_SPECIAL: dict[type[Operation[Any]], Callable[[Any, Any], Iterable[Touch]]] = {
    CreateRun: lambda _, reply: (Touch("run", reply.run.info.run_id, _CREATED),),
    CreateExperiment: lambda _, reply: (Touch("experiment", reply.experiment_id, _CREATED),),
    CreateRegisteredModel: lambda operation, _: (Touch("registered_model", operation.name, _CREATED),),
    RenameRegisteredModel: lambda operation, _: (
        Touch("registered_model", operation.name, _LIFECYCLE),
        Touch("registered_model", operation.new_name, _CREATED),
    ),
    LogMetric: _log_metric,
    LogBatch: _log_batch,
    Deliver: _deliver,
    UpdateRun: _update_run,
    CreateLoggedModel: _create_logged_model,
    CreateModelVersion: _create_model_version,
    MoveRuns: lambda _, reply: _many_runs(reply.run_ids, _LIFECYCLE),
    PurgeTrash: _purge,
}
