"""Answers while no store answers: runs and experiments are made here, and made in the store when they are delivered.

A run has its id from the beginning. An experiment gets a placeholder that follows from its name, so that every process means
the same one; the store's own id takes its place at delivery. What was logged is read back from the journal. Files wait in the
spool. Everything that needs the store itself (searching, the registry) raises `Unavailable`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from runlore.api.experiments import (
    CreateExperiment,
    CreateExperimentReply,
    ExperimentReply,
    GetExperiment,
    GetExperimentByName,
    SetExperimentTag,
)
from runlore.api.metrics import GetMetricHistory, MetricHistoryReply
from runlore.api.operation import Operation
from runlore.api.runs import CreateRun, GetRun, LogBatch, LogInputs, LogOutputs, RunReply, UpdateRun, UpdateRunReply
from runlore.entities import (
    Empty,
    Experiment,
    LifecycleStage,
    Metric,
    Param,
    Run,
    RunData,
    RunInfo,
    RunInputs,
    RunOutputs,
    RunStatus,
    RunTag,
)
from runlore.exceptions import NotFound, Unavailable
from runlore.spool.files import note_experiment, noted_experiments, placeholder, staged
from runlore.spool.frames import Record
from runlore.spool.journal import Leftover
from runlore.spool.places import writers
from runlore.spool.records import decode

MADE_HERE = (CreateExperiment, GetExperiment, GetExperimentByName, CreateRun, SetExperimentTag)
"""Operations that are answered here when the store does not."""
_NAME_TAG = "mlflow.runName"


class Offline:
    """The answers of one process, from its spool and its journal."""

    def __init__(self, place: Path, journal: Path) -> None:
        self._place, self._journal = place, journal
        self.runs: set[str] = set()
        """Runs that were made here."""

    def experiment(self, operation: Operation[Any]) -> Any:
        """Answer an operation on experiments."""
        match operation:
            case CreateExperiment(name=name):
                note_experiment(self._place, name)
                return CreateExperimentReply(experiment_id=placeholder(name))
            case GetExperimentByName(experiment_name=name):
                if name == "Default":
                    return ExperimentReply(experiment=_experiment("0", name))
                if name not in noted_experiments(self._place):
                    raise NotFound(f"No experiment {name!r} is known while no store answers.")
                return ExperimentReply(experiment=_experiment(placeholder(name), name))
            case GetExperiment(experiment_id=experiment_id):
                names = {placeholder(name): name for name in noted_experiments(self._place)}
                return ExperimentReply(experiment=_experiment(experiment_id, names.get(experiment_id, "Default")))
        return Empty()

    def made(self, operation: CreateRun) -> RunReply:
        """The run that an operation makes."""
        run_id = operation.client_run_id or ""
        self.runs.add(run_id)
        return RunReply(run=self._run(run_id, [operation]))

    def read(self, operation: Operation[Any]) -> Any:
        """Answer a reading operation on a run that was made here. Raises `Unavailable` for what needs the store."""
        if isinstance(operation, GetRun) and (operation.run_id in self.runs or self.journals_of(operation.run_id)):
            return RunReply(run=self.adopted(operation.run_id))
        if isinstance(operation, GetMetricHistory) and operation.run_id in self.runs:
            points = [point for point in _points(self._said(operation.run_id)) if point.key == operation.metric_key]
            return MetricHistoryReply(metrics=points)
        raise Unavailable(
            f"{type(operation).__name__} needs the store, which is not asked or does not answer now. What is logged is kept; "
            "`runlore sync` delivers it."
        )

    def updated(self, operation: UpdateRun) -> UpdateRunReply:
        """The answer to a change of a run, which has been written down."""
        return UpdateRunReply(run_info=self._run(operation.run_id, self._said(operation.run_id)).info)

    def journals_of(self, run_id: str) -> list[Path]:
        """The journals of other processes in this spool that speak of a run, oldest first."""
        return [path for path in writers(self._place) if path != self._journal and any(_of_run(path, run_id))]

    def adopted(self, run_id: str) -> Run:
        """A run that some other process has made, as far as the journals in this spool know it."""
        self.runs.add(run_id)
        return self._run(run_id, self._said(run_id))

    def _said(self, run_id: str) -> list[Any]:
        return [item for path in [*self.journals_of(run_id), self._journal] for item in _of_run(path, run_id)]

    def _run(self, run_id: str, said: list[Any]) -> Run:
        info = RunInfo(run_id=run_id, run_uuid=run_id, lifecycle_stage=LifecycleStage.ACTIVE, status=RunStatus.RUNNING)
        params: dict[str, Param] = {}
        tags: dict[str, RunTag] = {}
        inputs, outputs = RunInputs(), RunOutputs()
        for item in said:
            match item:
                case CreateRun():
                    tags |= {tag.key: RunTag(key=tag.key, value=tag.value) for tag in item.tags}
                    info = msgspec.structs.replace(
                        info, experiment_id=item.experiment_id, run_name=item.run_name, user_id=item.user_id,
                        start_time=item.start_time, artifact_uri=staged(self._place, run_id).as_uri(),
                    )  # fmt: skip
                case LogBatch():
                    params |= {param.key: Param(key=param.key, value=param.text) for param in item.params}
                    tags |= {tag.key: RunTag(key=tag.key, value=tag.value) for tag in item.tags}
                case LogInputs():
                    inputs = RunInputs(
                        dataset_inputs=[*inputs.dataset_inputs, *item.datasets],
                        model_inputs=[*inputs.model_inputs, *item.models],
                    )
                case LogOutputs():
                    outputs = RunOutputs(model_outputs=[*outputs.model_outputs, *item.models])
                case UpdateRun():
                    status, end = item.status or info.status, item.end_time if item.status or item.end_time else info.end_time
                    info = msgspec.structs.replace(info, status=status, end_time=end, run_name=item.run_name or info.run_name)
        if _NAME_TAG in tags:
            info = msgspec.structs.replace(info, run_name=tags[_NAME_TAG].value)
        last: dict[str, Metric] = {}
        for point in _points(said):
            if point.key not in last or (point.step, point.timestamp) >= (last[point.key].step, last[point.key].timestamp):
                last[point.key] = point
        data = RunData(metric_list=list(last.values()), param_list=list(params.values()), tag_list=list(tags.values()))
        return Run(info=info, data=data, inputs=inputs, outputs=outputs)


def _of_run(journal: Path, run_id: str) -> Iterator[Any]:
    """What a journal says of a run."""
    said = (_decoded(record) for record in Leftover(journal).records())
    return (item for item in said if item is not None and _run_of(item) == run_id)


def _decoded(record: Record) -> Any:
    try:
        return decode(record)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _run_of(item: Any) -> str | None:
    if isinstance(item, tuple):
        return str(item[0])
    return item.client_run_id if isinstance(item, CreateRun) else getattr(item, "run_id", None)


def _points(said: list[Any]) -> list[Metric]:
    points: list[Metric] = []
    for item in said:
        if isinstance(item, tuple):
            _, time, step, values = item
            points += [Metric(key=key, value=value, timestamp=time, step=step or 0) for key, value in values.items()]
        elif isinstance(item, LogBatch):
            points += [Metric(key=p.key, value=p.value, timestamp=p.timestamp, step=p.step) for p in item.metrics]
    return points


def _experiment(experiment_id: str, name: str) -> Experiment:
    return Experiment(experiment_id=experiment_id, name=name, lifecycle_stage=LifecycleStage.ACTIVE)
